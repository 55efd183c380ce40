"""Names and the methods behind them.

Owns which names there are, how functions, instances and other registries come in, and the three introspection methods. It knows
no request: a call only looks a name up. Registration is the moment for mistakes: each is an error at once, saying which and why.
What of an instance is reached is `instances`'.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, overload

from gjrpc.calls import context
from gjrpc.calls.binding import Binding
from gjrpc.calls.hints import Hints
from gjrpc.calls.instances import Fallback, public_methods
from gjrpc.calls.method import DeclaredError, Method
from gjrpc.errors import RegistrationError

F = TypeVar("F", bound=Callable[..., Any])

# Prefixes and names that mean something else on the wire (CONVENTION, sections 4 and 6).
_RESERVED = {
    "jsonrpc": "it marks a JSON-RPC 2.0 message",
    "rpc.": "names that begin with 'rpc.' belong to the JSON-RPC 2.0 specification",
    "-/": "'/-/' holds what is not a method",
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
        """Whether a method wants all digits of its numbers; see `gjrpc.calls.exact`."""
        self.scopes: set[str] = set()
        """The scopes that methods require."""
        self._when_exact: list[Callable[[], None]] = []
        self._hints, self._hints_of = Hints(()), 0
        self._fallback: Fallback | None = None
        for function in (self.list_methods, self.method_signature, self.method_help):
            self.register(function)
        self._introspection = frozenset(self._methods)
        self.find: Callable[[str], Method | None] = self._methods.get
        """The method of this name, or None: the look-up of every call."""

    @overload
    def method(self, function: F, /) -> F: ...
    @overload
    def method(
        self,
        /,
        *,
        name: str | None = None,
        blocking: bool = False,
        deadline: float | None = None,
        scope: str | None = None,
        check_result: bool = True,
        description: str | None = None,
        examples: Iterable[tuple[Any, Any]] = (),
        deprecated: bool | str | None = None,
        errors: Iterable[DeclaredError] = (),
    ) -> Callable[[F], F]: ...
    def method(self, function: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
        """Register the decorated function, which stays as it is; bare, or with the options of `register`.

        Raises:
            RegistrationError: as `register`.
        """
        if function is not None:
            return self.register(function, **options)

        def decorate(decorated: F) -> F:
            return self.register(decorated, **options)

        return decorate

    def register(
        self,
        function: F,
        name: str | None = None,
        *,
        blocking: bool = False,
        deadline: float | None = None,
        scope: str | None = None,
        check_result: bool = True,
        description: str | None = None,
        examples: Iterable[tuple[Any, Any]] = (),
        deprecated: bool | str | None = None,
        errors: Iterable[DeclaredError] = (),
    ) -> F:
        """Register any callable and return it.

        Args:
            name: what it is called by; its `__name__` unless given.
            blocking: it waits in C or computes for long: run it in a thread, so that it stalls nobody.
            deadline: seconds after which the caller gets an error (HTTP 504) instead of waiting on. A function that computes and
                never waits can't be stopped: its caller gets the error when it ends. With `blocking` the error comes in time, and
                the function goes on in its thread.
            scope: it can be called only by callers who hold this, as `admin`; see `gjrpc.calls.rights`.
            check_result: answer 500 if the result does not match its annotation. The check decodes results of classes and
                containers again, which takes about twice as long as encoding them. False turns it off.
            description: text for people, instead of the docstring.
            examples: pairs of arguments, by the argument convention, and the result: `[([1, 2], 3), ({"a": 1}, 11)]`.
            deprecated: True, or what to do instead; unless given, what `warnings.deprecated` says.
            errors: how it can fail, for the documents: subclasses of `CallError`, or instances, whose data is an example.

        Raises:
            RegistrationError: the name is taken, empty or reserved, the signature can't be bound, or an example is no call of it.
        """
        if not callable(function):
            raise RegistrationError(f"{function!r} can't be registered: it is not callable")
        if name is None:
            name = _own_name(function)
        if deadline is not None and not 0 < deadline < float("inf"):
            raise RegistrationError(f"method {name!r}: deadline={deadline!r}; expected a number of seconds above 0")
        if scope is not None and (
            not isinstance(scope, str) or not scope.isprintable() or scope.split() != [scope] or scope == "*"
        ):
            raise RegistrationError(f"method {name!r}: scope={scope!r}; expected a word, such as 'admin'")
        try:
            runs: dict[str, Any] = {"blocking": blocking, "deadline": deadline, "scope": scope, "check_result": check_result}
            told: dict[str, Any] = {"description": description, "examples": examples, "deprecated": deprecated, "errors": errors}
            method = Method(name, function, Binding(function), **runs, **told)
        except RegistrationError as error:
            raise RegistrationError(f"method {name!r} can't be registered: {error}") from error
        self._add(method)
        return function

    register_function = register
    """py-jrpc's name for `register`."""

    def register_instance(self, instance: object, prefix: str = "", *, blocking: bool = False) -> None:
        """Register the public methods of an instance, and, with dotted names, those of the instances that it holds.

        Only objects of classes written in Python are entered, never modules, classes or built-in values, and no name with
        a leading underscore, so that nothing is reached that nobody meant to serve. Properties are not run to look inside.

        An instance with a `_dispatch(method, params)` gets every call whose name is not registered, as in py-jrpc, and none of
        its methods is reached past it; it says that it knows no such method by raising `gjrpc.errors.MethodNotFound`, or
        NameError as there.

        Raises:
            RegistrationError: nothing in it can be called, or as `include`.
        """
        if isinstance(instance, type):
            raise RegistrationError(f"{instance.__name__} is a class; register an instance of it")
        staged = Registry()
        dispatch = getattr(instance, "_dispatch", None)
        if dispatch is not None:
            staged._fallback = Fallback(prefix, dispatch, blocking)
        else:
            for name, function in public_methods(instance, prefix):
                staged.register(function, name, blocking=blocking)
            if len(staged) == len(staged._introspection):
                raise RegistrationError(f"{type(instance).__name__} instance: it has no public method and no _dispatch")
        self.include(staged)

    def include(self, other: "Registry", prefix: str = "") -> None:
        """Take over all methods of another registry, each name behind `prefix`, and its instance's `_dispatch` likewise.

        Raises:
            RegistrationError: a name is taken, or both have a `_dispatch`; then nothing is added.
        """
        renamed = [method.renamed(prefix + method.name) for method in other if method.name not in other._introspection]
        for method in renamed:
            self._check(method.name)
        fallback = other._fallback
        if fallback is not None:
            if self._fallback is not None:
                raise RegistrationError(f"{fallback.dispatch!r}: another instance's _dispatch is registered already")
            self._fallback = fallback._replace(prefix=prefix + fallback.prefix)
        for method in renamed:
            self._add(method)

    def find_dispatched(self, name: str) -> Method | None:
        """The method that hands `name`, without its prefix, to an instance's `_dispatch`, or None where there is none."""
        return None if self._fallback is None else self._fallback.find(name)

    def when_exact(self, notify: Callable[[], None]) -> None:
        """Call `notify` once a method wants all digits of its numbers: now, or when the first is registered."""
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
        """Return up to three names of methods that you may call and that `name` may have meant."""
        if self._hints_of != len(self._methods):  # methods are only added
            self._hints, self._hints_of = Hints(self._methods), len(self._methods)
        return [*filter(self._shows, self._hints.near(name))][:3]

    def method_signature(self, method_name: str) -> dict[str, Any]:
        """Give the parameter names of a method."""
        method = self._shown(method_name)
        return {method_name: method.binding.names if method else "method/function not found"}

    def method_help(self, method_name: str) -> str:
        """Give the documentation of a method."""
        method = self._shown(method_name)
        return method.description if method else f"Method [{method_name}] not found"

    def _shows(self, name: str) -> bool:
        return context.permits(self._methods[name])

    def _shown(self, name: str) -> Method | None:
        """The method of this name, if whoever asks may know of it."""
        return self._methods[name] if name in self._methods and self._shows(name) else None

    def _add(self, method: Method) -> None:
        self._check(method.name)
        self._methods[method.name] = method
        if method.scope is not None:
            self.scopes.add(method.scope)
        if method.binding.exact and not self.exact:
            self.exact = True
            for notify in self._when_exact:
                notify()

    def _check(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise RegistrationError(f"method name {name!r}: expected a text that is not empty")
        if not name.isprintable():
            raise RegistrationError(f"method name {name!r}: it holds a character that can't be printed")
        for reserved, why in _RESERVED.items():
            if name == reserved or (reserved.endswith((".", "/")) and name.startswith(reserved)):
                raise RegistrationError(f"method name {name!r} is reserved: {why}")
        if name in self._methods:
            raise RegistrationError(f"method name {name!r} is taken by {self._methods[name].function!r}; give another name=")


def _own_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    if name is None or name == "<lambda>":
        raise RegistrationError(f"{function!r} has no name of its own; give one with name=")
    return str(name)
