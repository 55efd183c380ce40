"""Connections that need a greeting before they serve: a PROXY protocol header, a TLS handshake, or both.

Owns the greeting and the time that a client has for it; a failure is one line in the log. Until its first bytes a client waits
without a greenlet, as idle connections do, and makes room for others as they do. `connection` has what follows.
"""

import _socket
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import gevent.socket
import gevent.ssl

from gjrpc.errors import BadMessage, SettingsError
from gjrpc.http.messages import Head
from gjrpc.http.peer import host_of
from gjrpc.http.problems import refusal
from gjrpc.http.proxy_protocol import MAX_HEADER, ProxyHeaderError, Unnamed, header_end, source
from gjrpc.process import forks
from gjrpc.server.connections import Rank
from gjrpc.server.pace import HURRY
from gjrpc.server.shared import Shared
from gjrpc.server.sockets import discard, has_bytes

log = logging.getLogger("gjrpc.server")

_HEADER = "no PROXY protocol header"
_HANDSHAKE = "TLS handshake failed"
_SPEAK_TLS = "this port speaks TLS, but the request came without it: use https:// instead of http://"


class Greeter(Protocol):
    """A server, as its arriving connections see it."""

    @property
    def shared(self) -> Shared:
        """What its connections share."""
        ...

    def handle(self, sock: Any, address: Any) -> None:
        """Serve a connection that has had its greeting."""
        ...

    def secure(self, sock: Any) -> Any:
        """Shake hands with a TLS client; return the socket of what it sends then."""
        ...


class Arrival:
    """A connection before its greeting is complete; until then, one of `gjrpc.server.connections.Connections`.

    Args:
        sock: the connected socket, which does not block.
        address: the client's socket address.
        server: the server.
        has_header: whether it begins with a PROXY protocol header.

    Attributes:
        client_address: the client's socket address, as far as it is known.
        expires: the server's time at which the client has taken too long.
    """

    def __init__(self, sock: Any, address: Any, server: Greeter, *, has_header: bool = False) -> None:
        self.client_address = address
        self._server = server
        self._shared = shared = server.shared
        self._since = shared.now
        self._has_header = has_header
        self._await(*(_HEADER, shared.timeouts.head) if has_header else (_HANDSHAKE, shared.timeouts.handshake), shared.now)
        self._socket = sock
        self._greeting: gevent.Greenlet | None = None
        self._begun = self._served = False
        self._watcher = shared.loop.io(sock.fileno(), 1)

    def __repr__(self) -> str:
        return f"<Arrival of {self.client_host}, {'idle' if self.idle else 'in its greeting'}>"

    @property
    def client_host(self) -> str:
        """The client's address without the port, or `unix`, for logs."""
        return host_of(self.client_address)

    @property
    def idle(self) -> bool:
        """Whether nothing has arrived yet."""
        return not self._begun

    @property
    def rank(self) -> Rank:
        """Its rank (`gjrpc.server.connections.Rank`): the client still owes a greeting."""
        return False, self.expires

    def loses_nothing(self) -> bool:
        """Return whether closing loses nothing that arrived unread; further bytes of a partial greeting do not count."""
        if not self.idle:
            return True
        try:
            return not has_bytes(self._socket)
        except OSError:  # the client is gone
            return True

    def open(self) -> None:
        """Wait for the client's first bytes."""
        self._shared.connections.add(self)
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
        """End it, unless the client has begun, which then has time enough, or has just connected."""
        if self.idle and self._shared.now < self._since + HURRY:
            self._await(self._fault, HURRY, self._since)
        elif self.idle:
            self.close()

    def abandon(self) -> None:
        """End it."""
        if self._greeting is not None:
            self._greeting.kill(block=False)
        self.close()

    evict = abandon

    def greet(self) -> None:
        """Begin the TLS handshake, now that it is this client's turn."""
        self._spawn(self._shake_hands)

    def _begin(self) -> None:
        self._watcher.stop()
        self._begun = True
        if self._has_header:
            self._spawn(self._read_header)
        else:
            self._shared.handshakes.add(self)
        self._shared.connections.note(self)

    def _spawn(self, step: Callable[[], bool]) -> None:
        self._greeting = gevent.spawn(self._advance, step)
        self._greeting.rawlink(self._after)

    def _after(self, greeting: object) -> None:
        """Close what is not served, also where the greeting was ended before it had begun."""
        if greeting is self._greeting and not self._served:
            self.close()

    def _await(self, fault: str, seconds: float, now: float) -> None:
        self._fault = fault
        self._seconds = seconds
        self.expires = now + seconds

    def _advance(self, step: Callable[[], bool]) -> None:
        """Advance the greeting by one step."""
        try:
            self._served = step()
        except (OSError, EOFError, ProxyHeaderError) as error:
            self._fail(error)

    def _read_header(self) -> bool:
        """Read the PROXY protocol header; return whether the connection is served now."""
        waiting = gevent.socket.socket(fileno=self._socket.detach())
        self._socket = waiting
        unnamed = Unnamed(self.client_address if isinstance(self.client_address, tuple) else (self.client_host, 0))
        self.client_address = source(_proxy_header(waiting)) or unnamed
        plain = _socket.socket(fileno=waiting.detach())
        plain.setblocking(False)
        self._socket = plain
        if not self._shared.secured:
            return self._serve(plain)
        self._has_header = self._begun = False
        self._greeting = None
        self._await(_HANDSHAKE, self._shared.timeouts.handshake, self._shared.now)
        self._watcher.start(self._begin)
        return False

    def _shake_hands(self) -> bool:
        """Shake hands; return whether the connection is served now."""
        waiting = gevent.socket.socket(fileno=self._socket.detach())
        self._socket = waiting
        if _begins_with_letter(waiting):
            self._turn_away(waiting)
            return False
        secured = self._server.secure(waiting)
        secured.settimeout(0)
        return self._serve(secured)

    def _serve(self, greeted: Any) -> bool:
        self._server.handle(greeted, self.client_address)
        self._forget()  # only now: the server is not to look empty in between
        return True

    def _turn_away(self, plain: Any) -> None:
        """Answer a client that speaks plain HTTP in plain HTTP that this port speaks TLS."""
        log.warning("%s: %s: the client sent plain HTTP to a TLS port; it must use https://", self.client_host, self._fault)
        answer = self._shared.writer.write(refusal(BadMessage(_SPEAK_TLS)), False, Head("-", "-"))
        try:
            plain.sendall(answer)
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(HURRY)
            discard(plain)
        except OSError as gone:
            log.debug("%s went away: %s", self.client_host, gone)
        self.close()

    def _fail(self, error: Exception) -> None:
        log.warning("%s: %s: %s", self.client_host, self._fault, getattr(error, "reason", None) or error)
        self.close()

    def _forget(self) -> None:
        self._shared.connections.discard(self)
        self._shared.handshakes.discard(self)
        self._watcher.stop()
        self._watcher.close()


def cooperative(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make a context's sockets wait on the event loop: one made before patching, or without it, would block all others.

    Raises:
        SettingsError: it is of a class of its own, which can't be changed.
    """
    if not isinstance(context, gevent.ssl.SSLContext):
        try:
            context.__class__ = gevent.ssl.SSLContext  # the same object but for its methods: gevent's class adds no fields
        except TypeError as error:
            raise SettingsError(f"a {type(context).__name__} can't be served; make an ssl.SSLContext") from error
    return context


def _begins_with_letter(waiting: Any) -> bool:
    """Return whether the first byte is a capital letter, as in a verb; a TLS record begins with a smaller one (RFC 8446, 5.1)."""
    first: bytes = waiting.recv(1, socket.MSG_PEEK)
    return b"A" <= first <= b"Z"


def _proxy_header(waiting: Any) -> bytes:
    """Read a PROXY protocol header, and no byte after it: those belong to TLS or to the request.

    Raises:
        ProxyHeaderError: what arrives is not a PROXY protocol header.
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
