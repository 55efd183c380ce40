"""Standard output and error that never block whoever writes to them.

A pipe that nobody reads, a stopped terminal or a hanging disk makes a plain write block: on the event loop that stops every
answer, and SIGTERM too. Here a write only appends to a buffer, bounded in bytes, and a native thread writes it to the
descriptor. What finds no room is dropped, counted, and reported once there is room again. It knows nothing of what is written:
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
"""Bytes that may wait to be written to each of the two."""

PATIENCE = 1.0
"""Seconds that an ending process waits for the remaining bytes to be written."""

_REST = 2.0  # seconds between two reports to another outlet
_UNREAD = "nobody read them in time"

# The ones below gevent's patches: a greenlet would wait on the very loop that must not wait.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_lock = monkey.get_original("_thread", "RLock")  # reentrant: a signal handler may write while its thread already does
_sleep = monkey.get_original("time", "sleep")
_poll = monkey.get_original("select", "poll")


class Outlet(io.BufferedIOBase):
    """A buffer of bytes for one descriptor.

    The thread lives only while there is something to write, so that a quiet process can fork without one.

    Args:
        descriptor: where they go.
        name: what the notice calls it.
        teller: the outlet that reports dropped lines, if another one, as an access log has no place for them.
        opened: the file behind the descriptor, closed after the last byte; None never closes the descriptor.
    """

    def __init__(self, descriptor: int, name: str, teller: "Outlet | None" = None, opened: Any = None) -> None:
        self.waits = False
        """Whether to wait for a slow reader, up to `PATIENCE`: in processes that serve nobody, such as a method's child."""
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
        """Start afresh in a child process: the parent writes the lines that wait, and its thread does not exist here."""
        self._forget()
        self.waits = True

    def writable(self) -> bool:
        """Return True: it can be written to."""
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
        """Return at once; if `waits` is set, wait until all is written, up to `PATIENCE`."""
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
        """Report what another outlet has dropped."""
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
        """Return what to write next, and the dropped lines that it reports."""
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
        """Make the other outlet report what was dropped here, once in a while."""
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
    """Make `sys.stdout` and `sys.stderr` outlets; call it again in each worker, which ends by `atexit` as the master does."""
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
    """The same for a user's own program: in this block no reader blocks it; afterwards a slow one does again, briefly.

    It leaves alone what the program itself has put in their place, and does nothing outside of the main thread, where the
    program does other work too.
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
    """Return an outlet over an open file, which it closes; or the file itself, if writing to it can't block on a reader."""
    if isinstance(opened.buffer, Outlet) or stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened
    return _text(Outlet(opened.fileno(), name, opened=opened), opened)


def settle(patience: float = PATIENCE) -> None:
    """Wait up to so many seconds until all outlets are empty."""
    end = time.monotonic() + patience
    for outlet in _outlets:
        outlet.settle(end - time.monotonic())


def _finish() -> None:
    """Write what is left at the end of the process; Python closes the streams later, when this module is in pieces."""
    settle()
    for outlet in _outlets:
        outlet.waits = False


atexit.register(_finish)


def _keep_descriptors() -> None:
    """Put /dev/null where standard input, output or error is closed; otherwise a connection gets that number, and log lines."""
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
    """Write everything; if that fails, return the rest and the reason."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process that shares the descriptor made it non-blocking
            _takes(descriptor, None)
        except OSError as error:
            return bytes(left), error.strerror or type(error).__name__
    return b"", ""


def _takes(descriptor: int, milliseconds: int | None) -> bool:
    """Return whether a write would not block, after waiting so many seconds for that, or without limit."""
    poll = _poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _notice(name: str, reason: str, lines: int) -> str:
    now = time.time()
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return f"{at},{int(now % 1 * 1000):03d} WARNING gjrpc.process.outlets: {lines} lines of {name} were dropped: {reason}\n"
