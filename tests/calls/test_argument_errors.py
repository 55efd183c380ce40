"""The sentences about arguments that do not fit."""

import json
import logging
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

import pytest

from gjrpc import Application, CallError, Registry
from gjrpc.calls import argument_errors
from gjrpc.http.messages import Head, Request

LONG = "x" * 1_000_000


@dataclass
class Guarded:
    x: int

    def __post_init__(self):
        if self.x == 1:
            raise ValueError("the password is hunter2")
        if self.x == 2:
            raise TypeError("the password is hunter2")
        if self.x == 3:
            raise KeyError("the password is hunter2")
        if self.x == 4:
            raise CallError("x must not be 4", status=422)


def all_of(a: int, b: float, c: bool, d: Decimal = Decimal(0), e: date = date.min, f: list[int] | None = None, *, g: int = 0):
    """One parameter of each kind."""


def one(x: Any):
    """One parameter."""


def told(function, verb="POST", target="/f", body=b""):
    """The status and problem document of a call."""
    registry = Registry()
    registry.register(function, "f")
    response = Application(registry).respond(Request(Head(verb, target), body))
    return response.status, json.loads(response.body)


def test_all_arguments_that_do_not_fit_are_told():
    """One answer names each argument that does not fit, whether they came as an array, an object or a query."""
    words = ["a': expected `int`", "b': expected `float`", "c': expected `bool`", "d': invalid decimal", "e': invalid RFC3339"]
    for body in (b'["x","y","z","n","o"]', b'{"a":"x","b":"y","c":"z","d":"n","e":"o"}'):
        status, problem = told(all_of, body=body)
        assert status == 400
        assert [word for word in words if word not in problem["detail"]] == []
    _, problem = told(all_of, "GET", "/f?a=1.5&b=y&c=maybe&d=n&e=o&f=1&f=z&g=0x1")
    assert problem["detail"] == (
        "argument 'a': expected `int`, got the text '1.5'; argument 'b': expected `float`, got the text 'y'; "
        "argument 'c': expected `bool`, got the text 'maybe'; "
        "argument 'd': invalid decimal string (expected decimal.Decimal), got the text 'n'; "
        "argument 'e': invalid RFC3339 encoded date (expected datetime.date), got the text 'o'; "
        "argument 'f' at [1]: expected `int`, got the text 'z'; argument 'g': expected `int`, got the text '0x1'"
    )


def test_what_is_missing_and_unknown_is_told_beside_it():
    """Missing and unknown arguments and values that do not fit are reported together."""
    for verb, target, body in (("POST", "/f", b'{"a":"x","nope":1,"nein":2}'), ("GET", "/f?a=x&nope=1&nein=2", b"")):
        status, problem = told(all_of, verb, target, body)
        assert status == 400
        assert "missing arguments 'b' and 'c'" in problem["detail"]
        assert "unknown arguments 'nein' and 'nope'" in problem["detail"]
        assert "argument 'a': expected `int`" in problem["detail"]


def test_many_faults_and_long_texts_make_a_short_answer():
    """The answer is short whatever was sent: long names, texts and values are cut, and so is their number."""
    many = json.dumps({f"{LONG[:1000]}{n}": n for n in range(1000)}).encode()
    long_list = json.dumps([["a"] * 1000]).encode()

    def rest(**more: int):
        """Any names."""

    calls = [
        (all_of, "POST", "/f", many),
        (rest, "POST", "/f", json.dumps({f"n{n}": "a" for n in range(5000)}).encode()),
        (rest, "GET", f"/f?{LONG}=a", b""),
        (all_of, "GET", f"/f?a={LONG}&b={LONG}", b""),
        (all_of, "POST", "/f", json.dumps([LONG, LONG, LONG]).encode()),
        (all_of, "GET", f"/f?{LONG}=1", b""),
        (lambda x: 0, "POST", "/f", many),
    ]

    def literal(x: Literal["a"], y: list[int]):
        """A literal and a list."""

    calls += [(literal, "POST", "/f", json.dumps([LONG, LONG]).encode()), (literal, "POST", "/f", long_list)]
    for function, verb, target, body in calls:
        application_status, problem = told(function, verb, target, body)
        assert application_status == 400
        assert len(json.dumps(problem)) < 5000


def test_a_batch_of_many_faults_costs_no_more_than_its_answers():
    """For each call hardly more faults are looked for than are reported, as a batch has many calls."""
    looked = 0

    def note(frame, event, arg):
        nonlocal looked
        looked += event == "call" and frame.f_code is argument_errors.wrong_value.__code__

    def rest(*args: int, **more: int):
        """Any values."""

    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "f", "params": params}
        for params in (["x"] * 100, {f"n{n}": "x" for n in range(100)})
    ]
    sys.setprofile(note)
    try:
        _, answers = told(rest, "POST", "/", json.dumps(calls * 10).encode())
    finally:
        sys.setprofile(None)
    assert [answer["error"]["code"] for answer in answers] == [-32602] * 20
    assert looked <= 20 * 16


EXACT = [
    ("9007199254740993.0", 9007199254740993),
    ("-9007199254740993.0", -9007199254740993),
    ("9007199254740993", 9007199254740993),
    ("9007199254740991.0", 9007199254740991),
    ("90071992547409930e-1", 9007199254740993),
    ("1e3", 1000),
    ("1.5e1", 15),
    ("123456789012345678901234567890.00", 123456789012345678901234567890),
    ("1e30", 10**30),
]


@pytest.mark.parametrize(("text", "number"), EXACT)
def test_the_text_of_an_integer_loses_no_digit(text, number):
    """A text such as 5.0 is converted to an integer with every digit: alone, in a list, and for an optional parameter."""

    def single(x: int) -> str:
        return str(x)

    def several(x: list[int]) -> str:
        return str(x[0])

    def optional(x: int | None = None) -> str:
        return str(x)

    def keyed(**x: int) -> str:
        return str(x["x"])

    for function in (single, several, optional, keyed):
        assert told(function, "GET", f"/f?x={text}") == (200, {"f": str(number)})
    assert told(single, "GET", f"/f;{text}") == (200, {"f": str(number)})


@pytest.mark.parametrize("text", ["9007199254740993.5", "1e5000", "1e99999999", "0.1", "1e-1", "9" * 5000 + ".0", "١٢", "1_000"])
def test_a_text_that_is_no_integer_is_refused(text):
    """A text that is not an integer, or has too many digits, is an argument error that quotes it."""

    def single(x: int):
        """An integer."""

    status, problem = told(single, "GET", f"/f?x={quote(text)}")
    assert status == 400
    assert f"got the text '{text[:60]}" in problem["detail"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_a_class_of_the_application_raises_is_not_told(number, caplog):
    """The text of an exception raised by the class of an argument goes to the log under a ref, never to the client."""

    def guarded(x: Guarded, y: list[Guarded] | None = None, **more: Guarded):
        """Takes guarded values."""

    value = f'{{"x":{number}}}'
    with caplog.at_level(logging.WARNING):
        for body in (f"[{value}]", f'{{"x":{value}}}', f'{{"x":{{"x":5}},"y":[{value}]}}', f'{{"x":{{"x":5}},"z":{value}}}'):
            status, problem = told(guarded, body=body.encode())
            assert status == (500 if number == 3 else 400)
            assert "hunter2" not in json.dumps(problem)
            assert problem["ref"] in caplog.text
        status, problem = told(guarded, "GET", f"/f?x={value.replace(chr(34), '%22')}")
        assert "hunter2" not in json.dumps(problem)
        assert problem["ref"] in caplog.text
    assert caplog.text.count("hunter2") >= 5


def test_what_a_class_says_to_the_client_is_told():
    """A CallError raised by the class of an argument is sent to the client."""

    def guarded(x: Guarded):
        """Takes a guarded value."""

    status, problem = told(guarded, body=b'[{"x":4}]')
    assert (status, problem["detail"]) == (422, "x must not be 4")
