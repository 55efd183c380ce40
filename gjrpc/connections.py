"""The open connections of a server: how many there may be, whose time is over, and who makes room for a new one.

Owns the set; what a connection does is `connection`'s.
"""

import heapq
from collections.abc import Iterator

import gevent.event

from gjrpc.connection import Connection

_AT_ONCE = 64
"""Idle connections that one search finds: a search looks at all, and a flood of new ones would make it look each time."""


class Connections:
    """The open connections.

    Args:
        most: how many there may be.

    Attributes:
        evicted: how many were closed so far to make room.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self._open: set[Connection] = set()
        self._to_go: list[tuple[float, int, Connection]] = []
        self._empty = gevent.event.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        """Those open now; they may be closed meanwhile."""
        return iter(list(self._open))

    def add(self, connection: Connection) -> None:
        """Keep one."""
        self._open.add(connection)
        self._empty.clear()

    def discard(self, connection: Connection) -> None:
        """Forget one that is closed."""
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    def wait_empty(self, timeout: float) -> bool:
        """Wait until none is open, for so many seconds; say whether it is so."""
        return bool(self._empty.wait(timeout))

    def overdue(self, now: float) -> list[Connection]:
        """Those whose time is over."""
        return [connection for connection in self._open if connection.expires < now]

    def make_room(self) -> bool:
        """Close the idle connection that has the least time left, if there is one.

        A client that has connected and says nothing has less time than one that has called, so clients that only connect push
        out each other first.
        """
        return self._close_next() or (self._search() and self._close_next())

    def _search(self) -> bool:
        waiting = ((c.expires, id(c), c) for c in self._open if c.waiting)
        self._to_go = heapq.nsmallest(_AT_ONCE, waiting)[::-1]
        return bool(self._to_go)

    def _close_next(self) -> bool:
        while self._to_go:
            expires, _, connection = self._to_go.pop()
            unchanged = connection in self._open and connection.waiting and connection.expires == expires
            if unchanged and connection.is_silent():
                connection.close()
                self.evicted += 1
                return True
        return False
