"""Native threads for functions that block, and the queue of calls that wait for one.

Owns how many functions run, how many may wait, and which of those are dropped before they start. The threads are separate from
gevent's own pool, which resolves host names and must not hang when they do. It knows neither methods nor sockets.
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

_LOOK = 0.5  # seconds between two checks whether the client of a waiting call is still connected
_GONE = "the client disconnected before a thread was free for its call"


class Requester(Protocol):
    """The client of the current call: the `task` of the greenlet that runs it."""

    def has_left(self) -> bool:
        """Return whether the client has disconnected."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """In this block, do not count the call among the calls in flight: threads have their own limit."""
        ...


class Threads:
    """Runs functions in a few threads; further functions wait in a queue.

    A function that has started can't be stopped: it occupies its thread until it ends, even if its client has disconnected.

    Args:
        most: functions that may run at the same time.
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
        """The number of functions that wait for a thread."""
        return len(self._queue)

    def run(self, function: Callable[[], T]) -> T:
        """Run a function in a thread, with the context variables of this greenlet, and return its result or raise its exception.

        Raises:
            Overloaded: too many functions wait already, or the client has disconnected; the function has not started.
        """
        requester: Requester | None = getattr(gevent.getcurrent(), "task", None)
        with nullcontext() if requester is None else requester.aside():
            self._enter(requester)
            result, error = self._begin(function).get()
        if error is None:
            return result  # type: ignore[no-any-return]  # gevent has no types
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame: a cycle, which would live until Python collects it

    def close(self) -> None:
        """End the threads as they become idle."""
        if self._pool is not None:
            self._pool.maxsize = 0
            self._pool = None

    def _enter(self, requester: Requester | None) -> None:
        """Take a slot for a running function; wait if there is none."""
        if self._running < self.most and not self._queue:
            self._running += 1
            return
        if len(self._queue) >= self._longest:
            words = f"all {self.most} threads are busy, and {self._longest} calls wait for one; try again later"
            raise Overloaded(words, retry_after=1)
        turn = _Turn(requester)
        self._queue[turn] = None
        try:
            while not turn.given.wait(_LOOK):
                turn.check()
            turn.check()
        except BaseException:  # also if a deadline ends the wait
            if self._queue.pop(turn, turn) is turn:  # its turn has come already
                self._leave()
            raise

    def _begin(self, function: Callable[[], T]) -> Any:
        """Start a function; its exception is passed on as a value, because the pool would print some kinds itself."""

        def guarded() -> tuple[T | None, BaseException | None]:
            try:
                return function(), None
            except BaseException as error:  # noqa: BLE001  not swallowed: `run` raises it again
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
        """Pass the slot to the next function in the queue."""
        self._running -= 1
        while self._queue and self._running < self.most:
            turn = next(iter(self._queue))
            del self._queue[turn]
            self._running += 1
            turn.given.set()


class _Turn:
    """A call that waits for a thread."""

    __slots__ = ("_requester", "given")

    def __init__(self, requester: Requester | None) -> None:
        self.given = gevent.event.Event()
        self._requester = requester

    def check(self) -> None:
        """Check that the client still waits for the call.

        Raises:
            Overloaded: it has disconnected.
        """
        if self._requester is not None and self._requester.has_left():
            raise Overloaded(_GONE, retry_after=1)
