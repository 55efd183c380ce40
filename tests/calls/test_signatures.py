"""Reading the signature of a callable, and each reason why it can't be registered."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from gjrpc.calls.binding import Binding
from gjrpc.calls.signatures import read_signature, taken_names
from gjrpc.errors import RegistrationError


@dataclass
class Point:
    x: int


class Host(msgspec.Struct):
    name: str


class Thing:
    def method(self, x, **rest):
        return x, rest


def nothing():
    """No parameters."""


def annotated(annotation):
    """A function with one parameter of this annotation."""

    def function(x):
        return x

    function.__annotations__["x"] = annotation
    return function


def test_string_annotations_are_evaluated():
    """Annotations that `from __future__ import annotations` keeps as strings are evaluated where the function was defined."""
    scope: dict[str, Any] = {"Point": Point}
    exec("from __future__ import annotations\ndef function(p: Point, n: int | None = None): return p, n", scope)
    found = [parameter.annotation for parameter in read_signature(scope["function"]).parameters.values()]
    assert found == [Point, int | None]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Thing().method, {"self"}),
        (functools.partial(lambda a, b, **more: 0, 1), {"a"}),
        (lambda a, **more: 0, set()),
    ],
)
def test_names_that_are_bound_already(function, names):
    """`self` and the arguments of a partial can't be given again among `**kwargs`."""
    assert taken_names(function, list(inspect.signature(function).parameters.values())) == names


class AsyncThing:
    async def method(self):
        """A coroutine."""

    async def __call__(self):
        """A coroutine."""


async def coroutine():
    """A coroutine."""


async def generator():
    """An asynchronous generator."""
    yield


def tagged() -> Any:
    """A union that msgspec can't tell apart."""

    class A(msgspec.Struct, tag="same"):
        x: int

    class B(msgspec.Struct, tag="same"):
        x: int

    return A | B


def items():
    """A generator."""
    yield 1


class Items:
    def method(self):
        yield 1

    __call__ = method

    @staticmethod
    def static():
        yield 1

    @classmethod
    def made(cls):
        yield 1


UNBINDABLE = {
    "a generator function": (items, "return a list of them"),
    "a generator method": (Items().method, "return a list of them"),
    "a generator callable": (Items(), "return a list of them"),
    "a generator static method": (Items.static, "return a list of them"),
    "a static method as it is in the class": (vars(Items)["static"], "return a list of them"),
    "a generator class method": (Items.made, "return a list of them"),
    "a partial of a generator function": (functools.partial(functools.partial(items)), "return a list of them"),
    "a partial of a generator method": (functools.partial(Items().method), "return a list of them"),
    "a cached generator function": (functools.cache(items), "return a list of them"),
    "a cached coroutine function": (functools.lru_cache(coroutine), "async function"),
    "a cached partial of one": (functools.partial(functools.cache(items)), "return a list of them"),
    "a coroutine function": (coroutine, "async function"),
    "an asynchronous generator": (generator, "async generator function"),
    "an asynchronous method": (AsyncThing().method, "async function"),
    "an asynchronous callable": (AsyncThing(), "async function"),
    "a partial of a coroutine function": (functools.partial(coroutine), "async function"),
    "no signature": (max, "signature can't be read"),
    "a wrong partial": (functools.partial(nothing, 1), "signature can't be read"),
    "a partial that names what goes by position": (functools.partial(lambda a=1, /: a, a=2), "signature can't be read"),
    "an unknown name": (annotated("Nowhere"), "an annotation can't be evaluated: NameError: name 'Nowhere'"),
    "a failing annotation": (annotated("1 / 0"), "an annotation can't be evaluated: ZeroDivisionError"),
    "a class": (annotated(Thing), "parameter 'x' is annotated test_signatures.Thing, and Thing can't be made from JSON"),
    "a class in a list": (annotated(list[Thing]), "Thing can't be made from JSON"),
    "a class in a dict": (annotated(dict[str, Thing]), "Thing can't be made from JSON"),
    "complex": (annotated(complex), "complex can't be made from JSON"),
    "Callable": (annotated(Callable[..., Any]), "Callable can't be made from JSON"),
    "no type": (annotated(5), "parameter 'x' is annotated 5, which is not a type"),
    "a name that msgspec keeps for itself": (lambda __init__=0: 0, "its parameters can't be converted from JSON: Struct types"),
    "a set of lists": (annotated(set[list[str]]), "a set can't hold a list"),
    "a set of unfrozen structs": (annotated(dict[str, set[Host]]), "a set can't hold a struct"),
    "a union of lists": (annotated(list[int] | set[int]), "which is not a type"),
    "a union that can't be told apart": (annotated(tagged()), "which is not a type"),
}


@pytest.mark.parametrize(("function", "words"), UNBINDABLE.values(), ids=UNBINDABLE)
def test_what_can_not_be_bound_is_an_error_at_once(function, words):
    """A callable that JSON can't call is an error at registration that says why."""
    with pytest.raises(RegistrationError) as caught:
        Binding(function)
    assert words in str(caught.value)


def test_a_variable_parameter_that_can_not_be_bound_is_an_error_at_once():
    """The annotations of *args and **kwargs are checked like all others."""

    def positional(*args: Thing): ...

    def named(**kwargs: Thing): ...

    for function in (positional, named):
        with pytest.raises(RegistrationError, match="Thing can't be made from JSON"):
            Binding(function)
