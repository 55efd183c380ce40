"""Bounds the bytes of request bodies that arrive in pieces, for the whole process.

Owns their count, from the first piece to the end of the call, and which body makes room: the one that has held most bytes for
longest. It knows no sockets. A body that arrives in one piece with its head is never counted.
"""

from typing import Protocol


class Holder(Protocol):
    """A connection whose request has a body that arrives in pieces."""

    @property
    def body_cost(self) -> float | None:
        """The received bytes of its body times the seconds since the first; None while the server works for it."""
        ...

    @property
    def has_body(self) -> bool:
        """Whether it still has that body: it waits for further pieces, or its call runs."""
        ...

    def evict(self) -> None:
        """Close it to make room."""
        ...


class Bodies:
    """Counts the bytes of bodies.

    Args:
        most: bytes that all bodies may have together.

    Attributes:
        total: bytes counted now; those of ended calls may be included until there is no room.
        dropped: how many bodies were dropped so far to make room.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self.dropped = 0
        self._counts: dict[Holder, int] = {}

    def note(self, holder: Holder, count: int) -> bool:
        """Note how many bytes of its body a holder has; return whether it may go on. Others may be closed to make room."""
        self.total += count - self._counts.get(holder, 0)
        self._counts[holder] = count
        return self.total <= self.most or self._make_room(holder)

    def forget(self, holder: Holder) -> None:
        """Forget a holder without a body."""
        self.total -= self._counts.pop(holder, 0)

    def _make_room(self, newest: Holder) -> bool:
        for ended in [holder for holder in self._counts if holder is not newest and not holder.has_body]:
            self.forget(ended)
        costs = [(cost, index, one) for index, one in enumerate(self._counts) if (cost := self._cost(one, newest)) is not None]
        for _, _, holder in sorted(costs, reverse=True):
            if self.total <= self.most:
                break
            self.dropped += 1
            self.forget(holder)
            if holder is newest:
                return False
            holder.evict()
        return True

    def _cost(self, holder: Holder, newest: Holder) -> float | None:
        """Return what its body has cost so far, None for those that stay; the newest is dropped last."""
        return 0.0 if holder is newest else holder.body_cost
