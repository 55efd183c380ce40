"""The methods of an instance: its public ones, or all names if it has a `_dispatch`.

Owns which attributes of an instance become methods, so that nothing is served by accident, and how a call to an unknown name
becomes a call of `_dispatch(method, params)`, as in py-jrpc. It knows no registry.
"""

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from gjrpc.calls.binding import Bound, Text
from gjrpc.calls.method import Method
from gjrpc.calls.options import MethodOptions
from gjrpc.calls.results import ResultCheck
from gjrpc.errors import MethodNotFound
from gjrpc.texts import quoted

_COMPUTED = (property, functools.cached_property)
# Py_TPFLAGS_HEAPTYPE and Py_TPFLAGS_IMMUTABLETYPE. The standard library's heap types that are written in C have the second one.
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8


def public_methods(instance: object, prefix: str, seen: tuple[object, ...] = ()) -> Iterable[tuple[str, Callable[..., Any]]]:
    """Yield the public callables of an instance and, under dotted names, of its attributes; a cycle is entered once."""
    for name in dir(instance):
        if name.startswith("_") or isinstance(inspect.getattr_static(instance, name, None), _COMPUTED):
            continue
        value = getattr(instance, name, None)
        if inspect.isroutine(value) or (_is_own_object(value) and callable(value)):
            yield prefix + name, value
        elif _is_own_object(value) and not any(value is other for other in (instance, *seen)):
            yield from public_methods(value, f"{prefix}{name}.", (instance, *seen))


def _is_own_object(value: object) -> bool:
    """Whether a value is an instance of a class written in Python: not a module, a class or a built-in value."""
    flags = type(value).__flags__
    return bool(flags & _HEAP_TYPE) and not flags & _IMMUTABLE_TYPE and not isinstance(value, (type, types.ModuleType))


class Fallback(NamedTuple):
    """An instance's `_dispatch`, which gets the calls to all unknown names with a prefix.

    Attributes:
        prefix: what a name must begin with; `_dispatch` gets the rest.
        dispatch: called with the name and the arguments.
        options: the options of each method that it makes.
    """

    prefix: str
    dispatch: Callable[[str, Any], Any]
    options: MethodOptions

    def find(self, name: str) -> Method | None:
        """Return a method that passes `name` without the prefix to `_dispatch`.

        None if the name has another prefix, or a part that begins with an underscore.
        """
        if not name.startswith(self.prefix) or any(part.startswith("_") for part in name.split(".")):
            return None
        return Method.of(name, functools.partial(self._call, name), self.options, _PASS_THROUGH)

    def _call(self, name: str, params: Any) -> Any:
        try:
            return self.dispatch(name[len(self.prefix) :], params)
        except NameError as error:
            # Raised by hand: the interpreter's own NameError, which is a fault, has a name or is an UnboundLocalError.
            if type(error) is NameError and error.name is None:
                raise MethodNotFound(f"no method {quoted(name)}") from error
            raise


class _PassThrough:
    """A `Binder` that passes the arguments as one value, as received, for `_dispatch(method, params)`."""

    __slots__ = ("exact", "names", "returns", "takes_names")

    def __init__(self) -> None:
        self.names = ["params"]
        self.takes_names = True
        self.exact = False
        self.returns = inspect.Parameter.empty

    def bind(self, value: Any) -> Bound:
        return (value,), {}

    def bind_text(self, text: Text) -> Bound:
        if isinstance(text, dict):
            return ({name: list(texts) if len(texts) > 1 else texts[0] for name, texts in text.items()},), {}
        return ("" if text is None else text,), {}

    def compile_call(self, function: Callable[..., Any], results: ResultCheck | None = None) -> Callable[[Any], Any]:
        return function


_PASS_THROUGH = _PassThrough()
