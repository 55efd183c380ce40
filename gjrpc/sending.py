"""How answers leave a connection: in one write wherever the client takes them, and in time.

Owns the socket's sending side: answers that are held back so that they go out together, the time that a client has to take what
it does not take at once, and the way a connection is closed so that its last answer is not lost. What is sent is `connection`'s.
"""

import _socket
import fcntl
import logging
import socket
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent.socket

from gjrpc.access import peer_name
from gjrpc.gateway import Gateway, GoneError

log = logging.getLogger("gjrpc.connection")

_PIECE = 256 * 1024  # bytes for one write to a client that takes its time
_RECORD = 16 * 1024  # and for TLS, whose records are no larger (RFC 8446, 5.1)
_MOST_HELD = 64 * 1024  # bytes of answers that are held back
_LINGER = 256 * 1024  # bytes that are taken behind the last answer
_LINGER_PIECE = 64 * 1024
HURRY = 1.0
"""Seconds for a client that is only waited for so as not to lose what it sends."""


class Sending(Gateway):
    """The sending side of a connection.

    Attributes:
        expires: the server's time at which the client has taken too long.
    """

    expires: float
    socket: Any
    _tls: bool
    _held: list[bytes] | None = None
    _held_size: int = 0
    _sent: int = 0
    _taken: int = 0

    @property
    def peer(self) -> str:
        """The client's address for people and logs."""
        return peer_name(self.client_address)

    @property
    def server_hosts(self) -> frozenset[str]:
        """The hosts that the server answers for where its application does not say."""
        return self.server.hosts  # type: ignore[no-any-return]

    @property
    def scheme(self) -> str:
        """What the client speaks: `https` over TLS, else `http`."""
        return "https" if self._tls else "http"

    def _hold(self) -> None:
        """Hold answers back from now on, so that they go out together; not over TLS, where a record can't be taken back."""
        self._held = None if self._tls else []
        self._held_size = 0

    def waits(self) -> None:
        """Send the answers that were held back, and hold no more: a call waits now. Runs in the hub."""
        if self._held is None:
            return
        data = b"".join(self._held)
        try:
            sent = self.socket.send(data) if data else 0
        except OSError as full:  # or gone, which the next one to send finds out
            log.debug("%s takes nothing now: %s", self.peer, full)
            sent = 0
        self._held = [data[sent:]] if sent < len(data) else None
        self._held_size = _MOST_HELD

    def _release(self) -> None:
        """Send the answers that were held back."""
        held, self._held = self._held, None
        if held:
            self._send(b"".join(held))

    def _send(self, data: bytes, more: bytes = b"") -> None:
        """Send all, in one write wherever the client takes it; `more` is large, and is not copied.

        Raises:
            GoneError: the client does not take it any more, or not in time.
        """
        if self._held is not None:
            self._held.append(data)
            self._held_size += len(data)
            if not more and self._held_size < _MOST_HELD:
                return
            data, self._held, self._held_size = b"".join(self._held), [], 0
        try:
            if not more:
                # OpenSSL wants what it could not take again in the same pieces.
                sent = 0 if self._tls and len(data) > _RECORD else self.socket.send(data)
            else:
                sent = 0 if self._tls else self.socket.sendmsg((data, more))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise GoneError(error) from error
        if sent < len(data):
            self._send_waiting(memoryview(data)[sent:])
        if more and (left := len(data) + len(more) - max(sent, len(data))):
            self._send_waiting(memoryview(more)[-left:])

    def _send_waiting(self, data: memoryview) -> None:
        """Send what the client did not take at once, for as long as it goes on to take it."""
        before = self.expires
        self._sent, self._taken = 0, -self._queued()
        self.expires = time.monotonic() + self.server.timeouts.write  # not the server's time: what is sent may have held it up
        piece = _RECORD if self._tls else _PIECE
        try:
            with self.server.greenlets.aside(), self._waiting_socket() as waiting:
                while self._sent < len(data):
                    self._sent += waiting.send(data[self._sent : self._sent + piece])
        except OSError as error:
            raise GoneError(error) from error
        self.expires = before

    def _takes_enough(self) -> bool:
        """Whether the client has taken its answer at the least rate since it was last asked; gives it more time then."""
        timeouts, taken = self.server.timeouts, self._sent - self._queued()
        enough = taken - self._taken >= timeouts.rate * timeouts.write
        self._taken = taken
        self.expires = self.server.now + timeouts.write
        return bool(enough)

    def _queued(self) -> int:
        """Bytes that were sent and that the client's host has not taken, where the system tells (Linux, tcp(7): SIOCOUTQ)."""
        try:
            return int.from_bytes(fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except OSError as error:  # no such thing for this kind of socket
            log.debug("%s: %s", self.peer, error)
            return 0

    @contextmanager
    def _waiting_socket(self) -> Iterator[Any]:
        """The socket in a form that waits on the event loop; a plain one has none until it must."""
        if isinstance(self.socket, _socket.socket) and not self._tls:
            # The watcher goes on: the descriptor stays the same.
            self.socket = gevent.socket.socket(fileno=self.socket.detach())
        self.socket.settimeout(None)
        try:
            yield self.socket
        finally:
            self.socket.settimeout(0)

    def _linger(self) -> None:
        """Take what the client still sends, for a while (RFC 9112, 9.6).

        Bytes left unread would make the close a reset, which can overtake the answer.
        """
        self.expires = time.monotonic() + HURRY
        self._sent = self._taken = 0
        self._shutdown(socket.SHUT_WR)
        left = _LINGER
        try:
            with self.server.greenlets.aside(), self._waiting_socket() as waiting:
                while left > 0 and (data := waiting.recv(_LINGER_PIECE)):
                    left -= len(data)
        except OSError as error:
            raise GoneError(error) from error

    def _shutdown(self, how: int) -> None:
        try:
            self.socket.shutdown(how)
        except OSError as gone:
            log.debug("%s went away: %s", self.peer, gone)
