"""The options of a method."""

import inspect
from typing import get_type_hints

import msgspec
import pytest

from gjrpc.calls.options import MethodOptions, OptionKeywords
from gjrpc.calls.registry import Registry
from gjrpc.errors import CallError, RegistrationError

FIELDS = msgspec.structs.fields(MethodOptions)


def test_the_keywords_for_type_checkers_are_the_options():
    """Type checkers see the same options, with the same types, as `MethodOptions` has."""
    assert get_type_hints(OptionKeywords) == {field.name: field.type for field in FIELDS}


@pytest.mark.parametrize("function", [Registry.register, Registry.method])
def test_help_shows_each_option(function):
    """`help` and `inspect.signature` show each option with its default."""
    parameters = inspect.signature(function).parameters.values()
    shown = {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY and one.name != "name"}
    assert shown == {field.name: field.default for field in FIELDS}
    assert inspect.signature(Registry.register).parameters["blocking"].annotation is bool


def test_each_option_is_explained():
    """The docstring explains each option."""
    documentation = inspect.getdoc(MethodOptions)
    assert [field.name for field in FIELDS if f"\n    {field.name}: " not in documentation] == []


def test_options_are_immutable():
    """Options can't be changed, and neither can their lists."""
    options = MethodOptions(examples=[([1], 1)], errors=iter([CallError]))
    with pytest.raises(AttributeError):
        options.blocking = True
    assert (options.examples, options.errors) == ((([1], 1),), (CallError,))


WRONG = {
    "an empty scope": ({"scope": ""}, "scope='': expected one word, such as 'admin'"),
    "a scope of two words": ({"scope": "a b"}, "scope='a b': expected one word"),
    "the scope for all scopes": ({"scope": "*"}, "expected one word"),
    "a scope that is not text": ({"scope": True}, "scope=True: expected one word"),
    "a deadline of zero": ({"deadline": 0}, "deadline=0: expected a number of seconds above 0"),
    "a negative deadline": ({"deadline": -1}, "expected a number of seconds above 0"),
    "an infinite deadline": ({"deadline": float("inf")}, "expected a number of seconds above 0"),
    "NaN as a deadline": ({"deadline": float("nan")}, "expected a number of seconds above 0"),
    "a text as a deadline": ({"deadline": "5"}, "deadline='5': expected a number of seconds above 0"),
    "examples that are no list": ({"examples": 3}, "examples=3: expected a list"),
    "errors that are no list": ({"errors": CallError}, "expected a list"),
    "a number for deprecated": ({"deprecated": 1}, "deprecated=1: expected True, or a text that says what to use instead"),
}


@pytest.mark.parametrize(("options", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_names_what_was_expected(options, words):
    """A wrong value is an error that names the option and what it expects."""
    with pytest.raises(RegistrationError) as caught:
        MethodOptions(**options)
    assert words in str(caught.value)


def test_an_unknown_option_is_an_error():
    """A misspelt option is a TypeError that names it."""
    with pytest.raises(TypeError, match="bloking"):
        Registry().register(len, bloking=True)
