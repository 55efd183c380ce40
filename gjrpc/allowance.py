"""What one call of the client may take: time, and bytes of an answer.

Owns the count of both, and which call is under way. It touches no socket.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from gjrpc.runtime import gevent_patched

_FRAMING = 128 * 1024  # bytes that the head of an answer and the framing of its chunks may have besides


class LateError(Exception):
    """The call has taken longer than it may. No kind of error that urllib3 knows: it must not try again."""


class LargeError(Exception):
    """The answer has more bytes than it may."""


class Allowance:
    """What one call may take.

    Args:
        connect: seconds to connect to one address, or None.
        total: seconds for the whole call, from now on, or None.
        max_answer: bytes of an answer's body, once it is decoded.

    Attributes:
        sent: whether bytes of the request have gone out to the server.
        query: what is added to each target: urllib3 writes targets into its errors and logs, and a key may be in this one.
    """

    def __init__(self, connect: float | None, total: float | None, max_answer: int) -> None:
        self._connect = connect
        self._end = None if total is None else time.monotonic() + total
        self.max_answer = max_answer
        self.sent = False
        self.query = ""
        self._received = 0

    def left(self) -> float | None:
        """Seconds that are left, or None for ever.

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
        """Seconds that one attempt to connect may take now."""
        known = [limit for limit in (self._connect, self.left()) if limit is not None]
        return min(known, default=None)

    def allows(self, seconds: float) -> bool:
        """Whether a wait of so many seconds leaves time for anything."""
        return self._end is None or time.monotonic() + seconds < self._end

    def begin_answer(self) -> None:
        """Count the bytes of an answer from here."""
        self._received = 0

    def receive(self, count: int) -> None:
        """Count bytes as they come: a head without end is bounded too.

        Raises:
            LargeError: they are too many.
        """
        self._received += count
        if self._received > self.max_answer + _FRAMING:
            raise LargeError


current: ContextVar[Allowance] = ContextVar("allowance")
"""The allowance of the call under way: urllib3 hands nothing of a call down to its connections."""


@contextmanager
def within(allowance: Allowance) -> Iterator[None]:
    """Hold all that is sent and read in here to this allowance.

    Raises:
        LateError: the time is over.
    """
    token = current.set(allowance)
    try:
        with ExitStack() as stack:
            left = allowance.left()
            if left is not None and gevent_patched():
                # gevent's TLS gives each of its waits the whole timeout of the socket; this also ends a look-up of a name.
                stack.enter_context(sys.modules["gevent"].Timeout(left, LateError))
            yield
    finally:
        current.reset(token)
