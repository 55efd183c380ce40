"""The budget of one call: its time, and the bytes of its answer.

Owns the count of both, and which call is in progress. It touches no socket.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from gjrpc.calls.runtime import gevent_patched

_FRAMING = 128 * 1024  # further bytes for the head of an answer and the framing of its chunks


class LateError(Exception):
    """The call's time is up. urllib3 does not know this class, so it does not retry."""


class LargeError(Exception):
    """The answer has more bytes than the call accepts."""


class Budget:
    """What one call has left of its time and its bytes.

    Args:
        connect: seconds to connect to one address, or None for no limit.
        total: seconds for the whole call, starting now, or None for no limit.
        max_answer: bytes that the decoded body of an answer may have.

    Attributes:
        sent: whether bytes of the request were sent to the server.
        query: the URL's query. It is appended to the target when that is sent: urllib3 logs targets, and it may hold a key.
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
            LateError: no time is left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise LateError
        return left

    def to_connect(self) -> float | None:
        """Return the seconds that an attempt to connect may take now, or None for no limit."""
        known = [limit for limit in (self._connect, self.left()) if limit is not None]
        return min(known, default=None)

    def allows(self, seconds: float) -> bool:
        """Return whether time would be left after waiting this many seconds."""
        return self._end is None or time.monotonic() + seconds < self._end

    def begin_answer(self) -> None:
        """Start counting the bytes of an answer."""
        self._received = 0

    def receive(self, count: int) -> None:
        """Count bytes as they arrive: this limits the head of an answer too.

        Raises:
            LargeError: the answer has too many bytes.
        """
        self._received += count
        if self._received > self.max_answer + _FRAMING:
            raise LargeError


current: ContextVar[Budget] = ContextVar("budget")
"""The budget of the call in progress: urllib3 has no other way to pass it to its connections."""


@contextmanager
def within(budget: Budget) -> Iterator[None]:
    """Limit what is sent and received in this block to the budget.

    Raises:
        LateError: the time is up.
    """
    token = current.set(budget)
    try:
        with ExitStack() as stack:
            left = budget.left()
            if left is not None and gevent_patched():
                # gevent's TLS sockets apply the whole timeout to each wait; this also ends a name lookup.
                stack.enter_context(sys.modules["gevent"].Timeout(left, LateError))
            yield
    finally:
        current.reset(token)
