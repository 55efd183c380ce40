"""A foreign WSGI callable's answer, by pywsgi's own machinery.

Owns the environ (PEP 3333) and what pywsgi leaves open when it writes a response. Where the request comes from, and how bytes are
sent, is the connection's, which derives from this.
"""

import logging
import time
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from gevent.pywsgi import WSGIHandler

from gjrpc.calls.disclosure import DETAILS, internal_error
from gjrpc.http.access_log import Answered
from gjrpc.http.messages import Request
from gjrpc.http.problems import refusal
from gjrpc.http.wsgi_answers import AnswerError, check_length, read_start
from gjrpc.server.gevent_runtime import passes

log = logging.getLogger("gjrpc.server")


class GoneError(Exception):
    """The client is gone, or takes nothing any more."""


class Gateway(WSGIHandler):  # type: ignore[misc]  # gevent has no types
    """A `WSGIHandler` that is handed whole requests; `_send` and `_keeps_alive` are the connection's."""

    ApplicationError = AnswerError
    status: Any
    result: Any
    _corked: bytearray | None = None
    _left: int | None = None
    _size: int = 0
    _cut: bool = False  # whether part of an incomplete answer has been sent
    begun: bool = False
    """Whether bytes of the answer have gone out, so that nothing else can be answered."""

    def answer_wsgi(self, request: Request) -> bool:
        """Answer through a foreign WSGI callable, by pywsgi's own machinery (PEP 3333)."""
        head = request.head
        start = time.perf_counter()
        self.environ = self._environ(request)
        self.application = self.server.application
        self.command = head.verb
        self.request_version = f"HTTP/{head.version[0]}.{head.version[1]}"
        self.close_connection = not self._keeps_alive()
        self.status = self.result = None
        self.headers_sent = self.response_use_chunked = self.connection_upgraded = False
        self.response_length = self.code = 0
        self._left, self._size, self.begun = None, 0, False
        try:
            self.run_application()
            self._end_answer()
            self._cut = False
        except GoneError:
            raise
        except BaseException as error:  # whatever the application raises or returns becomes a 500
            if passes(error):
                raise
            refused = internal_error("the application failed", error, pointer=DETAILS)
            self.close_connection = True
            if not self.begun:
                response = refusal(refused)
                self.code, self._size = response.status, len(response.body)
                self._send(self.server.writer.write(response, False, head))
        if self.server.access_log:
            self._log_answer(Answered(self.client_address, head, self.code, self._size, time.perf_counter() - start))
        return not self.close_connection

    def _log_answer(self, answered: Answered) -> None:
        """Log an answer that was sent; if that fails, send nothing more, as the client has its answer."""
        try:
            self.server.access_log.write(answered)
        except BaseException as error:
            if passes(error):
                raise
            log.exception("the access log failed")

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take status and headers.

        Raises:
            AnswerError: they can't be sent, or others were given before.
        """
        if self.status and not exc_info:
            raise AnswerError("it called start_response a second time without exc_info")
        start = read_start(status, headers)
        fields = start.headers
        if status.startswith(("204", "304")):
            # RFC 9110, 8.6: a 204 must not have a Content-Length; a 304 may, but pywsgi lets it not.
            fields = [field for field in fields if field[0].lower() != "content-length"]
        self.close_connection = self.close_connection or start.closes
        return super().start_response(status, fields, exc_info)

    def finalize_headers(self) -> None:
        """Add what pywsgi leaves to the application: the end of the connection where nothing else ends the body."""
        super().finalize_headers()
        if self.provided_content_length is not None:
            self._left = int(self.provided_content_length)
            if (
                isinstance(self.result, (list, tuple)) and self.command != "HEAD"
            ):  # the whole body is here, and nothing is sent yet
                check_length(self._left, sum(map(len, self.result)))
        bounded = self.response_use_chunked or self.code in (204, 304) or self._has_header(b"content-length")
        self.close_connection = self.close_connection or not bounded or self.server.draining
        if self.close_connection and not self._has_header(b"connection"):
            self.response_headers.append((b"Connection", b"close"))

    def _end_answer(self) -> None:
        if not self.headers_sent:
            raise AnswerError("it gave no answer: it did not call start_response")
        if self._left and self.command != "HEAD":  # only closing the connection tells the client
            check_length(self._size + self._left, self._size)

    def _has_header(self, name: bytes) -> bool:
        return any(known.lower() == name for known, _ in self.response_headers)

    def _write_with_headers(self, data: bytes) -> None:
        """Send the head and the first data in one piece: pywsgi's two writes cost 40 ms where Nagle's algorithm is on."""
        self._corked = bytearray()
        try:
            super()._write_with_headers(b"" if self.command == "HEAD" else data)
            if not data and self.result is not None:  # pywsgi's way to send only a head
                self._end_answer()
            corked = bytes(self._corked)
        finally:
            self._corked = None
        self.begun = self._cut = True
        self._send(corked)

    def _write(self, data: bytes) -> None:
        if self.command == "HEAD":  # RFC 9110, 9.3.2: "the server MUST NOT send content in the response"
            return
        if self._left is not None:
            if len(data) > self._left:  # more than it announced would be read as the next answer
                super()._write(data[: self._left])
                check_length(self._size + self._left, self._size + len(data))
            self._left -= len(data)
        self._size += len(data)
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
