"""The keys of objects, in schemas."""

import re
from dataclasses import dataclass, field, fields, make_dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
import pytest
from key_types import KEYS

from gjrpc import Registry
from gjrpc.contracts.argument_schemas import Forms
from gjrpc.contracts.describe import describe


def contract(annotation, result=Any):
    """The schema of a parameter with this annotation, and the components."""
    registry = Registry()

    def function(x, **y):
        """A method."""

    function.__annotations__.update({"x": annotation, "y": annotation, "return": result})
    registry.register(function)
    described = describe([registry.find("function")])
    (method,) = described.methods
    return method.parameters[0].schema, described.components, method


# What the names look like; nothing where msgspec says enough, or any text is one.
NAMES = {
    "str": None,
    "Any": None,
    "int": {"pattern": "^(?:0|-?[1-9][0-9]*)$"},
    "enum": {"enum": ["red"]},
    "IntEnum": {"enum": ["1"]},
    "Literal": {"enum": ["1", "a"]},
    "UUID": {"format": "uuid"},
    "date": {"format": "date"},
    "a union": {"anyOf": [{"pattern": "^(?:0|-?[1-9][0-9]*)$"}, {"format": "uuid"}]},
}


@pytest.mark.parametrize("name", NAMES)
def test_schemas_say_what_keys_look_like(name):
    """The schema of a dict describes its keys, wherever a dict can be."""
    key, _, _ = KEYS[name]

    @dataclass
    class Holder:
        inner: dict[key, int]
        more: list[dict[key, int]] | None = None

    class Pair(NamedTuple):
        first: int
        second: dict[key, int]

    tagged = msgspec.defstruct("Tagged", [("inner", dict[key, int])], tag=True, array_like=True)
    for annotation in (dict[key, int], dict[str, dict[key, int]], list[dict[key, int]] | None, tuple[int, dict[key, int]]):
        assert found(contract(annotation)[0]) == [NAMES[name]]
    for annotation in (Holder, Pair, tagged, dict[str, Holder | None]):
        _, components, _ = contract(annotation)
        assert set(map(str, found(components))) == {str(NAMES[name])}


def found(schema):
    """The `propertyNames` of all objects whose values are integers."""
    if isinstance(schema, list):
        return [one for each in schema for one in found(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema.get("propertyNames")] if schema.get("additionalProperties") == {"type": "integer"} else []
    return own + [one for each in schema.values() for one in found(each)]


@pytest.mark.parametrize("name", KEYS)
def test_each_key_that_is_accepted_is_described(name):
    """The schema allows each key that a call may have."""
    key, text, _ = KEYS[name]
    names = contract(dict[key, int])[0].get("propertyNames", {})
    options = names.get("anyOf", [names])
    assert any(re.search(option.get("pattern", ""), text) and text in option.get("enum", [text]) for option in options)


def test_a_union_of_classes_keeps_them_apart():
    """Each class of a union has the names of its own keys."""
    by_number = msgspec.defstruct("ByNumber", [("inner", dict[int, int])], tag=True)
    by_word = msgspec.defstruct("ByWord", [("inner", dict[Literal["a"], int])], tag=True)
    _, components, _ = contract(by_number | by_word)
    assert found(components["ByNumber"]) == [{"pattern": "^(?:0|-?[1-9][0-9]*)$"}]
    assert found(components["ByWord"]) == [{"enum": ["a"]}]


def test_further_arguments_have_schemas_too():
    """The values of `**kwargs` are described as they are accepted."""
    _, _, method = contract(dict[int, int])
    body = Forms(method, {}).body()
    assert found(body)[-1] == {"pattern": "^(?:0|-?[1-9][0-9]*)$"}


def test_fields_without_init_are_not_described():
    """A field that no constructor accepts is not in the schema of a parameter, but in that of a result."""

    @dataclass
    class Given:
        a: int
        total: int = field(init=False)
        constant: Decimal = field(init=False, default=Decimal(7))

    for annotation in (Given, list[Given], make_dataclass("Outer", [("given", Given)])):
        _, components, _ = contract(annotation)
        assert list(components["Given"]["properties"]) == components["Given"]["required"] == ["a"]
    assert [each.name for each in fields(Given)] == ["a", "total", "constant"]
    _, components, _ = contract(int, result=Given)
    assert set(components["Given"]["properties"]) == {"a", "total", "constant"}
