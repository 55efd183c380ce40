"""Annotations: the one for each schema, and the definitions and imports that they need."""

import pytest

from gjrpc.texts import printable
from gjrpc.tools.annotations import Annotations, docstring, is_name
from gjrpc.tools.openrpc_document import Document


def ref(name):
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def annotations(schemas=None, members=()):
    """The annotations of a document with these components."""
    info = {"title": "Test", "version": "1"}
    return Annotations(
        Document({"openrpc": "1.3.2", "info": info, "methods": [], "components": {"schemas": schemas or {}}}, "test"), members, ()
    )


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        (True, "Any"),
        (False, "Never"),
        ({}, "Any"),
        ({"type": "null"}, "None"),
        ({"type": "boolean"}, "bool"),
        ({"type": "integer", "minimum": 1}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "string", "format": "date-time"}, "str"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "integer"}]}, "int | str"),
        ({"anyOf": [{"type": "integer"}, {}]}, "Any"),
        ({"oneOf": [{"type": "integer"}]}, "int"),
        ({"allOf": [{"type": "integer"}]}, "int"),
        ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, "Any"),
        ({"enum": ["a", 1, True, None, "a"]}, "Literal['a', 1, True, None]"),
        ({"enum": ["a", 1.5, [1], {}]}, "Literal['a'] | float | list[Any] | dict[str, Any]"),
        ({"const": 'it\'s "x"\n'}, "Literal['it\\'s \"x\"\\n']"),
        ({"enum": []}, "Any"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"type": "string"}}, "list[str]"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False}, "list[int | str]"),
        ({"type": "array", "prefixItems": [{"type": "integer"}], "maxItems": 1}, "list[int]"),
        ({"type": "array", "prefixItems": [{"type": "integer"}]}, "list[Any]"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, "dict[str, Any]"),
        ({"type": "float"}, "Any"),
        ({"minimum": 1}, "Any"),
        (ref("nope"), "Any"),
        ({"$ref": "other.json"}, "Any"),
    ],
    ids=str,
)
def test_of(schema, annotation):
    """Each schema has the most precise annotation that Python has for it."""
    assert annotations().of(schema) == annotation


def test_record():
    """A named schema of objects is a TypedDict, defined once, which may hold itself."""
    one = annotations(
        {
            "Node": {
                "description": "A node.\n\nMore.",
                "type": "object",
                "properties": {"a": {"type": "integer"}, "next": {"anyOf": [ref("Node"), {"type": "null"}]}},
                "required": ["a"],
            }
        }
    )
    assert one.of({"type": "array", "items": ref("Node")}) == "list[Node]"
    assert one.of(ref("Node")) == "Node"
    assert one.definitions == [
        ["class Node(TypedDict):", '    """A node."""', "    a: int", "    next: NotRequired[Node | None]"],
    ]
    assert one.imports() == ["from typing import Any", "from typing_extensions import NotRequired, TypedDict"]


def test_odd_record():
    """A TypedDict whose keys Python can't spell is written as a call."""
    one = annotations({"Odd": {"type": "object", "properties": {"a-b": {}, "class": ref("Odd"), "__c": {}}, "required": ["a-b"]}})
    assert one.of(ref("Odd")) == "Odd"
    assert one.definitions == [
        ['Odd = TypedDict("Odd", {', "    'a-b': Any,", "    'class': NotRequired[Odd],", "    '__c': NotRequired[Any],", "})"]
    ]


def test_alias():
    """Any other named schema is an alias; inside itself it is Any, and so is an endless chain of references."""
    one = annotations(
        {"Color": {"enum": ["g", "r"]}, "Tree": {"type": "array", "items": ref("Tree")}, "Circle": ref("Circle"), "Bad": 3}
    )
    assert [one.of(ref(name)) for name in ("Color", "Tree", "Circle", "Bad")] == ["Color", "Tree", "Circle", "Bad"]
    assert [line for lines in one.definitions for line in lines] == [
        "Color: TypeAlias = Literal['g', 'r']",
        "Tree: TypeAlias = list[Any]",
        "Circle: TypeAlias = Any",
        "Bad: TypeAlias = Any",
    ]


def test_names():
    """No name of the stub means two things: members, properties, known names and named schemas keep out of each other's way."""
    empty = {"type": "object", "properties": {}}
    schemas = {
        "int": empty,
        "a.b[c]": empty,
        "a_b_c_": empty,
        "class": empty,
        "9": empty,
        "M": {**empty, "properties": {"str": {}}},
    }
    one = annotations(schemas, members=["list", "a_b_c_"])
    names = [one.of(ref(name)) for name in ("int", "a.b%5Bc%5D", "a_b_c_", "class", "9", "M")]
    assert names == ["int_", "a_b_c__", "a_b_c__2", "class_", "_9", "M"]
    assert one.of({"type": "array", "items": {"type": "string"}}) == "list_[str_]"
    assert one.imports()[0] == "from builtins import list as list_, str as str_"


@pytest.mark.parametrize(
    ("word", "fine"), [("a", True), ("été", True), ("class", False), ("a-b", False), ("", False), ("ﬁ", False)]
)
def test_is_name(word, fine):
    """A name is one that Python can spell and leaves as it is."""
    assert is_name(word) is fine


@pytest.mark.parametrize(
    "words",
    ["Add.", 'a "quoted" word"', 'three """ quotes', "back\\slash\\", "\x00 nul", "a\u2028b", '\\"""\nimport os', "   x  "],
)
def test_docstring(words):
    """A docstring holds the first line of a text, whatever is in it, and nothing else."""
    (line,) = docstring(words, "    ")
    namespace = {}
    exec(f"def f():\n{line}", namespace)
    first = words.strip().partition("\n")[0]
    assert namespace["f"].__doc__ == printable(first)


@pytest.mark.parametrize("words", ["", "  \n ", None, 3])
def test_no_docstring(words):
    """Without a text there is no docstring."""
    assert docstring(words, "") == []
