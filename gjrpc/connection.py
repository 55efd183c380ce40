"""One client's connection: bytes in, answers out, for as long as the client keeps to its time.

Owns the order of reading and answering on a socket, and the two ways to an answer: an `Application` is asked by the short way,
`respond(Request)`; any other WSGI callable gets an environ. Syntax is `http1`'s; which connections there are is the server's.
"""

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from gevent.hub import get_hub
from gevent.pywsgi import WSGIHandler

from gjrpc.access import peer_name
from gjrpc.dispatch import failure
from gjrpc.errors import BadMessage, CallError
from gjrpc.http1 import CONTINUE, Reader
from gjrpc.messages import Head, Request, Response
from gjrpc.wsgi import refusal

log = logging.getLogger("gjrpc.connection")

_RECEIVE = 64 * 1024
_NEVER = float("inf")


@dataclass(frozen=True)
class Timeouts:
    """How long a client may take, in seconds; each is absolute and not renewed by a trickle of bytes.

    Attributes:
        handshake: for the TLS handshake.
        head: from the first byte of a request, or from the connect, to the end of its head; 408 after.
        body: for the first bytes of a body, and then `rate`; 408 after.
        idle: between two requests; the connection is closed then.
        write: for a client that takes nothing of its answer, and then `rate`.
        rate: bytes a second that a body or an answer has to move at the least.
        grace: at a stop, for the calls in flight.
    """

    handshake: float = 10
    head: float = 10
    body: float = 10
    idle: float = 75
    write: float = 30
    rate: float = 1024
    grace: float = 30


class Connection(WSGIHandler):  # type: ignore[misc]  # gevent has no types
    """One client's connection: reads its requests in order and answers each in one piece.

    Attributes:
        expires: the server's time at which the client has taken too long.
        waiting: whether the client owes the next byte of a new request, so that closing loses nothing.
    """

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        # WSGIHandler's own __init__ would make a buffered file of the socket, for a parser that is not used here.
        self.socket = sock
        self.client_address = address
        self.server = server
        self._tls = server.ssl_enabled
        self.waiting = True
        self.expires = server.now + server.timeouts.head
        self._expired = False
        self._received = 0
        self._body_since: float | None = None
        self._reader = Reader(server.limits, server.heads)
        self._answer: Callable[[Request], bool] = self._answer_short if server.short_way else self._answer_wsgi
        self._corked: bytearray | None = None

    def __repr__(self) -> str:
        state = "waiting" if self.waiting else "in a call" if self.expires == _NEVER else "reading"
        return f"<Connection of {self.peer}, {state}>"

    @property
    def peer(self) -> str:
        """The client's address for people and logs."""
        return peer_name(self.client_address)

    def handle(self) -> None:
        """Serve the connection until it ends; never raises what a client can cause."""
        with self.server.attending(self):
            try:
                self._serve()
            except BadMessage as error:
                self._refuse(error)
            except (OSError, EOFError) as error:
                log.debug("%s went away: %s", self.peer, error)
            except Exception as error:  # noqa: BLE001  a fault of the server itself: logged with its ref, and told
                self._refuse(failure("the server failed; its log has the details under this ref", error))

    def expire(self) -> None:
        """End the connection: its client has taken too long."""
        self._expired = True
        self.expires = _NEVER
        # A reader wakes up with nothing, and a writer with an error.
        self._shutdown(socket.SHUT_RD if self.waiting or not self._reader.between else socket.SHUT_RDWR)

    def close_if_waiting(self) -> None:
        """End the connection if that loses no request."""
        if self.waiting:
            self._shutdown(socket.SHUT_RD)

    def _serve(self) -> None:
        reader = self._reader
        receive = self._receive_tls if self._tls else self._receive_plain
        while data := receive():
            self.waiting = False
            request = reader.receive(data)
            while request is not None:
                self.expires = _NEVER
                if not self._answer(request):
                    return
                request = None if reader.between else reader.next()
            if reader.between:
                self.waiting = True
                self.expires = self.server.now + self.server.timeouts.idle
                self._body_since = None
            else:
                self._note_part(len(data))
        if self._expired and not self.waiting:
            raise BadMessage("the request took too long to come", status=408)
        reader.end()

    def _receive_plain(self) -> bytes:
        """Wait, then read: after an answer the next request is almost never there yet."""
        # The watcher that gevent's socket has anyway; a second one would cost memory on each idle connection.
        get_hub().wait(self.socket._read_event)
        try:
            data: bytes = self.socket._sock.recv(_RECEIVE)
        except BlockingIOError:  # woken without data
            data = self.socket.recv(_RECEIVE)
        return data

    def _receive_tls(self) -> bytes:
        if not self.socket.pending():  # decrypted bytes don't wake a socket
            get_hub().wait(self.socket._read_event)
        data: bytes = self.socket.recv(_RECEIVE)
        return data

    def _note_part(self, count: int) -> None:
        """Set the time for what is left of a request that came in part."""
        server = self.server
        if not self._reader.in_body:
            if self.expires == _NEVER or self._received == 0:
                self.expires = server.now + server.timeouts.head
            self._received = 1
            return
        if self._body_since is None:
            self._body_since = server.now
            self._received = 0
            if self._reader.parsed is not None and self._reader.parsed.expects:
                self._send(CONTINUE)
        self._received += count
        self.expires = self._body_since + server.timeouts.body + self._received / server.timeouts.rate

    def _answer_short(self, request: Request) -> bool:
        """Answer by the application's own door; say whether the connection goes on."""
        server = self.server
        start = time.perf_counter() if server.access_log else 0.0
        response = server.application.respond(request)
        keep_alive = self._reader.parsed.keep_alive and not server.draining  # type: ignore[union-attr]  # it was read
        self._send(server.writer.write(response, keep_alive=keep_alive, head=request.head))
        if server.access_log:
            server.access_log.write(
                self.client_address, request.head, response.status, len(response.body), time.perf_counter() - start
            )
        return keep_alive

    def _answer_wsgi(self, request: Request) -> bool:
        """Answer through a foreign WSGI callable, by pywsgi's own machinery (PEP 3333)."""
        head = request.head
        start = time.perf_counter()
        self.environ = self._environ(request)
        self.application = self.server.application
        self.command = head.verb
        self.request_version = f"HTTP/{head.version[0]}.{head.version[1]}"
        self.close_connection = not self._reader.parsed.keep_alive or self.server.draining  # type: ignore[union-attr]
        self.status = self.result = None
        self.headers_sent = self.response_use_chunked = self.connection_upgraded = False
        self.response_length = self.code = 0
        try:
            self.run_application()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  whatever the application raises is told as a 500
            refused = failure("the application failed; the server's log has the details under this ref", error)
            self.close_connection = True
            if not self.headers_sent:
                self.code = 500
                self._send(self.server.writer.write(refusal(refused), keep_alive=False, head=head))
        if self.server.access_log:
            self.server.access_log.write(self.client_address, head, self.code, self.response_length, time.perf_counter() - start)
        return not self.close_connection

    def finalize_headers(self) -> None:
        """Add what pywsgi leaves to the application: the end of the connection where nothing else ends the body."""
        super().finalize_headers()
        bounded = self.response_use_chunked or self.code in (204, 304) or self._has_header(b"content-length")
        self.close_connection = self.close_connection or not bounded
        if self.close_connection and not self._has_header(b"connection"):
            self.response_headers.append((b"Connection", b"close"))

    def _has_header(self, name: bytes) -> bool:
        return any(known.lower() == name for known, _ in self.response_headers)

    def _write_with_headers(self, data: bytes) -> None:
        """Send the head and the first data in one piece: pywsgi's two writes cost 40 ms where Nagle's algorithm is on."""
        self._corked = bytearray()
        try:
            super()._write_with_headers(b"" if self.command == "HEAD" else data)
            corked = bytes(self._corked)
        finally:
            self._corked = None
        self._send(corked)

    def _write(self, data: bytes) -> None:
        if self.command != "HEAD":  # RFC 9110, 9.3.2: "the server MUST NOT send content in the response"
            super()._write(data)

    def _sendall(self, data: bytes) -> None:
        if self._corked is not None:
            self._corked += data
        elif self.command != "HEAD":
            self._send(data)
        self.response_length += len(data)

    def _environ(self, request: Request) -> dict[str, Any]:
        head = request.head
        path, _, query = head.target.partition("?")
        environ: dict[str, Any] = self.server.get_environ()
        environ.update(
            REQUEST_METHOD=head.verb,
            PATH_INFO=unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
            QUERY_STRING=query,
            REQUEST_URI=head.target,
            SERVER_PROTOCOL=f"HTTP/{head.version[0]}.{head.version[1]}",
        )
        if isinstance(self.client_address, tuple):
            environ.update(REMOTE_ADDR=self.client_address[0], REMOTE_PORT=str(self.client_address[1]))
        for name, value in head.headers:
            key = "HTTP_" + name.upper().replace("-", "_")
            separator = "; " if name == "cookie" else ","
            environ[key] = environ[key] + separator + value if key in environ else value
        # The body is here without its transfer coding, so the length is known whatever was announced.
        for name in ("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
            environ.pop(name, None)
        if "HTTP_CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
        if request.body or head.get("content-length") is not None:
            environ["CONTENT_LENGTH"] = str(len(request.body))
        environ["wsgi.input"] = BytesIO(request.body)
        environ["wsgi.input_terminated"] = True
        return environ

    def _send(self, data: bytes) -> None:
        """Send all, in one write wherever the client takes it."""
        try:
            sent = 0 if self._tls else self.socket._sock.send(data)
        except BlockingIOError:  # its buffer is full: all waits below
            sent = 0
        if sent < len(data):
            timeouts = self.server.timeouts
            self.expires = self.server.now + timeouts.write + len(data) / timeouts.rate
            self.socket.sendall(memoryview(data)[sent:])
            self.expires = _NEVER

    def _refuse(self, error: CallError) -> None:
        """Answer with an error and close, so that the client can read it."""
        response: Response = refusal(error)
        log.info("%s: refused: %s %s", self.peer, response.status, error.message)
        try:
            self._send(self.server.writer.write(response, keep_alive=False))
            # Bytes left unread would make the close a reset, which can overtake the answer (RFC 9112, 9.6).
            self.expires = self.server.now + 1
            self._shutdown(socket.SHUT_WR)
            left = _RECEIVE
            while left > 0 and (data := self.socket.recv(_RECEIVE)):
                left -= len(data)
        except OSError as gone:
            log.debug("%s went away: %s", self.peer, gone)
        if self.server.access_log:
            self.server.access_log.write(self.client_address, Head("-", "-"), response.status, len(response.body), 0.0)

    def _shutdown(self, how: int) -> None:
        try:
            self.socket.shutdown(how)
        except OSError as gone:
            log.debug("%s went away: %s", self.peer, gone)
