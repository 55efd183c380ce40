"""HTTP/1.1 without a socket: bytes → requests, responses → bytes.

Owns the buffer of a connection, the memory of parsed heads, and how responses are written; the syntax is `framing`'s. It knows
no method and no application.
"""

import time
from collections.abc import Callable
from email.utils import formatdate

from gjrpc.convention import phrase
from gjrpc.errors import BadMessage
from gjrpc.framing import Chunked, Limits, Lines, Parsed, bad_request_line, parse_head
from gjrpc.messages import JSON, Head, Request, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""RFC 9110, section 15.2.1."""

_EMPTY_LINES = (b"", b"\r\n", b"\r\n\r\n")
"""What may stand before a request; more of them would be a way to send bytes for ever and no request."""


class Memory:
    """Heads that were parsed lately, by their bytes: on a kept connection a client sends the same head again and again.

    Two generations, each of at most `entries` heads of at most `size` bytes. A full young one becomes the old one, and an old
    head that is asked for again is young again: heads sent only once, however many, push out only each other.
    """

    def __init__(self, entries: int = 512, size: int = 2048) -> None:
        self._entries = entries
        self._size = size
        self._old: dict[bytes, Parsed] = {}
        self.young: dict[bytes, Parsed] = {}

    def find(self, head: bytes) -> Parsed | None:
        """The parse of these bytes, if it is remembered."""
        parsed = self.young.get(head)
        if parsed is None and (parsed := self._old.get(head)) is not None:
            self.add(head, parsed)
        return parsed

    def add(self, head: bytes, parsed: Parsed) -> None:
        """Remember a parse."""
        if len(head) <= self._size:
            if len(self.young) >= self._entries:
                self._old, self.young = self.young, {}
            self.young[head] = parsed


class Reader:
    """Reads the requests of one connection, in order.

    Give bytes to `receive` as they come, and call `next` for further requests that they completed. After a `BadMessage` the
    connection can't be read on.

    Attributes:
        parsed: the head of the request that was given last, or whose body is awaited.
    """

    __slots__ = ("_at", "_chunked", "_in_body", "_limits", "_lines", "_memory", "_pending", "parsed")

    def __init__(self, limits: Limits, memory: Memory) -> None:
        self._limits = limits
        self._memory = memory
        self._pending: bytes | bytearray = b""
        self._at = 0
        self._lines: Lines | None = None  # of a head that has come in part
        self._in_body = False
        self._chunked: Chunked | None = None
        self.parsed: Parsed | None = None

    @property
    def between(self) -> bool:
        """Whether no byte of a further message has come."""
        return not self._in_body and (not self._pending or self._pending[self._at :] in _EMPTY_LINES)

    @property
    def in_body(self) -> bool:
        """Whether a head was read whose body is not complete."""
        return self._in_body

    def receive(self, data: bytes) -> Request | None:
        """Take bytes and give the first request that they complete, or None.

        Raises:
            BadMessage: the message is malformed or beyond a limit.
        """
        if self._pending:
            if type(self._pending) is bytes:
                self._pending = bytearray(self._pending)
            del self._pending[: self._at]  # type: ignore[union-attr]  # a bytearray now
            self._at = 0
            self._pending += data
        elif self._in_body:
            self._pending = data
        else:
            parsed = self._memory.young.get(data)
            if parsed is not None and parsed.length == 0:
                self.parsed = parsed
                return parsed.request
            self._pending = data
        return self.next()

    def next(self) -> Request | None:
        """Give the next request that has come completely, or None.

        Raises:
            BadMessage: the message is malformed or beyond a limit.
        """
        if not self._in_body and not self._read_head():
            return None
        parsed = self.parsed
        assert parsed is not None  # noqa: S101  for mypy: a head was read
        if parsed.length is None:
            body = self._read_chunks()
        elif parsed.length:
            body = self._take(parsed.length)
        else:
            self._finish()
            return parsed.request
        if body is None:
            return None
        self._finish()
        return Request(parsed.request.head, body)

    def end(self) -> None:
        """Note that no more bytes will come.

        Raises:
            BadMessage: a message was cut off before its end (RFC 9112, 8).
        """
        if not self.between:
            raise BadMessage("the message was cut off before its end")

    def _read_head(self) -> bool:
        pending = self._pending
        start = self._skip_empty_lines()
        lines = self._lines
        end = pending.find(b"\r\n\r\n", start if lines is None else start + max(lines.at - 2, 0))
        if end < 0:
            if lines is None:
                self._lines = lines = Lines(self._limits)
            lines.check(pending, start)
            return False
        self._lines = None
        head = bytes(pending[start : end + 4])
        parsed = self._memory.find(head)
        if parsed is None:
            parsed = parse_head(head, self._limits)
            self._memory.add(head, parsed)
        self.parsed = parsed
        self._at = end + 4
        self._in_body = True
        if parsed.length is None:
            self._chunked = Chunked(self._limits)
        elif parsed.length > self._limits.body:
            raise BadMessage(f"the body has {parsed.length} bytes; the limit is {self._limits.body}", status=413)
        return True

    def _skip_empty_lines(self) -> int:
        """Where the head begins; RFC 9112, 2.2: a server "SHOULD ignore at least one empty line (CRLF)" before it."""
        start = self._at
        while self._pending[start : start + 2] == b"\r\n":
            start += 2
            if self._pending[self._at : start] not in _EMPTY_LINES:
                raise bad_request_line(b"")
        return start

    def _take(self, length: int) -> bytes | None:
        end = self._at + length
        if len(self._pending) < end:
            return None
        body = bytes(self._pending[self._at : end])
        self._at = end
        return body

    def _read_chunks(self) -> bytes | None:
        chunked = self._chunked
        assert chunked is not None  # noqa: S101  for mypy: the head said so
        self._at = chunked.feed(self._pending, self._at)
        if chunked.done:
            return bytes(chunked.body)
        self._pending = self._pending[self._at :]
        self._at = 0
        return None

    def _finish(self) -> None:
        """The message is complete; a buffer that was read to its end is dropped."""
        self._chunked = None
        self._in_body = False
        if self._at == len(self._pending):
            self._pending = b""
            self._at = 0


class Writer:
    """Writes responses; what they have in common is built once a second.

    Args:
        clock: seconds since the epoch.
    """

    __slots__ = ("_clock", "_json", "_since", "_until", "date")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.date = b""
        """The `Date` header line (RFC 9110, 6.6.1), as it was last written."""
        self._json = b""
        self._build()

    def write(self, response: Response, *, keep_alive: bool, head: Head | None = None) -> bytes:
        """One response as bytes: for a `HEAD` without its body, and saying so where the connection closes or an old one stays."""
        if not self._since <= self._clock() < self._until:
            self._build()
        body = response.body
        if keep_alive and response.headers is JSON and response.status == 200 and (head is None or head.plain):
            return b"%b%d\r\n\r\n%b" % (self._json, len(body), body)
        return self._write_any(response, keep_alive, head)

    def _build(self) -> None:
        """Build the common parts for the second that it is."""
        self._since = int(self._clock())
        self._until = self._since + 1
        self.date = b"Date: %b\r\n" % formatdate(self._since, usegmt=True).encode()
        self._json = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self.date + b"Content-Length: "

    def _write_any(self, response: Response, keep_alive: bool, head: Head | None) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {phrase(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        # RFC 9110, 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of … 204".
        if response.status != 204:
            lines.append(f"Content-Length: {len(response.body)}")
        if not keep_alive:
            lines.append("Connection: close")
        elif head is not None and head.version == (1, 0):
            lines.append("Connection: keep-alive")
        text = "\r\n".join(lines).encode("latin-1") + b"\r\n" + self.date + b"\r\n"
        return text if head is not None and head.verb == "HEAD" else text + response.body
