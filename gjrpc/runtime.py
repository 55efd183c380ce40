"""How a method that is not plain is run: off the loop, or with a deadline.

Owns the seam between `dispatch`, which is pure, and whatever makes calls concurrent. `Plain` runs a method where it is called,
which is right under servers that give each request a thread or a process; `gjrpc.green.Green` knows gevent.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from gjrpc.method import Method


class Runtime(Protocol):
    """Runs the methods that are registered as blocking or with a deadline."""

    @property
    def passing(self) -> tuple[type[BaseException], ...]:
        """What is never an answer: it ends the thread, greenlet or process that runs the call."""
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


class Plain:
    """Runs a method where it is called. A thread can't be stopped, so here a deadline only binds servers that have their own."""

    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, GeneratorExit)

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run it here and now."""
        return method.function(*positional, **named)

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """One after the other."""
        return map(function, items)


def running() -> Runtime:
    """The runtime that fits this process: gevent's where gevent has patched the standard library, else `Plain`."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return Plain()
    from gjrpc.green import Green  # noqa: PLC0415  gevent is optional here, and it is loaded already

    return Green()
