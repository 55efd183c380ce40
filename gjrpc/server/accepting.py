"""Accepts connections: as many as there is room for, and those that wait in the backlog when the server stops.

Owns the count of pauses, and what happens without room: an idle or unfinished connection is closed, or accepting pauses. It does
not know what an accepted connection does.
"""

import _socket
import errno
from collections.abc import Iterator
from typing import Any, Protocol

import gevent

from gjrpc.server.connections import Connections

_PAUSE = 0.1  # seconds without accepting, where there is no room for one more connection
# What accept(2) reports where there are no descriptors or no memory for one more connection.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# And where the client left before it was accepted, or the network failed; "treat them like EAGAIN by retrying".
_GONE = frozenset({errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH})

Accepted = tuple[_socket.socket, Any]
"""A new connection's socket, which does not block, and its client's address."""


class Listener(Protocol):
    """A server that listens, as gevent's `BaseServer`."""

    socket: Any
    backlog: int

    @property
    def closed(self) -> bool:
        """Whether it no longer listens."""
        ...

    def start_accepting(self) -> None:
        """Accept whenever a client connects."""
        ...

    def stop_accepting(self) -> None:
        """Leave clients in the backlog."""
        ...


class Acceptor:
    """Accepts a server's connections.

    Args:
        listener: the server.
        connections: the open connections.

    Attributes:
        pauses: how often accepting paused so far because there was no room.
    """

    def __init__(self, listener: Listener, connections: Connections) -> None:
        self.pauses = 0
        self._listener = listener
        self._connections = connections

    def accept(self) -> Accepted | None:
        """Accept one connection, as a bare socket: gevent's own is only made where a client must be waited for."""
        connections = self._connections
        full = len(connections) >= connections.most
        if full and not self._has_room():
            return None
        listener = self._listener.socket
        try:
            descriptor, address = listener._accept()
            if full:
                connections.make_room()
        except OSError as error:
            if error.errno in _NO_ROOM and not connections.make_room():
                self._pause()
            elif error.errno not in _NO_ROOM | _GONE:
                raise
            return None
        sock = _socket.socket(listener.family, listener.type, listener.proto, descriptor)
        sock.setblocking(False)
        return sock, address

    def backlog(self) -> Iterator[Accepted]:
        """Accept the connections in the backlog: closing the listener would reset them.

        Each of several workers does so, as none knows whether it is the last to close.
        """
        for _ in range(0 if self._listener.closed else self._listener.backlog):
            accepted = self.accept()
            if accepted is None:
                return
            yield accepted

    def _has_room(self) -> bool:
        """Return whether a connection can be closed for a new one; one whose first bytes have just arrived is served first."""
        first = self._connections.first_to_close()
        if first is None:
            self._pause()
        return first is not None and first.loses_nothing()

    def _pause(self) -> None:
        """Stop accepting for a moment: the server works for all connections, so there is no room."""
        self.pauses += 1
        self._listener.stop_accepting()
        gevent.spawn_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if not self._listener.closed:
            self._listener.start_accepting()
