"""The contract diff: each kind of change, what of it breaks, and the command line."""

import json

import pytest

from gjrpc.diff import main as diff_main
from gjrpc.stub import main as stub_main
from gjrpc.tools import likeness, subschema
from gjrpc.tools.changes import KINDS, Change, changes
from gjrpc.tools.fetch import Document

INTEGER, NUMBER, STRING = ({"type": kind} for kind in ("integer", "number", "string"))


def parameter(name, schema=INTEGER, **more):
    """A parameter, required unless told otherwise."""
    return {"name": name, "schema": schema, "required": True, **more}


def optional(name, schema=INTEGER, **more):
    """A parameter that may be left out."""
    return parameter(name, schema, required=False, **more)


def method(*params, name="add", result=INTEGER, **more):
    """A method; without a result if that is None."""
    described = {} if result is None else {"result": {"name": "result", "schema": result}}
    return {"name": name, "params": list(params), **described, **more}


def tree(*methods, components=None, version="1"):
    """A document with these methods."""
    info = {"title": "Test", "version": version}
    return {"openrpc": "1.3.2", "info": info, "methods": list(methods), "components": {"schemas": components or {}}}


def diff(old, new):
    """The changes from one document to another, as lines."""
    return [str(change) for change in changes(Document(old, "old"), Document(new, "new"))]


A, B = parameter("a"), parameter("b")
ERROR, OTHER_ERROR = {"code": 7, "message": "no host"}, {"code": 8, "message": "no disk"}
BY_POSITION, BY_NAME = {"paramStructure": "by-position"}, {"paramStructure": "by-name"}

BREAKING = [
    (method(A), method(), "parameter 'a' is gone"),
    (method(A), method(A, B), "parameter 'b' is new and required"),
    (method(optional("a")), method(A), "parameter 'a' is required, was optional"),
    (method(parameter("a", NUMBER)), method(A), "parameter 'a' is integer, was number (number does not fit integer)"),
    (method(parameter("a", {})), method(A), "parameter 'a' is integer, was anything (anything does not fit integer)"),
    (method(A), method(parameter("a", STRING)), "parameter 'a' is string, was integer (integer does not fit string)"),
    (
        method(A),
        method(parameter("a", {"not": STRING})),
        "parameter 'a' is anything, was integer (the keyword 'not' can't be compared)",
    ),
    (method(A), method(A, **BY_NAME), "arguments can't be given by position any more"),
    (method(A), method(A, **BY_POSITION), "arguments can't be given by name any more"),
    (method(A), method(A, result=NUMBER), "the result is number, was integer (number does not fit integer)"),
    (method(A), method(A, result=STRING), "the result is string, was integer (string does not fit integer)"),
    (method(), method(result=None), "there is no result any more"),
]

COMPATIBLE = [
    (method(A), method(A, optional("b")), "parameter 'b' is new and optional"),
    (method(A), method(optional("a")), "parameter 'a' is optional, was required"),
    (method(A), method(parameter("a", NUMBER)), "parameter 'a' is number, was integer (number does not fit integer)"),
    (
        method(A),
        method(parameter("a", {"type": ["integer"]})),
        "parameter 'a' has another schema, and the values fit as before",
    ),
    (
        method(optional("a", {**INTEGER, "default": 1})),
        method(optional("a", {**INTEGER, "default": 2})),
        "parameter 'a' has the default 2, had 1",
    ),
    (
        method(optional("a", {**INTEGER, "default": 1})),
        method(optional("a")),
        "parameter 'a' has the default none that is told, had 1",
    ),
    (method(A, **BY_POSITION), method(B, **BY_POSITION), "parameter 'b' was named 'a', and is given by position"),
    (method(A, **BY_NAME), method(A), "arguments can be given by position too"),
    (method(), method(result={"const": 1}), "the result is 1, was integer (integer does not fit 1)"),
    (method(), method(result={"anyOf": [INTEGER]}), "the result has another schema, and the values fit as before"),
    (method(result=None), method(), "there is a result, where there was none"),
    (method(), method(errors=[ERROR]), "error 7 ('no host') is declared"),
    (method(errors=[ERROR]), method(), "error 7 ('no host') is no longer declared"),
    (method(), method(deprecated=True), "the method is deprecated"),
    (method(deprecated=True), method(), "the method is no longer deprecated"),
    (method(A), method({**A, "deprecated": True}), "parameter 'a' is deprecated"),
    (method(), method(summary="s", description="d"), "the method has another summary and description"),
    (method(A), method({**A, "description": "d"}), "parameter 'a' has another description"),
]


@pytest.mark.parametrize(("old", "new", "what"), BREAKING, ids=str)
def test_breaking(old, new, what):
    """A change that a caller can notice is breaking, and told in one line."""
    assert diff(tree(old), tree(new)) == [f"breaking    add: {what}"]


@pytest.mark.parametrize(("old", "new", "what"), COMPATIBLE, ids=str)
def test_compatible(old, new, what):
    """A change that no caller needs to care for is compatible, and told in one line."""
    assert diff(tree(old), tree(new)) == [f"compatible  add: {what}"]


@pytest.mark.parametrize(
    "one", [method(A, optional("b")), method(A, **BY_NAME), method(errors=[ERROR, OTHER_ERROR], summary="s")]
)
def test_no_change(one):
    """Nothing is told of what is the same."""
    assert diff(tree(one), tree(one)) == []


def test_methods():
    """A method that is gone breaks, a new one does not; what breaks comes first."""
    old, new = tree(method(name="a"), method(name="b")), tree(method(name="c"), method(name="b"), version="2")
    assert diff(old, new) == [
        "breaking    a: the method is gone",
        "compatible  the document's version is '2', was '1'",
        "compatible  c: the method is new",
    ]


def test_order():
    """Another order of parameters breaks where they can be given by position, and only there."""
    moved = ["breaking    add: parameter 'a' is at place 2, was at 1", "breaking    add: parameter 'b' is at place 1, was at 2"]
    assert diff(tree(method(A, B)), tree(method(B, A))) == moved
    assert diff(tree(method(A, B, **BY_POSITION)), tree(method(B, A, **BY_POSITION))) == moved
    assert diff(tree(method(A, B, **BY_NAME)), tree(method(B, A, **BY_NAME))) == []
    assert diff(tree(method(A, B, **BY_NAME)), tree(method(B, A))) == ["compatible  add: arguments can be given by position too"]
    inserted = diff(tree(method(optional("b"))), tree(method(optional("a"), optional("b"))))
    assert inserted == [
        "breaking    add: parameter 'b' is at place 2, was at 1",
        "compatible  add: parameter 'a' is new and optional",
    ]


def test_rename():
    """Another name breaks where a parameter can be given by name."""
    assert diff(tree(method(A)), tree(method(B))) == [
        "breaking    add: parameter 'a' is gone",
        "breaking    add: parameter 'b' is new and required",
    ]
    assert diff(tree(method(A, **BY_POSITION)), tree(method(parameter("b", STRING), **BY_POSITION))) == [
        "breaking    add: parameter 'b' is string, was integer (integer does not fit string)",
        "compatible  add: parameter 'b' was named 'a', and is given by position",
    ]


def test_places_inside():
    """A change inside a type names the place inside the value."""
    reference = {"$ref": "#/components/schemas/Node"}
    node = {"type": "object", "properties": {"value": INTEGER, "next": {"anyOf": [reference, {"type": "null"}]}}, "required": []}
    wider = {**node, "properties": {**node["properties"], "value": NUMBER}}
    added = {**node, "properties": {**node["properties"], "text": STRING}}
    one = method(parameter("a", reference), result=reference)
    assert diff(tree(one, components={"Node": node}), tree(one, components={"Node": wider})) == [
        "breaking    add: the result is Node, was Node (at .value: number does not fit integer)",
        "compatible  add: parameter 'a' is Node, was Node (at .value: number does not fit integer)",
    ]
    lines = diff(tree(one, components={"Node": node}), tree(one, components={"Node": added}))
    assert lines == [
        "compatible  add: parameter 'a' has another schema, and the values fit as before",
        "compatible  add: the result has another schema, and the values fit as before",
    ]


def test_each_kind_is_told():
    """Each kind of change that is listed can come, as breaking or compatible as it is listed."""
    pairs = [(tree(old), tree(new)) for old, new, _ in BREAKING + COMPATIBLE]
    pairs += [(tree(method(A, B)), tree(method(B, A))), (tree(method()), tree()), (tree(), tree(method()))]
    told = {change.kind for old, new in pairs for change in changes(Document(old, "old"), Document(new, "new"))}
    assert told == set(KINDS)


def test_terminal():
    """What a server says can't write to the terminal as it likes."""
    assert str(Change("method-removed", "a\x1b[2J\n", "gone")) == "breaking    a\\x1b[2J\\n: gone"


@pytest.fixture
def saved(tmp_path):
    """Save a document: `saved(name, *methods, components=…)` gives its path."""

    def save(name, *methods, **more):
        (tmp_path / name).write_text(json.dumps(tree(*methods, **more)))
        return str(tmp_path / name)

    return save


def test_command(launch, saved):
    """The command tells the changes, a line each, and a summary, and ends with 1 if any breaks."""
    launched = launch("-m", "gjrpc.diff", saved("old", method(A)), saved("new", method(A, B, summary="s")))
    assert launched.wait() == 1
    assert launched.output.splitlines() == [
        "breaking    add: parameter 'b' is new and required",
        "compatible  add: the method has another summary",
        "1 breaking, 1 compatible",
    ]


def test_command_without_a_breaking_change(launch, saved):
    """The command ends with 0 if nothing breaks; --json gives the same as lines of JSON."""
    launched = launch("-m", "gjrpc.diff", "--json", saved("old", method(A)), saved("new", method(A), method(name="sub")))
    assert launched.wait() == 0
    assert [json.loads(line) for line in launched.output.splitlines()] == [
        {"breaking": False, "kind": "method-added", "method": "sub", "what": "the method is new"},
        {"breaking_changes": 0, "compatible_changes": 1},
    ]


def test_command_with_unusable_input(launch, saved):
    """The command ends with 2 and one line where a document can't be read, and where it is called the wrong way."""
    launched = launch("-m", "gjrpc.diff", saved("old"), "nope\n.json")
    assert launched.wait() == 2
    assert launched.output.startswith("error: nope\\n.json: No such file or directory; expected")
    assert launched.output.count("\n") == 1
    assert launch("-m", "gjrpc.diff", saved("old")).wait() == 2


def test_command_with_a_server(launch, serve, saved):
    """The command reads a server's document."""

    def application(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps(tree(method(A))).encode()]

    launched = launch("-m", "gjrpc.diff", saved("old"), serve(application).url)
    assert launched.wait() == 0
    assert launched.output == "compatible  add: the method is new\n0 breaking, 1 compatible\n"


APP = """
from gjrpc import Registry

old, new = Registry(), Registry()

def add(a: int, b: int = 1) -> int: ...
old.register(add)

def add(a: int, b: int, c: str) -> str: ...
new.register(add)
"""


def test_command_with_two_servers_of_our_own(launch, tmp_path):
    """Between two versions of an application the command tells a new required parameter and a changed result, which break."""
    (tmp_path / "app.py").write_text(APP)
    servers = [launch("-m", "gjrpc.serve", f"app:{name}", "--bind", "127.0.0.1:0", cwd=tmp_path) for name in ("old", "new")]
    old, new = [server.wait_url() for server in servers]
    launched = launch("-m", "gjrpc.diff", old, new)
    assert launched.wait() == 1
    assert launched.output.splitlines() == [
        "breaking    add: parameter 'b' is required, was optional",
        "breaking    add: parameter 'c' is new and required",
        "breaking    add: the result is string, was integer (string does not fit integer)",
        "compatible  the document's title is 'app:new', was 'app:old'",
        "3 breaking, 1 compatible",
    ]
    assert launch("-m", "gjrpc.diff", old, old).wait() == 0


def chained(count, leaf, link=lambda reference: reference):
    """Named schemas of which each leads to the next, and the last is `leaf`."""
    links = {f"S{number}": link({"$ref": f"#/components/schemas/S{number + 1}"}) for number in range(count)}
    return {**links, f"S{count}": leaf}


def nested(levels, leaf):
    """A schema of arrays in arrays."""
    for _ in range(levels):
        leaf = {"type": "array", "items": leaf}
    return leaf


ROOT = {"$ref": "#/components/schemas/S0"}
HOSTILE = {
    "chained references": lambda leaf: (ROOT, chained(3000, leaf)),
    "references in arrays": lambda leaf: (ROOT, chained(3000, leaf, lambda inner: {"type": "array", "items": inner})),
    "deep references": lambda leaf: (ROOT, chained(30, leaf, lambda inner: nested(85, inner))),
    "alternatives": lambda leaf: (ROOT, chained(40, leaf, lambda inner: {"anyOf": [nested(1, inner), nested(2, inner)]})),
    "a circle": lambda leaf: (ROOT, {"S0": {"$ref": "#/components/schemas/S1"}, "S1": ROOT, "S2": leaf}),
    "itself": lambda leaf: (ROOT, {"S0": {"anyOf": [ROOT, leaf]}}),
    "the whole": lambda leaf: ({"$ref": "#"}, {"S0": leaf}),
    "out of the document": lambda leaf: ({"$ref": "http://h/#/x"}, {"S0": leaf}),
    "a long reference": lambda leaf: ({"$ref": "#/" + "a/" * 100_000}, {"S0": leaf}),
    "large numbers": lambda leaf: ({"type": "integer", "multipleOf": 5e-324, "maximum": 10**4000, "enum": [10**4000, 1e300]}, {}),
    "odd keywords": lambda leaf: ({"type": 5, "enum": 7, "anyOf": {}, "properties": [], "$ref": 5, **leaf}, {}),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", ["diff", "diff back", "diff itself", "stub"])
def test_a_hostile_document(saved, capsys, make, command):
    """Whatever a document has in it, `diff` and `stub` end with an answer, or with one line and exit code 2."""
    old, new = [
        saved(name, method(parameter("a", make({"type": leaf})[0])), components=make({"type": leaf})[1])
        for name, leaf in (("old", "string"), ("new", "integer"))
    ]
    runs = {"diff": (diff_main, [old, new]), "diff back": (diff_main, [new, old]), "diff itself": (diff_main, [old, old])}
    main, arguments = runs.get(command, (stub_main, [old]))
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    if ended.value.code == 2:
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert len(err) < 1000
    else:
        assert not err
        assert ended.value.code == (0 if "0 breaking" in out or command == "stub" else 1)


@pytest.mark.parametrize("count", [1000, 2000])
def test_the_cost_of_many_values(monkeypatch, count):
    """An enum's values are looked at once each, and a schema that many methods share once for all of them."""
    looked = []
    identity, write = subschema.identity, likeness.text
    monkeypatch.setattr(subschema, "identity", lambda value: looked.append(1) or identity(value))
    monkeypatch.setattr(likeness, "text", lambda value: looked.append(1) or write(value))
    methods = [method(parameter("a", ROOT), name=f"m{number}") for number in range(100)]
    old, new = [Document(tree(*methods, components={"S0": {"enum": [*range(count), last]}}), "") for last in (-1, -2)]
    assert len(changes(old, new)) == 100
    assert len(looked) < 6 * count + 100 * 20


@pytest.mark.parametrize("count", [500, 1000])
def test_the_cost_of_references(monkeypatch, count):
    """References that lead to a difference at their end are written out once each."""
    written = []
    write = likeness.text
    monkeypatch.setattr(likeness, "text", lambda value: written.append(1) or write(value))
    one, other = [Document(tree(components=chained(count, leaf)), "") for leaf in (STRING, INTEGER)]
    likely = likeness.Likeness(one, other)
    assert not any(likely.alike(*[{"$ref": f"#/components/schemas/S{n}"}] * 2) for n in range(count))
    assert len(written) < 4 * count


def test_what_is_printed_is_safe(saved, capsys):
    """Names and texts of a document reach the terminal without characters that it would act on, in lines and in JSON."""
    bad = "\x1b[2J\u202e\x9b\n"
    old = saved("old", method(name=f"a{bad}"), method(name="b"))
    new = saved("new", method(parameter(bad, {"enum": [bad], "pattern": bad}), name="b", summary=bad))
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            diff_main.main([old, new, *options])
        assert ended.value.code == 1
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable()
    assert {json.loads(line).get("method") for line in out.splitlines()} == {f"a{bad}", "b", None}
