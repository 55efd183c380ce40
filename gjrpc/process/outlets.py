"""Standard output and error that never block the code that writes to them.

A pipe without a reader, a stopped terminal or a hanging disk makes a normal write block; on the event loop that would stop
every answer, and SIGTERM too. Here a write only appends to a buffer of bounded size, and a native thread writes the buffer to
the descriptor. Lines for which there is no room are dropped, counted, and reported once there is room again. This module does
not know what is written. (`logging.handlers.QueueHandler` bounds the number of records, not their bytes, and only the log's.)
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
"""Bytes that may wait to be written to one descriptor."""

PATIENCE = 1.0
"""Seconds that a process waits at its end for the remaining bytes to be written."""

_REST = 2.0  # seconds between two reports through another outlet
_UNREAD = "nobody read them in time"

# The functions below gevent's patches: a greenlet would wait on the event loop, which must not wait.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_lock = monkey.get_original("_thread", "RLock")  # reentrant: a signal handler may write while its own thread is writing
_sleep = monkey.get_original("time", "sleep")
_poll = monkey.get_original("select", "poll")


class Outlet(io.BufferedIOBase):
    """A buffer of bytes for one descriptor, and the thread that writes them.

    The thread exists only while there is something to write, so that an idle process can fork without one.

    Args:
        descriptor: the descriptor to write to.
        name: its name in reports of dropped lines.
        reporter: the outlet that reports dropped lines; by default this one. (A report would not fit into an access log.)
        opened: the file of the descriptor, which is closed after the last byte; with None the descriptor is never closed.
    """

    def __init__(self, descriptor: int, name: str, reporter: "Outlet | None" = None, opened: Any = None) -> None:
        self.waits = False
        """Whether to wait for a slow reader, up to `PATIENCE`; False in a server, True in a method's child process."""
        self._descriptor = descriptor
        self.name = name
        self._reporter = reporter or self
        self._opened = opened
        self._forget()
        _outlets.append(self)

    def _forget(self) -> None:
        self._lock = _new_lock()
        self._waiting = bytearray()
        self._size = 0  # includes what the thread is writing
        self._writing = self._dropping = False
        self._lost: Counter[tuple[str, str]] = Counter()  # lines to report, by the name of the outlet and the reason
        self._reported = -_REST

    def forked(self) -> None:
        """Start again in a child process: the parent writes the waiting lines, and its thread does not exist here."""
        self._forget()
        self.waits = True

    def writable(self) -> bool:
        """Return True: this stream can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Add bytes to the buffer; return at once unless `waits` is set."""
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
        """Return at once; if `waits` is set, first wait until everything is written, up to `PATIENCE`."""
        if self.waits:
            self.settle(PATIENCE)

    def close(self) -> None:
        """Close the file of the descriptor after the last byte."""
        if self._opened is not None and not self.closed:
            super().close()
            with self._lock:
                self._begin()

    def settle(self, patience: float) -> None:
        """Wait up to `patience` seconds until everything is written; no greenlet runs meanwhile."""
        end = time.monotonic() + patience
        while self._writing and time.monotonic() < end:
            _sleep(0.002)

    def report(self, lost: "Counter[tuple[str, str]]") -> None:
        """Report lines that another outlet has dropped."""
        with self._lock:
            self._lost.update(lost)
            self._begin()

    def _begin(self) -> None:
        if self._writing:
            return
        self._writing = True
        try:
            _start_thread(self._empty, ())
        except RuntimeError:  # too many threads, or Python is exiting: write at once if that does not block
            self._writing = False
            if _can_write(self._descriptor, 0):
                self._empty()

    def _empty(self) -> None:
        """Write until nothing is left; this is what the thread runs."""
        while (taken := self._next()) is not None:
            data, reported = taken
            left, reason = _put(self._descriptor, data)
            with self._lock:
                self._size = len(self._waiting)
                if reason:  # for example a full disk, or a pipe without a reader: the next line tries again
                    self._lost.update(reported or {(self.name, reason): max(1, left.count(b"\n"))})
                    self._hand_on()
                    self._writing = False
                    return

    def _next(self) -> "tuple[bytes, Counter[tuple[str, str]]] | None":
        """Return the bytes to write next, and the dropped lines that they report; None if there is nothing to write."""
        with self._lock:
            data = bytes(self._waiting)
            self._waiting.clear()
            if data:
                return data, Counter()
            self._dropping = False
            self._hand_on()
            if self._lost and self._reporter is self:
                reported, self._lost = self._lost, Counter()
                return "".join(_notice(*which, lines) for which, lines in reported.items()).encode(), reported
            self._writing = False
            if self.closed:
                self._opened.close()
            return None

    def _hand_on(self) -> None:
        """Pass dropped lines to the outlet that reports them, at most every `_REST` seconds."""
        if self._reporter is not self and self._lost and time.monotonic() >= self._reported + _REST:
            self._reported = time.monotonic()
            self._reporter.report(self._lost)
            self._lost = Counter()


_outlets: list[Outlet] = []


def _forked() -> None:
    for outlet in _outlets:
        outlet.forked()


os.register_at_fork(after_in_child=_forked)


def install() -> None:
    """Make `sys.stdout` and `sys.stderr` outlets; call this again in each worker process."""
    if not are_standard():
        _keep_descriptors()
        sys.stdout, sys.stderr = _made()
    for outlet in _outlets:
        outlet.waits = False


def are_standard() -> bool:
    """Return whether standard output and standard error are outlets."""
    return isinstance(getattr(sys.stderr, "buffer", None), Outlet)


@contextmanager
def hurried() -> Iterator[None]:
    """Make standard output and error outlets of a user's own program: in this block no reader blocks it.

    After the block the outlets stay, and wait for a slow reader up to `PATIENCE`. Streams that the program has replaced itself
    stay as they are. Outside of the main thread nothing changes, because the program does other work there.
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
    """Return an outlet that writes to an open file and closes it; or the file itself, if it is regular or an outlet already."""
    if isinstance(opened.buffer, Outlet) or stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened
    return _text(Outlet(opened.fileno(), name, opened=opened), opened)


def settle(patience: float = PATIENCE) -> None:
    """Wait up to `patience` seconds until all outlets are empty."""
    end = time.monotonic() + patience
    for outlet in _outlets:
        outlet.settle(end - time.monotonic())


def _finish() -> None:
    """Write what is left when the process ends; Python closes the streams later, when parts of this module are gone."""
    settle()
    for outlet in _outlets:
        outlet.waits = False


atexit.register(_finish)


def _keep_descriptors() -> None:
    """Open /dev/null for each closed standard stream: a connection that got its descriptor would get log lines."""
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


def _standard(stream: TextIO | None, name: str, reporter: Any) -> io.TextIOWrapper:
    # Python sets the stream to None if its descriptor was closed at the start; another file may have that number by now.
    descriptor = os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
    return _text(Outlet(descriptor, name, reporter), stream)


def _text(outlet: Outlet, like: TextIO | None) -> io.TextIOWrapper:
    return io.TextIOWrapper(outlet, getattr(like, "encoding", "utf-8"), errors="backslashreplace", write_through=True)


def _put(descriptor: int, data: bytes) -> tuple[bytes, str]:
    """Write all data; if that fails, return the rest and the reason."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process, with which the descriptor is shared, made it non-blocking
            _can_write(descriptor, None)
        except OSError as error:
            return bytes(left), error.strerror or type(error).__name__
    return b"", ""


def _can_write(descriptor: int, milliseconds: int | None) -> bool:
    """Return whether a write would not block; wait for that up to `milliseconds`, or without limit if it is None."""
    poll = _poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _notice(name: str, reason: str, lines: int) -> str:
    now = time.time()
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return f"{at},{int(now % 1 * 1000):03d} WARNING gjrpc.process.outlets: {lines} lines of {name} were dropped: {reason}\n"
