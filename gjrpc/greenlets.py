"""Greenlets that run tasks and are kept for the next: a connection that only waits has none.

Owns who runs what; it knows neither sockets nor requests. A task is anything with an `advance()` that may wait.
"""

from typing import Any, Protocol

import gevent
from gevent.hub import get_hub


class Task(Protocol):
    """Something to be done."""

    def advance(self) -> None:
        """Do it; raises nothing but what ends the greenlet."""
        ...


class Greenlets:
    """Runs tasks at once, each in a greenlet of its own for as long as it takes.

    Like the threads of a pool, a greenlet runs one task after another: what a task leaves behind in greenlet-local storage or in
    a context variable, a later one finds.

    Args:
        keep: idle greenlets to keep for tasks to come.
    """

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._idle: list[Any] = []

    def run(self, task: Task) -> None:
        """Run a task until it waits for the first time; to be called in the hub."""
        while self._idle:
            greenlet = self._idle.pop()
            if not greenlet.dead:
                greenlet.switch(task)
                return
        gevent.spawn(self._work, task)

    def stop(self) -> None:
        """End the idle greenlets."""
        idle, self._idle = self._idle, []
        gevent.killall(idle, block=False)

    def _work(self, task: Task) -> None:
        greenlet = gevent.getcurrent()
        wait = get_hub().switch
        while True:
            task.advance()
            if len(self._idle) >= self._keep:
                return
            self._idle.append(greenlet)
            # Whatever is thrown in here, such as a timeout that a method left running, ends this greenlet, and `run` sees that.
            task = wait()
