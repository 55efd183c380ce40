"""Native threads for functions that block, and the calls that wait for one.

Owns how many run, how many may wait, and which of those are dropped before they begin. The threads are separate from gevent's own
pool, which looks up names and must not hang when they do. It knows neither methods nor sockets.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

import gevent
import gevent.event
from gevent.threadpool import ThreadPool

from gjrpc.errors import Overloaded
from gjrpc.limits import MAX_QUEUED, THREADS
from gjrpc.process import forks

T = TypeVar("T")

_LOOK = 0.5  # seconds between two checks whether a waiting call's client is still there
_GONE = "the client left before a thread was free for its call"


class Asker(Protocol):
    """Whoever waits for the answer: the `task` of the greenlet that runs the call."""

    def has_left(self) -> bool:
        """Whether it no longer waits."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """In this block, do not count its call among the calls in flight: threads have their own limit."""
        ...


class Threads:
    """Runs functions in a few threads; further ones wait their turn, in order.

    A function that has begun can't be stopped: its thread is taken until it has ended, even if nobody waits for it any more.

    Args:
        most: functions that run at the same time.
        queue: functions that may wait; further ones are refused.
    """

    def __init__(self, most: int = THREADS, queue: int = MAX_QUEUED) -> None:
        self.most = most
        self._longest = queue
        self._running = 0
        self._queue: dict[_Turn, None] = {}
        self._pool: ThreadPool | None = None

    @property
    def waiting(self) -> int:
        """How many functions wait for a thread."""
        return len(self._queue)

    def run(self, function: Callable[[], T]) -> T:
        """Run it in a thread, with the caller's context variables, and wait for what it returns or raises.

        Raises:
            Overloaded: too many wait already, or the client has left; the function has not begun.
        """
        asker: Asker | None = getattr(gevent.getcurrent(), "task", None)
        with nullcontext() if asker is None else asker.aside():
            self._enter(asker)
            result, error = self._begin(function).get()
        if error is None:
            return result  # type: ignore[no-any-return]  # gevent has no types
        try:
            raise error
        finally:
            del error  # its traceback leads back to this frame: a cycle, which would live until it is collected

    def close(self) -> None:
        """Let the threads end as they become idle."""
        if self._pool is not None:
            self._pool.maxsize = 0
            self._pool = None

    def _enter(self, asker: Asker | None) -> None:
        """Take a place among the running functions, or wait for one."""
        if self._running < self.most and not self._queue:
            self._running += 1
            return
        if len(self._queue) >= self._longest:
            words = f"all {self.most} threads are busy, and {self._longest} calls wait for one: come back later"
            raise Overloaded(words, retry_after=1)
        turn = _Turn(asker)
        self._queue[turn] = None
        try:
            while not turn.given.wait(_LOOK):
                turn.check()
            turn.check()
        except BaseException:  # also where a deadline ends the wait
            if self._queue.pop(turn, turn) is turn:  # it already had its turn
                self._leave()
            raise

    def _begin(self, function: Callable[[], T]) -> Any:
        """Start it; what it raises travels as a value, since the pool would print some kinds on its own."""

        def guarded() -> tuple[T | None, BaseException | None]:
            try:
                return function(), None
            except BaseException as error:  # noqa: BLE001  nothing is swallowed: it is raised again in the caller
                return None, error
            finally:
                forks.end_if_strayed()

        try:
            if self._pool is None:
                self._pool = ThreadPool(self.most)
            begun = self._pool.spawn(copy_context().run, guarded)
        except BaseException:
            self._leave()
            raise
        begun.rawlink(self._leave)
        return begun

    def _leave(self, _: object = None) -> None:
        """Give the place to the next in the queue."""
        self._running -= 1
        while self._queue and self._running < self.most:
            turn = next(iter(self._queue))
            del self._queue[turn]
            self._running += 1
            turn.given.set()


class _Turn:
    """A call that waits for a thread."""

    __slots__ = ("_asker", "given")

    def __init__(self, asker: Asker | None) -> None:
        self.given = gevent.event.Event()
        self._asker = asker

    def check(self) -> None:
        """Check that the call is still wanted.

        Raises:
            Overloaded: it is not.
        """
        if self._asker is not None and self._asker.has_left():
            raise Overloaded(_GONE, retry_after=1)
