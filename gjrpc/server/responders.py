"""How one request is answered: by an `Application`, with a record in the access log or without one, or with 503 under overload.

Owns how a request becomes an answer of an `Application`; `foreign` does that for any other WSGI callable. `http1` reads requests
and calls a responder, and `output` sends the bytes. It knows no timeouts.
"""

import time
from typing import Protocol

from gjrpc.app.application import Application
from gjrpc.app.called import called
from gjrpc.http.access_log import Answered
from gjrpc.http.messages import Head, Headers, Request, Response
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal
from gjrpc.server.bodies import Holder
from gjrpc.server.connections import Open
from gjrpc.server.output import LARGE, Output, Progress
from gjrpc.server.scheduler import Task
from gjrpc.server.shared import Shared


class Connected(Peer, Task, Open, Holder, Protocol):
    """A connection, as what reads and answers its requests sees it."""

    @property
    def output(self) -> Output:
        """Its sending side."""
        ...


class Responder(Protocol):
    """Answers the requests of all connections of a server."""

    def answer(self, request: Request, keep_alive: bool, connection: Connected) -> bool:
        """Answer one request; return whether the connection stays open.

        Args:
            request: the whole request.
            keep_alive: whether the client keeps the connection open.
            connection: where the request came from.

        Raises:
            GoneError: the client is gone.
        """
        ...

    def admit(self, head: Head, connection: Connected) -> Response | None:
        """Refuse a request if its head alone is reason enough; otherwise return None: its body may be read."""
        ...

    def cors_headers(self, origin: str | None) -> Headers:
        """Return the headers with which a page of this origin may read a refusal."""
        ...


class Serving(Protocol):
    """A server, as its connections see it."""

    @property
    def shared(self) -> Shared:
        """What its connections share."""
        ...

    @property
    def responder(self) -> Responder:
        """What answers requests."""
        ...

    @property
    def overload_responder(self) -> Responder:
        """What answers them while the server is overloaded."""
        ...


class ApplicationResponder:
    """Answers through `Application.respond`, without a WSGI environ.

    Args:
        application: the application.
        shared: what the connections share.
    """

    def __init__(self, application: Application, shared: Shared) -> None:
        self._respond = application.respond
        self._shared = shared
        self._writer = shared.writer
        self.admit = application.admit
        self.cors_headers = application.cors_headers

    def answer(self, request: Request, keep_alive: bool, connection: Connected) -> bool:
        """Answer through the application."""
        response = self._respond(request, connection)
        keep_alive = keep_alive and not self._shared.draining
        if len(response.body) < LARGE:  # as `respond`, without a further call: this is on the path of each
            connection.output.send(self._writer.write(response, keep_alive, request.head))
        else:
            connection.output.respond(response, keep_alive, request.head)
        return keep_alive


class RecordingResponder(ApplicationResponder):
    """Answers through `Application.respond`, and records each answer in the access log."""

    def answer(self, request: Request, keep_alive: bool, connection: Connected) -> bool:
        """Answer through the application, and record it."""
        start = time.perf_counter()
        response = self._respond(request, connection)
        keep_alive = keep_alive and not self._shared.draining
        connection.output.respond(response, keep_alive, request.head)
        record(self._shared, connection, request.head, response, time.perf_counter() - start, called(request))
        return keep_alive


class OverloadResponder:
    """Answers 503 while the server is overloaded; the probes of an `Application` still get their own answers.

    Args:
        usual: what answers without overload.
        shared: what the connections share.
        has_probes: whether that answers `/-/…`.
    """

    def __init__(self, usual: Responder, shared: Shared, *, has_probes: bool) -> None:
        self._usual = usual
        self._shared = shared
        self._has_probes = has_probes
        self.cors_headers = usual.cors_headers

    def answer(self, request: Request, keep_alive: bool, connection: Connected) -> bool:
        """Refuse a call, or answer a probe."""
        head = request.head
        if self._has_probes and head.target.startswith("/-/"):
            return self._usual.answer(request, keep_alive, connection)
        response = self.admit(head, connection)
        keep_alive = keep_alive and not self._shared.draining
        connection.output.respond(response, keep_alive, head)
        record(self._shared, connection, head, response)
        return keep_alive

    def admit(self, head: Head, connection: Connected) -> Response:
        """Refuse a request whose body has not arrived yet."""
        response = refusal(self._shared.overload.refuse())
        return response.with_headers(self.cors_headers(head.origin))


def record(
    shared: Shared, connection: Connected, head: Head, response: Response, seconds: float = 0.0, method: str | None = None
) -> None:
    """Record an answer that was sent in the access log, if there is one."""
    if shared.access_log is None:
        return
    # The log may wait, and nothing must follow this answer then.
    output = connection.output
    output.progress = Progress.WHOLE
    size = len(response.body)
    answered = Answered(connection.client_address, head, response.status, size, seconds, response.caller, method)
    shared.access_log.write(answered)
    output.progress = Progress.NONE
