"""Reads the signature of a callable, once, at registration.

Owns the inspection of callables, and each reason why the signature of one can't be served. Nothing here runs during a call. It
knows no method and no arguments; `forms` looks at the annotations.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

from gjrpc.errors import RegistrationError

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
"""The kinds of parameters that can be given by position."""

NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
"""The kinds of parameters that can be given by name."""

_CACHED = type(functools.lru_cache(len))

_NO_PLAIN_FUNCTIONS: dict[Callable[[Any], bool], str] = {
    inspect.isgeneratorfunction: "it is a generator function, and items can't be sent one by one; return a list of them",
    inspect.iscoroutinefunction: "it is an async function, and only plain functions are served (gevent makes their waits "
    "concurrent); make it a plain function, or register one that runs it with asyncio.run",
    inspect.isasyncgenfunction: "it is an async generator function, and only plain functions are served; return a list",
}


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature, with string annotations evaluated.

    Raises:
        RegistrationError: the signature can't be read, or the callable is a generator or coroutine function.
    """
    for inner in _innermost(function):
        refused = next((sentence for is_of, sentence in _NO_PLAIN_FUNCTIONS.items() if is_of(inner)), None)
        if refused is not None:
            raise RegistrationError(refused)
    try:
        signature = inspect.signature(function, eval_str=True)
        if isinstance(function, functools.partial):
            _check_keywords(function)
        return signature
    except (TypeError, ValueError) as error:
        raise RegistrationError(f"its signature can't be read ({error}); wrap it in a function that has one") from error
    except Exception as error:  # evaluating a string annotation can raise anything
        raise RegistrationError(f"an annotation can't be evaluated: {type(error).__name__}: {error}") from error


def _check_keywords(function: functools.partial[Any]) -> None:
    """Raise TypeError if a partial passes a positional-only parameter by name.

    Python 3.13 gives such a partial a signature that no call fits.
    """
    parameters = inspect.signature(function.func).parameters.values()
    wrong = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_ONLY and p.name in function.keywords]
    if wrong and all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
        raise TypeError(f"it passes {wrong[0]!r} by name, but that parameter is positional-only")


def taken_names(function: Callable[..., Any], parameters: list[Parameter]) -> frozenset[str]:
    """Return the names that `**kwargs` can't accept, because the callable has bound them (`self`, arguments of a partial)."""
    every = [p for inner in _innermost(function) for p in inspect.signature(inner).parameters.values()]
    return frozenset(p.name for p in every if p.kind in NAMED) - {p.name for p in parameters}


def _innermost(function: Any) -> Iterator[Callable[..., Any]]:
    """Yield the functions inside partials, methods and classes, which also have the parameters that those have bound."""
    if isinstance(function, functools.partial):
        yield from _innermost(function.func)
    elif isinstance(function, (staticmethod, _CACHED)):
        yield from _innermost(function.__wrapped__)  # both return what the function returns
    elif inspect.ismethod(function):
        yield from _innermost(function.__func__)
    elif inspect.isclass(function):
        yield from (function.__init__, function.__new__)
    else:
        yield function if inspect.isroutine(function) else type(function).__call__


def is_typed(parameter: Parameter) -> bool:
    """Whether a parameter has an annotation that its values must fit."""
    return parameter.annotation not in (Parameter.empty, Any, object)
