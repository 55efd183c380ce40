"""Requests whose numbers keep every digit."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, NewType, Optional, TypedDict, Union

import msgspec
import pytest

from gjrpc import Application, Client, Registry
from gjrpc.http.messages import Head, Request

LONG = "12345678901234567.89012345678901234567890"
ALSO = "-0.1000000000000000055511151231257827021181583404541015625"
Amount = NewType("Amount", Decimal)


@dataclass
class Money:
    amount: Decimal
    rate: float = 0.5
    note: Any = None


class Sized(TypedDict):
    amount: Decimal


class Pair(NamedTuple):
    name: str
    amount: Decimal


class Nested(msgspec.Struct):
    money: list[Money]


def registry_of(annotation):
    """A registry with methods that return the repr of their argument, wherever an argument can be."""
    registry = Registry()

    def show(x):
        return repr(x)

    def rest(*x, **y):
        return repr((*x, *y.values())[0])

    show.__annotations__["x"] = annotation
    rest.__annotations__.update(x=annotation, y=annotation)
    registry.register(show)
    registry.register(rest)
    registry.register(repr, "untyped")
    return registry


# Annotation, the argument as JSON, and what the method gets.
PLACES = {
    "a parameter": (Decimal, LONG, Decimal(LONG)),
    "negative": (Decimal, ALSO, Decimal(ALSO)),
    "an exponent": (Decimal, "1.50e-7", Decimal("1.50e-7")),
    "trailing zeros": (Decimal, "1.500", Decimal("1.500")),
    "smaller than a double": (Decimal, "1e-400", Decimal("1e-400")),
    "an integer": (Decimal, "12345678901234567890123", Decimal("12345678901234567890123")),
    "a text": (Decimal, f'"{LONG}"', Decimal(LONG)),
    "Optional": (Optional[Decimal], LONG, Decimal(LONG)),  # noqa: UP045  people write both
    "or null": (Decimal | None, "null", None),
    "a union": (Union[Decimal, bool], LONG, Decimal(LONG)),  # noqa: UP007  likewise
    "NewType": (Amount, LONG, Decimal(LONG)),
    "Annotated": (Annotated[Decimal, msgspec.Meta(title="x")], LONG, Decimal(LONG)),
    "a list": (list[Decimal], f"[{LONG},{ALSO}]", [Decimal(LONG), Decimal(ALSO)]),
    "a tuple": (tuple[str, Decimal], f'["a",{LONG}]', ("a", Decimal(LONG))),
    "a set": (set[Decimal], f"[{LONG}]", {Decimal(LONG)}),
    "the values of a dict": (dict[str, Decimal], f'{{"a":{LONG}}}', {"a": Decimal(LONG)}),
    "the keys of a dict": (dict[Decimal, int], f'{{"{LONG}":1}}', {Decimal(LONG): 1}),
    "a dataclass": (Money, f'{{"amount":{LONG},"note":[1.5]}}', Money(Decimal(LONG), 0.5, [1.5])),
    "a float beside it": (Money, f'{{"amount":1.5,"rate":{LONG}}}', Money(Decimal("1.5"), float(LONG))),
    "a TypedDict": (Sized, f'{{"amount":{LONG}}}', {"amount": Decimal(LONG)}),
    "a NamedTuple": (Pair, f'["a",{LONG}]', Pair("a", Decimal(LONG))),
    "a nested Struct": (Nested, f'{{"money":[{{"amount":{LONG}}}]}}', Nested([Money(Decimal(LONG))])),
}


def answer(registry, verb, target, body=""):
    """The decoded answer of an application."""
    return json.loads(Application(registry).respond(Request(Head(verb, target), body.encode())).body)


@pytest.mark.parametrize(("annotation", "text", "expected"), PLACES.values(), ids=PLACES)
def test_each_digit_reaches_a_decimal(annotation, text, expected):
    """A JSON number reaches a Decimal with every digit, wherever it is in the type and in every form of a call."""
    registry = registry_of(annotation)
    for name in ("show", "rest"):
        for arguments in (f"[{text}]", f' {{"x" : {text} }}'):
            rpc = f'{{"jsonrpc":"2.0","method":"{name}","params":{arguments},"id":1}}'
            untyped = '{"jsonrpc":"2.0","method":"untyped","params":[1.5],"id":2}'
            assert answer(registry, "POST", "/", f'{{"{name}":{arguments}}}') == {name: repr(expected)}
            assert answer(registry, "POST", f"/{name}", arguments) == {name: repr(expected)}
            assert answer(registry, "POST", "/", rpc)["result"] == repr(expected)
            batch = answer(registry, "POST", "/", f"[7,{untyped},{rpc}]")
            assert [entry.get("result") for entry in batch] == [None, "1.5", repr(expected)]


@pytest.mark.parametrize("text", [LONG, ALSO, "1.500", "1e-400", "null"])
def test_one_value_is_one_argument(text):
    """A number that is not in an array is one argument, with every digit."""
    expected = "None" if text == "null" else repr(Decimal(text))
    registry = registry_of(Decimal | None)
    assert answer(registry, "POST", "/", f'{{"show":{text}}}') == {"show": expected}
    assert answer(registry, "POST", "/show", f" {text}") == {"show": expected}


@pytest.mark.parametrize(
    ("annotation", "query", "expected"),
    [
        (Decimal, f"x={LONG}", Decimal(LONG)),
        (list[Decimal], f"x={LONG}&x={ALSO}", [Decimal(LONG), Decimal(ALSO)]),
        (Money, f"x=%7B%22amount%22:{LONG}%7D", Money(Decimal(LONG))),
        (list[Money], f"x=%7B%22amount%22:{LONG}%7D", [Money(Decimal(LONG))]),
        (dict[str, Decimal], f"x=%7B%22a%22:{LONG}%7D", {"a": Decimal(LONG)}),
    ],
)
def test_a_query_keeps_each_digit(annotation, query, expected):
    """The text of a query reaches a Decimal with every digit, also inside JSON."""
    assert answer(registry_of(annotation), "GET", f"/show?{query}") == {"show": repr(expected)}


def test_other_methods_get_floats():
    """Other methods, and parameters without annotations, get floats as usual."""
    registry = registry_of(Decimal)
    registry.register(lambda **x: repr(x), "anything")

    def mixed(amount: Decimal, x, y: float):
        return repr((amount, x, y))

    registry.register(mixed)
    assert answer(registry, "POST", "/", '{"untyped":[[1.5]]}') == {"untyped": "[1.5]"}
    assert answer(registry, "POST", "/untyped", "[[1.5]]") == {"untyped": "[1.5]"}
    assert answer(registry, "POST", "/", '{"anything":{"a":1.5}}') == {"anything": "{'a': 1.5}"}
    assert answer(registry, "POST", "/", '{"mixed":[1.50,2.50,3.50]}') == {"mixed": "(Decimal('1.50'), 2.5, 3.5)"}


def test_a_method_that_comes_later_gets_each_digit():
    """A method that is registered or included after the application was made gets every digit too."""
    registry = Registry()
    application = Application(registry)
    body = f'{{"late":[{LONG}]}}'.encode()

    def late(x: Decimal) -> str:
        return str(x)

    assert application.respond(Request(Head("POST", "/"), body)).status == 404
    other = Registry()
    other.register(late)
    registry.include(other)
    assert json.loads(application.respond(Request(Head("POST", "/"), body)).body) == {"late": LONG}
    assert json.loads(application.respond(Request(Head("POST", "/late"), f"[{LONG}]".encode())).body) == {"late": LONG}


@pytest.mark.parametrize(
    "arguments", ['["NaN"]', '[{"amount":"NaN"}]', '{"x":{"amount":"-Infinity"}}', "[1,2]", "5", '"a"', "[]"]
)
def test_what_does_not_fit_is_refused(arguments):
    """Arguments of exact methods that do not fit get the same errors, and NaN never fits, even in a field."""
    told = answer(registry_of(Money), "POST", "/", f'{{"show":{arguments}}}')
    assert told["status"] == 400
    assert "argument" in told["detail"]


@pytest.mark.parametrize("dialect", ["native", "jsonrpc"])
def test_a_client_gets_each_digit(serve, dialect):
    """A client's result with a Decimal in its type has every digit that the server wrote."""
    registry = Registry()
    registry.register(lambda: msgspec.Raw(f'{{"amount":{LONG},"rate":1.5,"note":1.5}}'.encode()), "price")
    registry.register(lambda: msgspec.Raw(LONG.encode()), "number")
    served = serve(Application(registry))
    with Client(served.url, dialect=dialect) as client:
        assert client.call("number", result=Decimal) == Decimal(LONG)
        assert client.call("number", result=float) == float(LONG)
        assert client.call("price", result=Money) == Money(Decimal(LONG), 1.5, 1.5)
        assert client.call("price", result=dict[str, Decimal])["amount"] == Decimal(LONG)
        assert client.call("price") == {"amount": float(LONG), "rate": 1.5, "note": 1.5}
