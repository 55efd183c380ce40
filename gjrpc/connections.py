"""The open connections of a server: how many there may be, whose time is over, and who makes room for a new one.

Owns the set; what a connection does is `connection`'s.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import TypeAlias

import gevent.event

from gjrpc.arrivals import Arrival
from gjrpc.connection import Connection

Open: TypeAlias = Connection | Arrival

_AT_ONCE = 64
"""Idle connections that one search finds: a search looks at all, and a flood of new ones would make it look each time."""


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
        self._open: set[Open] = set()
        self._silent: dict[Open, float] = {}  # those that said nothing yet, as far as known, and until when they may
        self._idle: list[tuple[float, int, Open]] = []  # others, the idlest last, as the last search has found them
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Open]:
        """Those open now; they may be closed meanwhile."""
        return iter(list(self._open))

    def add(self, connection: Open) -> None:
        """Keep one."""
        self._open.add(connection)
        self._silent[connection] = connection.expires
        if self.changed is not None:
            self.changed(len(self._open))
        self._empty.clear()

    def discard(self, connection: Open) -> None:
        """Forget one that is closed."""
        self._open.discard(connection)
        self._silent.pop(connection, None)
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
        """Close the idlest connection; say whether there was one."""
        connection = self.idlest()
        if connection is None:
            return False
        connection.close()
        self.evicted += 1
        return True

    def idlest(self) -> Open | None:
        """The connection that is idle for the longest; among those that never called, if there are any: clients that only
        connect are to push out each other, and not those that call.
        """
        return self._next_silent() or self._next_idle() or (self._search() and self._next_idle()) or None

    def _next_silent(self) -> Open | None:
        while self._silent:
            connection, expires = next(iter(self._silent.items()))
            if _may_go(connection, expires):
                return connection
            del self._silent[connection]
        return None

    def _next_idle(self) -> Open | None:
        while self._idle:
            expires, _, connection = self._idle[-1]
            if connection in self._open and _may_go(connection, expires):
                return connection
            self._idle.pop()
        return None

    def _search(self) -> bool:
        waiting = ((c.expires, id(c), c) for c in self._open if c.waiting)
        self._idle = heapq.nsmallest(_AT_ONCE, waiting)[::-1]
        return bool(self._idle)


def _may_go(connection: Open, expires: float) -> bool:
    """Whether nothing has come on it since it got its time."""
    return connection.expires == expires and connection.waiting and connection.is_silent()
