"""Runs methods that block or have a deadline.

Owns the interface between `dispatch`, which is pure, and whatever makes calls concurrent. `Plain` runs a method where it is
called, which is right under servers that give each request a thread or a process; `gjrpc.server.gevent_runtime.Green` uses
gevent. It knows no dialect and no result.
"""

import dis
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from gjrpc.calls.method import Method
from gjrpc.errors import CallError, DeadlineExceeded

T = TypeVar("T")

_RAISE = dis.opmap["RAISE_VARARGS"]

FEW = 2
"""Long computations that may run at the same time; each occupies a core."""


class Runtime(Protocol):
    """Runs the methods that are registered as blocking or with a deadline."""

    def passes(self, error: BaseException) -> bool:
        """Whether an exception is not an error of the call, but must end the thread, greenlet or process that runs it."""
        ...

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run a method and return its result, or raise what it raises.

        Raises:
            gjrpc.errors.DeadlineExceeded: it did not return within its deadline.
        """
        ...

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Apply a function to all items, perhaps several at a time, and return the results in order."""
        ...

    def apart(self, function: Callable[[], T]) -> T:
        """Run a long computation without holding up calls; up to `FEW` run at a time, and others wait."""
        ...


class Plain:
    """Runs a method where it is called. It can't be interrupted there, so its deadline is checked when it returns."""

    def __init__(self) -> None:
        self._few = threading.BoundedSemaphore(FEW)

    def passes(self, error: BaseException) -> bool:
        """Whether an exception is an interrupt of this process."""
        return is_interrupt(error)

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run a method here and now; raise DeadlineExceeded if it returns after its deadline."""
        if method.options.deadline is None:
            return method.run(*positional, **named)
        return on_time(method.options.deadline, partial(method.run, *positional, **named))

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Apply a function to the items, one after the other."""
        return map(function, items)

    def apart(self, function: Callable[[], T]) -> T:
        """Run a long computation here, in the thread of its request, once fewer than `FEW` are running."""
        with self._few:
            return function()


def on_time(deadline: float, call: Callable[[], T]) -> T:
    """Return the result of a call that can't be interrupted.

    Args:
        deadline: seconds that it may take.

    Raises:
        DeadlineExceeded: it returned too late; its result, or its error for the client, is dropped.
    """
    end = time.monotonic() + deadline
    try:
        result = call()
    except CallError as error:
        if time.monotonic() > end:
            raise late(deadline) from error
        raise
    if time.monotonic() > end:
        raise late(deadline)
    return result


def late(deadline: float) -> DeadlineExceeded:
    """Return the error that replaces a late or missing result."""
    return DeadlineExceeded(f"the call took longer than its deadline of {deadline:g} s")


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is a KeyboardInterrupt that Python raised for a SIGINT, not one that a method raised."""
    return (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        and comes_from_outside(error)
    )


def comes_from_outside(error: BaseException) -> bool:
    """Whether no `raise` statement raised it: it came from a signal, or from a switch of greenlets."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code, at = trace.tb_frame.f_code.co_code, trace.tb_lasti
    return not 0 <= at < len(code) or code[at] != _RAISE


def gevent_patched() -> bool:
    """Return whether gevent has patched the standard library's sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def running() -> Runtime:
    """Return the runtime for this process: gevent's if gevent has patched the standard library, else `Plain`."""
    if not gevent_patched():
        return Plain()
    from gjrpc.server.gevent_runtime import Green  # noqa: PLC0415  gevent is optional here, and it is loaded already

    return Green()
