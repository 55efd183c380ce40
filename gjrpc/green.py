"""The runtime on gevent: blocking methods in its thread pool, deadlines by its timers.

Owns what a method's `blocking` and `deadline` mean on an event loop. Imported by the server, and by `runtime` where gevent runs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from gevent.hub import get_hub

from gjrpc.errors import DeadlineExceeded
from gjrpc.registry import Method

WIDTH = 32
"""Entries of one batch that may wait at the same time."""


class Green:
    """Runs blocking methods in the hub's native threads and stops a call at its deadline.

    A call that is stopped ends where it waits; a blocking one goes on in its thread, and its result is dropped.
    """

    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, GeneratorExit, gevent.GreenletExit)

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

        One greenlet works through the items, and a second one stands by, which the loop starts only if the first has to wait;
        that one calls a third, and so on. So items that need not wait cost no greenlet each.
        """
        results: list[Any] = [None] * len(items)
        todo = iter(enumerate(items))
        helpers: list[gevent.Greenlet] = []
        running = 0

        def work() -> None:
            nonlocal running
            running += 1
            if len(helpers) < WIDTH - 1:
                helpers.append(gevent.spawn(work))
            for index, item in todo:
                results[index] = function(item)
            running -= 1

        try:
            work()
            if running:
                gevent.joinall([helper for helper in helpers if helper], raise_error=True)
        finally:
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
    if error is not None:
        raise error
    return result
