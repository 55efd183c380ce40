"""What one call of the client may use: time, and bytes of an answer.

Owns the count of both, and the call in progress. It touches no socket.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from gjrpc.calls.runtime import gevent_patched

_FRAMING = 128 * 1024  # further bytes for the head of an answer and the framing of its chunks


class LateError(Exception):
    """The call has taken longer than it may. urllib3 does not know this class, so it does not retry."""


class LargeError(Exception):
    """The answer has more bytes than it may."""


class Budget:
    """The limits of one call.

    Args:
        connect: seconds to connect to one address, or None.
        total: seconds for the whole call, starting now, or None.
        max_answer: bytes that an answer's decoded body may have.

    Attributes:
        sent: whether bytes of the request have gone out to the server.
        query: appended to each target only when it is sent: urllib3 logs targets, and the query may hold a key.
    """

    def __init__(self, connect: float | None, total: float | None, max_answer: int) -> None:
        self._connect = connect
        self._end = None if total is None else time.monotonic() + total
        self.max_answer = max_answer
        self.sent = False
        self.query = ""
        self._received = 0

    def left(self) -> float | None:
        """Return the seconds left, or None for no limit.

        Raises:
            LateError: none.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise LateError
        return left

    def to_connect(self) -> float | None:
        """Return the seconds that an attempt to connect may take now."""
        known = [limit for limit in (self._connect, self.left()) if limit is not None]
        return min(known, default=None)

    def allows(self, seconds: float) -> bool:
        """Return whether any time would be left after a wait of so many seconds."""
        return self._end is None or time.monotonic() + seconds < self._end

    def begin_answer(self) -> None:
        """Start counting the bytes of an answer."""
        self._received = 0

    def receive(self, count: int) -> None:
        """Count bytes as they arrive, so that an endless head is bounded too.

        Raises:
            LargeError: they are too many.
        """
        self._received += count
        if self._received > self.max_answer + _FRAMING:
            raise LargeError


current: ContextVar[Budget] = ContextVar("budget")
"""The budget of the call under way: urllib3 hands nothing of a call down to its connections."""


@contextmanager
def within(budget: Budget) -> Iterator[None]:
    """Limit everything sent and read in this block to the budget.

    Raises:
        LateError: the time is up.
    """
    token = current.set(budget)
    try:
        with ExitStack() as stack:
            left = budget.left()
            if left is not None and gevent_patched():
                # gevent's TLS gives each of its waits the whole timeout of the socket; this also ends a look-up of a name.
                stack.enter_context(sys.modules["gevent"].Timeout(left, LateError))
            yield
    finally:
        current.reset(token)
