"""Child processes that methods can start, and wait for, in any thread.

Owns how event loops watch a child. gevent leaves that to libev, which has two limits. Only the main thread's loop can watch
children, so in a method that runs in a thread `subprocess.run` fails after it has started the program. And libev's signal handler
reaps every child of the process, so `os.system` and `multiprocessing` find theirs gone. Here each child has its own descriptor
(pidfd_open(2)), which any loop can watch, and only that child is reaped. This module knows no method and no server.
"""

import logging
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import gevent
import gevent.os
from gevent import monkey
from gevent._hub_local import get_hub_if_exists
from gevent.libev import corecext

log = logging.getLogger("gjrpc.process")

_POLL = 0.02  # seconds between two polls, on systems without descriptors for processes
_LOST = 255 << 8  # the wait status of a child that something else has reaped; asyncio reports 255 too

_waitpid = monkey.get_original("os", "waitpid")
_close = monkey.get_original("os", "close")  # gevent's version may wait, which is impossible in the event loop itself


class Loop(corecext.loop):  # type: ignore[misc]  # gevent has no types
    """gevent's event loop with another way to watch children."""

    __slots__ = ()

    def child(self, pid: int, trace: bool = False, ref: bool = True) -> "Child":
        """Return a watcher for a child of this process; `pid` 0 means any child."""
        return Child(self, pid, ref)

    def install_sigchld(self) -> None:
        """Do nothing: this way needs no SIGCHLD handler."""


def install() -> None:
    """Make all new event loops watch children this way, unless another kind of loop is configured.

    Call this before the main thread's loop exists: once that loop has watched a child, libev reaps the children of all threads.
    """
    if gevent.config.loop is corecext.loop:
        if get_hub_if_exists() is not None:
            log.debug("the main event loop existed before gjrpc was imported, so it watches child processes through libev")
        gevent.config.loop = Loop
        gevent.os._watched_children = _Watched(gevent.os._watched_children)
        gevent.os._get_hub = _main_hub


class _Watched(dict[int, Any]):
    """gevent's record of children, which one thread may iterate while another one adds to it."""

    def items(self) -> Any:
        """Return a copy of the entries."""
        return list(super().items())


def _main_hub() -> Any:
    """Return the hub whose watchers `os.close` must wait for, or None to close at once, as in threads other than the main one.

    gevent notes a descriptor that it will close only by its number, which may belong to another thread's file by then.
    """
    hub = get_hub_if_exists()
    return hub if hub is not None and hub.loop is not None and hub.loop.default else None


class _Exit:
    """How a child ended, shared by all its watchers: the first one that sees the end reaps the child.

    Attributes:
        ended: the process ID and the status, as `os.waitpid` returns them, or None.
    """

    def __init__(self) -> None:
        self._lock = monkey.get_original("_thread", "allocate_lock")()  # the watchers may be in different threads
        self.ended: tuple[int, int] | None = None

    def reap(self, pid: int) -> bool:
        """Return whether the child has ended, without waiting."""
        with self._lock:
            if self.ended is None:
                try:
                    found, status = _waitpid(pid or -1, os.WNOHANG)
                except ChildProcessError:
                    log.warning("something else reaped process %d, so its exit status is lost; reporting 255 instead", pid)
                    found, status = pid, _LOST
                self.ended = (found, status) if found else None
            return self.ended is not None


_exits: WeakValueDictionary[int, _Exit] = WeakValueDictionary()


class Child:
    """Watches one child; has the interface of libev's child watcher that `gevent.os` and `gevent.subprocess` use.

    Attributes:
        pid: the child's process ID; 0 means any child.
    """

    def __init__(self, loop: Any, pid: int, ref: bool) -> None:
        self.loop = loop
        self.pid = pid
        self._ref = ref
        self._exit = _exits.setdefault(pid, _Exit()) if pid else _Exit()
        self._descriptor: int | None = None
        self._watcher: Any = None

    def __repr__(self) -> str:
        return f"<Child {self.pid}, {'watched' if self.active else 'not watched'}>"

    @property
    def active(self) -> bool:
        """Whether the child is being watched."""
        return self._watcher is not None

    @property
    def rpid(self) -> int:
        """The ID of the process that ended, or 0."""
        return self._exit.ended[0] if self._exit.ended is not None else 0

    @property
    def rstatus(self) -> int:
        """The status of the process that ended, as `os.waitpid` returns it."""
        return self._exit.ended[1] if self._exit.ended is not None else 0

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call `callback(*arguments)` once in the loop when the child has ended."""
        self._descriptor = _descriptor(self.pid)
        if self._descriptor is None:
            self._watcher = self.loop.timer(_POLL, repeat=_POLL, ref=self._ref)
        else:
            self._watcher = self.loop.io(self._descriptor, 1, ref=self._ref)
        self._watcher.start(self._look, callback, arguments)

    def stop(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self._descriptor is not None:
            _close(self._descriptor)
            self._descriptor = None

    def close(self) -> None:
        """Stop watching."""
        self.stop()

    def _look(self, callback: Callable[..., object], arguments: tuple[object, ...]) -> None:
        if self._exit.reap(self.pid):
            # Another child may soon get the same ID, and its watchers share another status.
            if _exits.get(self.pid) is self._exit:
                del _exits[self.pid]
            self.stop()
            callback(*arguments)


def _descriptor(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None if the system has none for it."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError) as error:  # not Linux, a kernel before 5.3, too many open files, or `pid` 0
        log.debug("polling process %d every %g s: %s", pid, _POLL, error)
        return None
