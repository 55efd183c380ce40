"""Notices a method that blocks the event loop, so that no other call is served, and logs its name.

Owns the thread that watches, its counts, and what it does about a method that blocks the loop again and again. A call pays
nothing for it: the thread looks at the stack of the loop's thread from outside, a few times in each span of the limit.
"""

import itertools
import logging
import sys
import time
import traceback
from collections import Counter
from types import FrameType
from typing import Any

from gevent import monkey

from gjrpc.calls.dispatch import Dispatcher
from gjrpc.calls.method import Method
from gjrpc.limits import STALL_LIMIT
from gjrpc.server import foreign

log = logging.getLogger("gjrpc.server")

# The functions below gevent's patches: a greenlet could not watch while a call holds the loop.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_thread_ident = monkey.get_original("_thread", "get_ident")
_sleep = monkey.get_original("time", "sleep")

_CALL = Dispatcher._run.__code__
_FOREIGN = foreign.run.__code__
_OFTEN = 3
"""Stalls after which a method runs in a thread, if offloading is on."""


class Watchdog:
    """Watches one event loop.

    Args:
        limit: seconds that a call may block the loop.
        offload: whether a method that has blocked it three times runs in a thread from then on, as if it were `blocking`.

    Attributes:
        stalls: how often each method blocked the loop for longer than that.
    """

    def __init__(self, limit: float = STALL_LIMIT, *, offload: bool = False) -> None:
        self.limit = limit
        self.stalls: Counter[str] = Counter()
        self._offload = offload
        self._alive = False

    def start(self, loop: Any) -> None:
        """Start watching the loop that runs in this thread."""
        self._alive = True
        _start_thread(self._watch, (loop, _thread_ident()))

    def stop(self) -> None:
        """Stop watching; the thread ends at its next look."""
        self._alive = False

    def _watch(self, loop: Any, thread: int) -> None:
        try:
            self._look_again_and_again(loop, thread)
        except ValueError:
            if self._alive:  # else the loop is gone that it was looking at
                raise

    def _look_again_and_again(self, loop: Any, thread: int) -> None:
        pause = self.limit / 3
        held: FrameType | None = None
        turn, since, noted, last = -1, 0.0, False, time.monotonic()
        while True:
            _sleep(pause)
            if not self._alive:
                return
            now = time.monotonic()
            frame = _call_of(sys._current_frames().get(thread))
            # The same call in the same turn of the loop: it has not come back since. If this thread did not get to look for
            # long, the process may have been stopped, and the call is not to blame.
            if frame is None or frame is not held or loop.iteration != turn or now - last > 2 * self.limit:
                held, turn, since, noted = frame, loop.iteration, now, False
            elif not noted and now - since >= self.limit - pause:
                noted = True
                self._note(frame, sys._current_frames()[thread])
            last = now

    def _note(self, call: FrameType, top: FrameType) -> None:
        name, method = _named(call)
        self.stalls[name] += 1
        if self.stalls[name] == 1:
            words = (
                "%s has blocked the event loop for more than %g s, and no other call can run meanwhile: register it with "
                "blocking=True, or let it wait through gevent. Its stack:"
            )
            _warn(_stack(call, top), words, name, self.limit)
        elif self._offload and method is not None and method.plain and self.stalls[name] >= _OFTEN:
            call.f_locals["self"].offload(method)
            log.warning("%s has blocked the event loop %d times and runs in a thread from now on", name, self.stalls[name])


def _warn(stack: str, words: str, *arguments: object) -> None:
    """Log a warning with the stack of another thread."""
    if log.isEnabledFor(logging.WARNING):
        log.handle(log.makeRecord(log.name, logging.WARNING, __file__, 0, words, arguments, None, sinfo=stack))


def _call_of(frame: FrameType | None) -> FrameType | None:
    """The frame in which a call is run, if this one is in it."""
    while frame is not None and frame.f_code is not _CALL and frame.f_code is not _FOREIGN:
        frame = frame.f_back
    return frame


def _named(call: FrameType) -> tuple[str, Method | None]:
    known = call.f_locals
    if call.f_code is _FOREIGN:
        return f"the application, {known['environ'].get('REQUEST_URI')},", None
    method = known.get("method")
    return f"method {known['call'].name}", method if isinstance(method, Method) else None


def _stack(call: FrameType, top: FrameType) -> str:
    within = itertools.takewhile(lambda step: step[0] is not call, traceback.walk_stack(top))
    summary = traceback.StackSummary.extract(within)
    summary.reverse()
    return "".join(summary.format()).rstrip()
