"""The open connections of a server: how many are allowed, which have timed out, and which is closed for a new one.

Owns the set, and the one rule by which a connection is closed for a newcomer: the lowest `Open.rank` goes first. What a
connection does is `connection`'s.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import gevent.event

Rank: TypeAlias = tuple[bool, float]
"""How far a client has got; the lowest is closed first: whether it owes nothing (it has its answer and sends no request), and the
server's time at which it times out.

So clients that owe bytes are closed before idle ones, and of equals the one with the least time left. Each whole step (a
handshake, a head) renews that time, the bytes of a body extend it at the minimum rate, and single bytes add nothing.
"""


class Open(Protocol):
    """An open connection."""

    @property
    def expires(self) -> float:
        """The server's time at which the client has taken too long."""
        ...

    @property
    def peer(self) -> str:
        """The client's address for people and logs."""
        ...

    @property
    def rank(self) -> Rank | None:
        """The client's rank; None while the server works for it, and so does not close it."""
        ...

    def loses_nothing(self) -> bool:
        """Whether closing it loses no unread bytes."""
        ...

    def evict(self) -> None:
        """Close it to make room."""
        ...

    def disown(self) -> None:
        """Close its descriptor in a forked child without a word to the client, which belongs to the parent."""
        ...

    def expire(self) -> None:
        """End it: the client has taken too long."""
        ...

    def drain(self) -> None:
        """End it if that loses no request."""
        ...

    def abandon(self) -> None:
        """End it in the middle of whatever it does."""
        ...


class Connections:
    """The open connections.

    Args:
        most: how many there may be.

    Attributes:
        evicted: how many were closed so far to make room.
        changed: called with their number whenever it changes, or None.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self.changed: Callable[[int], None] | None = None
        self._open: dict[Open, None] = {}  # in the order in which they came
        # A heap of who goes first, as far as known; made where room is needed. Ranks rise unnoticed, so the first entry is
        # looked at again before it counts; who falls is entered again by `note`. An entry costs O(log n), a search is rare.
        self._order: list[tuple[Rank, int, Open]] = []
        self._searched = self._until_search = 0
        self._number = itertools.count().__next__  # never are two connections compared
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Open]:
        """Those open now; they may be closed meanwhile."""
        return iter(list(self._open))

    def add(self, connection: Open) -> None:
        """Keep one."""
        self._open[connection] = None
        self.note(connection)
        if self.changed is not None:
            self.changed(len(self._open))
        self._empty.clear()

    def note(self, connection: Open) -> None:
        """Enter a connection that now owes bytes: it is new, or its rank has fallen."""
        if not self._order:
            return
        if len(self._order) > 2 * len(self._open) + self._searched:  # most of them are closed
            self._order.clear()
        else:
            heapq.heappush(self._order, ((False, connection.expires), self._number(), connection))

    def discard(self, connection: Open) -> None:
        """Forget one that is closed."""
        self._open.pop(connection, None)
        if len(self._open) < self._searched // 2:  # room enough; and so many must come again before the next search
            self._order.clear()
        if not self._open:
            self._empty.set()
        if self.changed is not None:
            self.changed(len(self._open))

    def wait_empty(self, timeout: float) -> bool:
        """Wait until none is open, for so many seconds; say whether it is so."""
        return bool(self._empty.wait(timeout))

    def overdue(self, now: float) -> list[Open]:
        """Those whose time is over."""
        return [connection for connection in self._open if connection.expires < now]

    def make_room(self) -> bool:
        """Close the connection with the lowest rank, unless its first bytes have just come; return whether there was one."""
        connection = self.first_to_close()
        if connection is not None and connection.loses_nothing():
            connection.evict()
            self.evicted += 1
            self._until_search -= 1
            if self._until_search <= 0:  # those for which the server was at work then are to have their place
                self._order.clear()
        return connection is not None

    def first_to_close(self) -> Open | None:
        """The connection to close first when room is needed; None if the server is at work for all."""
        return self._first() or (self._search() and self._first()) or None

    def _first(self) -> Open | None:
        order = self._order
        while order:
            noted, _, connection = order[0]
            rank = connection.rank if connection in self._open else None
            if rank is not None and rank != noted:
                heapq.heapreplace(order, (rank, self._number(), connection))
            elif rank is not None and (not rank[0] or connection.loses_nothing()):
                return connection
            else:
                heapq.heappop(order)
        return None

    def _search(self) -> bool:
        self._order = [(rank, self._number(), one) for one in self._open if (rank := one.rank) is not None]
        heapq.heapify(self._order)
        self._searched = len(self._open)
        self._until_search = self._searched // 2
        return bool(self._order)
