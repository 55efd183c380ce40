"""Decodes the chunked coding of a body (RFC 9112, section 7.1) piece by piece.

Owns the syntax of chunks and trailers, and their limits. Bytes in, a body out: it knows no socket.
"""

import re
from collections.abc import Callable

from gjrpc.errors import BadMessage
from gjrpc.http.lines import FIELD_LINE
from gjrpc.limits import Limits

# RFC 9112, 7.1: chunk-size = 1*HEXDIG, then extensions, which "a recipient MUST ignore".
_CHUNK_LINE = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_LONGEST_CHUNK_LINE = 256
_MOST_EXTENSIONS = 64 * 1024  # bytes in one body
# RFC 9110, 6.5.1: a trailer may not have fields for framing, routing, authentication or content coding. A proxy may have acted on
# one of these, so the message is refused; all other trailer fields are ignored.
_NO_TRAILERS = frozenset(
    b"authorization content-encoding content-length cookie host proxy-authorization trailer transfer-encoding".split()
)


class Chunked:
    """Decodes one chunked body (RFC 9112, 7.1); checks its trailers and drops them."""

    __slots__ = ("_extensions", "_left", "_limits", "_read", "_searched", "_trailer_bytes", "body", "done")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._trailer_bytes = self._extensions = 0
        self._searched = 0  # bytes of an incomplete line that were searched already, so that each is searched only once
        # The next step. A bound method would make a reference cycle, and the body would stay until Python collects it.
        self._read: Callable[[Chunked, bytes | bytearray, int], int] = Chunked._size_line
        self.body = bytearray()
        self.done = False

    def feed(self, buffer: bytes | bytearray, at: int) -> int:
        """Continue reading at `at` and return the position that was reached."""
        while not self.done:
            reached = self._read(self, buffer, at)
            if reached == at:
                break
            at = reached
        return at

    def _size_line(self, buffer: bytes | bytearray, at: int) -> int:
        end = self._line_end(buffer, at, _LONGEST_CHUNK_LINE, "the chunk-size line is too long")
        if end < 0:
            return at
        line = _CHUNK_LINE.fullmatch(buffer, at, end)
        if line is None:
            raise BadMessage("malformed chunk-size line")
        # Otherwise extensions could carry any number of bytes, past the body's limit.
        self._extensions += end - at - len(line["size"])
        if self._extensions > _MOST_EXTENSIONS:
            raise BadMessage("the chunk extensions are too long")
        self._left = int(line["size"], 16)
        if len(self.body) + self._left > self._limits.body:
            raise BadMessage(f"the body has more bytes than the limit, {self._limits.body}", status=413)
        self._read = Chunked._data if self._left else Chunked._trailer
        return end + 2

    def _data(self, buffer: bytes | bytearray, at: int) -> int:
        piece = buffer[at : at + self._left]
        self.body += piece
        self._left -= len(piece)
        if not self._left:
            self._read = Chunked._data_end
        return at + len(piece)

    def _data_end(self, buffer: bytes | bytearray, at: int) -> int:
        ending = buffer[at : at + 2]
        if not b"\r\n".startswith(ending):
            raise BadMessage("a chunk is longer than its size")
        if len(ending) < 2:
            return at
        self._read = Chunked._size_line
        return at + 2

    def _trailer(self, buffer: bytes | bytearray, at: int) -> int:
        room = max(self._limits.head - self._trailer_bytes, 0)
        end = self._line_end(buffer, at, room, "the trailer is too long")
        if end < 0:
            return at
        if end == at:
            self.done = True
            return at + 2
        line = FIELD_LINE.fullmatch(buffer, at, end)
        if line is None or line["name"].lower() in _NO_TRAILERS:
            raise BadMessage("malformed or forbidden trailer field")
        self._trailer_bytes += end + 2 - at
        return end + 2

    def _line_end(self, buffer: bytes | bytearray, at: int, room: int, too_long: str) -> int:
        end = buffer.find(b"\r\n", at + self._searched, at + room + 2)
        if end < 0 and len(buffer) - at > room + 1:  # the last one may be the CR
            raise BadMessage(too_long)
        self._searched = max(len(buffer) - at - 1, 0) if end < 0 else 0
        return end
