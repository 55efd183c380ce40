"""How fast a client takes an answer that it did not take at once.

Owns the comparison with the minimum rate. It knows neither sockets nor timeouts: a function returns how many bytes are still on
their way.
"""

from collections.abc import Callable

HURRY = 1.0
"""Seconds for a client that the server waits for only to avoid losing what it sends, or that takes nothing of its answer."""


class Pace:
    """The pace at which a client takes one answer.

    Args:
        least: bytes per second that it must take at least.
        unacknowledged: returns how many bytes were sent and not taken.
        now: the time, in seconds.

    Attributes:
        sent: bytes sent so far.
    """

    __slots__ = ("_begun", "_checked", "_first", "_least", "_on_time", "_unacknowledged", "sent")

    def __init__(self, least: float, unacknowledged: Callable[[], int], now: float) -> None:
        self.sent = 0
        self._least = least
        self._unacknowledged = unacknowledged
        self._first = self._checked = self._acknowledged()
        self._begun = now
        self._on_time = now, self._first  # when the client last kept to the minimum rate, and what it had taken by then

    def look(self, now: float) -> None:
        """Note how far the client is, if it has kept to the minimum rate since that was last noted.

        So what the systems' buffers take at once buys no time.
        """
        since, before = self._on_time
        taken = self._acknowledged()
        if taken > before and taken - before >= self._least * (now - since):
            self._on_time = now, taken

    def is_slow(self, now: float) -> bool:
        """Return whether the client has been below the minimum rate for a second, or has had all of the answer."""
        return now - self._on_time[0] >= HURRY

    def rate(self, now: float) -> float | None:
        """Return the bytes per second that the client has taken; None in its first second."""
        seconds = now - self._begun
        return (self._acknowledged() - self._first) / seconds if seconds >= HURRY else None

    def keeps_up(self, seconds: float) -> bool:
        """Return whether the client has kept to the minimum rate since the last check, which was so many seconds ago."""
        taken, before = self._acknowledged(), self._checked
        self._checked = taken
        return taken - before >= self._least * seconds

    def _acknowledged(self) -> int:
        return self.sent - self._unacknowledged()
