"""Runs tasks in greenlets, which are kept for the next tasks: an idle connection has no greenlet.

Owns which greenlet runs which task, and how many tasks may wait in the middle at the same time. It knows neither sockets nor
requests.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gevent
from gevent.hub import get_hub

from gjrpc.limits import MAX_CALLS

_LONG = 0.0005
"""Seconds of computing after which a task counts as a long one."""

_AFTER_IO = -2
"""libev's lowest priority: of the watchers that are pending after a poll, this one runs last."""


class Task(Protocol):
    """Something to be done when it is ready."""

    def advance(self) -> None:
        """Do it; raise nothing but what ends the greenlet."""
        ...

    def refuse(self) -> None:
        """Do it without beginning anything that may wait: too many tasks wait already."""
        ...

    def waits(self) -> None:
        """Note that it waits for the first time; runs in the hub, where nothing may wait."""
        ...


class Greenlets:
    """Runs the tasks that are ready, after each poll: one greenlet runs them one after another, as long as none waits.

    As in a pool of threads, one greenlet runs many tasks: a later task finds what an earlier one has left in greenlet-local
    storage or in a context variable.

    Args:
        most: tasks that may wait in the middle at the same time; further ones are refused. While tasks compute for long, those
            that are ready count too.
        keep: idle greenlets to keep for tasks to come.

    Attributes:
        ready: tasks to run; `ready.append` is a watcher's callback.
    """

    def __init__(self, most: int = MAX_CALLS, keep: int = 64) -> None:
        self.most = most
        self.ready: deque[Task] = deque()
        self._keep = keep
        self._count = 0
        self._average = 0.0  # seconds that a task took in the last round
        self._idle: list[_Greenlet] = []
        self._watcher: Any = None

    @property
    def waiting(self) -> int:
        """How many tasks wait in the middle."""
        return self._count - len(self._idle)

    def start(self) -> None:
        """Run what is ready after each poll of the loop, from now on."""
        self._watcher = get_hub().loop.check(ref=False, priority=_AFTER_IO)
        self._watcher.start(self._run)

    def run_later(self, task: Task) -> None:
        """Run a task after the others that are ready by then."""
        get_hub().loop.run_callback(self._run_now, task)

    def _run_now(self, task: Task) -> None:
        self.ready.append(task)
        if self._watcher is not None:
            self._run()

    def refuse_all(self, refuse: bool) -> None:
        """Refuse every task that becomes ready from now on, or run them again; the usual path of a task does not check this."""
        if refuse:
            self._next = self._refusing  # type: ignore[method-assign]  # in the place of the class's own
        else:
            del self._next

    @contextmanager
    def aside(self) -> Iterator[None]:
        """In this block, do not count the current task among those that wait: it waits for a client, not for the server."""
        greenlet = gevent.getcurrent()
        counted = isinstance(greenlet, _Greenlet) and greenlet.task is not None
        self._count -= counted
        try:
            yield
        finally:
            self._count += counted

    def stop(self) -> None:
        """Run no more tasks, and end the idle greenlets."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        idle, self._idle = self._idle, []
        gevent.killall(idle, block=False)

    def disown(self) -> None:
        """In a forked child, run nothing after the current task: the others belong to the parent."""
        self.ready.clear()
        self._keep = -1

    def _run(self) -> None:
        """Run all that is ready. Runs in the hub, to which a greenlet returns when it waits or when nothing is left."""
        count = len(self.ready)
        if not count:
            return
        surplus = count + self.waiting - self.most
        if surplus > 0 and self._average > _LONG:  # they compute: the last ones would wait for long
            count -= min(surplus, count)
            _Greenlet(self._refuse, len(self.ready) - count).switch()
        begin = time.perf_counter()
        while self.ready:
            greenlet = self._next()
            greenlet.waited = False
            greenlet.switch()
            if greenlet.task is not None:
                greenlet.waited = True
                greenlet.task.waits()
        if count:
            self._average = (time.perf_counter() - begin) / count

    def _next(self) -> "_Greenlet":
        while self._idle:
            greenlet = self._idle.pop()
            if not greenlet.dead:  # a timeout that a method left running may have ended it
                return greenlet
        if self._count >= self.most:
            return self._refusing()
        self._count += 1
        return _Greenlet(self._work)

    def _refusing(self) -> "_Greenlet":
        return _Greenlet(self._refuse, len(self.ready))

    def _work(self) -> None:
        greenlet, ready, wait = gevent.getcurrent(), self.ready, get_hub().switch
        task: Task | None
        try:
            while True:
                # After a wait it is not `_run` that resumes this greenlet, and a further task that waits would go unnoticed.
                while ready and not greenlet.waited:
                    greenlet.task = task = ready.popleft()
                    task.advance()
                greenlet.task = task = None  # an idle greenlet keeps nothing alive
                if len(self._idle) >= self._keep:
                    return
                self._idle.append(greenlet)
                wait()
        finally:
            self._count -= 1

    def _refuse(self, count: int) -> None:
        """Refuse this many tasks, those that came last."""
        for task in [self.ready.pop() for _ in range(count)][::-1]:
            task.refuse()


class _Greenlet(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """A greenlet, the task that it runs, and whether it has waited since it was given one."""

    task: Task | None = None
    waited: bool = False
