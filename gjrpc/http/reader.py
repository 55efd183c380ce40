"""HTTP/1.1 without a socket: bytes → requests.

Owns the buffer of a connection, and the memory of parsed heads. `head` has the syntax.
"""

import re

from gjrpc.errors import BadMessage
from gjrpc.http.chunked import Chunked
from gjrpc.http.head import LineMemory, Parsed, parse_head
from gjrpc.http.lines import Lines, bad_request_line
from gjrpc.http.messages import Request
from gjrpc.http.recent import Recent
from gjrpc.limits import Limits

_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([\x21-\x7e]+)[ \t]*\r\n", re.IGNORECASE)

_EMPTY_LINES = (b"", b"\r\n", b"\r\n\r\n")
"""What may precede a request. If more were allowed, a client could send bytes for ever without a request."""


class Memory(Recent[Parsed]):
    """Recently parsed heads: on a connection that stays open, a client sends the same head again and again.

    Attributes:
        lines: recent lines, for heads that are new as a whole.
    """

    __slots__ = ("lines",)

    def __init__(self, entries: int = 512, size: int = 2048) -> None:
        super().__init__(entries, size)
        self.lines = LineMemory()

    def parse(self, head: bytes, limits: Limits, before: Parsed | None) -> Parsed:
        """Return a parsed head, from memory if possible; `before` is the previous head on the same connection.

        Raises:
            BadMessage: see `gjrpc.http.head.parse_head`.
        """
        parsed = self.find(head)
        if parsed is None:
            parsed = before.shape.read(head) if before is not None and before.shape is not None else None
            if parsed is None:
                try:
                    parsed = parse_head(head, limits, self.lines)
                except BadMessage as error:
                    error.head = head
                    raise
            self.add(head, parsed)
        return parsed


class Reader:
    """Reads the requests of one connection, in order.

    Pass bytes to `receive` as they arrive; while bytes are left in `pending`, `next` may return further complete requests. After
    a `BadMessage` the connection can't be read any more.

    Attributes:
        parsed: the head of the last request, or of the one whose body is incomplete.
        pending: bytes that were received and not read yet.
        in_body: whether a head was read whose body is incomplete.
        left: bytes that are missing from a body whose length is known.
    """

    __slots__ = ("_at", "_body", "_chunked", "_limits", "_lines", "_memory", "in_body", "left", "parsed", "pending")

    def __init__(self, limits: Limits, memory: Memory) -> None:
        self._limits = limits
        self._memory = memory
        self.pending: bytes | bytearray = b""
        self._at = 0
        self._lines: Lines | None = None  # of an incomplete head
        self.in_body = False
        # One buffer for a body that arrives in pieces: it is freed as a whole, and separate pieces would fragment the memory.
        self._body = bytearray()
        self.left = 0
        self._chunked: Chunked | None = None
        self.parsed: Parsed | None = None

    @property
    def between(self) -> bool:
        """Whether no byte of a further message has arrived."""
        return not self.in_body and (not self.pending or self.pending[self._at :] in _EMPTY_LINES)

    def receive(self, data: bytes) -> Request | None:
        """Add bytes, and return the first request that they complete, or None.

        Raises:
            BadMessage: the message is malformed or beyond a limit.
        """
        if self.pending:
            if type(self.pending) is bytes:
                self.pending = bytearray(self.pending)
            del self.pending[: self._at]  # type: ignore[union-attr]  # a bytearray now
            self._at = 0
            self.pending += data
            return self.next()
        if not self.in_body:
            # One complete message, as nearly always, and mostly with a known head.
            young = self._memory.young
            parsed = young.get(data)
            if parsed is not None and parsed.length == 0:
                self.parsed = parsed
                return parsed.request
            end = data.find(b"\r\n\r\n") + 4
            head = data[:end]
            if head is not data:  # a slice of all of it is the same object
                parsed = young.get(head)
            if parsed is None and end > 3 and data[:1] != b"\r":
                parsed = self._memory.parse(head, self._limits, self.parsed)
            if parsed is not None and parsed.length == len(data) - end:
                self.parsed = parsed
                return Request(parsed.request.head, data[end:]) if parsed.length else parsed.request
        self.pending = data
        return self.next()

    def next(self) -> Request | None:
        """Return the next complete request, or None.

        Raises:
            BadMessage: the message is malformed or beyond a limit.
        """
        if not self.in_body and not self._read_head():
            return None
        parsed = self.parsed
        assert parsed is not None  # noqa: S101  for mypy: a head was read
        if parsed.length == 0:
            self._finish()
            return parsed.request
        body = self._read_chunks() if self._chunked is not None else self._read_body()
        if body is None:
            return None
        self._finish()
        return Request(parsed.request.head, body)

    def end(self) -> None:
        """Note that the client will send no more bytes.

        Raises:
            BadMessage: the last message is incomplete (RFC 9112, 8).
        """
        if not self.between:
            raise BadMessage("the message was cut off before its end")

    def origin(self, head: bytes = b"") -> str | None:
        """Return the origin of a refused message, if it has arrived, so that the page can read why it was refused.

        Args:
            head: the complete head, if the head was the reason.
        """
        if self.in_body and self.parsed is not None:
            return self.parsed.request.head.origin
        found = _ORIGIN.search(head or self.pending[self._at : self._at + self._limits.head])
        return None if found is None else found[1].decode()

    def drop(self) -> None:
        """Free all bytes: the connection is closed, but other objects may still refer to it."""
        self.pending, self._body, self._chunked = b"", bytearray(), None
        self.in_body, self._at, self.left = False, 0, 0

    def _read_head(self) -> bool:
        pending = self.pending
        start = self._skip_empty_lines()
        lines = self._lines
        end = pending.find(b"\r\n\r\n", start if lines is None else start + max(lines.searched - 3, 0))
        if end < 0:
            if lines is None:
                self._lines = lines = Lines(self._limits)
            lines.check(pending, start)
            return False
        self._lines = None
        self.parsed = parsed = self._memory.parse(bytes(pending[start : end + 4]), self._limits, self.parsed)
        self._at = end + 4
        self.in_body = True
        if parsed.length is None:
            self._chunked = Chunked(self._limits)
        else:
            self.left = parsed.length
        return True

    def _skip_empty_lines(self) -> int:
        """Return where the head begins; RFC 9112, 2.2: a server "SHOULD ignore at least one empty line (CRLF)" before it."""
        start = self._at
        while self.pending[start : start + 2] == b"\r\n":
            start += 2
            if self.pending[self._at : start] not in _EMPTY_LINES:
                raise bad_request_line(b"")
        return start

    def _read_body(self) -> bytes | None:
        """Return the body once it is complete, or None."""
        pending, at = self.pending, self._at
        piece = pending[at : at + self.left]
        self._at = at + len(piece)
        self.left -= len(piece)
        if not self.left and not self._body:
            return bytes(piece)
        self._body += piece
        if self.left:
            self.pending = b""
            self._at = 0
            return None
        return bytes(self._body)

    def _read_chunks(self) -> bytes | None:
        chunked = self._chunked
        assert chunked is not None  # noqa: S101  for mypy: the head said so
        self._at = chunked.feed(self.pending, self._at)
        if chunked.done:
            return bytes(chunked.body)
        if self._at:
            self.pending = self.pending[self._at :]
            self._at = 0
        return None

    def _finish(self) -> None:
        """Prepare for the next message; drop a buffer that was read to its end."""
        self._chunked = None
        self.in_body = False
        if self._body:
            self._body = bytearray()
        if self._at == len(self.pending):
            self.pending = b""
            self._at = 0
