"""Runs a call and returns its result or its error.

Owns the one place where exceptions become errors, and the record of a finished call for observers. It knows no dialect and no
HTTP; `runtime` runs blocking methods.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from gjrpc.calls import context, disclosure
from gjrpc.calls.call import Call
from gjrpc.calls.disclosure import DETAILS, MORE, internal_error
from gjrpc.calls.method import Method
from gjrpc.calls.registry import Registry
from gjrpc.calls.rights import UNRESTRICTED, Caller
from gjrpc.calls.runtime import Plain, Runtime, running
from gjrpc.errors import CallError, InvalidArguments, MethodNotFound, WrongResult
from gjrpc.texts import quoted
from gjrpc.values import codec

log = logging.getLogger("gjrpc.calls")

T = TypeVar("T")

Outcome: TypeAlias = bytes | CallError
"""A result as JSON, or an error."""


class Finished(Struct, frozen=True):
    """The record of a finished call, for observers.

    Attributes:
        method: the name that was called.
        seconds: how long it took, from looking up the method to encoding its result.
        error: the error that was returned, or None.
        caller: the name of the caller; None without authentication.
    """

    method: str
    seconds: float
    error: CallError | None
    caller: str | None = None


Observer: TypeAlias = Callable[[Finished], None]


class Dispatcher:
    """Runs the calls of one registry.

    Args:
        registry: the methods.
        runtime: runs blocking methods and those with a deadline.
        observers: each is called with a `Finished` after each call; without observers no time is measured.
        own: methods outside of the registry, with names that the protocol reserves.
        anyone: the caller of every call without authentication.
        guarded: whether each call is authenticated and has a caller (`gjrpc.calls.context`), whose rights are checked.
    """

    def __init__(
        self,
        registry: Registry,
        runtime: Runtime | None = None,
        observers: Sequence[Observer] = (),
        own: Iterable[Method] = (),
        *,
        anyone: Caller = UNRESTRICTED,
        guarded: bool = False,
    ) -> None:
        self.registry = registry
        self._find = registry.find  # called from a local, below: Python is slow to call an attribute that is not a method
        self._anyone = anyone
        self._guarded = guarded
        self._answer: Callable[[Call], Outcome] = self._permitted if guarded else self._run
        self._own = {method.name: method for method in own}
        self._runtime = runtime
        self._observers = tuple(observers)
        self.run: Callable[[Call], Outcome] = self._observed if observers else self._answer
        """Run a call to its end; what the method raises becomes an error."""

    @property
    def runtime(self) -> Runtime:
        """What runs blocking methods and deadlines; by default chosen at its first use, since gevent may patch late."""
        if self._runtime is None:
            self._runtime = running()
        return self._runtime

    def run_by(self, runtime: Runtime) -> None:
        """Use this runtime, unless the application was given another one than `Plain`."""
        if self._runtime is None or isinstance(self._runtime, Plain):
            self._runtime = runtime

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Apply a function to several calls, concurrently if the runtime can, and return the results in order."""
        return self.runtime.map(function, items)

    def apart(self, function: Callable[[], T]) -> T:
        """Run a long computation that is not a call, without holding up calls."""
        return self.runtime.apart(function)

    def offload(self, method: Method) -> None:
        """Run a method in a thread from its next call on, as if it were registered as blocking."""
        if method.name in self._own:
            self._own[method.name] = method.in_thread()
        else:
            self.registry.replace(method.in_thread())

    def _run(self, call: Call) -> Outcome:
        find = self._find
        method = find(call.name) or self._own.get(call.name) or self.registry.find_dispatched(call.name)
        if method is None:
            return self._no_such_method(call.name)
        try:
            if method.plain and not call.text:
                bind_and_run = method.call
                return codec.encode(bind_and_run(call.arguments))
            if not method.plain:
                self._check_scope(method)
            binding = method.binding
            positional, named = binding.bind_text(call.arguments) if call.text else binding.bind(call.arguments)
            if not method.plain:
                return codec.encode(self.runtime.call(method, positional, named))
            return codec.encode(method.run(*positional, **named))
        except CallError as error:
            return self._checked(error, method)
        except codec.NotJSON as error:
            return internal_error(f"the method's result is not JSON: {error}", error, method)
        except WrongResult as error:
            return internal_error("the method's result does not match its annotation", error, method, pointer=MORE)
        except BaseException as error:  # the one place; a SystemExit in a method must not end the server either
            if self.runtime.passes(error):
                raise
            return internal_error("the method failed", error, method, pointer=DETAILS)

    def _caller(self) -> Caller:
        return context.current() or self._anyone

    def _permitted(self, call: Call) -> Outcome:
        try:
            self._caller().check_name(call.name)
        except CallError as error:
            return error
        return self._run(call)

    def _observed(self, call: Call) -> Outcome:
        start = time.perf_counter()
        outcome = self._answer(call)
        error = None if isinstance(outcome, bytes) else outcome
        caller = context.current() if self._guarded else None
        finished = Finished(call.name, time.perf_counter() - start, error, None if caller is None else caller.name)
        for observe in self._observers:
            try:
                observe(finished)
            except BaseException as error:
                if self.runtime.passes(error):
                    raise
                log.exception("observer %r failed", observe)
        return outcome

    def may_call(self, method: Method) -> bool:
        """Whether the caller may call this method, and so may learn that it exists."""
        return self._caller().may_call(method.name, method.options.scope)

    def _hides(self) -> bool:
        """Whether the caller lacks a scope of a method, so that some methods are hidden from it."""
        return not self._caller().rights.has_all_scopes(self.registry.scopes)

    def _no_such_method(self, name: str) -> CallError:
        """Return the same error for an unknown name and for a method that is hidden from the caller."""
        near = self.registry.near(name)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "; list_methods lists them all"
        return self._caller().no_such_method(name, hint) if self._hides() else MethodNotFound(f"no method {quoted(name)}{hint}")

    def _check_scope(self, method: Method) -> None:
        if not self._caller().rights.has_scope(method.options.scope):
            raise self._no_such_method(method.name)

    def _checked(self, error: CallError, method: Method) -> CallError:
        """Return the error that a method raised for the client, if it can be sent."""
        if type(error) is MethodNotFound and self._hides() and self.registry.find(method.name) is None:
            return self._no_such_method(method.name)  # raised by an instance's `_dispatch`
        if isinstance(error, InvalidArguments) and error.foreign is not None:
            disclosure.log_cause(error, error.foreign, method)
        try:
            disclosure.error_parts(error)
        except codec.NotJSON as cause:
            return internal_error(f"the method's error data is not JSON: {cause}", error, method)
        except BaseException as cause:  # noqa: BLE001  an attribute can run the application's code
            return disclosure.unsendable_error(cause, method)
        return error
