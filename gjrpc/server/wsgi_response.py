"""The response of a WSGI callable: what it gives to `start_response` and its pieces, as HTTP/1.1 on the wire.

Owns the server's side of a response in PEP 3333: when its head is sent, how its body ends (RFC 9112, 6.3), and that no byte too
many follows. `gjrpc.http.wsgi_answers` has the rules for status and headers. It knows no socket.
"""

from typing import Any, Protocol

from gjrpc.http.messages import WITHOUT_BODY, Head
from gjrpc.http.wsgi_answers import AnswerError, Start, check_length, read_start
from gjrpc.server.output import LARGE, Progress
from gjrpc.server.shared import Shared


class Sink(Protocol):
    """Where the bytes go: the output of a connection."""

    progress: Progress

    def send(self, data: bytes, more: bytes = b"") -> None:
        """Send all."""
        ...


class WsgiResponse:
    """One response of a WSGI callable.

    Args:
        head: of the request.
        keep_alive: whether the client keeps the connection open.
        shared: what the connections share.
        sink: where the bytes go.

    Attributes:
        keep_alive: whether the connection stays open after this response.
        status: the status, 0 before `start_response`.
        size: bytes of the body that were sent, without chunked coding.
    """

    def __init__(self, head: Head, keep_alive: bool, shared: Shared, sink: Sink) -> None:
        self.keep_alive = keep_alive
        self.status = 0
        self.size = 0
        self._request = head
        self._shared = shared
        self._sink = sink
        self._line = ""
        self._start: Start | None = None
        self._begun = self._ended = False
        self._chunked = False
        self._left: int | None = None  # bytes that the body still needs, where its length is known

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take status and headers, to be sent with the first bytes of the body; return `write`.

        Raises:
            AnswerError: they can't be sent, or others were given before.
        """
        if exc_info:
            try:
                if self._begun:  # "the start_response callable should … raise" the exception "if headers have already been sent"
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # "Avoid circular ref"
        elif self._start is not None:
            raise AnswerError("it called start_response a second time without exc_info")
        self._start = read_start(status, headers)
        self._line, self.status = status, int(status[:3])
        return self.write

    def write(self, piece: Any) -> None:
        """Send a piece of the body, after the head if that was not sent yet.

        Raises:
            AnswerError: this piece can't be sent.
            GoneError: the client is gone.
        """
        self._send(_bytes(piece))

    def write_whole(self, pieces: "list[Any] | tuple[Any, ...]") -> None:
        """Send the whole body, whose length is known, in one write, and end the response.

        Raises:
            AnswerError: it can't be sent.
            GoneError: the client is gone.
        """
        body = b"".join(map(_bytes, pieces))
        if body:
            if not self._begun and (announced := self._announced()) is not None:
                check_length(announced, len(body))
            self._send(body, len(body))
        self.end()

    def end(self) -> None:
        """End the response: send its head if its body was empty, and the end of a chunked body.

        Raises:
            AnswerError: there was no response, or too little of it.
            GoneError: the client is gone.
        """
        if not self._begun:
            check_length(self._announced() or 0, 0)
            self._send(b"", 0)
        elif self._left:  # only closing the connection tells the client
            check_length(self.size + self._left, self.size)
        self._ended = True
        if self._chunked:
            self._sink.send(b"0\r\n\r\n")

    def _send(self, data: bytes, whole: int | None = None) -> None:
        """Send bytes of the body.

        Args:
            data: the bytes.
            whole: the length of the whole body, if it is known.
        """
        if self._ended:  # the client would read it as its next answer
            raise AnswerError("it called write after the end of its response")
        if data and self.status in WITHOUT_BODY:
            raise AnswerError(f"The {self.status} response must have no body")
        head = b"" if self._begun else self._head(whole)
        data, excess = self._measured(data)
        if head and excess:
            check_length(len(data), len(data) + excess)
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data
        self._begun, self._sink.progress = True, Progress.PARTIAL
        if len(framed) < LARGE:
            self._sink.send(head + framed)
        else:
            self._sink.send(head, framed)
        if excess:  # more than it announced would be read as the next answer
            check_length(self.size, self.size + excess)

    def _measured(self, data: bytes) -> tuple[bytes, int]:
        """Return the bytes that may be sent, and how many are too many."""
        if self._request.verb == "HEAD":  # RFC 9110, 9.3.2: "the server MUST NOT send content in the response"
            return b"", 0
        excess = 0
        if self._left is not None:
            excess = max(len(data) - self._left, 0)
            data = data[: self._left]
            self._left -= len(data)
        self.size += len(data)
        return data, excess

    def _head(self, whole: int | None) -> bytes:
        """Return the head, which says how the body ends and whether the connection stays open."""
        start = self._started()
        fields = [*start.headers, *self._framing(start, whole)]
        self.keep_alive = self.keep_alive and not start.closes and not self._shared.draining
        if not self.keep_alive:
            fields.append(("Connection", "close"))
        elif self._request.version == (1, 0):
            fields.append(("Connection", "keep-alive"))
        if self.status in WITHOUT_BODY:  # RFC 9110, 8.6: a 204 "MUST NOT" have a Content-Length; of a 304 it says nothing
            fields = [field for field in fields if field[0].lower() != "content-length"]
        lines = [f"HTTP/1.1 {self._line}", *(f"{name}: {value}" for name, value in fields)]
        date = b"" if any(name.lower() == "date" for name, _ in start.headers) else self._shared.writer.date
        return "\r\n".join(lines).encode("latin-1") + b"\r\n" + date + b"\r\n"

    def _framing(self, start: Start, whole: int | None) -> list[tuple[str, str]]:
        """Decide how the body ends: by its length, by a last chunk, or by the end of the connection."""
        if self.status in WITHOUT_BODY:
            return []
        is_head = self._request.verb == "HEAD"
        announced = _content_length(start)
        if announced is not None:
            self._left = None if is_head else announced
            return []
        if whole or (whole is not None and not is_head):  # the response to a GET may have a body where that to a HEAD has none
            self._left = None if is_head else whole
            return [("Content-Length", str(whole))]
        if self._request.version > (1, 0):
            self._chunked = not is_head
            return [("Transfer-Encoding", "chunked")]
        self.keep_alive = self.keep_alive and is_head
        return []

    def _announced(self) -> int | None:
        """Return the Content-Length that the body must have; None if any will do."""
        start = self._started()
        return None if self._request.verb == "HEAD" or self.status in WITHOUT_BODY else _content_length(start)

    def _started(self) -> Start:
        if self._start is None:
            raise AnswerError("it gave no answer: it did not call start_response")
        return self._start


def _content_length(start: Start) -> int | None:
    return next((int(value) for name, value in start.headers if name.lower() == "content-length"), None)


def _bytes(piece: Any) -> bytes:
    """Return a piece of a body as bytes; PEP 3333: "yielding zero or more bytestrings"."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise AnswerError(f"its body has a piece of type {type(piece).__name__}; expected bytes")
