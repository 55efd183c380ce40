"""Converting the arguments of a call one by one."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gjrpc.calls.binding import Binding
from gjrpc.errors import InvalidArguments


def nothing():
    """No parameters."""


def typed(a: int, *rest: int, k: int = 0, **more: int) -> tuple[Any, ...]:
    """A function with an annotated parameter of each kind."""
    return a, rest, k, more


def call_text(function, text):
    """Call a function with the arguments of a GET."""
    positional, named = Binding(function).bind_text(text)
    return function(*positional, **named)


def refusal(bind, value):
    """The sentence about arguments that do not fit."""
    with pytest.raises(InvalidArguments) as caught:
        bind(value)
    return caught.value.message


def lists(*rest: list[int]) -> Any:
    """A function that takes any number of lists."""
    return rest


def decimals(*rest: Decimal, **more: Decimal) -> Any:
    """A function that takes any number of decimal numbers."""
    return rest, more


@pytest.mark.parametrize(
    ("function", "value", "sentence"),
    [
        (typed, ["a"], "argument 'a': expected `int`, got `str`"),
        (typed, [1, 2, "a"], "argument '*rest[1]': expected `int`, got `str`"),
        (typed, {"a": 1, "m n": "a"}, "argument 'm n': expected `int`, got `str`"),
        (lists, [[1], ["a"]], "argument '*rest[1]' at [0]: expected `int`, got `str`"),
        (decimals, ["NaN", "1"], "argument '*rest[0]': expected a finite number, got NaN"),
        (decimals, {"a": "1", "b": "Infinity"}, "argument 'b': expected a finite number, got Infinity"),
        (decimals, ["x"], "argument '*rest[0]': invalid decimal string (expected decimal.Decimal), got \"x\""),
    ],
)
def test_values_of_variable_parameters_are_named(function, value, sentence):
    """A value that does not fit *args or **kwargs is named by its place or its name."""
    assert refusal(Binding(function).bind, value) == sentence


def test_one_text_to_annotated_variable_parameters():
    """The text behind a semicolon is converted for *args, and does not fit a function without parameters."""
    assert call_text(typed, "1") == (1, (), 0, {})
    assert call_text(decimals, "1") == ((Decimal(1),), {})
    assert refusal(Binding(lists).bind_text, "a") == "argument '*rest[0]' at [0]: expected `int`, got the text 'a'"
    assert refusal(Binding(nothing).bind_text, "a").startswith("too many arguments: got 1,")


def test_all_faults_are_in_one_error():
    """Missing and unknown arguments and values that do not fit are reported together, up to ten and "more"."""
    binding = Binding(typed)
    assert refusal(binding.bind, {"k": "x", "m": "y"}) == (
        "missing argument 'a' (expected a, *rest, k, **more); argument 'k': expected `int`, got `str`; "
        "argument 'm': expected `int`, got `str`"
    )
    assert refusal(binding.bind, {"a": 1, **dict.fromkeys(map(str, range(12)), "x")}).endswith("; and more")


def test_many_arguments_are_converted_in_one_step(monkeypatch):
    """The many values of *args and **kwargs are converted together, and only the first that does not fit is reported."""
    steps = []
    convert = msgspec.convert
    monkeypatch.setattr(msgspec, "convert", lambda *args, **options: steps.append(1) or convert(*args, **options))

    def method(a: int, *args: float, **kwargs: int) -> None: ...

    numbers = {f"k{number}": number for number in range(5000)}
    assert Binding(method).bind([1, *range(5000)]) == ([1, *map(float, range(5000))], {})
    with pytest.raises(InvalidArguments, match=r"^argument '\*args\[4000\]': expected `float`, got `str`$"):
        Binding(method).bind([1, *range(4000), *"x" * 1000])

    def named(a: int, **kwargs: int) -> None: ...

    assert Binding(named).bind({"k": 7, "a": 1, **numbers}) == ((), {"a": 1, "k": 7, **numbers})
    with pytest.raises(InvalidArguments, match=r"^argument 'k0': expected `int`, got `str`$"):
        Binding(named).bind({"a": 1, **dict.fromkeys(numbers, "x")})
    with pytest.raises(InvalidArguments, match="missing argument 'a'"):
        Binding(named).bind(numbers)
    with pytest.raises(InvalidArguments, match=r"'k3': expected `int`, got `str`$"):
        Binding(named).bind({"a": 1, **numbers, "k3": "x"})
    assert len(steps) < 30
