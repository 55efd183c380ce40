"""A request that arrives in pieces: how long it may take, and what it has cost so far.

Owns the time limits of one partial request. It knows neither sockets nor syntax.
"""

from gjrpc.limits import Timeouts


class Partial:
    """A request that has arrived in part.

    Args:
        now: the time at which its first part came, in seconds.

    Attributes:
        has_body: whether part of its body has arrived, or is awaited.
        size: bytes of the body that have arrived.
    """

    __slots__ = ("_body_since", "_since", "has_body", "size")

    def __init__(self, now: float) -> None:
        self.has_body = False
        self.size = 0
        self._since = self._body_since = now

    def begin_body(self, now: float) -> None:
        """Note that the head is complete, and the body may be read."""
        self.has_body = True
        self._body_since = now

    def add(self, size: int) -> None:
        """Count bytes of the body."""
        self.size += size

    def expires(self, timeouts: Timeouts) -> float:
        """Return the time until which the rest of the head, or the next piece of the body, must have arrived."""
        if self.has_body:
            return self._body_since + timeouts.body + self.size / timeouts.rate
        return self._since + timeouts.head

    def cost(self, now: float) -> float | None:
        """Return the bytes of the body times the seconds since it began; None without a body."""
        return self.size * (now - self._body_since) if self.has_body else None
