"""How the values of a parameter are converted, by its annotation."""

import inspect
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest

from gjrpc.calls.forms import form_of, struct_of, text_struct_of
from gjrpc.errors import RegistrationError


@dataclass
class Point:
    x: int


def parameter(annotation, name="x", default=inspect.Parameter.empty):
    """A parameter with this annotation."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation, default=default)


# Annotation, and the attributes of its form that are set.
FORMS = {
    "no annotation": (inspect.Parameter.empty, {"simple"}),
    "text": (str, {"simple"}),
    "an integer": (int, {"simple", "numeric", "whole"}),
    "a float": (float, {"simple", "numeric", "watched_text"}),
    "a Decimal": (Decimal, {"exact", "watched", "watched_text"}),
    "a list": (list[int], {"repeated", "numeric", "whole"}),
    "a list of lists": (list[list[int]], {"repeated", "as_json"}),
    "an object": (Point, {"as_json"}),
    "keys that are numbers": (dict[int, str], {"as_json", "keyed", "hashing"}),
}


@pytest.mark.parametrize(("annotation", "expected"), FORMS.values(), ids=FORMS)
def test_forms(annotation, expected):
    """The form says how a value of an annotation is converted from JSON and from text."""
    found = form_of(parameter(annotation))
    attributes = ("repeated", "as_json", "numeric", "whole", "simple", "exact", "keyed", "watched", "watched_text", "hashing")
    assert {name for name in attributes if getattr(found, name)} == expected


def test_a_form_shows_its_annotation():
    """The form has the annotation as Python shows it, for people; a long one is cut."""
    assert form_of(parameter(list[int] | None)).shown == "list[int] | None"
    assert form_of(parameter(Literal["a" * 300])).shown.endswith("…")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (complex, "parameter 'x' is annotated complex, and complex can't be made from JSON"),
        (5, "parameter 'x' is annotated 5, which is not a type"),
        (set[list[int]], "a set can't hold a list"),
    ],
)
def test_a_wrong_annotation_is_an_error(annotation, words):
    """An annotation that JSON can't be converted to is an error that names the parameter and says why."""
    with pytest.raises(RegistrationError) as caught:
        form_of(parameter(annotation))
    assert words in str(caught.value)


def test_all_arguments_are_converted_in_one_step():
    """The parameters become the fields of one Struct, by position or by name; defaults stay unset."""
    parameters = [parameter(int, "a"), parameter(str, "b", "x")]
    forms = {one.name: form_of(one) for one in parameters}
    by_position = msgspec.convert([1], struct_of(parameters, forms, array_like=True))
    assert (by_position.a, by_position.b) == (1, msgspec.UNSET)
    assert msgspec.convert({"b": "y", "a": 1}, struct_of(parameters, forms, array_like=False)).b == "y"


def test_only_plain_texts_are_converted_in_one_step():
    """The Struct for the texts of a query has the parameters that take one plain text each."""
    parameters = [parameter(int, "a"), parameter(list[int], "b"), parameter(Any, "c")]
    forms = {one.name: form_of(one) for one in parameters}
    assert text_struct_of(parameters, forms).__struct_fields__ == ("a", "c")
