"""Preparing types so that msgspec can convert JSON to them."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from decimal import Decimal
from typing import Any, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pytest
from key_types import KEYS, ZERO

from gjrpc import Client, MisuseError, RegistrationError, Registry, WireError
from gjrpc.app.application import Application
from gjrpc.calls.binding import Binding
from gjrpc.values.conversion import every_type, prepare
from gjrpc.values.typed_decoder import decoder_for

T = TypeVar("T")
fresh = map("höhe{}名".format, itertools.count())
"""Names that have never been encoded: msgspec finds a name once it has been encoded."""


def method(annotation):
    """A function that returns its argument."""

    def function(x):
        return x

    function.__annotations__["x"] = annotation
    return function


def called(annotation, value):
    """A JSON value as an argument: by position, by name, and among **kwargs."""
    found = []
    for arguments in ([value], {"x": value}):
        positional, named = Binding(method(annotation)).bind(arguments)
        found.append([*positional, *named.values()][0])

    def rest(**x):
        return x

    rest.__annotations__["x"] = annotation
    found.append(Binding(rest).bind({"any": value})[1]["any"])
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize(("key", "text", "expected"), KEYS.values(), ids=KEYS)
def test_keys_are_converted(key, text, expected):
    """The keys of a dict are converted to its type, at any depth and in every form of arguments."""
    assert called(dict[key, float], {text: 2.5}) == {expected: 2.5}
    assert called(Mapping[key, Any], {text: 2.5}) == {expected: 2.5}
    assert called(list[dict[key, float]], [{text: 2.5}]) == [{expected: 2.5}]
    assert called(dict[str, dict[key, float]], {"a": {text: 2.5}}) == {"a": {expected: 2.5}}
    assert called(dict[key, float] | None, {text: 2.5}) == {expected: 2.5}
    holder = make_dataclass("Holder", [("inner", dict[key, float])])
    assert called(holder, {"inner": {text: 2.5}}) == holder({expected: 2.5})
    assert called(tuple[dict[key, Decimal], int], [{text: 2}, 1]) == ({expected: Decimal(2)}, 1)


@pytest.mark.parametrize(
    "annotation", [dict[bool, int], dict[None, int], list[dict[tuple[int, int], int]], dict[bool | None, int]]
)
def test_keys_that_no_text_can_be_are_refused(annotation):
    """A dict with keys that strings can't become is an error at registration, or in the client, that says what to use."""
    with pytest.raises(RegistrationError, match=r"keys in JSON are strings.*use str, a number or an enum for keys"):
        Binding(method(annotation))
    with pytest.raises(RegistrationError, match="keys in JSON are strings"):
        Binding(method(make_dataclass("Holder", [("inner", annotation)])))
    with Client("http://localhost:1") as client, pytest.raises(MisuseError, match="keys in JSON are strings"):
        client.call("x", result=annotation)


def test_a_key_that_is_no_number_is_refused():
    """A key that can't be converted is named in the error, and NaN is not accepted as a key."""
    for key, words in (("a", "expected `float`, got `str` as a key"), ("nan", "expected a finite number")):
        with pytest.raises(Exception, match=words):
            called(dict[float, int], {key: 1})
        with pytest.raises(Exception, match=words):
            called(make_dataclass("Holder", [("inner", dict[float, int])]), {"inner": {key: 1}})


def test_a_client_converts_keys(serve):
    """A client converts the keys of a result to the type."""
    registry = Registry()
    registry.register(lambda: {"1": {"a": {str(ZERO): "1.5"}}}, "nested")
    served = serve(Application(registry))
    with Client(served.url) as client:
        assert client.call("nested", result=dict[int, dict[str, dict[UUID, Decimal]]]) == {1: {"a": {ZERO: Decimal("1.5")}}}
        with pytest.raises(WireError, match="the result is not"):
            client.call("nested", result=dict[UUID, Any])


@pytest.mark.parametrize(
    "result", [complex, list[complex], 5, "nonsense", set[list[str]], frozenset[tuple[int, dict[str, int]]], set[int | list[int]]]
)
def test_a_result_that_can_not_be_made_is_refused_before_the_call(result):
    """A result type that JSON can't be converted to is an error before the client sends anything."""
    with Client("http://localhost:1") as client, pytest.raises(MisuseError, match="can't be made from JSON"):
        client.call("x", result=result)


# Non-ASCII names.


def typed_dict(name):
    """A TypedDict with one field."""
    return TypedDict("Keyed", {name: int}, total=False)


def attrs_class(name):
    """An attrs class with one field."""
    return attrs.make_class("Made", {name: attrs.field(default=0, type=int)})


def renamed(name):
    """A Struct whose field has another name in JSON."""
    return msgspec.defstruct("Renamed", [("a", int, 0)], rename={"a": name})


CLASSES = {
    "a dataclass": lambda name: make_dataclass("Made", [(name, int, 0)]),
    "a TypedDict": typed_dict,
    "an attrs class": attrs_class,
    "a Struct": lambda name: msgspec.defstruct("Made", [(name, int, 0)]),
    "a renamed field": renamed,
}


@pytest.mark.parametrize("make", CLASSES.values(), ids=CLASSES)
def test_names_outside_ascii_are_known(make):
    """A field with a non-ASCII name is found from the first call on, wherever its class is in the type."""
    for wrap, value in ((lambda cls: cls, lambda v: v), (lambda cls: list[cls] | None, lambda v: [v])):
        name = next(fresh)
        cls = make(name)
        # New strings, as they arrive from a client.
        sent = msgspec.json.decode(f'{{"{name}":5}}'.encode())
        got = called(wrap(cls), value(sent))
        got = got[0] if isinstance(got, list) else got
        assert (list(got.values()) if isinstance(got, dict) else list(msgspec.to_builtins(got).values())) == [5]


@pytest.mark.parametrize("make", CLASSES.values(), ids=CLASSES)
def test_a_client_knows_names_outside_ascii(make):
    """A client finds fields with non-ASCII names."""
    name = next(fresh)
    got = decoder_for(make(name))(f'{{"{name}":5}}'.encode())
    assert list(msgspec.to_builtins(got).values()) == [5]


def test_a_nested_name_outside_ascii_is_known():
    """Fields of nested classes with non-ASCII names are found, and so are tags."""
    inner, outer = next(fresh), next(fresh)
    cls = make_dataclass("Outer", [(outer, make_dataclass("Inner", [(inner, int, 0)]))])
    assert msgspec.to_builtins(called(cls, {outer: msgspec.json.decode(f'{{"{inner}":5}}')})) == {outer: {inner: 5}}
    tag_field, tag = next(fresh), next(fresh)
    tagged = [msgspec.defstruct("A", [("x", int)], tag_field=tag_field, tag=f"{tag}{n}") for n in range(2)]
    assert decoder_for(tagged[0] | tagged[1])(f'{{"{tag_field}":"{tag}1","x":5}}'.encode()) == tagged[1](5)


@pytest.mark.parametrize("name", ["höhe", "größe_", "名前"])
def test_parameters_outside_ascii_are_known(name):
    """A parameter with a non-ASCII name can be given by name, in JSON and in a query."""
    scope: dict[str, Any] = {}
    exec(f"def function({name}: int = 0, *, andere_{name}: int = 0): return {name}, andere_{name}", scope)
    binding = Binding(scope["function"])
    assert binding.bind(msgspec.json.decode(f'{{"{name}":5,"andere_{name}":6}}'))[1] == {name: 5, f"andere_{name}": 6}
    assert binding.bind_text({name: ["5"]})[1] == {name: 5}


@dataclass
class Node:
    children: "list[Node]"
    names: dict[str, Decimal]


def test_every_type_ends():
    """The walk through a recursive type returns each type once."""
    types = prepare(Node)
    assert types[0].cls is Node
    assert len(types) == len({id(info) for info in types})
    assert sum(isinstance(info, msgspec.inspect.DecimalType) for info in every_type(*types)) == 1
