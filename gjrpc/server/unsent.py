"""Counts the bytes of answers that wait for their clients, and bounds them for the whole process.

Owns their count, and what happens when there are too many: further calls are refused, and the slowest clients are disconnected.
It knows no sockets.
"""

from collections.abc import Callable
from typing import Protocol


class Sender(Protocol):
    """Something that waits for a client to take an answer."""

    def look(self, now: float) -> None:
        """Check how far the client is, at the server's time `now`."""
        ...

    def rate(self, now: float) -> float | None:
        """Return the bytes per second that the client has taken of this answer; None while it is too early to know."""
        ...

    def give_up(self) -> None:
        """Stop waiting, and abandon the answer."""
        ...


class Unsent:
    """Counts the bytes of answers that wait.

    Args:
        most: bytes that may wait.
        changed: called with whether there are too many, whenever that changes.

    Attributes:
        total: bytes that wait now.
        full: whether there are too many.
        given_up: how many answers were abandoned so far, to make room.
    """

    def __init__(self, most: int, changed: Callable[[bool], None]) -> None:
        self.most = most
        self.total = 0
        self.full = False
        self.given_up = 0
        self._changed = changed
        self._counts: dict[Sender, int] = {}

    def note(self, sender: Sender, count: int) -> None:
        """Note how many bytes a sender still has to send; 0 forgets the sender."""
        self.total += count - self._counts.pop(sender, 0)
        if count:
            self._counts[sender] = count
        full = self.total > self.most
        if full is not self.full:
            self.full = full
            self._changed(full)

    def look(self, now: float) -> None:
        """Check all waiting answers; the sweep calls this a few times a second."""
        for sender in self._counts:
            sender.look(now)
        if self.full:
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        """Abandon the answers of the slowest clients until half of the room is free; meanwhile new calls are refused."""
        left = self.total
        rates = [(rate, index, sender) for index, sender in enumerate(self._counts) if (rate := sender.rate(now)) is not None]
        for _, _, sender in sorted(rates):
            if left <= self.most // 2:
                break
            left -= self._counts[sender]
            self.given_up += 1
            sender.give_up()
