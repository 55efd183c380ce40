"""The OpenRPC document: it is one by the published meta-schema, and says what the methods are."""

import json
import subprocess

import contract_app
import jsonschema
import pytest
from needs import need

from gjrpc.app.application import Application
from gjrpc.auth.guard import SCHEMES
from gjrpc.calls.registry import Registry
from gjrpc.contracts.describe import describe
from gjrpc.contracts.openrpc import document
from gjrpc.http.messages import Head, Request

META_SCHEMA = "@open-rpc/meta-schema@1.14.9"


def methods(registry):
    """The methods of a registry's document by name."""
    return {method["name"]: method for method in document(describe(registry), "title", "1")["methods"]}


def of(function, **options):
    """The Method Object of a function in the document."""
    registry = Registry()
    registry.register(function, "f", **options)
    return methods(registry)["f"]


@pytest.fixture(scope="session")
def meta_schema(npm):
    """The schema of OpenRPC documents, as its authors publish it; its own dialect is draft 7's."""
    script = 'console.log(JSON.stringify(require("@open-rpc/meta-schema").default))'
    command = [need("node"), "-e", script]
    done = subprocess.run(command, cwd=npm(META_SCHEMA), capture_output=True, text=True, timeout=60, check=True)
    schema = json.loads(done.stdout)
    del schema["$schema"]
    schema["definitions"]["JSONSchema"] = {"$ref": "http://json-schema.org/draft-07/schema#"}
    return schema


def test_meta_schema(meta_schema):
    """The document of an application with all kinds of methods is valid by the meta-schema, and a wrong one is not."""
    registry = Registry()
    registry.include(contract_app.registry)
    registry.register(lambda: None, "wipe", scope="admin")
    written = document(describe(registry), "title", "1", SCHEMES)
    assert (written["x-security-schemes"], written["methods"][-1]["x-scope"]) == (SCHEMES, "admin")
    validator = jsonschema.Draft7Validator(meta_schema)
    assert [error.message for error in validator.iter_errors(written)] == []
    written["methods"][0]["params"][0]["schema"] = {"type": "nonsense"}
    assert not validator.is_valid(written)
    del written["methods"][0]["params"]
    assert not validator.is_valid(written)


def test_discover():
    """`rpc.discover` and the page return the same document; neither lists `rpc.discover` among the methods."""
    application = Application(contract_app.registry, title="example", version="7")
    page = application.respond(Request(Head("GET", "/-/openrpc.json")))
    answer = application.respond(Request(Head("POST", "/"), b'{"jsonrpc":"2.0","method":"rpc.discover","id":1}'))
    assert (page.status, answer.status) == (200, 200)
    told = json.loads(page.body)
    assert json.loads(answer.body)["result"] == told
    assert told["info"] == {"title": "example", "version": "7"}
    assert [method["name"] for method in told["methods"]] == contract_app.registry.list_methods()


def test_a_method():
    """A method has its description, its parameters with defaults, its result and its examples."""
    add = methods(contract_app.registry)["add"]
    assert add["summary"] == "Add two numbers."
    assert add["params"] == [
        {"name": "a", "schema": {"type": "integer"}, "description": "the first.", "required": True},
        {"name": "b", "schema": {"type": "integer", "default": 10}, "description": "the second."},
    ]
    assert add["result"] == {"name": "result", "schema": {"type": "integer"}, "description": "Their sum."}
    given = [{value["name"]: value["value"] for value in example["params"]} for example in add["examples"]]
    assert given == [{"a": 1, "b": 2}, {"a": 1}, {"a": 1}]


def test_declared_errors():
    """The errors that a method declares are listed with code, message, and the data of an instance."""
    assert methods(contract_app.registry)["load"]["errors"] == [
        {"code": 7, "message": "no such host"},
        {"code": 8, "message": "busy"},
        {"code": 9, "message": "not yours", "data": {"owner": "root"}},
    ]


@pytest.mark.parametrize(
    ("function", "structure", "names"),
    [
        (lambda a, b=1: 0, "either", ["a", "b"]),
        (lambda a, /, b=1: 0, "by-position", ["a", "b"]),
        (lambda *, a: 0, "by-name", ["a"]),
        (lambda a=1, /, *, b: 0, "by-name", ["b"]),
        (lambda a, *rest, **more: 0, "either", ["a"]),
    ],
)
def test_structure(function, structure, names):
    """`paramStructure` is the form in which all listed parameters can be given."""
    written = of(function)
    assert (written["paramStructure"], [value["name"] for value in written["params"]]) == (structure, names)


def test_further_arguments():
    """Further arguments, which the format can't express, are in extensions, and the description names them."""

    def f(*rest: int, **more: str): ...

    written = of(f)
    assert (written["x-args"]["schema"], written["x-kwargs"]["schema"]) == ({"type": "integer"}, {"type": "string"})
    assert "`*rest`" in written["description"]
    assert "`**more`" in written["description"]
