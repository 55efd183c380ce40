"""Converting one argument, from JSON and from text."""

import inspect
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Raw

from gjrpc.calls.converters import Mismatch, convert_together, from_json, from_texts, from_value
from gjrpc.calls.forms import form_of


@dataclass
class Point:
    x: int


def form(annotation):
    """The form of a parameter with this annotation."""
    return form_of(inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation))


# Annotation, decoded JSON, JSON text, the texts of a query, the argument.
VALUES = {
    "an integer": (int, 5, b"5", ["5"], 5),
    "an integer with a fraction": (float, 5.0, b"5.0", ["5"], 5.0),
    "text": (str, "a", b'"a"', ["a"], "a"),
    "null": (int | None, None, b"null", ["null"], None),
    "a date": (date, "2020-01-02", b'"2020-01-02"', ["2020-01-02"], date(2020, 1, 2)),
    "a list": (list[int], [1, 2], b"[1,2]", ["1", "2"], [1, 2]),
    "an object": (Point, {"x": 1}, b'{"x":1}', ['{"x":1}'], Point(1)),
    "anything": (Any, "5", b'"5"', ["5"], "5"),
}


@pytest.mark.parametrize(("annotation", "value", "text", "texts", "expected"), VALUES.values(), ids=VALUES)
def test_each_way_gives_the_same_argument(annotation, value, text, texts, expected):
    """Decoded JSON, JSON text and the texts of a query are converted to the same argument."""
    known = form(annotation)
    assert from_value("x", known, value) == from_json("x", known, Raw(text)) == from_texts("x", known, texts) == expected


@pytest.mark.parametrize(("text", "number"), [("5.0", 5), ("1e3", 1000), ("9007199254740993.0", 9007199254740993), ("-0.0", 0)])
def test_an_integer_may_be_spelled_as_a_float(text, number):
    """A text with a fraction or an exponent is an integer if its value is one, with every digit."""
    assert from_texts("x", form(int), [text]) == number


def test_json_text_keeps_every_digit():
    """A number in JSON text reaches a Decimal with every digit."""
    digits = "0.1000000000000000055511151231257827"
    assert from_json("x", form(Decimal), Raw(digits.encode())) == Decimal(digits)


@pytest.mark.parametrize(
    ("convert", "annotation", "value", "sentence"),
    [
        (from_value, int, "a", "argument 'x': expected `int`, got `str`"),
        (from_value, Decimal, "NaN", "argument 'x': expected a finite number, got NaN"),
        (from_json, int, Raw(b'"a"'), "argument 'x': expected `int`, got `str`"),
        (from_texts, int, ["a"], "argument 'x': expected `int`, got the text 'a'"),
        (from_texts, int, ["1", "2"], "argument 'x': given 2 times, but it takes one value"),
        (from_texts, float, ["nan"], "argument 'x': expected a finite number, got nan"),
        (from_texts, Point, ["a"], "argument 'x': expected JSON text: malformed JSON: invalid character (byte 0)"),
    ],
)
def test_a_mismatch_has_its_sentence(convert, annotation, value, sentence):
    """A value that does not fit raises Mismatch with the sentence for the client."""
    with pytest.raises(Mismatch) as caught:
        convert("x", form(annotation), value)
    assert caught.value.fault.sentence == sentence


def test_values_of_one_form_are_converted_together():
    """Many values are converted in one step, or the first that does not fit is found, or the caller has to look closer."""
    assert convert_together(form(float), [1, 2.5]) == ([1.0, 2.5], None)
    assert convert_together(form(int), [1, "a", "b"]) == (None, 1)
    assert convert_together(form(Decimal), ["1", "NaN"]) == (None, 1)
    assert convert_together(form(set[int]), [[1]]) == (None, None)
