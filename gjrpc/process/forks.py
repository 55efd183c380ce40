"""Keeps the server out of processes that a method forks.

Owns what happens in a forked child (`os.fork`, `multiprocessing`). A child has a copy of every greenlet, timer and socket. Left
alone, it would accept the server's connections, run other clients' calls a second time, and receive the server's signals. So in
the child this module closes the sockets silently, replaces the server's event loop with an empty one, and lets only the greenlet
that forked continue, until it ends. This module knows servers only as `Serving`.
"""

import concurrent.futures.thread  # noqa: F401  its locks are taken before each fork: see the end of this module
import logging  # noqa: F401  the same
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
from greenlet import greenlet  # the base class of gevent's greenlets

_set_signal = monkey.get_original("signal", "signal")
_get_signal = monkey.get_original("signal", "getsignal")
_sleep = monkey.get_original("time", "sleep")
_new_lock = monkey.get_original("_thread", "allocate_lock")
_close = monkey.get_original("os", "close")  # gevent's version waits for the event loop


_PAUSE = 0.001  # seconds between two looks whether another thread still forks
_SIGNALS_SEEN = 0.1  # seconds until a child that only waits sees a signal


class Serving(Protocol):
    """A server that has started."""

    loop: Any

    def disown(self) -> None:
        """Close all sockets in this process silently, so that no client notices, and start no further call."""
        ...


class _Held(monkey.get_original("_thread", "_local")):  # type: ignore[misc]  # gevent has no types
    """What this thread undoes after each fork that it has begun: the signal mask from before, and whether it has the turn."""

    def __init__(self) -> None:
        self.before: list[tuple[Any, bool]] = []


_held = _Held()
_turn = _new_lock()
_serving: WeakSet[Serving] = WeakSet()
_strayed = False


def watch(server: Serving) -> None:
    """Keep a server out of all children that are forked from now on.

    A child that is forked outside of a call is the program's own (it may start several server processes) and stays as it is.
    """
    _serving.add(server)


def forget(server: Serving) -> None:
    """Forget a server that has stopped."""
    _serving.discard(server)


def close(sock: Any) -> None:
    """Close a socket's descriptor only in this process: without a shutdown or a TLS alert, and without notifying a watcher."""
    descriptor = getattr(sock, "_sock", sock).detach()
    if descriptor >= 0:
        _close(descriptor)


def end_if_strayed() -> None:
    """Exit if this process is a method's child; called after a method has returned in a thread."""
    if _strayed:
        _end()


def _prepare() -> None:
    """Wait for the turn, then block signals until the child has its own handlers: the event loop's would take them, unseen."""
    has_turn = False
    try:
        has_turn = _take_turn()
    finally:  # also if the greenlet is killed meanwhile: Python forks all the same
        _held.before.append((signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()), has_turn))


def _take_turn() -> bool:
    """Wait until no other thread or greenlet forks; return False in a callback of the loop, which can't wait.

    The standard library takes locks before a fork (`logging`, `concurrent.futures`). gevent has replaced them, and two threads
    that fork at the same time could both wait for such a lock for ever.
    """
    hub = _hub_local.get_hub_if_exists()
    while not _turn.acquire(False):
        if hub is None:
            _sleep(_PAUSE)
        elif gevent.getcurrent() is hub:
            return False
        else:
            gevent.sleep(_PAUSE)
    return True


def _in_parent() -> None:
    mask, has_turn = _held.before.pop()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if has_turn:
        _turn.release()


def _in_child() -> None:
    global _turn  # noqa: PLW0603  the parent's is taken
    _turn = _new_lock()
    try:
        _leave_server()
    finally:
        mask, _ = _held.before[-1]
        _held.before.clear()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


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
    _look_for_signals(gevent.get_hub().loop)


def _restore_signals() -> None:
    """Restore the handlers that Python knows: an event loop replaces handlers without Python's knowledge."""
    for number in signal.valid_signals():
        with suppress(OSError):  # signals that the C library reserves
            _set_signal(number, _get_signal(number) or signal.SIG_DFL)


def _replace_loop(old: Any, current: Any) -> None:
    """Continue on an empty event loop; the old one, with everything that waits on it, never runs again."""
    _kept.append(old)  # a greenlet without references is killed, and would run its `finally` blocks
    hub = _ChildHub(default=False)
    hub.parent = last = greenlet(_nothing_left, old.parent)
    last.switch(current)
    _hub_local.set_hub(hub)
    while current.parent is not old:
        current = current.parent
    current.parent = hub
    if isinstance(current, gevent.Greenlet):
        current.rawlink(_end)


def _look_for_signals(loop: Any) -> None:
    """Run some Python on the loop several times a second, as Python's signal handlers run between two of its instructions.

    gevent does so on its default loop only; on another one a signal would wait until the child has something to do.
    """
    timer = loop.timer(_SIGNALS_SEEN, _SIGNALS_SEEN, ref=False)
    timer.start(_nothing)
    _kept.append(timer)


def _nothing() -> None:
    """Do nothing."""


class _ChildHub(Hub):  # type: ignore[misc]  # gevent has no types
    """A hub whose first switch may be the end of a greenlet that never waited, which passes its result to its parent."""

    def run(self, _: object = None) -> None:
        """Run the event loop."""
        super().run()


_kept: list[Any] = []


def _nothing_left(current: Any) -> None:
    """Run as the parent of the new hub, when the greenlet waits for something that can never happen."""
    try:
        current.switch()
    except BaseException:  # noqa: BLE001  printed, and the process ends
        traceback.print_exc()
    _end(status=1)


def _end(_: object = None, status: int = 0) -> None:
    """End this process without touching what it shares with its parent, which sends the method's result itself."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is closed, or a pipe without a reader
            stream.flush()
    os._exit(status)


# The hooks before a fork run in reverse order: these come first, as the modules with locks have been imported.
os.register_at_fork(before=_prepare, after_in_parent=_in_parent, after_in_child=_in_child)
