"""The registered methods, by name.

Owns the names, the registration of functions, instances and other registries, and the three introspection methods. Each mistake
is an error at registration, which says what is wrong and why. A call only looks a name up. The registry knows no request;
`instances` decides which attributes of an instance become methods.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from gjrpc.calls import context
from gjrpc.calls.hints import Hints
from gjrpc.calls.instances import Fallback, public_methods
from gjrpc.calls.method import Method
from gjrpc.calls.options import MethodOptions, OptionKeywords, spelled_out
from gjrpc.errors import RegistrationError

if TYPE_CHECKING:  # every type checker brings it, and nothing else needs it
    from typing_extensions import Unpack

F = TypeVar("F", bound=Callable[..., Any])

# Names, and prefixes that end in "." or "/", with another meaning on the wire (CONVENTION, sections 4 and 6).
_RESERVED = {
    "jsonrpc": "it marks a JSON-RPC 2.0 request",
    "rpc.": "names that begin with 'rpc.' belong to the JSON-RPC 2.0 specification",
    "-/": "paths under '/-/' are pages, not methods",
}


class Registry:
    """The methods of an application.

    >>> registry = Registry()
    >>> @registry.method
    ... def add(a: int, b: int = 10) -> int:
    ...     return a + b
    """

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self.exact = False
        """Whether a method needs every digit of its numbers; see `gjrpc.calls.exact`."""
        self.scopes: set[str] = set()
        """The scopes of all methods."""
        self._when_exact: list[Callable[[], None]] = []
        self._hints, self._hints_of = Hints(()), 0
        self._fallback: Fallback | None = None
        for function in (self.list_methods, self.method_signature, self.method_help):
            self.register(function)
        self._introspection = frozenset(self._methods)
        self.find: Callable[[str], Method | None] = self._methods.get
        """Return the method of a name, or None; every call uses it."""

    @overload
    def method(self, function: F, /) -> F: ...
    @overload
    def method(self, /, *, name: str | None = None, **options: "Unpack[OptionKeywords]") -> Callable[[F], F]: ...
    @spelled_out
    def method(
        self, function: F | None = None, /, *, name: str | None = None, **options: "Unpack[OptionKeywords]"
    ) -> F | Callable[[F], F]:
        """Register the decorated function and return it unchanged; use it bare, or with the options of `register`.

        Raises:
            RegistrationError: as `register`.
        """
        if function is not None:
            return self.register(function, name, **options)
        return lambda decorated: self.register(decorated, name, **options)

    @spelled_out
    def register(self, function: F, name: str | None = None, **options: "Unpack[OptionKeywords]") -> F:
        """Register a callable and return it unchanged.

        Args:
            name: its name on the wire; by default its `__name__`.
            options: keyword arguments; `gjrpc.calls.options.MethodOptions` explains each of them.

        Raises:
            RegistrationError: the name is taken, empty or reserved, a parameter can't be converted from JSON, or an option is
                wrong.
        """
        if not callable(function):
            raise RegistrationError(f"{function!r} can't be registered: it is not callable")
        name = _own_name(function) if name is None else name
        try:
            method = Method.of(name, function, MethodOptions(**options))
        except RegistrationError as error:
            raise RegistrationError(f"method {name!r} can't be registered: {error}") from error
        self._add(method)
        return function

    register_function = register
    """py-jrpc's name for `register`."""

    def register_instance(self, instance: object, prefix: str = "", *, blocking: bool = False) -> None:
        """Register the public methods of an instance and, under dotted names, those of its attributes.

        So that nothing is served by accident, it looks only into objects of classes written in Python, never into modules,
        classes or built-in values, and skips names that begin with an underscore. Properties are not evaluated.

        An instance with a `_dispatch(method, params)` gets every call whose name is not registered, as in py-jrpc; its public
        methods are not registered. For a name that it does not know, its `_dispatch` raises `gjrpc.errors.MethodNotFound` or, as
        in py-jrpc, NameError.

        Args:
            prefix: put before each name, such as `disk.`.
            blocking: run all its methods in threads; see `gjrpc.calls.options.MethodOptions`.

        Raises:
            RegistrationError: the instance has nothing to call, or a reason as for `include`.
        """
        if isinstance(instance, type):
            raise RegistrationError(f"{instance.__name__} is a class: register an instance of it")
        staged = Registry()
        dispatch = getattr(instance, "_dispatch", None)
        if dispatch is not None:
            staged._fallback = Fallback(prefix, dispatch, MethodOptions(blocking=blocking, description=""))
        else:
            staged._register_public(instance, prefix, blocking)
        self.include(staged)

    def _register_public(self, instance: object, prefix: str, blocking: bool) -> None:
        found = list(public_methods(instance, prefix))
        if not found:
            raise RegistrationError(f"the {type(instance).__name__} instance has no public method and no _dispatch")
        for name, function in found:
            self.register(function, name, blocking=blocking)

    def include(self, other: "Registry", prefix: str = "") -> None:
        """Add all methods of another registry, each name with `prefix` before it, and the `_dispatch` of its instance.

        Raises:
            RegistrationError: a name is taken, or both registries have a `_dispatch`; then nothing is added.
        """
        renamed = [method.renamed(prefix + method.name) for method in other if method.name not in other._introspection]
        for method in renamed:
            self._check_name(method.name)
        fallback = other._fallback
        if fallback is not None:
            if self._fallback is not None:
                raise RegistrationError(f"{fallback.dispatch!r}: the _dispatch of another instance is already registered")
            self._fallback = fallback._replace(prefix=prefix + fallback.prefix)
        for method in renamed:
            self._add(method)

    def replace(self, method: Method) -> None:
        """Replace the registered method of the same name, if there is one; calls that have begun keep the old one."""
        if method.name in self._methods:
            self._methods[method.name] = method

    def find_dispatched(self, name: str) -> Method | None:
        """Return a method that passes `name` to the `_dispatch` of an instance; None if no instance has one."""
        return None if self._fallback is None else self._fallback.find(name)

    def when_exact(self, notify: Callable[[], None]) -> None:
        """Call `notify` once a method needs every digit of its numbers: now, or when the first one is registered."""
        if self.exact:
            notify()
        else:
            self._when_exact.append(notify)

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def __len__(self) -> int:
        return len(self._methods)

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} methods>"

    def list_methods(self) -> list[str]:
        """List the names of all methods that you may call, sorted."""
        return sorted(filter(self._shows, self._methods))

    def near(self, name: str) -> list[str]:
        """Return up to three names of methods that the caller may call and may have meant by `name`."""
        if self._hints_of != len(self._methods):  # methods are only added
            self._hints, self._hints_of = Hints(self._methods), len(self._methods)
        return [*filter(self._shows, self._hints.near(name))][:3]

    def method_signature(self, method_name: str) -> dict[str, Any]:
        """Return the parameter names of a method."""
        method = self._shown(method_name)
        return {method_name: method.binding.names if method else "method/function not found"}

    def method_help(self, method_name: str) -> str:
        """Return the documentation of a method."""
        method = self._shown(method_name)
        return method.description if method else f"Method [{method_name}] not found"

    def _shows(self, name: str) -> bool:
        return context.permits(self._methods[name])

    def _shown(self, name: str) -> Method | None:
        """Return the method of this name, unless it is hidden from the caller."""
        return self._methods[name] if name in self._methods and self._shows(name) else None

    def _add(self, method: Method) -> None:
        self._check_name(method.name)
        self._methods[method.name] = method
        if method.options.scope is not None:
            self.scopes.add(method.options.scope)
        if method.binding.exact and not self.exact:
            self.exact = True
            for notify in self._when_exact:
                notify()

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise RegistrationError(f"method name {name!r}: expected a non-empty string")
        if not name.isprintable():
            raise RegistrationError(f"method name {name!r}: it contains a character that can't be printed")
        for reserved, why in _RESERVED.items():
            if name == reserved or (reserved.endswith((".", "/")) and name.startswith(reserved)):
                raise RegistrationError(f"method name {name!r} is reserved: {why}")
        if name in self._methods:
            raise RegistrationError(f"method name {name!r} is taken by {self._methods[name].function!r}; pass another name=")


def _own_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    if name is None or name == "<lambda>":
        raise RegistrationError(f"{function!r} has no name; pass one as name=")
    return str(name)
