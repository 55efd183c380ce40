"""HTTP/1.1 on one connection: requests are read in order, and each is answered before the next.

Owns the connection's state, and the time at which its client has taken too long. A responder answers one request, and
`output` sends the answer. It knows neither syntax (`gjrpc.http` has that) nor when the socket is readable and when the connection
is closed (`connection` decides that).
"""

import logging
import ssl
import time
from typing import Any

from gjrpc.calls.disclosure import DETAILS, SERVER_FAILED, internal_error
from gjrpc.errors import BadMessage, CallError, DeadlineExceeded, Overloaded
from gjrpc.http.head import Parsed
from gjrpc.http.messages import Head, Request, Response
from gjrpc.http.problems import refusal
from gjrpc.http.reader import Reader
from gjrpc.http.writer import CONTINUE
from gjrpc.server.output import GoneError, Output, Progress
from gjrpc.server.pace import HURRY
from gjrpc.server.partial import Partial
from gjrpc.server.responders import Connected, Serving, record
from gjrpc.server.state import State

log = logging.getLogger("gjrpc.server")

_RECEIVE = 8 * 1024  # bytes for one read between bodies: a buffer of more is slow to get, and requests are small
_RECEIVE_BODY = 64 * 1024
_NEVER = float("inf")
_NO_ROOM = "the server has no room for further request bodies: try again later"
_TOO_SLOW = "the request took too long to arrive"
_CUT_OFF = "the server stopped before the call ended; the call had begun and may have taken effect"

# Names of their own: on the path of each call, looking a member up in its class costs more.
_IDLE, _CALLING, _QUEUED = State.IDLE, State.CALLING, State.QUEUED


class Http1:
    """The HTTP/1.1 side of a connection.

    Args:
        sock: the connected socket, which does not block.
        server: the server.
        output: sends the answers.

    Attributes:
        state: what the connection does.
        expires: the server's time at which the client has taken too long; never while the server works for it.
        partial: the request that has arrived in part, or None.
        reader: the bytes that were read, and the requests in them.
    """

    __slots__ = (
        "_before",
        "_idle",
        "_output",
        "_responder",
        "_responders",
        "_secured",
        "_shared",
        "_socket",
        "expires",
        "partial",
        "reader",
        "state",
    )

    def __init__(self, sock: Any, server: Serving, output: Output) -> None:
        self._shared = shared = server.shared
        self._responders = server.responder, server.overload_responder
        self._responder = server.responder
        self._socket = sock
        self._secured = shared.secured
        self._idle = shared.timeouts.idle
        self._output = output
        self._before = State.CALLING, _NEVER  # state and time of expiry before the output began to wait
        self.reader = Reader(shared.limits, shared.heads)
        self.partial: Partial | None = None
        self.state = State.IDLE
        self.expires = shared.now + (HURRY if shared.draining else shared.timeouts.head)

    def read(self, connection: Connected) -> bool:
        """Read once, or until TLS has no more, and answer what is complete; return whether the connection stays open.

        Raises:
            BadMessage: what has arrived is malformed or beyond a limit.
            GoneError: the client is gone.
        """
        if self.state is _QUEUED:
            return self._take_turn(connection)
        reader, shared = self.reader, self._shared
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BODY if reader.left else _RECEIVE)
            except OSError as error:
                return self._read_nothing(error)
            if not data:
                reader.end()
                return False
            request = reader.receive(data)
            if request is not None:
                self.state = _CALLING
                self.expires = _NEVER
                self.partial = None
                if reader.pending:
                    goes_on = self._answer_all(request, connection)
                else:
                    goes_on = self._responder.answer(request, reader.parsed.keep_alive, connection)  # type: ignore[union-attr]  # read
                if not goes_on:
                    return False
            if reader.pending or reader.in_body:
                goes_on = self._await_rest(len(data), connection)
            else:
                self.state = _IDLE
                self.expires = shared.now + self._idle
                goes_on = not shared.draining  # it may have begun while an answer was sent
            if not (goes_on and self._secured and self._has_decrypted()):
                return goes_on

    def overload(self, overloaded: bool) -> None:
        """Answer as an overloaded server, or as usual again."""
        self._responder = self._responders[overloaded]

    def refuse(self, error: CallError, connection: Connected) -> None:
        """Answer with an error that ends the connection, so that the client can read it."""
        origin = self.reader.origin(error.head) if isinstance(error, BadMessage) else self._origin()
        response = refusal(error).with_headers(self._responder.cors_headers(origin))
        log.info("%s: refused: %s %s", connection.client_host, response.status, error.message)
        verb = "HEAD" if isinstance(error, BadMessage) and error.head.startswith(b"HEAD ") else "-"  # RFC 9110, 9.3.2: no body
        self._turn_away(response, Head(verb, "-"), connection)

    def refuse_late(self, connection: Connected) -> None:
        """Answer a request that took too long."""
        self.refuse(BadMessage(_TOO_SLOW, status=408), connection)

    def fail(self, error: BaseException, connection: Connected) -> None:
        """Answer that the server failed, if no part of an answer was sent yet."""
        failure = internal_error(SERVER_FAILED, error, pointer=DETAILS)
        if self.state not in (State.SENDING, State.CLOSING, State.CLOSED) and self._output.progress is Progress.NONE:
            self.refuse(failure, connection)

    def cut_off(self) -> None:
        """Tell the client that its call is cut off, if that is still possible.

        The call has begun, so the answer is 504 and not 503 with `Retry-After`, which would invite a retry.
        """
        if self.state is State.CALLING and self._output.progress is Progress.NONE:
            response = refusal(DeadlineExceeded(_CUT_OFF)).with_headers(self._responder.cors_headers(self._origin()))
            self._output.send_last(self._shared.writer.write(response, False))

    def finish(self, connection: Connected) -> None:
        """Prepare to close after the last answer, so that the client can read it even if it has sent more.

        Raises:
            GoneError: the client is gone.
        """
        try:
            more = not self.reader.between or bool(self._socket.recv(_RECEIVE))
        except (BlockingIOError, ssl.SSLWantReadError):
            more = False
        except OSError as error:
            raise GoneError(error) from error
        if more:
            self._linger(connection)

    def hurry(self, until: float) -> None:
        """Wait for the client only until then."""
        self.expires = until

    def close(self) -> None:
        """Note that the connection is closed, and drop all bytes."""
        self.state = State.CLOSED
        self.reader.drop()

    def close_late(self) -> None:
        """Note that the client has taken too long for its request, whose refusal comes next."""
        self.state, self.expires = State.CLOSING, _NEVER

    def begin_sending(self) -> None:
        """Note that the output waits for the client."""
        self._before = self.state, self.expires
        # Not the server's time, as sending may have delayed it.
        self.state, self.expires = State.SENDING, time.monotonic() + self._shared.timeouts.write

    def end_sending(self) -> None:
        """Note that the client has taken its answer."""
        if self.state is State.SENDING:
            self.state, self.expires = self._before

    def _read_nothing(self, error: OSError) -> bool:
        """Return whether the connection stays open where nothing could be read."""
        if isinstance(error, (BlockingIOError, ssl.SSLWantReadError)):
            return not (self.reader.between and self._shared.draining)
        raise GoneError(error) from error

    def _has_decrypted(self) -> bool:
        """Return whether TLS has decrypted bytes, which don't wake a watcher; they wait where requests wait for their turn."""
        return self.state is not State.QUEUED and bool(self._socket.pending())

    def _take_turn(self, connection: Connected) -> bool:
        """Answer requests that have waited for their turn; return whether the connection stays open."""
        self.state = State.READING
        if (request := self.reader.next()) is not None:
            self.state = State.CALLING
            if not self._answer_all(request, connection):
                return False
        if not self._await_rest(0, connection):
            return False
        return self.read(connection) if self._secured and self._has_decrypted() else True

    def _answer_all(self, request: Request, connection: Connected) -> bool:
        """Answer requests that came together; their answers go out together, unless a call waits."""
        reader = self.reader
        left = self._shared.limits.pipelined
        following: Request | None = request
        self._output.hold()
        try:
            while following is not None:
                if not self._responder.answer(following, reader.parsed.keep_alive, connection):  # type: ignore[union-attr]
                    return False
                left -= 1
                if reader.between:
                    break
                if not left:  # others have their turn too
                    self.state = State.QUEUED
                    break
                following = reader.next()
        finally:
            self._output.release()
        return True

    def _await_rest(self, size: int, connection: Connected) -> bool:
        """Set the time for what comes next, where more has come than was answered; return whether the connection stays open."""
        shared = self._shared
        if self.state is State.QUEUED:  # only now, when all is sent
            shared.greenlets.run_later(connection)
            return True
        if self.reader.between:
            self.state, self.expires = State.IDLE, shared.now + self._idle
            return not shared.draining
        begins = self.partial is None
        partial = self.partial = Partial(shared.now) if self.partial is None else self.partial
        self.state = State.READING
        if self.reader.in_body and not self._take_body(size, partial, connection):
            return False
        self.expires = partial.expires(shared.timeouts)
        if begins:
            shared.connections.note(connection)
        return True

    def _take_body(self, size: int, partial: Partial, connection: Connected) -> bool:
        """Count a piece of a body; return whether more of it may be read."""
        reader, shared = self.reader, self._shared
        assert reader.parsed is not None  # noqa: S101  for mypy: a head was read
        if not partial.has_body:
            if not self._admit(reader.parsed, connection):
                return False
            partial.begin_body(shared.now)
        partial.add(size)
        # The last piece completes the request, and is not counted any more.
        if shared.bodies.note(connection, partial.size + min(reader.left, _RECEIVE_BODY)):
            return True
        head = reader.parsed.request.head
        response = refusal(Overloaded(_NO_ROOM, retry_after=1)).with_headers(self._responder.cors_headers(head.origin))
        self._turn_away(response, head, connection)
        return False

    def _admit(self, parsed: Parsed, connection: Connected) -> bool:
        """Return whether the body may come; a refusal by the head is sent without reading it, instead of `100 Continue`."""
        head = parsed.request.head
        self.state, self.expires = State.CALLING, _NEVER  # checking a password takes the server's time, not the client's
        refused = self._responder.admit(head, connection)
        if refused is not None:
            self._turn_away(refused, head, connection)
            return False
        if parsed.expects:
            self._output.send(CONTINUE)
        self.state = State.READING
        return True

    def _origin(self) -> str | None:
        """Return the origin of the request that was read last."""
        return None if self.reader.parsed is None else self.reader.parsed.request.head.origin

    def _turn_away(self, response: Response, head: Head, connection: Connected) -> None:
        """Send the last answer so that the client can read it even while it is sending."""
        try:
            self._output.respond(response, False, head)
            self._linger(connection)
        except GoneError as gone:
            log.debug("%s went away: %s", connection.client_host, gone)
        record(self._shared, connection, head, response)

    def _linger(self, connection: Connected) -> None:
        """Let the client read its last answer while it still sends."""
        self.state, self.expires = State.CLOSING, time.monotonic() + HURRY
        self._shared.connections.note(connection)
        self._output.linger()
