"""The runtime on gevent: blocking methods in its thread pool, deadlines by its timers.

Owns what a method's `blocking` and `deadline` mean on an event loop. Imported by the server, and by `runtime` where gevent runs.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from gevent.hub import get_hub

from gjrpc.errors import DeadlineExceeded
from gjrpc.registry import Method

WIDTH = 32
"""Entries of one batch that may wait at the same time."""

PASSING: tuple[type[BaseException], ...] = (KeyboardInterrupt, GeneratorExit, gevent.GreenletExit)
"""What ends the greenlet that runs a call, and is no answer to it."""

_PASSING_IN_BATCH: tuple[type[BaseException], ...] = (KeyboardInterrupt, GeneratorExit)


class _Helper(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """Runs entries of one batch."""


class Green:
    """Runs blocking methods in the hub's native threads and stops a call at its deadline.

    A call that is stopped ends where it waits; a blocking one goes on in its thread, and its result is dropped.
    """

    @property
    def passing(self) -> tuple[type[BaseException], ...]:
        """`PASSING`; but where a helper is killed, the entry that it runs is what fails, and the others of the batch go on."""
        return _PASSING_IN_BATCH if type(gevent.getcurrent()) is _Helper else PASSING

    def call(self, method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run it as it was registered.

        Raises:
            DeadlineExceeded: it did not end within the method's deadline.
        """
        run = _in_thread if method.blocking else _in_place
        if method.deadline is None:
            return run(method, positional, named)
        with gevent.Timeout(method.deadline) as timeout:
            try:
                return run(method, positional, named)
            except gevent.Timeout as fired:
                if fired is not timeout:
                    raise
                raise DeadlineExceeded(f"the call took longer than its deadline of {method.deadline:g} s") from None

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Run a function over all items, up to `WIDTH` at a time.

        One greenlet works through the items, and a second one stands by, which the loop starts only when the first waits or is
        done; that one calls a third, and so on. So items that need not wait cost no greenlet each.
        """
        if len(items) == 1:
            return [function(items[0])]
        results: list[Any] = [None] * len(items)
        todo = deque(enumerate(items))

        def work() -> None:
            if len(todo) > 1 and len(helpers) < WIDTH:
                helpers.append(_Helper.spawn(work))
            while todo:
                index, item = todo.popleft()
                results[index] = function(item)

        helpers = [_Helper.spawn(work)]
        try:
            for helper in helpers:  # it grows meanwhile; the one that a helper calls is in it before that helper ends
                helper.get()
        finally:
            todo.clear()
            gevent.killall(helpers, block=False)
        return results


def _in_place(method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    return method.function(*positional, **named)


def _in_thread(method: Method, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Run it in gevent's pool; what it raises travels as a value, since the pool would print some kinds on its own."""

    def guarded() -> tuple[Any, BaseException | None]:
        try:
            return method.function(*positional, **named), None
        except BaseException as error:  # noqa: BLE001  nothing is swallowed: it is raised again in the caller
            return None, error

    result, error = get_hub().threadpool.spawn(guarded).get()
    if error is None:
        return result
    try:
        raise error
    finally:
        del error  # its traceback leads back to this frame: a cycle, which would live until it is collected
