"""Native threads for functions that block, and the calls that wait for one.

Owns how many run, how many may wait, and which of those are dropped before they begin. The threads are apart from gevent's own
pool, which looks up names and must not hang where they do. It knows neither methods nor sockets.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

import gevent
import gevent.event
from gevent.threadpool import ThreadPool

from gjrpc import forks
from gjrpc.errors import Overloaded

T = TypeVar("T")

MAX_THREADS = 10
"""Threads for methods that block, unless told otherwise."""

MAX_QUEUED = 1000
"""Calls that may wait for a thread, unless told otherwise."""

_LOOK = 0.5  # seconds between two looks whether who asked for a waiting call is still there
_GONE = "the client left before a thread was free for its call"


class Asker(Protocol):
    """Whoever waits for the answer; the greenlet that runs the call has it as its `task`."""

    def has_left(self) -> bool:
        """Whether it waits no more."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Do not count what runs for it among the calls in flight: threads have a bound of their own."""
        ...


class Threads:
    """Runs functions in a few threads; further ones wait for their turn, in order.

    What has begun can't be stopped: a thread counts as taken until its function has ended, also if nobody waits for it any more.

    Args:
        most: functions that run at the same time.
        queue: functions that may wait; further ones are refused.
    """

    def __init__(self, most: int = MAX_THREADS, queue: int = MAX_QUEUED) -> None:
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
        """Run it in a thread, with the context variables of here, and wait for what it returns or raises.

        Raises:
            Overloaded: too many wait already, or who asked for it has left; it has not begun.
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
        """Take a place among those that run."""
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
            if self._queue.pop(turn, turn) is turn:  # it had its turn already
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
        """See that the call is still wanted.

        Raises:
            Overloaded: it is not.
        """
        if self._asker is not None and self._asker.has_left():
            raise Overloaded(_GONE, retry_after=1)
