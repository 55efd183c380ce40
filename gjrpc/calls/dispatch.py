"""Runs a call and reports how it ended.

Owns the one place where exceptions become errors, and the record of a finished call. It knows neither dialect nor HTTP; `runtime`
runs blocking methods.
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
"""A result as JSON, or the error to tell."""


class Finished(Struct, frozen=True):
    """What an observer is told about a call that has ended.

    Attributes:
        method: the name that was asked for.
        seconds: from the look-up of the method to its encoded result.
        error: the error that was told, or None.
        caller: the name of who called, or None where nobody was asked.
    """

    method: str
    seconds: float
    error: CallError | None
    caller: str | None = None


Observer: TypeAlias = Callable[[Finished], None]


class Dispatcher:
    """Runs the calls of one registry.

    Args:
        registry: where the methods are.
        runtime: runs blocking methods and those with a deadline.
        observers: each is called with a `Finished` after each call; without any, nothing is measured.
        own: methods that are no part of the registry: what the protocol keeps for itself.
        anyone: who calls where nobody is asked.
        guarded: whether each call has a caller (`gjrpc.calls.context`), who may call what its rights say.
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
        self._anyone = anyone
        self._guarded = guarded
        self._answer: Callable[[Call], Outcome] = self._permitted if guarded else self._run
        self._own = {method.name: method for method in own}
        self._runtime = runtime
        self._observers = tuple(observers)
        self.run: Callable[[Call], Outcome] = self._observed if observers else self._answer
        """Run a call to its end; raises nothing that a method raised."""

    @property
    def runtime(self) -> Runtime:
        """What runs blocking methods and deadlines; unless given, what fits at the first need, since gevent may patch late."""
        if self._runtime is None:
            self._runtime = running()
        return self._runtime

    @runtime.setter
    def runtime(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def run_by(self, runtime: Runtime) -> None:
        """Use this runtime, unless the application was given one other than `Plain`."""
        if self._runtime is None or isinstance(self._runtime, Plain):
            self._runtime = runtime

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Run a function over several calls, at the same time where the runtime can; what it returned comes in their order."""
        return self.runtime.map(function, items)

    def apart(self, function: Callable[[], T]) -> T:
        """Run what computes for long and is no call, so that it holds up nobody."""
        return self.runtime.apart(function)

    def offload(self, method: Method) -> None:
        """Run a method in a thread from its next call on, as if it were registered as blocking."""
        if method.name in self._own:
            self._own[method.name] = method.in_thread()
        else:
            self.registry.replace(method.in_thread())

    def _run(self, call: Call) -> Outcome:
        method = self.registry.find(call.name) or self._own.get(call.name) or self.registry.find_dispatched(call.name)
        if method is None:
            return self._no_such_method(call.name)
        try:
            if method.plain and not call.text:
                return codec.encode(method.call(call.arguments))
            if not method.plain:
                self._check_scope(method)
            binding = method.binding
            positional, named = binding.bind_text(call.arguments) if call.text else binding.bind(call.arguments)
            if not method.plain:
                return codec.encode(self.runtime.call(method, positional, named))
            return codec.encode(method.run(*positional, **named))
        except CallError as error:
            return self._told(error, method)
        except codec.NotJSON as error:
            return internal_error(f"the method's result is not JSON: {error}", error, method)
        except WrongResult as error:
            return internal_error("the method's result does not match its annotation", error, method, pointer=MORE)
        except BaseException as error:  # the one place: also a SystemExit in a method must not end the server
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
        """Whether the caller may call this method, and so may know that it exists."""
        rights = self._caller().rights
        return rights.allows_name(method.name) and rights.has_scope(method.options.scope)

    def _hides(self) -> bool:
        """Whether some methods may be closed to the caller, who lacks a scope."""
        return not self._caller().rights.has_all_scopes(self.registry.scopes)

    def _no_such_method(self, name: str) -> CallError:
        """The same error for a name that no method has and for a method that the caller may not know of."""
        near = self.registry.near(name)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "; list_methods lists them all"
        return self._caller().no_such_method(name, hint) if self._hides() else MethodNotFound(f"no method {quoted(name)}{hint}")

    def _check_scope(self, method: Method) -> None:
        if not self._caller().rights.has_scope(method.options.scope):
            raise self._no_such_method(method.name)

    def _told(self, error: CallError, method: Method) -> CallError:
        """The error that the method raised for the client, after checking that it can be sent."""
        if type(error) is MethodNotFound and self._hides() and self.registry.find(method.name) is None:
            return self._no_such_method(method.name)  # an instance's `_dispatch` has none either
        if isinstance(error, InvalidArguments) and error.foreign is not None:
            disclosure.log_cause(error, error.foreign, method)
        try:
            disclosure.error_parts(error)
        except codec.NotJSON as cause:
            return internal_error(f"the method's error data is not JSON: {cause}", error, method)
        except BaseException as cause:  # noqa: BLE001  an attribute is an application's own code
            return disclosure.unsendable_error(cause, method)
        return error
