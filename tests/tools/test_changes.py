"""What changed between two contracts: each kind of change, and whether it breaks callers."""

import pytest
from openrpc_trees import INTEGER, NUMBER, ROOT, STRING, chained, method, optional, parameter, tree

from gjrpc.tools import likeness, subschema
from gjrpc.tools.changes import KINDS, Change, changes
from gjrpc.tools.openrpc_document import Document


def diff(old, new):
    """The changes from one document to another, as lines."""
    return [str(change) for change in changes(Document(old, "old"), Document(new, "new"))]


A, B = parameter("a"), parameter("b")
ERROR, OTHER_ERROR = {"code": 7, "message": "no host"}, {"code": 8, "message": "no disk"}
BY_POSITION, BY_NAME = {"paramStructure": "by-position"}, {"paramStructure": "by-name"}

BREAKING = [
    (method(A), method(), "parameter 'a' was removed"),
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
    (method(A), method(A, **BY_NAME), "arguments can no longer be given by position"),
    (method(A), method(A, **BY_POSITION), "arguments can no longer be given by name"),
    (method(A), method(A, result=NUMBER), "the result is number, was integer (number does not fit integer)"),
    (method(A), method(A, result=STRING), "the result is string, was integer (string does not fit integer)"),
    (method(), method(result=None), "there is no longer a result"),
]

COMPATIBLE = [
    (method(A), method(A, optional("b")), "parameter 'b' is new and optional"),
    (method(A), method(optional("a")), "parameter 'a' is optional, was required"),
    (method(A), method(parameter("a", NUMBER)), "parameter 'a' is number, was integer (number does not fit integer)"),
    (
        method(A),
        method(parameter("a", {"type": ["integer"]})),
        "parameter 'a' has another schema for the same values",
    ),
    (
        method(optional("a", {**INTEGER, "default": 1})),
        method(optional("a", {**INTEGER, "default": 2})),
        "the default of parameter 'a' is 2, was 1",
    ),
    (
        method(optional("a", {**INTEGER, "default": 1})),
        method(optional("a")),
        "the default of parameter 'a' is not stated, was 1",
    ),
    (method(A, **BY_POSITION), method(B, **BY_POSITION), "parameter 'b' was named 'a'; callers give it by position"),
    (method(A, **BY_NAME), method(A), "arguments can also be given by position"),
    (method(), method(result={"const": 1}), "the result is 1, was integer (integer does not fit 1)"),
    (method(), method(result={"anyOf": [INTEGER]}), "the result has another schema for the same values"),
    (method(result=None), method(), "there is a result; there was none"),
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
    """A change that can break a caller is reported as breaking, in one line."""
    assert diff(tree(old), tree(new)) == [f"breaking    add: {what}"]


@pytest.mark.parametrize(("old", "new", "what"), COMPATIBLE, ids=str)
def test_compatible(old, new, what):
    """A change that breaks no caller is reported as compatible, in one line."""
    assert diff(tree(old), tree(new)) == [f"compatible  add: {what}"]


@pytest.mark.parametrize(
    "one", [method(A, optional("b")), method(A, **BY_NAME), method(errors=[ERROR, OTHER_ERROR], summary="s")]
)
def test_no_change(one):
    """Nothing is reported if nothing has changed."""
    assert diff(tree(one), tree(one)) == []


def test_methods():
    """A removed method is breaking, a new one is not; breaking changes come first."""
    old, new = tree(method(name="a"), method(name="b")), tree(method(name="c"), method(name="b"), version="2")
    assert diff(old, new) == [
        "breaking    a: the method was removed",
        "compatible  the document's version is '2', was '1'",
        "compatible  c: the method is new",
    ]


def test_order():
    """Another order of parameters is breaking only if they can be given by position."""
    moved = [
        "breaking    add: parameter 'a' is at position 2, was at 1",
        "breaking    add: parameter 'b' is at position 1, was at 2",
    ]
    assert diff(tree(method(A, B)), tree(method(B, A))) == moved
    assert diff(tree(method(A, B, **BY_POSITION)), tree(method(B, A, **BY_POSITION))) == moved
    assert diff(tree(method(A, B, **BY_NAME)), tree(method(B, A, **BY_NAME))) == []
    assert diff(tree(method(A, B, **BY_NAME)), tree(method(B, A))) == ["compatible  add: arguments can also be given by position"]
    inserted = diff(tree(method(optional("b"))), tree(method(optional("a"), optional("b"))))
    assert inserted == [
        "breaking    add: parameter 'b' is at position 2, was at 1",
        "compatible  add: parameter 'a' is new and optional",
    ]


def test_rename():
    """Another name is breaking if a parameter can be given by name."""
    assert diff(tree(method(A)), tree(method(B))) == [
        "breaking    add: parameter 'a' was removed",
        "breaking    add: parameter 'b' is new and required",
    ]
    assert diff(tree(method(A, **BY_POSITION)), tree(method(parameter("b", STRING), **BY_POSITION))) == [
        "breaking    add: parameter 'b' is string, was integer (integer does not fit string)",
        "compatible  add: parameter 'b' was named 'a'; callers give it by position",
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
        "compatible  add: parameter 'a' has another schema for the same values",
        "compatible  add: the result has another schema for the same values",
    ]


def test_each_kind_is_told():
    """Each listed kind of change can occur."""
    pairs = [(tree(old), tree(new)) for old, new, _ in BREAKING + COMPATIBLE]
    pairs += [(tree(method(A, B)), tree(method(B, A))), (tree(method()), tree()), (tree(), tree(method()))]
    told = {change.kind for old, new in pairs for change in changes(Document(old, "old"), Document(new, "new"))}
    assert told == set(KINDS)


def test_terminal():
    """Text from a server has no control characters when it is printed."""
    assert str(Change("method-removed", "a\x1b[2J\n", "gone")) == "breaking    a\\x1b[2J\\n: gone"


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
