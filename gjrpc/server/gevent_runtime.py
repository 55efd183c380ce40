"""The runtime on gevent: blocking methods in native threads, deadlines by its timers.

Owns what a method's `blocking` and `deadline` mean on an event loop. Imported by the server, and by `runtime` where gevent runs.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import length_hint
from typing import Any, TypeVar

import gevent
from gevent.hub import get_hub

from gjrpc.calls.context import set_peer
from gjrpc.calls.method import Method
from gjrpc.calls.runtime import FEW, comes_from_outside, is_interrupt, late, on_time
from gjrpc.limits import MAX_QUEUED, THREADS
from gjrpc.process import children
from gjrpc.process.threads import Threads

T = TypeVar("T")

children.install()  # while no loop exists yet: blocking methods start programs too

WIDTH = 32
"""Entries of one batch that may wait at the same time."""

_QUEUED_APART = 64
"""Functions that may wait to run apart: password checks, a few seconds' worth."""

_askers: set[Any] = set()
"""Greenlets that asked for a batch and now run an entry of it."""


class _Helper(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """Runs entries of a batch beside the greenlet that received it, for the same client."""

    task: Any = None


def passes(error: BaseException) -> bool:
    """Whether the exception ends the greenlet that runs a call: an interrupt of the process, or a kill from outside.

    Whatever a method itself raises, even of these classes, is its answer.
    """
    return is_interrupt(error) or (isinstance(error, gevent.GreenletExit) and comes_from_outside(error))


class Green:
    """Runs blocking methods in native threads and stops a call at its deadline.

    A stopped call ends where it waits; a blocking one goes on in its thread, and its result is dropped. A call that computes
    can't be stopped: it runs to its end and then gets the error. The calling greenlet's context variables are set in that thread
    too, and in each greenlet that takes an entry of its batch. What runs `apart` has its own threads, so that hanging methods do
    not hold it up.

    Args:
        threads: for blocking methods.
        queue: blocking calls that may wait for a thread; further ones are refused.
    """

    def __init__(self, threads: int = THREADS, queue: int = MAX_QUEUED) -> None:
        self._threads = Threads(threads, queue)
        self._apart = Threads(FEW, _QUEUED_APART)

    def passes(self, error: BaseException) -> bool:
        """As `passes`, but a kill in a batch ends only the current entry, with an error; the next one follows."""
        if isinstance(error, gevent.GreenletExit):
            current = gevent.getcurrent()
            return current not in _askers and type(current) is not _Helper and passes(error)
        return passes(error)

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run it as it was registered.

        Raises:
            DeadlineExceeded: it did not end within the method's deadline.
        """
        call = partial(method.run, *positional, **named)
        run = self._in_thread if method.options.blocking else _in_place
        if method.options.deadline is None:
            return run(call)
        with gevent.Timeout(method.options.deadline) as timeout:
            try:
                return on_time(method.options.deadline, partial(run, call))
            except gevent.Timeout as fired:
                if fired is not timeout:
                    raise
                raise late(method.options.deadline) from None

    def _in_thread(self, call: Callable[[], T]) -> T:
        return self._threads.run(partial(_for_peer, _peer(), call))

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Run a function over all items, up to `WIDTH` at a time."""
        return _Map(function, items).run()

    def apart(self, function: Callable[[], T]) -> T:
        """Run it in a thread when its turn comes."""
        return self._apart.run(function)

    def close(self) -> None:
        """Let the threads end as they become idle."""
        self._threads.close()
        self._apart.close()


class _Map:
    """The items of one `map`, and the greenlets that work through them.

    The greenlet that asks takes item after item. Only if it has to wait does the loop go on, and call a helper; if that one waits
    too another one, and so on: items that need not wait cost no greenlet, nor a turn of the loop.
    """

    __slots__ = ("_asker", "_function", "_helpers", "_items", "_loop", "_results", "_todo")

    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any]) -> None:
        self._function = function
        self._items = items
        self._results: list[Any] = [None] * len(items)
        self._todo = iter(range(len(items)))
        self._helpers: list[_Helper] = []
        self._loop = get_hub().loop
        self._asker = gevent.getcurrent()

    def run(self) -> list[Any]:
        asker = self._asker
        within = asker in _askers  # an entry of another batch asks for this one
        try:
            _askers.add(asker)
            try:
                self._work()
            finally:
                if not within:
                    _askers.discard(asker)
            for helper in self._helpers:  # none comes any more: there is nothing left to do for it
                helper.get()
        except BaseException:
            deque(self._todo, 0)  # takes what is left to do, so that no greenlet begins it
            gevent.killall(self._helpers, block=False)
            raise
        return self._results

    def _work(self) -> None:
        function, items, results, todo = self._function, self._items, self._results, self._todo
        if length_hint(todo) > 1 and len(self._helpers) < WIDTH - 1:
            self._loop.run_callback(self._call_helper)
        for index in todo:
            results[index] = function(items[index])

    def _call_helper(self) -> None:
        if length_hint(self._todo):
            helper = _Helper(self._work)
            context = self._asker.gr_context
            helper.gr_context = context and context.copy()
            helper.task = getattr(self._asker, "task", None)
            helper.start()
            self._helpers.append(helper)


def _in_place(call: Callable[[], Any]) -> Any:
    return call()


def _peer() -> Any:
    """The connection whose request this greenlet answers, which is its task (`gjrpc.server.scheduler`); None elsewhere."""
    return getattr(gevent.getcurrent(), "task", None)


def _for_peer(peer: Any, call: Callable[[], T]) -> T:
    set_peer(peer)
    return call()
