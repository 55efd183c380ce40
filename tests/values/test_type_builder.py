"""Building types from msgspec's descriptions of types."""

import enum
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from gjrpc.values.type_builder import constraints, rebuild_type, without_code

RAN: list[str] = []


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float = 0.5

    def __post_init__(self):
        RAN.append("Point")


class Cat(msgspec.Struct, tag=True):
    lives: int


@dataclass
class Tree:
    value: int
    below: "list[Tree]"


def keep(info):
    """Replace a class by itself."""
    return getattr(info, "cls", Any)


TYPES = [
    int,
    str,
    None,
    date,
    UUID,
    Decimal,
    Colour,
    Point,
    Literal["a", 1],
    list[int],
    dict[str, list[int]],
    tuple[int, str],
    tuple[int, ...],
    int | None,
    Annotated[int, msgspec.Meta(ge=0, le=5)],
]


@pytest.mark.parametrize("annotation", TYPES, ids=str)
def test_a_type_is_built_again(annotation):
    """A type that is built from its description has the same description."""
    info = msgspec.inspect.type_info(annotation)
    assert msgspec.inspect.type_info(rebuild_type(info, keep)) == info


def test_constraints():
    """The constraints of a type are known by name."""
    assert constraints(msgspec.inspect.type_info(Annotated[int, msgspec.Meta(ge=0)])) == {"ge": 0}
    assert constraints(msgspec.inspect.type_info(int)) == {}


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        (Point, '{"x":1}', '{"x":"a"}'),
        (Cat, '{"type":"Cat","lives":9}', '{"type":"Dog","lives":9}'),
        (set[int], "[1,1]", '["a"]'),
        (Tree, '{"value":1,"below":[{"value":2,"below":[]}]}', '{"value":1}'),
        (list[Point] | None, "null", '[{"y":1}]'),
    ],
)
def test_the_same_json_without_the_application_s_code(annotation, right, wrong):
    """The type without code accepts the same JSON, and runs none of the application's code."""
    RAN.clear()
    decode = msgspec.json.Decoder(rebuild_type(msgspec.inspect.type_info(annotation), without_code)).decode
    decode(right)
    with pytest.raises(msgspec.ValidationError):
        decode(wrong)
    assert RAN == []
