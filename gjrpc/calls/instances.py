"""What of an instance is served: its public methods, or all that its own `_dispatch` takes.

Owns which attributes are reached, so that nothing is served that nobody meant to serve, and how a call of an unknown name becomes
a call of `_dispatch(method, params)`, as py-jrpc has it. It knows no registry.
"""

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from gjrpc.calls.binding import Binding, Bound
from gjrpc.calls.method import Method
from gjrpc.calls.options import MethodOptions
from gjrpc.errors import MethodNotFound
from gjrpc.texts import quoted

_COMPUTED = (property, functools.cached_property)
# Py_TPFLAGS_HEAPTYPE and Py_TPFLAGS_IMMUTABLETYPE: the second is set on the standard library's heap types that are written in C.
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8


def public_methods(instance: object, prefix: str, seen: tuple[object, ...] = ()) -> Iterable[tuple[str, Callable[..., Any]]]:
    """The callables of an instance and, below dotted names, of the instances that it holds; a cycle is entered once."""
    for name in dir(instance):
        if name.startswith("_") or isinstance(inspect.getattr_static(instance, name, None), _COMPUTED):
            continue
        value = getattr(instance, name, None)
        if inspect.isroutine(value) or (_is_own_object(value) and callable(value)):
            yield prefix + name, value
        elif _is_own_object(value) and not any(value is other for other in (instance, *seen)):
            yield from public_methods(value, f"{prefix}{name}.", (instance, *seen))


def _is_own_object(value: object) -> bool:
    """Whether a value is an instance of a class written in Python, so neither a module nor a class nor a built-in value."""
    flags = type(value).__flags__
    return bool(flags & _HEAP_TYPE) and not flags & _IMMUTABLE_TYPE and not isinstance(value, (type, types.ModuleType))


class Fallback(NamedTuple):
    """An instance's `_dispatch`, which gets the calls of all unknown names behind a prefix."""

    prefix: str
    dispatch: Callable[[str, Any], Any]
    options: MethodOptions

    def find(self, name: str) -> Method | None:
        """The method that hands `name`, without the prefix, to it; None where the prefix is another, or a part is private."""
        if not name.startswith(self.prefix) or any(part.startswith("_") for part in name.split(".")):
            return None
        return Method.of(name, functools.partial(self._call, name), self.options, _RAW)

    def _call(self, name: str, params: Any) -> Any:
        try:
            return self.dispatch(name[len(self.prefix) :], params)
        except NameError as error:
            # Raised by hand; the interpreter's own, which are faults, carry the name or are of the subclass.
            if type(error) is NameError and error.name is None:
                raise MethodNotFound(f"no method {quoted(name)}") from error
            raise


class _Raw(Binding):
    """Passes the arguments as they came, as one value: what `_dispatch(method, params)` is given."""

    __slots__ = ()

    def __init__(self) -> None:
        self.names = ["params"]
        self.takes_names = True
        self.exact = False
        self.returns = inspect.Parameter.empty

    def bind(self, value: Any) -> Bound:
        return (value,), {}

    def caller(self, function: Callable[..., Any], results: Any = None) -> Callable[[Any], Any]:
        return function

    def bind_text(self, text: Any) -> Bound:
        if isinstance(text, dict):
            text = {name: list(texts) if len(texts) > 1 else texts[0] for name, texts in text.items()}
        return ("" if text is None else text,), {}


_RAW = _Raw()
