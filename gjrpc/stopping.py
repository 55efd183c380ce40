"""What SIGINT and SIGTERM mean to a server that runs in the main thread, and what it says of itself.

Owns the two signals while a server serves: the first lets the calls in flight end, a second one does not. It knows the server
only as something that can be stopped.
"""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gevent
from gevent.hub import get_hub

log = logging.getLogger("gjrpc.server")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_heard: list["Stoppable"] = []  # the servers that the signals stop now
_before: dict[int, Any] = {}  # handlers, as they were before the first of them

_UNTOUCHED = (signal.SIG_DFL, signal.default_int_handler)


class Stoppable(Protocol):
    """A server."""

    @property
    def draining(self) -> bool:
        """Whether it is stopping."""
        ...

    @property
    def grace(self) -> float:
        """Seconds for the calls in flight at a stop."""
        ...

    def stop(self, timeout: float | None = None) -> None:
        """Stop, and wait so long for the calls in flight."""
        ...


def nothing() -> None:
    """Do nothing."""


@contextmanager
def on_signals(server: Stoppable, stopping: Callable[[], object] = nothing) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop a server in here.

    A signal stays as it is where the application has set a handler of its own by `signal.signal` or ignores it, and in any other
    thread than the main one, where Python hears no signals.

    Args:
        server: it.
        stopping: called at the first signal.
    """
    if server in _heard:  # by whoever starts it
        yield
        return
    free = [number for number in SIGNALS if get_hub().loop.default and signal.getsignal(number) in _UNTOUCHED]
    if not _heard:
        try:
            for number in free:  # no more Python's own: a KeyboardInterrupt is what a method raises, and nothing else
                _before[number] = signal.signal(number, signal.SIG_DFL)
        except ValueError:  # gevent takes the thread that imports it for the main one, and Python knows that it is not
            free = []
    _heard.append(server)
    watchers: list[Any] = [gevent.signal_handler(number, _stop, server, stopping, number.name) for number in free]
    try:
        yield
    finally:
        _heard.remove(server)
        for watcher in watchers:
            watcher.cancel()
        while _before and not _heard:
            signal.signal(*_before.popitem())  # libev has left the system's default


def say(text: str) -> None:
    """Say something of the server: in the log, or on standard error where the application has set up none."""
    if log.hasHandlers():
        log.info("%s", text)
    else:
        print(text, file=sys.stderr, flush=True)


def _stop(server: Stoppable, stopping: Callable[[], object], name: str) -> None:
    if server.draining:
        log.warning("%s again: stopping at once", name)
        gevent.spawn(server.stop, timeout=0)
    else:
        say(f"{name}: stopping; calls in flight have {server.grace:g} s")
        stopping()
        gevent.spawn(server.stop)
