"""The check of results against their annotations."""

import enum
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union
from uuid import UUID

import msgspec
import pytest

from gjrpc import Application, Registry
from gjrpc.http.messages import Head, Request

T = TypeVar("T")
RAN: list[str] = []


@dataclass
class Point:
    x: int
    y: float = 0.5
    doubled: int = field(init=False, default=0)

    def __post_init__(self):
        RAN.append("Point")
        self.doubled = 2 * self.x if isinstance(self.x, int) else 0


class Host(msgspec.Struct):
    name: str
    ports: list[int] = []


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Row(msgspec.Struct, array_like=True):
    a: int
    b: str


class Size(TypedDict):
    width: int


class Pair(NamedTuple):
    left: int
    right: str


class Colour(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):
    YES = "yes"


@dataclass
class Tree:
    value: int
    below: "list[Tree]" = field(default_factory=list)


@dataclass
class Box(Generic[T]):
    held: T


class Holding(msgspec.Struct):
    raw: msgspec.Raw
    words: dict[Any, int]
    left: int | msgspec.UnsetType = msgspec.UNSET


class Custom:
    """A class that is not a JSON type."""


def ask(annotation, result, **options):
    """The status and answer of a method with this annotation and result: by POST, by GET, and with a deadline."""
    found = []
    for more in ({}, {"deadline": 30.0}):
        registry = Registry()

        def method():
            return result

        method.__annotations__["return"] = annotation
        registry.register(method, **options, **more)
        application = Application(registry)
        for request in (Request(Head("POST", "/"), b'{"method":[]}'), Request(Head("GET", "/method"))):
            response = application.respond(request)
            found.append((response.status, json.loads(response.body)))
    assert len({status for status, _ in found}) == 1
    return found[0]


RIGHT = {
    "int": (int, 5),
    "float": (float, 1.5),
    "an integer for a float": (float, 5),
    "str": (str, "a"),
    "an enum of texts for str": (str, Word.YES),
    "a date for str": (str, date(2020, 1, 1)),
    "bool": (bool, True),
    "None": (None, None),
    "Optional": (Optional[int], None),  # noqa: UP045  people write both
    "a union": (int | str, "a"),
    "bytes": (bytes, b"a"),
    "Decimal": (Decimal, Decimal("1.50")),
    "UUID": (UUID, UUID(int=0)),
    "datetime": (datetime, datetime(2020, 1, 1, tzinfo=timezone.utc)),
    "a naive datetime": (datetime, datetime(2020, 1, 1)),
    "enum": (Colour, Colour.RED),
    "Literal": (Literal["a", 1], 1),
    "list": (list[int], [1, 2]),
    "a tuple for a list": (list[int], (1, 2)),
    "bare list": (list, [1, "a", None]),
    "bare dict": (dict, {"a": [1.5]}),
    "set": (set[int], {1, 2}),
    "tuple": (tuple[int, str], (1, "a")),
    "dict": (dict[str, int], {"a": 1}),
    "other keys": (dict[int, float], {1: 2.5}),
    "anything in a dict": (dict[str, Any], {"a": [1]}),
    "a dataclass": (Point, Point(1)),
    "a dict for a dataclass": (Point, {"x": 1}),
    "dataclasses": (list[Point], [Point(1), Point(2)]),
    "Struct": (Host, Host("a", [1])),
    "a union of Structs": (Cat | Dog | None, Dog("a")),
    "an array Struct": (Row, Row(1, "a")),
    "TypedDict": (Size, {"width": 1}),
    "NamedTuple": (Pair, Pair(1, "a")),
    "a class in itself": (Tree, Tree(1, [Tree(2)])),
    "a generic class": (Box[int], Box(1)),
    "Annotated": (Annotated[int, msgspec.Meta(ge=0)], 5),
    "a union with Any": (Union[int, Any], "a"),  # noqa: UP007  likewise
    "a union with Any in a list": (list[Union[int, Any]], ["a", {"b": 1}]),  # noqa: UP007  likewise
    "Raw in a field": (Holding, Holding(msgspec.Raw(b"[1]"), {"a": 1})),
    "nothing in a field": (Holding, Holding(msgspec.Raw(b"[1]"), {})),
    "a sequence": (Sequence[int], [1, 2]),
    "a mapping": (Mapping[str, int], {"a": 1}),
    "an iterator, which is no JSON type": (Iterator[int], [1]),
    "Raw": (msgspec.Raw, msgspec.Raw(b"1")),
    "Any": (Any, 5),
    "object": (object, 5),
    "no JSON type": (Custom, 5),
}


@pytest.mark.parametrize(("annotation", "result"), RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_answered(annotation, result):
    """A result that matches its annotation is the answer."""
    status, told = ask(annotation, result)
    assert (status, told) == (200, {"method": json.loads(msgspec.json.encode(result))})


# Annotation, result, what the log says behind "expected …, got a …".
WRONG = {
    "text for int": (int, "secret", "str: Expected `int`, got `str`"),
    "bool for int": (int, True, "bool: Expected `int`, got `bool`"),
    "float for int": (int, 1.5, "float: Expected `int`, got `float`"),
    "None for int": (int, None, "NoneType: Expected `int`, got `null`"),
    "int for str": (str, 5, "int: Expected `str`, got `int`"),
    "a value for None": (None, 5, "int: Expected `null`, got `int`"),
    "text for a union": (int | None, "secret", "str: Expected `int | null`, got `str`"),
    "text in a list": (list[int], [1, "secret"], "list at [1]: Expected `int`, got `str`"),
    "a list for a dict": (dict[str, Any], ["secret"], "list: Expected `object`, got `array`"),
    "text in a dict": (dict[str, int], {"a": "secret"}, "dict at [...]: Expected `int`, got `str`"),
    "another key": (dict[int, int], {"secret": 1}, "dict: Expected `int`, got `str` as a key"),
    "a field": (Point, Point("secret"), "Point at x: Expected `int`, got `str`"),
    "a field in a list": (list[Point], [Point(1), Point("secret")], "list at [1].x: Expected `int`, got `str`"),
    "no field": (Point, {"y": 1}, "dict: Object missing required field `x`"),
    "a Struct's field": (Host, Host("a", ["secret"]), "Host at ports[0]: Expected `int`, got `str`"),
    "another class": (Host, Point(1), "Point: Object missing required field `name`"),
    "a tagged field": (Cat | Dog, Dog(5), "Dog at name: Expected `str`, got `int`"),
    "a TypedDict's key": (Size, {"width": "secret"}, "dict at width: Expected `int`, got `str`"),
    "a NamedTuple's place": (Pair, Pair("secret", "b"), "Pair at [0]: Expected `int`, got `str`"),
    "a short tuple": (tuple[int, int], (1,), "tuple: Expected `array` of length 2"),
    "no Literal": (Literal["a"], "secret", "str: Invalid enum value"),
    "no enum": (Colour, "secret", "str: Invalid enum value"),
    "below a limit": (Annotated[int, msgspec.Meta(ge=0)], -1, "int: Expected `int` >= 0"),
    "a generic class": (Box[int], Box("secret"), "Box at held: Expected `int`, got `str`"),
}


@pytest.mark.parametrize(("annotation", "result", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_a_500(annotation, result, words, caplog):
    """A result that does not match its annotation is a 500 with a ref; the log names what was expected and shows no value."""
    with caplog.at_level(logging.ERROR):
        status, told = ask(annotation, result)
    assert status == 500
    assert told["detail"] == "the method's result does not match its annotation; the server's log has more under this ref"
    assert told["ref"] in caplog.text
    assert f", got a {words}" in caplog.text
    assert "secret" not in json.dumps(told) + caplog.text


def test_a_method_can_be_taken_at_its_word():
    """With check_result=False, and without an annotation, results are not checked."""
    assert ask(int, "a", check_result=False) == (200, {"method": "a"})
    registry = Registry()
    registry.register(lambda: "a", "method")
    found = registry.find("method")
    assert found.run is found.function


def test_a_plain_result_costs_a_look_at_its_class():
    """A result of a plain type is returned unchanged; nothing is decoded again."""
    registry = Registry()

    @registry.method
    def add(a: int, b: int) -> int:
        return a + b

    assert registry.find("add").call([1, 2]) == 3
    assert type(registry.find("add").call([1, 2])) is int


def test_no_code_of_the_application_runs_for_the_check():
    """The check makes no instance of the application's classes."""
    result = [Point(1)]
    RAN.clear()
    assert ask(list[Point], result)[0] == 200
    assert RAN == []


def test_json_rpc_says_so_too():
    """In JSON-RPC 2.0 a wrong result is -32603 with a ref, for this entry alone."""
    registry = Registry()

    @registry.method
    def wrong() -> int:
        return "a"  # type: ignore[return-value]  # the fault that is tested

    body = b'[{"jsonrpc":"2.0","method":"wrong","id":1},{"jsonrpc":"2.0","method":"list_methods","id":2}]'
    first, second = json.loads(Application(registry).respond(Request(Head("POST", "/"), body)).body)
    assert first["error"]["code"] == -32603
    assert first["error"]["data"]["ref"]
    assert "wrong" in second["result"]
