"""How a method that is not plain is run: off the loop, or with a deadline.

Owns the seam between `dispatch`, which is pure, and whatever makes calls concurrent. `Plain` runs a method where it is called,
which is right under servers that give each request a thread or a process; `gjrpc.server.gevent_runtime.Green` knows gevent.
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
"""Functions that run apart at the same time: each computes on a core of its own, or would."""


class Runtime(Protocol):
    """Runs the methods that are registered as blocking or with a deadline."""

    def passes(self, error: BaseException) -> bool:
        """Whether an exception is not the call's answer but ends the thread, greenlet or process that runs it."""
        ...

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run the method and return its result, or raise what it raised.

        Raises:
            gjrpc.errors.DeadlineExceeded: it did not end in time.
        """
        ...

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Run a function over all items, perhaps several at a time, and give what it returned in their order."""
        ...

    def apart(self, function: Callable[[], T]) -> T:
        """Run a function that computes for long, so that it holds up nobody, and `FEW` at a time; the others wait."""
        ...


class Plain:
    """Runs a method where it is called. It can't be stopped there, so a deadline only decides the answer at its end."""

    def __init__(self) -> None:
        self._few = threading.BoundedSemaphore(FEW)

    def passes(self, error: BaseException) -> bool:
        """Whether the exception is an interrupt of this process."""
        return is_interrupt(error)

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run it here and now; raise DeadlineExceeded if it ends after its deadline."""
        if method.options.deadline is None:
            return method.run(*positional, **named)
        return on_time(method.options.deadline, partial(method.run, *positional, **named))

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """One after the other."""
        return map(function, items)

    def apart(self, function: Callable[[], T]) -> T:
        """Run it here, in the thread of its request, when its turn comes."""
        with self._few:
            return function()


def on_time(deadline: float, call: Callable[[], T]) -> T:
    """Return the result of a call that can't be stopped, such as one that computes.

    Raises:
        DeadlineExceeded: it ended too late; its result, or its error for the client, is dropped.
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
    """The error that replaces a result that comes too late, or not at all."""
    return DeadlineExceeded(f"the call took longer than its deadline of {deadline:g} s")


def is_interrupt(error: BaseException) -> bool:
    """Whether it is a KeyboardInterrupt that Python itself raised for a SIGINT, not one that a method raised."""
    return (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        and comes_from_outside(error)
    )


def comes_from_outside(error: BaseException) -> bool:
    """Whether no `raise` statement raised it: it came between two instructions or at a switch of greenlets."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code, at = trace.tb_frame.f_code.co_code, trace.tb_lasti
    return not 0 <= at < len(code) or code[at] != _RAISE


def gevent_patched() -> bool:
    """Tell whether gevent has patched the standard library's sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def running() -> Runtime:
    """The runtime that fits this process: gevent's where gevent has patched the standard library, else `Plain`."""
    if not gevent_patched():
        return Plain()
    from gjrpc.server.gevent_runtime import Green  # noqa: PLC0415  gevent is optional here, and it is loaded already

    return Green()
