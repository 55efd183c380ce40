"""How answers leave a connection: in one write wherever the client takes them, and otherwise as fast as the client does.

Owns the socket's sending side: answers that are held back so that they go out together, the wait for a client that does not take
its answer at once, and the end of a connection, so that its last answer is not lost. It knows no request, and of the connection
only that it wants to know when sending waits.
"""

import enum
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import proxy

import gevent.socket

from gjrpc.http.messages import Head, Response
from gjrpc.server.pace import Pace
from gjrpc.server.shared import Shared
from gjrpc.server.sockets import bare, discard, unacknowledged

log = logging.getLogger("gjrpc.server")

_PIECE = 256 * 1024  # bytes for one write to a client that takes its time
_RECORD = 16 * 1024  # and for TLS, whose records are no larger (RFC 8446, 5.1)
_MOST_HELD = 64 * 1024  # bytes of answers that are held back
_LINGER = 256 * 1024  # bytes that are read and dropped after the last answer
LARGE = 64 * 1024
"""Bytes of a body that are not copied to follow their head."""


class GoneError(Exception):
    """The client is gone, or does not take its answer any more."""


class Progress(enum.Enum):
    """How much of the current request's answer was sent, where that takes more than one write."""

    NONE = "none"
    PARTIAL = "partial"
    WHOLE = "whole"


class Owner(Protocol):
    """A connection, as its output sees it."""

    def begin_sending(self) -> None:
        """Begin to wait for the client to take its answer."""
        ...

    def end_sending(self) -> None:
        """Go on: the client has taken its answer."""
        ...

    def fall_behind(self) -> None:
        """Note that the client takes its answer too slowly."""
        ...


class Output:
    """The sending side of a connection; one of `gjrpc.server.unsent.Unsent` while it waits for its client.

    Args:
        sock: the connected socket, which does not block.
        shared: what the connections share.
        owner: the connection. Only weakly referenced, so that a closed connection is freed at once.

    Attributes:
        progress: how much of the current answer was sent; set by those who write one in pieces.
    """

    __slots__ = ("_held", "_held_size", "_owner", "_pace", "_secured", "_shared", "_socket", "_waited", "_waiting", "progress")

    def __init__(self, sock: Any, shared: Shared, owner: Owner) -> None:
        self.progress = Progress.NONE
        self._socket = sock
        self._secured = shared.secured
        self._shared = shared
        self._owner: Owner = proxy(owner)
        self._held: list[bytes] | None = None
        self._held_size = 0
        self._waited = False  # whether a call has waited while answers were held back
        self._pace: Pace | None = None
        self._waiting: Any = None  # the socket in a form that waits on the event loop

    @property
    def pace(self) -> Pace | None:
        """The pace of the client that is waited for; None if none is."""
        return self._pace

    def respond(self, response: Response, keep_alive: bool, head: Head) -> None:
        """Send a response.

        Raises:
            GoneError: the client does not take it any more, or not in time.
        """
        body, writer = response.body, self._shared.writer
        if len(body) < LARGE:
            self.send(writer.write(response, keep_alive, head))
        else:
            self.send(writer.write_head(response, keep_alive, head), body if head.verb != "HEAD" else b"")

    def send(self, data: bytes, more: bytes = b"") -> None:
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
                sent = 0 if self._secured and len(data) > _RECORD else self._socket.send(data)
            else:
                sent = 0 if self._secured else self._socket.sendmsg((data, more))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise GoneError(error) from error
        if more or sent < len(data):
            self._send_rest([memoryview(data)[sent:], memoryview(more)[max(sent - len(data), 0) :]], len(data) + len(more))

    def hold(self) -> None:
        """Hold answers back from now on, so that they go out together; not over TLS, where a record can't be taken back."""
        self._held = None if self._secured else []
        self._held_size = 0

    def release(self) -> None:
        """Send the answers that were held back.

        Raises:
            GoneError: as `send`.
        """
        held, self._held = self._held, None
        if held:
            self.send(b"".join(held))
        if self._waited:
            self._waited = False
            self._shared.unsent.note(self, 0)

    def stop_holding(self) -> None:
        """Send what is held back as far as that needs no wait, and hold no more: a call waits now. Runs in the hub."""
        if self._held is None:
            return
        data = b"".join(self._held)
        sent = self._try(data) if data else 0
        self._held = [data[sent:]] if sent < len(data) else None
        self._waited = True
        self._shared.unsent.note(self, len(data) - sent)
        self._held_size = _MOST_HELD

    def send_last(self, data: bytes) -> None:
        """Send what is held back and then this, as far as that needs no wait: the connection closes."""
        self._try(b"".join(self._held or ()) + data)

    def look(self, now: float) -> None:
        """Check how far the client is; part of `gjrpc.server.unsent.Sender`."""
        pace = self._pace
        if pace is not None:
            pace.look(now)
            if pace.is_slow(now):
                self._owner.fall_behind()

    def rate(self, now: float) -> float | None:
        """Return the bytes per second that the client has taken of this answer; None in its first second."""
        return None if self._pace is None else self._pace.rate(now)

    def give_up(self) -> None:
        """Wake whatever waits for the client, with an error."""
        self._shut_down(bare(self._waiting or self._socket), gevent.socket.SHUT_RDWR)

    def linger(self) -> None:
        """Read what the client still sends, for a while, so that it can read the last answer (RFC 9112, 9.6).

        Raises:
            GoneError: the connection is broken.
        """
        self._end_tls()
        self._shut_down(self._socket, gevent.socket.SHUT_WR)  # what arrives now is no longer decrypted
        try:
            with self._shared.greenlets.aside(), self._wait() as waiting:
                discard(waiting, _LINGER)
        except OSError as error:
            raise GoneError(error) from error

    def close(self) -> None:
        """Close the socket, and wake whatever waits for it."""
        self._shared.unsent.note(self, 0)
        self._end_tls()
        if self._waiting is not None and self._waiting is not self._socket:
            self._waiting.close()
            self._socket.detach()
        else:
            self._socket.close()

    def _try(self, data: bytes) -> int:
        """Send what the client takes at once; return how many bytes that were."""
        try:
            return int(self._socket.send(data))
        except OSError as error:  # it takes nothing now, or it is gone: the next one to send finds that out
            log.debug("sending failed: %s", error)
            return 0

    def _send_rest(self, parts: list[memoryview], kept: int) -> None:
        """Send what the client did not take at once, if anything, for as long as it goes on to take it.

        Args:
            parts: what is left to be sent.
            kept: bytes that stay in memory until then: an answer is freed as a whole, and systems take most of one at once.
        """
        if not any(map(len, parts)):
            return
        shared = self._shared
        self._pace = pace = Pace(shared.timeouts.rate, self._unacknowledged, time.monotonic())  # `shared.now` may be late
        progress, self.progress = self.progress, Progress.PARTIAL
        self._owner.begin_sending()
        shared.unsent.note(self, kept)
        try:
            with shared.greenlets.aside(), self._wait() as waiting:
                self._send_parts(waiting, parts, pace)
        except OSError as error:
            raise GoneError(error) from error
        finally:
            self._pace = None
            shared.unsent.note(self, 0)
        self.progress = progress
        self._owner.end_sending()

    def _send_parts(self, waiting: Any, parts: list[memoryview], pace: Pace) -> None:
        piece = _RECORD if self._secured else _PIECE
        for data in parts:
            end = pace.sent + len(data)
            while left := end - pace.sent:
                pace.sent += waiting.send(data[-left:][:piece])

    @contextmanager
    def _wait(self) -> Iterator[Any]:
        """The socket in a form that waits on the event loop; a plain one shares its descriptor with one of gevent's."""
        sock = self._socket
        self._waiting = waiting = sock if self._secured else gevent.socket.socket(fileno=sock.fileno())
        waiting.settimeout(None)
        try:
            yield waiting
        finally:
            self._waiting = None
            if waiting is sock:
                waiting.settimeout(0)
            else:
                waiting.detach()

    def _unacknowledged(self) -> int:
        try:
            return unacknowledged(self._socket)
        except OSError as error:  # no such thing for this kind of socket
            log.debug("the system does not report what the client has taken: %s", error)
            return 0

    def _end_tls(self) -> None:
        """Send close_notify over TLS, without waiting; but not after part of an answer, which must not look whole.

        RFC 8446, 6.1: "Each party MUST send a "close_notify" alert before closing its write side of the connection".
        """
        secured = self._socket._sslobj if self._secured else None  # gevent's own `unwrap` would wait for the client's
        if secured is None or self.progress is Progress.PARTIAL:
            return
        try:
            secured.shutdown()
        except OSError as error:  # it was sent, and the client's has not come; or there is no room for it, or no client
            log.debug("close_notify: %s", error)

    def _shut_down(self, sock: Any, how: int) -> None:
        try:
            sock.shutdown(how)
        except OSError as error:
            log.debug("the client went away: %s", error)
