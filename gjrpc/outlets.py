"""Standard output and error that never hold up whoever writes to them.

A pipe that nobody reads, a stopped terminal and a hanging disk make a plain write wait: on the event loop that stops every
answer, and SIGTERM too. Here a write only appends to a buffer, bounded in bytes, and a thread below gevent's patches takes it to
the descriptor. What finds no room is dropped, counted, and told once there is room again. It knows nothing of what is written:
the log, the access log, `print`, a traceback. (`logging.handlers.QueueHandler` bounds records, not bytes, and only the log's.)
"""

import atexit
import functools
import io
import os
import select
import stat
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from gevent import monkey

MOST = 1 << 20
"""Bytes that may wait to be written, on each of the two."""

PATIENCE = 1.0
"""Seconds that the end of a process waits for what is left to be written."""

_REST = 2.0  # seconds between two reports to another outlet
_UNREAD = "nobody read them in time"

# The ones below gevent's patches: a greenlet would wait on the very loop that must not wait.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_lock = monkey.get_original("_thread", "RLock")  # reentrant: a signal handler may write while its thread already does
_sleep = monkey.get_original("time", "sleep")
_poll = monkey.get_original("select", "poll")


class Outlet(io.BufferedIOBase):
    """The bytes on their way to one descriptor.

    The thread lives only while there is something to write, so that a process which has said nothing lately can fork without one.

    Args:
        descriptor: where they go.
        name: what the notice calls it.
        teller: the outlet on which dropped lines are told, where that is another one: an access log has no place for it.
        opened: the file behind the descriptor, closed after the last byte; None: the descriptor is never closed.
    """

    def __init__(self, descriptor: int, name: str, teller: "Outlet | None" = None, opened: Any = None) -> None:
        self.waits = False
        """Whether to wait for a slow reader, but no longer than `PATIENCE`: where nobody is served, as in a child of a method."""
        self._descriptor = descriptor
        self.name = name
        self._teller = teller or self
        self._opened = opened
        self._forget()
        _outlets.append(self)

    def _forget(self) -> None:
        self._lock = _new_lock()
        self._waiting = bytearray()
        self._size = 0  # with what the thread is just writing
        self._writing = self._dropping = False
        self._lost: Counter[tuple[str, str]] = Counter()  # lines to be told of, by the name of the outlet and the reason
        self._reported = -_REST

    def forked(self) -> None:
        """Begin anew in a child process: the lines that wait are the parent's to write, and its thread is not here."""
        self._forget()
        self.waits = True

    def writable(self) -> bool:
        """Say that one can write."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Take bytes, and return at once unless `waits` is set."""
        piece = bytes(data)
        if self.waits and self._size + len(piece) > MOST and not self._dropping:
            self.settle(PATIENCE)
        with self._lock:
            if self._writing and (self._dropping or self._size + len(piece) > MOST):
                self._dropping = True
                self._lost[self.name, _UNREAD] += piece.count(b"\n")
            else:
                self._waiting += piece
                self._size += len(piece)
                self._begin()
        return len(piece)

    def flush(self) -> None:
        """Return at once; where `waits` is set, wait until all is written, but no longer than `PATIENCE`."""
        if self.waits:
            self.settle(PATIENCE)

    def close(self) -> None:
        """Close the file behind it after the last byte."""
        if self._opened is not None and not self.closed:
            super().close()
            with self._lock:
                self._begin()

    def settle(self, patience: float) -> None:
        """Wait up to so many seconds until all is written; nothing else runs meanwhile."""
        end = time.monotonic() + patience
        while self._writing and time.monotonic() < end:
            _sleep(0.002)

    def report(self, lost: "Counter[tuple[str, str]]") -> None:
        """Tell what another outlet has dropped."""
        with self._lock:
            self._lost.update(lost)
            self._begin()

    def _begin(self) -> None:
        if self._writing:
            return
        self._writing = True
        try:
            _start_thread(self._empty, ())
        except RuntimeError:  # too many threads, or the interpreter is ending: what can be written at once is
            self._writing = False
            if _takes(self._descriptor, 0):
                self._empty()

    def _empty(self) -> None:
        """Write until nothing is left; in the thread."""
        while (taken := self._next()) is not None:
            data, told = taken
            left, reason = _put(self._descriptor, data)
            with self._lock:
                self._size = len(self._waiting)
                if reason:  # a full disk, say, or a reader that has gone: the next line tries again
                    self._lost.update(told or {(self.name, reason): max(1, left.count(b"\n"))})
                    self._hand_on()
                    self._writing = False
                    return

    def _next(self) -> "tuple[bytes, Counter[tuple[str, str]]] | None":
        """What is to be written next, and what it tells of dropped lines."""
        with self._lock:
            data = bytes(self._waiting)
            self._waiting.clear()
            if data:
                return data, Counter()
            self._dropping = False
            self._hand_on()
            if self._lost and self._teller is self:
                told, self._lost = self._lost, Counter()
                return "".join(_notice(*which, lines) for which, lines in told.items()).encode(), told
            self._writing = False
            if self.closed:
                self._opened.close()
            return None

    def _hand_on(self) -> None:
        """Let the other outlet tell of what was dropped here, once in a while."""
        if self._teller is not self and self._lost and time.monotonic() >= self._reported + _REST:
            self._reported = time.monotonic()
            self._teller.report(self._lost)
            self._lost = Counter()


_outlets: list[Outlet] = []


def _forked() -> None:
    for outlet in _outlets:
        outlet.forked()


os.register_at_fork(after_in_child=_forked)


def install() -> None:
    """Make `sys.stdout` and `sys.stderr` outlets; to be called again in a worker, which ends by `atexit` as the master does."""
    if not are_standard():
        _keep_descriptors()
        sys.stdout, sys.stderr = _made()
    for outlet in _outlets:
        outlet.waits = False


def are_standard() -> bool:
    """Whether standard error is an outlet now, and standard output another."""
    return isinstance(getattr(sys.stderr, "buffer", None), Outlet)


@contextmanager
def hurried() -> Iterator[None]:
    """The same for a program of the user's: in here nobody holds it up, and afterwards a slow reader does again for a moment.

    What the program has put in their place itself is its own to care for. In any other thread than the main one nothing changes:
    there the program does something else beside.
    """
    untouched = (sys.stdout, sys.stderr) == (sys.__stdout__, sys.__stderr__) and None not in (sys.stdout, sys.stderr)
    if not untouched or threading.current_thread() is not threading.main_thread():
        yield
        return
    sys.stdout, sys.stderr = made = _made()
    outlets: list[Any] = [stream.buffer for stream in made]
    for outlet in outlets:
        outlet.waits = False
    try:
        yield
    finally:
        settle()
        for outlet in outlets:
            outlet.waits = True


def over(opened: io.TextIOWrapper, name: str) -> io.TextIOWrapper:
    """An outlet over an open file, which is closed with it; the file itself where writing to it can't wait for a reader."""
    if isinstance(opened.buffer, Outlet) or stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened
    return _text(Outlet(opened.fileno(), name, opened=opened), opened)


def settle(patience: float = PATIENCE) -> None:
    """Wait up to so many seconds until all outlets are empty."""
    end = time.monotonic() + patience
    for outlet in _outlets:
        outlet.settle(end - time.monotonic())


atexit.register(settle)


def _keep_descriptors() -> None:
    """Put /dev/null where standard input, output or error is closed: else a connection would get that number, and log lines."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


@functools.cache
def _made() -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
    errors = _standard(sys.stderr, "standard error", None)
    return _standard(sys.stdout, "standard output", errors.buffer), errors


def _standard(stream: TextIO | None, name: str, teller: Any) -> io.TextIOWrapper:
    # Python has None where the descriptor was closed at its start; something else may have its number by now.
    descriptor = os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
    return _text(Outlet(descriptor, name, teller), stream)


def _text(outlet: Outlet, like: TextIO | None) -> io.TextIOWrapper:
    return io.TextIOWrapper(outlet, getattr(like, "encoding", "utf-8"), errors="backslashreplace", write_through=True)


def _put(descriptor: int, data: bytes) -> tuple[bytes, str]:
    """Write all; where that fails, return what is left, and the reason."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # whoever shares the descriptor has made it a non-blocking one
            _takes(descriptor, None)
        except OSError as error:
            return bytes(left), error.strerror or type(error).__name__
    return b"", ""


def _takes(descriptor: int, milliseconds: int | None) -> bool:
    """Whether a write would not wait; wait so long for that, or for ever."""
    poll = _poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _notice(name: str, reason: str, lines: int) -> str:
    now = time.time()
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return f"{at},{int(now % 1 * 1000):03d} WARNING gjrpc.outlets: {lines} lines of {name} were dropped: {reason}\n"
