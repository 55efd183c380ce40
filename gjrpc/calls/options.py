"""The options of a method: each declared once, with its default.

Owns their names, types, defaults and meaning, and every check that needs only the option's own value. It does not know which
function they belong to; `method` checks examples against the signature.
"""

import inspect
import math
from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any, TypeAlias, TypedDict, TypeVar

import msgspec
from msgspec.structs import force_setattr

from gjrpc.errors import CallError, RegistrationError

F = TypeVar("F", bound=Callable[..., Any])

DeclaredError: TypeAlias = CallError | type[CallError]
"""An error that a method can raise: a class, or an instance, whose data then is an example."""


def _is_deadline(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 < value < math.inf


def _is_scope(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value.split() == [value] and value != "*"


# What the value of an option must be; other options accept anything that their types allow.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "deadline": (lambda value: value is None or _is_deadline(value), "a number of seconds above 0"),
    "scope": (lambda value: value is None or _is_scope(value), "one word, such as 'admin'"),
    "examples": (lambda value: isinstance(value, Iterable), "a list"),
    "deprecated": (
        lambda value: value is None or isinstance(value, (bool, str)),
        "True, or a text that says what to use instead",
    ),
    "errors": (lambda value: isinstance(value, Iterable), "a list"),
}


class MethodOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `Registry.register` and `Registry.method`.

    Attributes:
        blocking: run the method in a thread, because it blocks or computes for long; otherwise it would block all other calls.
        deadline: seconds after which the caller gets an error (HTTP 504) instead of waiting longer. A function that computes and
            never waits can't be interrupted: its caller gets the error when it returns. With `blocking` the error is sent in
            time, and the function goes on in its thread.
        scope: what a caller must have to call the method, such as `admin`; None for any caller. See `gjrpc.calls.rights`.
        check_result: answer 500 if the result does not match its annotation. For classes and containers the check decodes the
            result again, which takes about twice as long as encoding it.
        description: text for people; None for the docstring.
        examples: pairs of arguments, by the argument convention, and result: `[([1, 2], 3), ({"a": 1}, 11)]`.
        deprecated: True, or a text that says what to use instead; None for what `warnings.deprecated` says.
        errors: errors that the method can raise, for the documents: subclasses of `CallError`, or instances, whose data is then
            an example.

    Raises:
        RegistrationError: a value is not what the option expects; the text names the option.
    """

    blocking: bool = False
    deadline: float | None = None
    scope: str | None = None
    check_result: bool = True
    description: str | None = None
    examples: Iterable[tuple[Any, Any]] = ()
    deprecated: bool | str | None = None
    errors: Iterable[DeclaredError] = ()

    def __post_init__(self) -> None:
        for option, (fits, expected) in _RULES.items():
            value = getattr(self, option)
            if not fits(value):
                raise RegistrationError(f"{option}={value!r}: expected {expected}")
        force_setattr(self, "examples", tuple(self.examples))
        force_setattr(self, "errors", tuple(self.errors))


class OptionKeywords(TypedDict, total=False):
    """The fields of `MethodOptions` as keyword arguments, for type checkers; a test compares the two."""

    blocking: bool
    deadline: float | None
    scope: str | None
    check_result: bool
    description: str | None
    examples: Iterable[tuple[Any, Any]]
    deprecated: bool | str | None
    errors: Iterable[DeclaredError]


def spelled_out(function: F) -> F:
    """Decorate a function that takes `**options`: `help` and `inspect.signature` then show each option with its default."""
    signature = inspect.signature(function)
    others = [parameter for parameter in signature.parameters.values() if parameter.kind is not Parameter.VAR_KEYWORD]
    options = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in msgspec.structs.fields(MethodOptions)
    ]
    function.__signature__ = signature.replace(parameters=[*others, *options])  # type: ignore[attr-defined]  # of any function
    return function
