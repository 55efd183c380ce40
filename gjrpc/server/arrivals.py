"""Connections of which something must come before they serve: a PROXY protocol header, a TLS handshake.

Owns how a client is greeted, and the time it has for that; a failure is one line in the log. Until its first bytes a client waits
without a greenlet, as kept connections do, and makes room for others as they do. What comes after is `connection`'s.
"""

import _socket
import logging
import socket
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket

from gjrpc.errors import BadMessage
from gjrpc.http.messages import Head
from gjrpc.http.peer import peer_name
from gjrpc.http.problems import refusal
from gjrpc.http.proxy_protocol import MAX_HEADER, ProxyHeaderError, Unnamed, header_end, source
from gjrpc.process import forks
from gjrpc.server.output import HURRY

log = logging.getLogger("gjrpc.server")

_HEADER = "no PROXY protocol header"
_HANDSHAKE = "TLS handshake failed"
_SPEAK_TLS = "this port speaks TLS, but the request came without it: use https:// instead of http://"
_PIECE = 65536


class Arrival:
    """A client that is to be greeted; one of `gjrpc.server.connections.Connections` until it is."""

    def __init__(self, sock: Any, address: Any, server: Any, *, heralded: bool = False) -> None:
        self.client_address = address
        self._since = server.now
        self._heralded = heralded
        self._await(*(_HEADER, server.timeouts.head) if heralded else (_HANDSHAKE, server.timeouts.handshake), server.now)
        self._socket = sock
        self._server = server
        self._greeting: gevent.Greenlet | None = None
        self._begun = self._welcomed = False
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
        return not self._begun

    @property
    def standing(self) -> tuple[bool, float]:
        """The client's standing (`gjrpc.server.connections.Standing`): it still owes a greeting."""
        return False, self.expires

    def may_go(self) -> bool:
        """Whether closing loses nothing that arrived unread; further bytes of a partial greeting do not count."""
        if not self.waiting:
            return True
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

    def disown(self) -> None:
        """Close its descriptor in this forked process; the parent keeps the connection."""
        forks.close(self._socket)

    def expire(self) -> None:
        """End it: the client has taken too long."""
        late = TimeoutError(f"not done within {self._seconds:g} s")
        if self._greeting is not None:
            self.expires = float("inf")
            self._greeting.kill(late, block=False)
        else:
            self._fail(late)

    def drain(self) -> None:
        """End it, unless the client has begun, which then has time enough, or has just come."""
        if self.waiting and self._server.now < self._since + HURRY:
            self._await(self._fault, HURRY, self._since)
        elif self.waiting:
            self.close()

    def abandon(self) -> None:
        """End it."""
        if self._greeting is not None:
            self._greeting.kill(block=False)
        self.close()

    evict = abandon

    def _begin(self) -> None:
        self._watcher.stop()
        self._begun = True
        if self._heralded:
            self._spawn(self._hear)
        else:
            self._server.handshakes.add(self)
        self._server.connections.note(self)

    def greet(self) -> None:
        """Begin the TLS handshake, now that it is this client's turn."""
        self._spawn(self._shake_hands)

    def _spawn(self, step: Callable[[], bool]) -> None:
        self._greeting = gevent.spawn(self._take, step)
        self._greeting.rawlink(self._after)

    def _after(self, greeting: object) -> None:
        """See that nothing stays, also where the greeting was ended before it had begun."""
        if greeting is self._greeting and not self._welcomed:
            self.close()

    def _await(self, what: str, seconds: float, now: float) -> None:
        self._fault = what
        self._seconds = seconds
        self.expires = now + seconds

    def _take(self, step: Callable[[], bool]) -> None:
        """Advance the greeting by one step."""
        try:
            self._welcomed = step()
        except (OSError, EOFError, ProxyHeaderError) as error:
            self._fail(error)

    def _hear(self) -> bool:
        """Read the PROXY protocol header."""
        heard = gevent.socket.socket(fileno=self._socket.detach())
        self._socket = heard
        unnamed = Unnamed(self.client_address if isinstance(self.client_address, tuple) else (self.peer, 0))
        self.client_address = source(_proxy_header(heard)) or unnamed
        plain = _socket.socket(fileno=heard.detach())
        plain.setblocking(False)
        self._socket = plain
        if not self._server.ssl_enabled:
            return self._welcome(plain)
        self._heralded = self._begun = False
        self._greeting = None
        self._await(_HANDSHAKE, self._server.timeouts.handshake, self._server.now)
        self._watcher.start(self._begin)
        return False

    def _shake_hands(self) -> bool:
        greeted = gevent.socket.socket(fileno=self._socket.detach())
        self._socket = greeted
        if _begins_with_letter(greeted):
            self._turn_away(greeted)
            return False
        secured = self._server.wrap_socket(greeted, **self._server.ssl_args)
        secured.settimeout(0)
        return self._welcome(secured)

    def _welcome(self, greeted: Any) -> bool:
        self._server.welcome(greeted, self.client_address)
        self._forget()  # only now: the server is not to look empty in between
        return True

    def _turn_away(self, plain: Any) -> None:
        """Answer a client that speaks plain HTTP in plain HTTP that this port speaks TLS."""
        log.warning("%s: %s: the client sent plain HTTP to a TLS port; it must use https://", self.peer, self._fault)
        answer = self._server.writer.write(refusal(BadMessage(_SPEAK_TLS)), False, Head("-", "-"))
        try:
            plain.sendall(answer)
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(HURRY)
            while plain.recv(_PIECE):  # bytes left unread would make the close a reset, which can overtake the answer
                pass
        except OSError as gone:
            log.debug("%s went away: %s", self.peer, gone)
        self.close()

    def _fail(self, error: Exception) -> None:
        log.warning("%s: %s: %s", self.peer, self._fault, getattr(error, "reason", None) or error)
        self.close()

    def _forget(self) -> None:
        self._server.connections.discard(self)
        self._server.handshakes.discard(self)
        self._watcher.stop()
        self._watcher.close()


def _begins_with_letter(waiting: Any) -> bool:
    """Whether the first byte is a capital letter, as in a verb; a TLS record begins with a smaller byte (RFC 8446, 5.1)."""
    first: bytes = waiting.recv(1, socket.MSG_PEEK)
    return b"A" <= first <= b"Z"


def _proxy_header(waiting: Any) -> bytes:
    """Read a PROXY protocol header and not a byte behind it: that is TLS's or the client's.

    Raises:
        ProxyHeaderError: what comes is none.
        OSError: the connection broke.
    """
    header = b""
    while True:
        seen: bytes = waiting.recv(MAX_HEADER - len(header), socket.MSG_PEEK)
        if not seen:
            raise ProxyHeaderError(f"the connection ended after {header[:32]!r}")
        end = header_end(header + seen)
        taken: bytes = waiting.recv(len(seen) if end is None else end - len(header))
        header += taken
        if end is not None:
            return header
