"""The limit of values with the same hash in one set or dict."""

import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec
import pytest

from gjrpc import Application, Client, Registry, WireError
from gjrpc.calls.binding import Binding
from gjrpc.errors import InvalidArguments
from gjrpc.http.messages import Head, Request
from gjrpc.values.hashing import FEW, LIMIT
from gjrpc.values.typed_decoder import decoder_for

MODULUS = 2**61 - 1
COUNT = FEW + 1


class Pair(NamedTuple):
    left: int
    right: str


@dataclass(frozen=True)
class Frozen:
    x: int


@dataclass
class Holder:
    a: int
    inner: set[int]


class Tagged(msgspec.Struct, array_like=True, tag=True):
    inner: set[int]


class Other(msgspec.Struct, array_like=True, tag=True):
    a: int


def integers(count=COUNT):
    """Integers that share one hash."""
    return [5 + n * MODULUS for n in range(1, count + 1)]


ATTACKS = {
    "set": (set[int], integers()),
    "frozenset": (frozenset[int], integers()),
    "negative": (set[int], [-number for number in integers()]),
    "bare set": (set, integers()),
    "set of anything": (set[Any], integers()),
    "floats": (set[float], [2.0 ** (61 * n) for n in range(-16, 16)] + [float(n) for n in range(100)]),
    "integers for floats": (
        set[float],
        [2 ** (61 * n) for n in range(16)] + [2.0 ** (-61 * n) for n in range(16)] + [*range(99)],
    ),
    "Decimal": (set[Decimal], [str(number) for number in integers()]),
    "Decimal of numbers": (set[Decimal], integers()),
    "UUID": (set[UUID], [str(UUID(int=number)) for number in integers()]),
    "tuples": (set[tuple[int, str]], [[number, "a"] for number in integers()]),
    "open tuples": (set[tuple[int, ...]], [[number] for number in integers()]),
    "sets of sets": (set[frozenset[int]], [[number] for number in integers()]),
    "NamedTuples": (set[Pair], [[number, "a"] for number in integers()]),
    "frozen dataclasses": (set[Frozen], [{"x": number} for number in integers()]),
    "or null": (set[int] | None, integers()),
    "a union of items": (set[int | str], integers()),
    "keys": (dict[int, int], {str(number): 1 for number in integers()}),
    "keys of floats": (dict[float, int], {str(2.0 ** (61 * n)): 1 for n in range(-16, 16)} | {str(n): 1 for n in range(100)}),
    "keys of Decimals": (dict[Decimal, int], {str(number): 1 for number in integers()}),
    "keys of UUIDs": (dict[UUID, int], {str(UUID(int=number)): 1 for number in integers()}),
    "in a list": (list[set[int]], [[1], integers()]),
    "in a dict": (dict[str, set[int]], {"a": integers()}),
    "in a tuple": (tuple[int, set[int]], [1, integers()]),
    "in a field": (Holder, {"a": 1, "inner": integers()}),
    "in a field in a list": (list[Holder] | None, [{"a": 1, "inner": integers()}]),
    "in an array Struct": (Tagged | Other, ["Tagged", integers()]),
    "beside a Decimal": (tuple[Decimal, set[int]], [1.5, integers()]),
    "before what does not fit": (set[int], [*integers(), "a"]),
}


def method(annotation):
    """A method with one parameter of this type."""

    def function(x=None, *rest, **more):
        return None

    function.__annotations__.update(x=annotation, rest=annotation, more=annotation)
    return function


@pytest.mark.parametrize(("annotation", "value"), ATTACKS.values(), ids=ATTACKS)
def test_values_with_one_hash_are_refused(annotation, value):
    """Values that share one hash are rejected before they enter a set or dict, wherever it is in the type."""
    binding = Binding(method(annotation))
    for arguments in ([value], {"x": value}, {"any": value}):
        with pytest.raises(InvalidArguments, match=r"at most 16 values with the same hash, got \d+|expected `int`, got `str`"):
            binding.bind(arguments)


@pytest.mark.parametrize(("annotation", "value"), ATTACKS.values(), ids=ATTACKS)
def test_they_are_refused_on_the_wire_and_by_a_decoder(annotation, value):
    """They are rejected in a request, and in a text that a client converts."""
    registry = Registry()
    registry.register(method(annotation), "f")
    response = Application(registry).respond(Request(Head("POST", "/"), json.dumps({"f": [value]}).encode()))
    assert response.status == 400
    with pytest.raises(msgspec.ValidationError):
        decoder_for(annotation)(json.dumps(value).encode())


def test_a_client_refuses_them(serve):
    """A client rejects them in a result."""
    registry = Registry()
    registry.register(integers, "f")
    served = serve(Application(registry))
    with Client(served.url) as client:
        with pytest.raises(WireError, match="values with the same hash"):
            client.call("f", result=set[int])
        assert client.call("f", result=list[int]) == integers()


HONEST = {
    "small integers": (set[int], [*range(20_000), -1, -2]),
    "large integers": (set[int], [n * 2**62 + n * n for n in range(20_000)]),
    "the same again and again": (set[int], [5] * 20_000),
    "the same large one": (set[int], [2**70] * 20_000),
    "few of one hash": (set[int], [*integers(LIMIT), *range(10_000, 11_000)]),
    "texts": (set[str], [str(number) for number in integers()]),
    "UUIDs": (set[UUID], [str(UUID(int=n * 12345678901234567890123)) for n in range(1000)]),
    "prices": (set[Decimal], [f"{n}.{n % 100:02}" for n in range(1000)]),
    "keys": (dict[int, int], {str(n): n for n in range(1000)}),
    "text keys": (dict[str, int], {str(number): 1 for number in integers()}),
    "a list": (list[int], integers()),
}


@pytest.mark.parametrize(("annotation", "value"), HONEST.values(), ids=HONEST)
def test_honest_values_are_taken(annotation, value):
    """Ordinary values are accepted, however many, also many equal ones, and values whose hashes depend on a secret."""
    (got,), _ = Binding(method(annotation)).bind([value])
    assert len(got) == len(msgspec.convert(value, annotation, str_keys=True))


def test_what_is_taken_has_short_chains():
    """Of accepted values no more than the limit share a hash, so each entry is compared with at most so many."""
    value = [n + k * MODULUS for n in range(50) for k in range(1, LIMIT + 1)]
    (got,), _ = Binding(method(set[int])).bind([value])
    assert len(got) == len(value)
    assert max(Counter(map(hash, got)).values()) == LIMIT


def test_texts_of_a_query_are_looked_at():
    """Repeated keys of a query, and JSON in a query, are checked too."""
    several = [str(number) for number in integers()]
    as_json = quote(json.dumps({str(number): 1 for number in integers()}))
    for annotation, query in ((set[int], "&x=".join(several)), (dict[int, int], as_json)):
        registry = Registry()
        registry.register(method(annotation), "f")
        response = Application(registry).respond(Request(Head("GET", f"/f?x={query}")))
        assert response.status == 400
        assert b"values with the same hash" in response.body


@pytest.mark.parametrize("value", [[[[1]]], [{"a": 1}], [[{}]]])
def test_what_can_not_be_hashed_is_an_argument_error(value):
    """A list in a set is an argument error, not a failure of the method."""
    for annotation in (set, set[Any], frozenset[Any], set[tuple[Any, ...]]):
        with pytest.raises(InvalidArguments):
            Binding(method(annotation)).bind([value])
