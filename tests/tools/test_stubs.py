"""The stub: how methods are written, and that mypy reads it as it is meant."""

import ast
import re
import subprocess
import sys
from urllib.parse import quote

import contract_app
import pytest
from conftest import ROOT, untraced

from gjrpc import Application, Client
from gjrpc.tools.fetch import read
from gjrpc.tools.openrpc_document import Document
from gjrpc.tools.stubs import stub

INTEGER, STRING = {"type": "integer"}, {"type": "string"}
NODE = {"$ref": "#/components/schemas/Node"}
SCHEMAS = {
    "Node": {
        "type": "object",
        "properties": {"value": INTEGER, "next": {"anyOf": [NODE, {"type": "null"}]}},
        "required": ["value"],
    },
    "Color": {"enum": ["green", "red"]},
}


def parameter(name, schema=INTEGER, required=True):
    """A parameter."""
    return {"name": name, "schema": schema, "required": required}


def method(name, *params, result=INTEGER, **more):
    """A method; without a result if that is None."""
    return {
        "name": name,
        "params": list(params),
        **({} if result is None else {"result": {"name": "r", "schema": result}}),
        **more,
    }


def tree(*methods, title="Test"):
    """A document with these methods."""
    info = {"title": title, "version": "1"}
    return {"openrpc": "1.3.2", "info": info, "methods": list(methods), "components": {"schemas": SCHEMAS}}


def lines(*methods):
    """The lines of the stub of these methods."""
    return stub(Document(tree(*methods), "test")).splitlines()


def written(*params, **more):
    """How a method with these parameters is written."""
    (line,) = [line for line in lines(method("f", *params, **more)) if " def f(" in line]
    return line.strip()


A, B, OPTIONAL = parameter("a"), parameter("b"), parameter("c", STRING, required=False)


@pytest.mark.parametrize(
    ("params", "structure", "signature"),
    [
        ([], "either", "self"),
        ([A, OPTIONAL], "either", "self, a: int, c: str = ..."),
        ([A, OPTIONAL], "by-position", "self, a: int, c: str = ..., /"),
        ([A, OPTIONAL], "by-name", "self, *, a: int, c: str = ..."),
        ([A, OPTIONAL, B], "either", "self, a: int, *, c: str = ..., b: int"),
        ([A, OPTIONAL, B, parameter("d", required=False)], "by-position", "self, a: int, c: str, b: int, d: int = ..., /"),
        ([OPTIONAL, B], "by-name", "self, *, c: str = ..., b: int"),
        ([parameter("self"), parameter("_self")], "either", "__self, self: int, _self: int"),
        ([], "by-position", "self"),
    ],
    ids=str,
)
def test_parameters(params, structure, signature):
    """Parameters are written so that the calls which the contract allows can be written, by position and by name."""
    assert written(*params, paramStructure=structure) == f"def f({signature}) -> int: ..."


def test_no_result():
    """A method without a result returns None."""
    assert written(result=None) == "def f(self) -> None: ..."


def test_texts():
    """A method's summary, or else the first line of its description, is the docstring; a deprecated one is marked."""
    assert '        """Sum "up"."""'.replace('"up"', '\\"up\\"') in lines(method("f", summary='Sum "up".', description="No."))
    assert '        """One."""' in lines(method("f", description="One.\nTwo."))
    assert '    @deprecated("deprecated by the server")' in lines(method("f", deprecated=True))
    assert lines(method("f"))[0].startswith("# The methods of Test, version 1. ")
    assert stub(Document(tree(title="a\nimport os"), "test")).startswith("# The methods of a\\nimport os, version 1. ")


def test_dotted_names():
    """Dotted names are attributes of attributes, and some of these can also be called."""
    text = "\n".join(lines(method("stats"), method("stats.cpu"), method("stats.disk.free")))
    assert "class _StatsDisk(Protocol):\n    def free(self) -> int: ..." in text
    assert "class _Stats(Protocol):\n    def __call__(self) -> int: ...\n    def cpu(self) -> int: ...\n    @property" in text
    assert "    @property\n    def disk(self) -> _StatsDisk: ..." in text
    assert "    @property\n    def stats(self) -> _Stats: ..." in text


@pytest.mark.parametrize(
    "name", ["odd-name", "class", "_private", "a._b", "", "a..b", "call", "close", "notify.x", "ﬁ", "x\nimport os"]
)
def test_unspellable_names(name):
    """A name that can't be an attribute is left out, with a comment that says how to call the method."""
    assert f"    # not an attribute in Python: client.call({name!a}, ...)" in lines(method(name))
    assert not any("def f(" in line or line == "import os" for line in lines(method(name)))


@pytest.mark.parametrize("params", [[parameter("a-b")], [parameter("class")], [parameter("a"), parameter("a")]])
def test_unspellable_parameters(params):
    """A method with a parameter that can't be a name in Python is left out too."""
    assert "    # not an attribute in Python: client.call('f', ...)" in lines(method("f", *params))


def test_own_names():
    """The client's own attributes are members of the stub's class, all of them."""
    text = "\n".join(lines())
    assert all(f"def {name}(" in text for name in vars(Client) if not name.startswith("_"))


EXAMPLE = tree(
    method("add", A, OPTIONAL, summary="Add."),
    method("list", result={"type": "array", "items": NODE}),
    method("str", parameter("int", {"$ref": "#/components/schemas/Color"}), paramStructure="by-position", result=STRING),
    method("push", parameter("node", NODE), result=NODE),
    method("stats.cpu", result={"type": "number"}),
    method("odd-name"),
    method("old", deprecated=True),
)

PROGRAM = """
from typing import TYPE_CHECKING, cast
import gjrpc
from gjrpc import Client
if TYPE_CHECKING:
    from api import Api

client = cast("Api", Client("http://localhost:9999"))
the_same: "Api" = Client("http://localhost:9999")
with cast("Api", Client("http://localhost:9999")) as inner:
    number: int = inner.add(1)
number = client.add(a=1, c="x") + client.call("odd-name", result=int)
nodes = client.list()
number = nodes[0]["value"]
text: str = client.str("green")
pushed = client.push({"value": 1, "next": {"value": 2}})
share: float = client.stats.cpu()
client.notify.add(1)
with client.batch() as batch:
    batch.add(1, 2)
client.close()
"""

WRONG = {
    'client.add("x")': 'Argument 1 to "add" of "Api" has incompatible type "str"; expected "int"',
    "client.add()": 'Missing positional argument "a" in call to "add" of "Api"',
    "client.add(1, d=2)": 'Unexpected keyword argument "d" for "add" of "Api"',
    "client.ad(1)": '"Api" has no attribute "ad"; maybe "add"?',
    'client.str(int="green")': 'Unexpected keyword argument "int" for "str" of "Api"',
    'client.str("blue")': "incompatible type \"Literal['blue']\"",
    'client.push({"value": "x"})': 'TypedDict item "value" has type "int"',
    "text = client.stats.cpu()": 'expression has type "float", variable has type "str"',
    "client.stats()": '"_Stats" not callable',
}

CONFIG = """
[mypy]
strict = True
[mypy-gjrpc.*]
follow_imports = silent
[mypy-gevent.*,httptools.*,trustme.*,tomli.*]
ignore_missing_imports = True
"""


def check(folder, program):
    """Run mypy on a program and its stub; return the lines that it prints."""
    (folder / "program.py").write_text(program)
    (folder / "mypy.ini").write_text(CONFIG)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "program.py", "api.pyi"]
    root = ROOT
    path = {} if root.name == "site-packages" else {"MYPYPATH": str(root)}  # mypy finds installed packages itself
    done = subprocess.run(command, cwd=folder, env=untraced(**path), capture_output=True, text=True, timeout=120, check=False)
    return done.stdout.splitlines()


def test_mypy(tmp_path):
    """Mypy, strict, accepts the stub and a program that uses it rightly, and names each wrong call."""
    (tmp_path / "api.pyi").write_text(stub(Document(EXAMPLE, "test")), encoding="utf-8")
    begin = PROGRAM.count("\n") + 1
    said = check(tmp_path, PROGRAM + "\n".join(WRONG))
    assert said[-1].startswith(f"Found {len(WRONG)} errors in 1 file"), "\n".join(said)
    for number, sentence in enumerate(WRONG.values(), begin):
        assert any(line.startswith(f"program.py:{number}: error: ") and sentence in line for line in said), sentence


ASKS = """
from typing import TYPE_CHECKING, cast
from gjrpc import Client
if TYPE_CHECKING:
    from api import Api
client = cast("Api", Client("http://localhost:9999"))
total: int = client.add(1, b=2)
nodes: list[int] = client.walk({"value": 1, "next": None})
load: float = client.load("a")
client.load("z")
"""


def test_a_server_of_our_own(serve, tmp_path):
    """Mypy, strict, accepts the stub of one of our own servers, and knows its types from it."""
    (tmp_path / "api.pyi").write_text(stub(read(serve(Application(contract_app.registry)).url)), encoding="utf-8")
    said = check(tmp_path, ASKS)
    assert len(said) == 2, "\n".join(said)
    assert said[0].startswith("program.py:10: error: "), said[0]
    assert "incompatible type" in said[0]


def test_nothing_of_a_document_becomes_code():
    """Names, texts and values of a document can't end a docstring, a comment or a literal, and have no control characters."""
    bad = """x\n\\" \"\"\"\'\'\'\nimport os  # \x1b[2J\u202e\x9b\u2028\r\x0c"""
    schema = {"type": "object", "description": bad, "properties": {bad: {"enum": [bad, 1]}, "a": {"const": bad}}}
    described = {"description": bad, "deprecated": True}
    plain = {"title": bad, "version": bad}
    document = {
        "openrpc": "1.3.2",
        "info": plain,
        "methods": [
            method("f", parameter("a", {"$ref": "#/components/schemas/" + quote(bad)}), **described),
            method(bad),
            method("g", parameter(bad)),
            method("h." + bad),
            method("i", summary=bad, result={"name": bad, "schema": {"enum": [bad]}}),
        ],
        "components": {"schemas": {bad: schema}},
    }
    text = stub(Document(document, "test"))
    assert text.replace("\n", "").isprintable()
    module = ast.parse(text)
    assert not [node for node in ast.walk(module) if isinstance(node, ast.Import)]
    assert {node.module for node in module.body if isinstance(node, ast.ImportFrom)} <= {
        "gjrpc.client.batch",
        "typing",
        "typing_extensions",
    }
    docstrings = [ast.get_docstring(node) for node in ast.walk(module) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    assert all(docstring is None or docstring.isprintable() for docstring in docstrings)


def test_many_names_that_are_alike():
    """Named schemas that would have the same name in Python get one each, and long dotted names are not attributes."""
    names = [f"S{chr(0x2190 + number)}" for number in range(500)]
    schemas = {name: {"type": "object", "properties": {"a": True}} for name in names}
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    document = tree(method("f", parameter("a", {"anyOf": references})), method(".".join(["a"] * 5000)))
    text = stub(Document({**document, "components": {"schemas": schemas}}, "test"))
    assert len(set(re.findall(r"^class (S\w*)\(", text, re.MULTILINE))) == 500
    assert "client.call('a.a.a" in text
    assert len(text) < 1_000_000
