"""The open connections of a server: how many are allowed, which have timed out, and which is closed for a new one.

Owns the set, and the one rule by which a connection is closed for a newcomer: the one with the lowest `Open.rank` goes first. It
knows connections only as `Open`.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import gevent.event

Rank: TypeAlias = tuple[bool, float]
"""The order in which connections are closed to make room, the lowest first: whether the client owes nothing (it has its answer
and sends no request), and the server's time at which it times out.

So clients that owe bytes are closed before idle ones, and among equals the one with the least time left. Each whole step (a
handshake, a head) renews that time, the bytes of a body extend it at the minimum rate, and single bytes add nothing.
"""


class Open(Protocol):
    """An open connection."""

    @property
    def expires(self) -> float:
        """The server's time at which the client has taken too long."""
        ...

    @property
    def client_host(self) -> str:
        """The client's address without the port, or `unix`, for logs."""
        ...

    @property
    def rank(self) -> Rank | None:
        """Its rank; None while the server works for it, and so does not close it."""
        ...

    def loses_nothing(self) -> bool:
        """Return whether closing it loses no unread request."""
        ...

    def evict(self) -> None:
        """Close it to make room."""
        ...

    def disown(self) -> None:
        """Close its descriptor in a forked child without a word to the client, which belongs to the parent."""
        ...

    def expire(self) -> None:
        """Close it: the client has taken too long."""
        ...

    def drain(self) -> None:
        """Close it if that loses no request."""
        ...

    def abandon(self) -> None:
        """Close it in the middle of whatever it does."""
        ...


class Connections:
    """The open connections.

    Args:
        most: how many may be open.

    Attributes:
        evicted: how many were closed so far to make room.
        changed: called with their number whenever it changes, or None.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self.changed: Callable[[int], None] | None = None
        self._open: dict[Open, None] = {}  # in the order in which they came
        # A heap of the ranks as far as they are known; made when room is needed. Ranks rise unnoticed, so the first entry is
        # checked before it counts; a rank that falls is entered again by `note`. An entry costs O(log n), a search is rare.
        self._order: list[tuple[Rank, int, Open]] = []
        self._searched = self._until_search = 0
        self._number = itertools.count().__next__  # so that two connections are never compared
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Open]:
        """Iterate over those that are open now; some may be closed meanwhile."""
        return iter(list(self._open))

    def add(self, connection: Open) -> None:
        """Add one that is open."""
        self._open[connection] = None
        self.note(connection)
        if self.changed is not None:
            self.changed(len(self._open))
        self._empty.clear()

    def note(self, connection: Open) -> None:
        """Note that a connection now owes bytes: it is new, or its rank has fallen."""
        if not self._order:
            return
        if len(self._order) > 2 * len(self._open) + self._searched:  # most of them are closed
            self._order.clear()
        else:
            heapq.heappush(self._order, ((False, connection.expires), self._number(), connection))

    def discard(self, connection: Open) -> None:
        """Forget one that is closed."""
        self._open.pop(connection, None)
        if len(self._open) < self._searched // 2:  # there is room; as many must come again before the next search
            self._order.clear()
        if not self._open:
            self._empty.set()
        if self.changed is not None:
            self.changed(len(self._open))

    def wait_empty(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until none is open; return whether that is so."""
        return bool(self._empty.wait(timeout))

    def overdue(self, now: float) -> list[Open]:
        """Return those that have timed out."""
        return [connection for connection in self._open if connection.expires < now]

    def make_room(self) -> bool:
        """Close the connection with the lowest rank, unless its first bytes have just arrived; return whether there was one."""
        connection = self.first_to_close()
        if connection is not None and connection.loses_nothing():
            connection.evict()
            self.evicted += 1
            self._until_search -= 1
            if self._until_search <= 0:  # those for which the server worked then get their place
                self._order.clear()
        return connection is not None

    def first_to_close(self) -> Open | None:
        """Return the connection to close first when room is needed; None if the server works for all."""
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
