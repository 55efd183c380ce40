"""How one request is answered, and what is said instead of an answer.

Owns the ways to an answer (the application's own door, the same with a note in the access log, the refusal of a server that has
too much to do), and how a request is refused so that its client can read why. When a request is read and answered is
`connection`'s, how bytes leave is `output`'s.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from gjrpc.app.called import called
from gjrpc.errors import BadMessage, CallError, Overloaded
from gjrpc.http.access_log import Answered
from gjrpc.http.messages import Head, Request, Response
from gjrpc.http.problems import refusal
from gjrpc.http.reader import Reader
from gjrpc.server.foreign import GoneError
from gjrpc.server.output import Sending

log = logging.getLogger("gjrpc.server")

_LARGE = 64 * 1024  # bytes of a body that are not copied to stand behind their head


class Answering(Sending):
    """The answering side of a connection."""

    _reader: Reader

    def _answer_short(self, request: Request) -> bool:
        """Answer by the application's own door; say whether the connection goes on."""
        return self._give(self.server.application.respond(request, self), request.head)

    def _answer_noted(self, request: Request) -> bool:
        """Answer, and note it in the access log."""
        clock, server = time.perf_counter, self.server
        start = clock()
        response = server.application.respond(request, self)
        goes_on = self._give(response, request.head)
        self._note(request.head, response, clock() - start, called(request))
        return goes_on

    def _answer_busy(self, request: Request) -> bool:
        """Answer that the server has too much to do; but probes are told how it is."""
        if self.server.short_way and request.head.target.startswith("/-/"):
            return way(self.server)(self, request)
        response = self._overloaded(request.head)
        goes_on = self._give(response, request.head)
        if self.server.access_log is not None:
            self._note(request.head, response, 0.0)
        return goes_on

    def _overloaded(self, head: Head) -> Response:
        self.server.refused += 1
        return self._for_page(refusal(Overloaded(f"{self.server.overload}: come back later", retry_after=1)), head.origin)

    def _note(self, head: Head, response: Response, seconds: float, method: str | None = None) -> None:
        size = len(response.body)
        self._log_answer(Answered(self.client_address, head, response.status, size, seconds, response.caller, method))

    def _give(self, response: Response, head: Head) -> bool:
        """Send a response; say whether the connection goes on."""
        server = self.server
        keep_alive = self._reader.parsed.keep_alive and not server.draining  # type: ignore[union-attr]  # a head was read
        if len(response.body) < _LARGE:
            self._send(server.writer.write(response, keep_alive, head))
        else:
            self._send(server.writer.write_head(response, keep_alive, head), response.body if head.verb != "HEAD" else b"")
        return keep_alive

    def _keeps_alive(self) -> bool:
        parsed = self._reader.parsed
        return parsed is not None and parsed.keep_alive and not self.server.draining

    def _refuse(self, error: CallError) -> None:
        """Answer with an error and close, so that the client can read it."""
        origin = self._reader.origin(error.head) if isinstance(error, BadMessage) else self._called_by()
        response = self._for_page(refusal(error), origin)
        log.info("%s: refused: %s %s", self.peer, response.status, error.message)
        verb = "HEAD" if isinstance(error, BadMessage) and error.head.startswith(b"HEAD ") else "-"  # RFC 9110, 9.3.2: no body
        self._turn_away(response, Head(verb, "-"))

    def _called_by(self) -> str | None:
        """The origin of the request that was read last."""
        return None if self._reader.parsed is None else self._reader.parsed.request.head.origin

    def _for_page(self, response: Response, origin: str | None) -> Response:
        """Add the headers with which a page of a listed origin can read the refusal."""
        if self.server.short_way:
            return response.with_headers(self.server.application.grants(origin))
        return response

    def _turn_away(self, response: Response, head: Head) -> None:
        """Send the last answer so that the client can read it even while it is sending."""
        try:
            self._send(self.server.writer.write(response, False, head))
            self._linger()
        except GoneError as gone:
            log.debug("%s went away: %s", self.peer, gone)
        if self.server.access_log is not None:
            self._note(head, response, 0.0)


def way(server: Any) -> Callable[[Any, Request], bool]:
    """How requests are answered on this server."""
    if not server.short_way:
        return Answering.answer_wsgi
    return Answering._answer_short if server.access_log is None else Answering._answer_noted
