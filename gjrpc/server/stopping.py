"""Stops a server at SIGINT and SIGTERM, in the main thread, and logs when it starts and stops.

Owns the two signals while a server runs: the first signal drains it, a second one stops it without waiting. It knows the server
only as something that can be stopped.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gevent
from gevent.hub import get_hub

log = logging.getLogger("gjrpc.server")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_HELD = 1.0  # seconds within which an unblocked event loop sees a signal

_heard: dict["Stoppable", Callable[[], object]] = {}  # the servers that the signals stop now

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
        """Stop, and wait up to `timeout` seconds for the calls in flight."""
        ...


def nothing() -> None:
    """Do nothing."""


@contextmanager
def on_signals(server: Stoppable, stopping: Callable[[], object] = nothing) -> Iterator[None]:
    """In this block, let SIGINT and SIGTERM stop a server.

    It leaves a signal alone that the application handles by `signal.signal` or ignores, and both signals outside of the main
    thread, where Python gets no signals. If a call blocks the event loop, so that the server can't drain, a second signal ends
    the process.

    Args:
        server: the server to stop.
        stopping: called at the first signal.
    """
    if server in _heard or not get_hub().loop.default:
        yield
        return
    if not _heard:
        _signals.take()
    _heard[server] = stopping
    try:
        yield
    finally:
        leave_signals(server)


def leave_signals(server: Stoppable) -> None:
    """Stop a server no longer at a signal; also called in a forked child, which is no server."""
    _heard.pop(server, None)
    if not _heard:
        _signals.give_back()


class _Signals:
    """Python handlers for the two signals: the event loop's own would not run while a call blocks the loop."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._process = 0
        self._since: float | None = None  # the time of a signal that the event loop has not seen yet

    def take(self) -> None:
        """Set a handler for each signal that has none yet."""
        self._process = os.getpid()
        for number in SIGNALS:
            if signal.getsignal(number) in _UNTOUCHED:
                try:
                    self._before[number] = signal.signal(number, self._hear)
                except ValueError:  # gevent takes the thread that imports it for the main one, and Python knows better
                    return

    def give_back(self) -> None:
        """Restore the previous handlers."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear:
                signal.signal(number, before)
        self._before = {}

    def _hear(self, number: int, _: object) -> None:
        """Handle a signal; runs in the main thread, between any two instructions."""
        if os.getpid() != self._process:  # forked: this process does not serve
            self.give_back()
            os.kill(os.getpid(), number)
        elif self._since is not None and time.monotonic() - self._since > _HELD:
            os.write(2, b"%b again while a call blocks the event loop: exiting at once\n" % signal.Signals(number).name.encode())
            os._exit(128 + number)  # as if the signal had ended the process
        else:
            self._since = self._since or time.monotonic()
            get_hub().loop.run_callback(self._tell, signal.Signals(number).name)

    def _tell(self, name: str) -> None:
        self._since = None
        for server, stopping in list(_heard.items()):
            _stop(server, stopping, name)


_signals = _Signals()


def say(text: str) -> None:
    """Log a line about the server, or write it to standard error if the application has not set up logging."""
    if log.hasHandlers():
        log.info("%s", text)
    else:
        print(text, file=sys.stderr, flush=True)


def _stop(server: Stoppable, stopping: Callable[[], object], name: str) -> None:
    if server.draining:
        log.warning("%s again: stopping at once", name)
        gevent.spawn(server.stop, timeout=0)
    else:
        say(f"{name}: stopping; calls in flight have {server.grace:g} s to end")
        stopping()
        gevent.spawn(server.stop)
