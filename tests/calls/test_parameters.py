"""Which numbers of arguments and which names fit the parameters of a callable."""

import functools
import inspect

import pytest

from gjrpc.calls.parameters import Parameters


def parameters(function):
    """The parameters of a function."""
    return Parameters(function, list(inspect.signature(function).parameters.values()))


def every_kind(a, b=2, /, c=3, *args, d, e=5, **kwargs):
    """A parameter of every kind."""


class Thing:
    def method(self, x, **rest):
        return x, rest


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (every_kind, ["a", "b", "c", "*args", "d", "e", "**kwargs"]),
        (lambda: 0, []),
        (Thing().method, ["x", "**rest"]),
        (functools.partial(lambda a, b: 0, 1), ["b"]),
    ],
)
def test_names_are_as_they_are_written(function, names):
    """The names of the parameters are in order, without self and with their stars."""
    assert parameters(function).names == names


COUNTS = {
    "none for none": (lambda: 0, [0]),
    "one for none": (lambda a=1, b=2: 0, [0, 1, 2]),
    "required ones": (lambda a, b=2: 0, [1, 2]),
    "any number": (lambda a, *more: 0, [1, 2, 3, 4]),
    "a keyword-only one": (lambda a, *, k: 0, []),
    "a keyword-only one with a default": (lambda a, *, k=1: 0, [1]),
}


@pytest.mark.parametrize(("function", "fitting"), COUNTS.values(), ids=COUNTS)
def test_numbers_of_arguments(function, fitting):
    """So many arguments fit by position, and for any other number the fault is found."""
    found = parameters(function)
    assert [count for count in range(5) if found.fit_positions(count)] == fitting
    assert [count for count in range(5) if not found.check_positions(count)] == fitting


NAMES = {
    "each once": (lambda a, b=2: 0, {"a", "b"}, []),
    "without a default": (lambda a, b=2: 0, {"b"}, ["missing argument 'a' (expected a, b)"]),
    "unknown": (lambda a=1: 0, {"x"}, ["unknown argument 'x' (expected a)"]),
    "unknown and missing": (lambda a: 0, {"x"}, ["missing argument 'a' (expected a)", "unknown argument 'x' (expected a)"]),
    "any": (lambda **more: 0, {"x", "y"}, []),
    "bound already": (Thing().method, {"x", "self"}, ["unknown argument 'self' (expected x, **rest)"]),
    "positional-only": (
        lambda a, /: 0,
        {"a"},
        ["argument 'a' can only be given by position, so send an array (a)"],
    ),
}


@pytest.mark.parametrize(("function", "given", "sentences"), NAMES.values(), ids=NAMES)
def test_names_of_arguments(function, given, sentences):
    """Names fit, or each that is missing, unknown or out of reach is a fault."""
    found = parameters(function)
    assert [fault.sentence for fault in found.check_names(given)] == sentences
    assert found.fit_names(given) == (not sentences)
