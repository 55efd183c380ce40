"""Connections of which something must come before they serve: a TLS handshake.

Owns how a client is greeted, and the time it has for that; a failure is one line in the log. Until its first bytes a client waits
without a greenlet, as kept connections do, and makes room for others as they do. What comes after is `connection`'s.
"""

import logging
import socket
from typing import Any

import gevent
import gevent.socket

from gjrpc.access import peer_name

log = logging.getLogger("gjrpc.server")


class Arrival:
    """A client that is to be greeted; one of `gjrpc.connections.Connections` until it is."""

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        self.client_address = address
        self.expires: float = server.now + server.timeouts.handshake
        self._socket = sock
        self._server = server
        self._greeting: gevent.Greenlet | None = None
        self._watcher = server.loop.io(sock.fileno(), 1)

    def __repr__(self) -> str:
        return f"<Arrival of {self.peer}, {'waiting' if self.waiting else 'greeted'}>"

    @property
    def peer(self) -> str:
        """The client's address for people and logs."""
        return peer_name(self.client_address)

    @property
    def waiting(self) -> bool:
        """Whether nothing has come yet."""
        return self._greeting is None

    def is_silent(self) -> bool:
        """Whether nothing has come that was not seen yet."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except OSError:  # nothing there, or the client is gone
            return True

    def open(self) -> None:
        """Wait for the client's first bytes."""
        self._server.connections.add(self)
        self._watcher.start(self._begin)

    def close(self) -> None:
        """Close the connection at once."""
        self._forget()
        self._socket.close()

    def expire(self) -> None:
        """End it: the client has taken too long."""
        late = TimeoutError(f"not done within {self._server.timeouts.handshake:g} s")
        if self._greeting is not None:
            self.expires = float("inf")
            self._greeting.kill(late, block=False)
        else:
            self._fail(late)

    def drain(self) -> None:
        """End it, unless the client has begun: then its time is short enough."""
        if self.waiting:
            self.close()

    def abandon(self) -> None:
        """End it."""
        if self._greeting is not None:
            self._greeting.kill(block=False)
        self.close()

    def _begin(self) -> None:
        self._watcher.stop()
        self._greeting = gevent.spawn(self._greet)

    def _greet(self) -> None:
        server = self._server
        self._socket = gevent.socket.socket(fileno=self._socket.detach())
        try:
            secured = server.wrap_socket(self._socket, **server.ssl_args)
        except (OSError, EOFError) as error:
            self._fail(error)
            return
        secured.settimeout(0)
        server.welcome(secured, self.client_address)
        self._forget()  # only now: the server is not to look empty in between

    def _fail(self, error: Exception) -> None:
        log.warning("%s: TLS handshake failed: %s", self.peer, getattr(error, "reason", None) or error)
        self.close()

    def _forget(self) -> None:
        self._server.connections.discard(self)
        self._watcher.stop()
        self._watcher.close()
