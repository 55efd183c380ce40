"""The bodies of requests that come in pieces: how many bytes of them there may be in the whole process.

Owns their count, from the first piece to the end of the call, and who makes room: whoever has held the most bytes for longest. It
knows no sockets. A body that comes in one piece with its head is never noted.
"""

from typing import Protocol

BODIES = 64
"""Bodies of the largest size that there may be, unless told otherwise."""


class Holder(Protocol):
    """Something that has a body that came in pieces."""

    @property
    def body_cost(self) -> float | None:
        """Bytes that have come of its body, times the seconds since the first; None while the server is at work for it."""
        ...

    @property
    def has_body(self) -> bool:
        """Whether it still has that body: further pieces are awaited, or its call runs."""
        ...

    def evict(self) -> None:
        """Close it to make room."""
        ...


class Bodies:
    """Counts the bytes of bodies.

    Args:
        most: bytes that there may be.

    Attributes:
        total: bytes that there are; those of calls that have ended may be among them, until there is no room.
        dropped: how many bodies were dropped so far to make room.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self.dropped = 0
        self._counts: dict[Holder, int] = {}

    def note(self, holder: Holder, count: int) -> bool:
        """Note how many bytes of its body a holder has by now, and say whether it may go on; others may have to make room."""
        self.total += count - self._counts.get(holder, 0)
        self._counts[holder] = count
        return self.total <= self.most or self._make_room(holder)

    def forget(self, holder: Holder) -> None:
        """Forget one that has no body any more."""
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
        """What its body has cost so far; the server is at work for the newest, but only to read it."""
        cost = holder.body_cost
        return 0.0 if cost is None and holder is newest else cost
