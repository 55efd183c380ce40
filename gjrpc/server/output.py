"""How answers leave a connection: in one write wherever the client takes them, and in time.

Owns the socket's sending side: answers that are held back so that they go out together, the time that a client has to take what
it does not take at once, and the way a connection is closed so that its last answer is not lost. What is sent is `connection`'s.
"""

import _socket
import fcntl
import logging
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import gevent.socket
from gevent import monkey

from gjrpc.http.peer import peer_name
from gjrpc.server.foreign import Gateway, GoneError

log = logging.getLogger("gjrpc.server")

_PIECE = 256 * 1024  # bytes for one write to a client that takes its time
_RECORD = 16 * 1024  # and for TLS, whose records are no larger (RFC 8446, 5.1)
_MOST_HELD = 64 * 1024  # bytes of answers that are held back
_LINGER = 256 * 1024  # bytes that are taken behind the last answer
_LINGER_PIECE = 64 * 1024
_poll = monkey.get_original("select", "poll")  # gevent's would wait on the event loop, for no time at all
_LEFT = getattr(select, "POLLRDHUP", 0)  # beside what poll(2) always tells: POLLHUP and POLLERR
_NOT_WAITING = (float("inf"), 0)
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))
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
    _waits: bool = False  # whether a call has waited while answers were held back
    _sent: int = 0
    _taken: int = 0
    _begun_at: float = 0.0
    _moved: tuple[float, int] = _NOT_WAITING  # until when the client kept to the least rate, and what it had taken by then

    @property
    def peer(self) -> str:
        """The client's address for people and logs."""
        return peer_name(self.client_address)

    @property
    def pid(self) -> int | None:
        """The client's process, which the kernel reports for a Unix socket."""
        asked = getattr(socket, "SO_PEERCRED", None)
        if asked is None or self.socket.family != socket.AF_UNIX:
            return None
        pid: int = _CREDENTIALS.unpack(self.socket.getsockopt(socket.SOL_SOCKET, asked, _CREDENTIALS.size))[0]
        return pid or None  # 0 for who is in a container

    @property
    def server_hosts(self) -> frozenset[str]:
        """The hosts that the server answers for if its application does not say."""
        return self.server.hosts  # type: ignore[no-any-return]  # the server is any

    @property
    def server_ready(self) -> bool:
        """Whether the server accepts new calls; False once it has begun to stop."""
        return not self.server.draining

    @property
    def scheme(self) -> str:
        """The client's scheme: `https` over TLS, else `http`."""
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
        self._waits = True
        self.server.unsent.note(self, len(data) - sent)
        self._held_size = _MOST_HELD

    def _release(self) -> None:
        """Send the answers that were held back."""
        held, self._held = self._held, None
        if held:
            self._send(b"".join(held))
        if self._waits:
            self._waits = False
            self.server.unsent.note(self, 0)

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
        if more or sent < len(data):
            self._send_waiting([memoryview(data)[sent:], memoryview(more)[max(sent - len(data), 0) :]], len(data) + len(more))

    def _send_waiting(self, parts: list[memoryview], kept: int) -> None:
        """Send what the client did not take at once, if anything, for as long as it goes on to take it.

        Args:
            parts: what is left to be sent.
            kept: bytes that stay in memory until it is: an answer is given back as a whole, and systems take most of one at once.
        """
        if not any(map(len, parts)):
            return
        before, unsent = self.expires, self.server.unsent
        now = time.monotonic()  # not the server's cached time, as sending may have delayed it
        self._sent, self._taken = 0, -self._queued()
        self._begun_at, self._moved = now, (now, self._taken)
        self.expires = now + self.server.timeouts.write
        piece = _RECORD if self._tls else _PIECE
        cut, self._cut = self._cut, True
        unsent.note(self, kept)
        try:
            with self.server.greenlets.aside(), self._waiting_socket() as waiting:
                for data in parts:
                    end = self._sent + len(data)
                    while left := end - self._sent:
                        self._sent += waiting.send(data[-left:][:piece])
        except OSError as error:
            raise GoneError(error) from error
        finally:
            self._moved = _NOT_WAITING
            unsent.note(self, 0)
        self.expires, self._cut = before, cut

    def _takes_enough(self) -> bool:
        """Whether the client has taken its answer at the least rate since it was last asked; gives it more time then."""
        timeouts, taken = self.server.timeouts, self._sent - self._queued()
        enough = taken - self._taken >= timeouts.rate * timeouts.write
        self._taken = taken
        self.expires = self.server.now + timeouts.write
        return bool(enough)

    def look(self, now: float) -> None:
        """Note how far the client has got, if it has kept to the least rate since this was last noted.

        So what the systems' buffers take at once buys no time.
        """
        since, before = self._moved
        taken = self._sent - self._queued()
        if taken > before and taken - before >= self.server.timeouts.rate * (now - since):
            self._moved = now, taken
        elif self._is_slow(now):
            self.server.connections.note(self)

    def rate(self, now: float) -> float | None:
        """Bytes a second that the client has taken of this answer; None in its first second."""
        seconds = now - self._begun_at
        return (self._sent - self._queued() - self._taken) / seconds if seconds >= HURRY else None

    def give_up(self) -> None:
        """Wake up whatever waits for the client, with an error."""
        self._shutdown(self._bare, socket.SHUT_RDWR)

    def _is_slow(self, now: float) -> bool:
        """Whether it waits for a client that took its answer below the minimum rate for a second, or has had all of it."""
        return now - self._moved[0] >= HURRY

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

    def _say_end(self) -> None:
        """Send close_notify over TLS, without waiting; but not after an answer that was cut off, which must not look whole.

        RFC 8446, 6.1: "Each party MUST send a "close_notify" alert before closing its write side of the connection".
        """
        secured = self.socket._sslobj if self._tls else None  # gevent's own `unwrap` would wait for the client's
        if secured is None or self._cut:
            return
        try:
            secured.shutdown()
        except OSError as error:  # it was sent, and the client's has not come; or there is no room for it, or no client
            log.debug("%s: %s", self.peer, error)

    def _linger(self) -> None:
        """Take what the client still sends, for a while (RFC 9112, 9.6).

        Bytes left unread would make the close a reset, which can overtake the answer.
        """
        self.expires = time.monotonic() + HURRY
        self._sent = self._taken = 0
        self._moved = 0.0, 0
        self.server.connections.note(self)
        self._say_end()
        self._shutdown(self.socket, socket.SHUT_WR)  # what arrives now is no longer decrypted
        left = _LINGER
        try:
            with self.server.greenlets.aside(), self._waiting_socket() as waiting:
                while left > 0 and (data := waiting.recv(_LINGER_PIECE)):
                    left -= len(data)
        except OSError as error:
            raise GoneError(error) from error

    def aside(self) -> AbstractContextManager[None]:
        """In this block, do not count among the calls in flight."""
        return self.server.greenlets.aside()  # type: ignore[no-any-return]  # the server is any

    def has_left(self) -> bool:
        """Whether the client is gone or has shut down sending; before its call has begun, both count as gone."""
        look = _poll()
        look.register(self.socket.fileno(), _LEFT)
        return bool(look.poll(0))

    @property
    def _bare(self) -> Any:
        """The socket below gevent's and TLS."""
        return getattr(self.socket, "_sock", self.socket)

    def _shutdown(self, sock: Any, how: int) -> None:
        try:
            sock.shutdown(how)
        except OSError as gone:
            log.debug("%s went away: %s", self.peer, gone)
