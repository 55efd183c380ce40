"""What a process that a method forks has of the server: nothing.

Owns what happens in a forked child (`os.fork`, `multiprocessing`). A child has a copy of every greenlet, timer and socket. Left
alone, it would accept the server's connections, run the calls of others to their end a second time, and take the server's
signals. So in the child the sockets are closed without a word, an empty event loop replaces the server's, and only the greenlet
that forked goes on, until it ends. This module knows servers only as `Serving`.
"""

import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

import gevent
from gevent import _hub_local, monkey
from gevent.hub import Hub
from greenlet import greenlet  # what gevent's greenlets are made of

_set_signal = monkey.get_original("signal", "signal")
_get_signal = monkey.get_original("signal", "getsignal")
_close = monkey.get_original("os", "close")  # gevent's own waits for the event loop


class Serving(Protocol):
    """A server that has begun to serve."""

    loop: Any

    def disown(self) -> None:
        """Close all sockets in this process without a word to anybody, and run no further call."""
        ...


_serving: WeakSet[Serving] = WeakSet()
_held = monkey.get_original("_thread", "_local")()
_strayed = False


def watch(server: Serving) -> None:
    """See that children that are forked from now on leave a server alone.

    A child of the greenlet that serves, as of a program that starts several processes, is not a method's, and is left as it is.
    """
    _serving.add(server)


def forget(server: Serving) -> None:
    """The server has stopped."""
    _serving.discard(server)


def close(sock: Any) -> None:
    """Close a socket's descriptor in this process alone: no shutdown, no TLS alert, and no watcher is told."""
    descriptor = getattr(sock, "_sock", sock).detach()
    if descriptor >= 0:
        _close(descriptor)


def end_if_strayed() -> None:
    """End this process if it is a method's child: called where a method that ran in a thread has returned."""
    if _strayed:
        _end()


def _hold_signals() -> None:
    """Let signals wait until the child has handlers of its own: the event loop's would take them, and nobody would look."""
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()) if _serving else None


def _release_signals() -> None:
    if _held.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)


def _in_child() -> None:
    try:
        _leave_server()
    finally:
        _release_signals()


def _leave_server() -> None:
    global _strayed  # noqa: PLW0603  a process is a child or not
    hub, current = _hub_local.get_hub_if_exists(), gevent.getcurrent()
    on_loop = hub is not None and any(server.loop is hub.loop for server in _serving)
    if not _serving or (on_loop and (current.parent is None or current is hub)):
        return
    _strayed = True
    for server in list(_serving):
        server.disown()
    _serving.clear()
    _restore_signals()
    if on_loop:
        _replace_loop(hub, current)


def _restore_signals() -> None:
    """Set the handlers again that Python knows of: an event loop takes signals without telling it."""
    for number in signal.valid_signals():
        with suppress(OSError):  # the C library's own
            _set_signal(number, _get_signal(number) or signal.SIG_DFL)


def _replace_loop(old: Any, current: Any) -> None:
    """Go on with a loop in which nothing waits; the old one, with all that waits there, is never run again."""
    _kept.append(old)  # a greenlet that nobody refers to any more would be ended, and run its `finally` blocks
    hub = Hub(default=False)
    hub.parent = last = greenlet(_nothing_left, old.parent)
    last.switch(current)
    _hub_local.set_hub(hub)
    while current.parent is not old:
        current = current.parent
    current.parent = hub
    if isinstance(current, gevent.Greenlet):
        current.rawlink(_end)


_kept: list[Any] = []


def _nothing_left(current: Any) -> None:
    """The parent of the new hub: what comes here is that the greenlet waits for nothing that could ever happen."""
    try:
        current.switch()
    except BaseException:  # noqa: BLE001  said, and the process ends
        traceback.print_exc()
    _end(status=1)


def _end(_: object = None, status: int = 0) -> None:
    """End this process without touching what it shares with its parent: a method's result is the parent's to send."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(status)


os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_in_child)
