"""What SIGINT and SIGTERM mean to a server that runs in the main thread, and what it says of itself.

Owns the two signals while a server serves: the first lets the calls in flight end, a second one does not. It knows the server
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

_HELD = 1.0  # seconds in which an event loop that nothing holds hears of a signal

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
        """Stop, and wait so long for the calls in flight."""
        ...


def nothing() -> None:
    """Do nothing."""


@contextmanager
def on_signals(server: Stoppable, stopping: Callable[[], object] = nothing) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop a server in here.

    A signal stays as it is where the application has set a handler of its own by `signal.signal` or ignores it, and in any other
    thread than the main one, where Python hears no signals. Where a call holds the event loop, so that the server can't stop in
    good order, a second signal ends the process.

    Args:
        server: it.
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
        del _heard[server]
        if not _heard:
            _signals.give_back()


class _Signals:
    """The handlers of the two signals, which are Python's: the event loop's own would hear nothing while a call holds it."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._process = 0
        self._since: float | None = None  # the time of a signal of which the event loop does not know yet

    def take(self) -> None:
        """Set them where nobody has."""
        self._process = os.getpid()
        for number in SIGNALS:
            if signal.getsignal(number) in _UNTOUCHED:
                try:
                    self._before[number] = signal.signal(number, self._hear)
                except ValueError:  # gevent takes the thread that imports it for the main one, and Python knows that it is not
                    return

    def give_back(self) -> None:
        """Set again what was before."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear:
                signal.signal(number, before)
        self._before = {}

    def _hear(self, number: int, _: object) -> None:
        """Note a signal; in the main thread, in the middle of anything."""
        if os.getpid() != self._process:  # forked, and no server any more
            self.give_back()
            os.kill(os.getpid(), number)
        elif self._since is not None and time.monotonic() - self._since > _HELD:
            os.write(2, b"%b again while a call holds the event loop: exiting at once\n" % signal.Signals(number).name.encode())
            os._exit(128 + number)  # as of a process that the signal has ended
        else:
            self._since = self._since or time.monotonic()
            get_hub().loop.run_callback(self._tell, signal.Signals(number).name)

    def _tell(self, name: str) -> None:
        self._since = None
        for server, stopping in list(_heard.items()):
            _stop(server, stopping, name)


_signals = _Signals()


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
        say(f"{name}: stopping; calls in flight have {server.grace:g} s to end")
        stopping()
        gevent.spawn(server.stop)
