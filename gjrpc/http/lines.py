"""The lines of a request's head: their syntax and limits, and the errors for bad ones.

Owns the rules for a single line (RFC 9112). Pure functions of bytes; `head` has the rules for all lines together.
"""

import re

from gjrpc.errors import BadMessage
from gjrpc.limits import Limits
from gjrpc.texts import quoted

_CHARACTER = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN = _CHARACTER + rb"+"
# RFC 9112, 3: request-line = method SP request-target SP HTTP-version; this server speaks only versions 1.0
# and 1.1. A target is ASCII (RFC 3986, 2): programs would interpret any other byte differently.
REQUEST_LINE = re.compile(_TOKEN + rb" [\x21-\x7e]+ HTTP/1\.[01]")
_FIRST_BYTE = re.compile(_CHARACTER + rb"|\r")
# RFC 9112, 5: field-line = field-name ":" OWS field-value OWS. "No whitespace is allowed between the field name and colon"
# (5.1). A line that begins with a blank is obs-fold, for which "a server MUST reject the message by sending a 400" (5.2); a bare
# CR or LF and control characters are not allowed in it (2.2, and RFC 9110, 5.5).
FIELD_LINE = re.compile(rb"(?P<name>" + _TOKEN + rb"):(?P<value>[\t\x20-\x7e\x80-\xff]*)")


class Lines:
    """Checks each line of a head once it is complete, so that a bad one is refused at once, however the bytes are split.

    Attributes:
        at: bytes of the lines that were valid.
        searched: bytes that were searched for a line end, so that no byte of a slow line is searched twice.
    """

    __slots__ = ("_count", "_limits", "at", "searched")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self.at = self.searched = 0

    def check(self, buffer: bytes | bytearray, start: int) -> None:
        """Check the part of a head that is in a buffer from `start`.

        Raises:
            BadMessage: it can't become a valid head; 400, 414 or 431.
        """
        begin = start + self.at
        if begin == start < len(buffer) and not _FIRST_BYTE.match(
            buffer, start
        ):  # for example a TLS handshake: no line would end
            raise bad_request_line(bytes(buffer[start : start + 1]))
        while end := buffer.find(b"\n", max(begin, start + self.searched)) + 1:
            self._check_room(end - start)
            self._check_line(buffer, begin, end)
            self._count += 1
            begin = end
        self.at = begin - start
        self.searched = len(buffer) - start
        self._check_room(len(buffer) - start)

    def _check_room(self, size: int) -> None:
        limits = self._limits
        if self._count == 0 and size > min(limits.target + 2, limits.head):
            raise BadMessage(f"the request line is longer than {limits.target} bytes", status=414)  # RFC 9112, 3
        if size > limits.head:
            raise too_large_head(limits)

    def _check_line(self, buffer: bytes | bytearray, begin: int, end: int) -> None:
        # RFC 9112, 2.2: a recipient "MAY recognize a single LF as a line terminator"; this one does not, as others may not.
        whole = buffer.endswith(b"\r\n", begin, end)
        if self._count == 0:
            if not whole or not REQUEST_LINE.fullmatch(buffer, begin, end - 2):
                raise bad_request_line(bytes(buffer[begin:end]))
        elif not whole or end - begin > 2:
            if self._count > self._limits.headers:
                raise too_large_head(self._limits)
            if not whole or not FIELD_LINE.fullmatch(buffer, begin, end - 2):
                raise BadMessage("malformed header line")


def too_large_head(limits: Limits) -> BadMessage:
    """Return the error for a head beyond its limits; 431 (RFC 6585, 5)."""
    return BadMessage(f"the head is larger than {limits.head} bytes or has more than {limits.headers} headers", status=431)


def bad_request_line(line: bytes) -> BadMessage:
    """Return the error for a line that is not a request line; 400 (RFC 9112, 3)."""
    return BadMessage(f"malformed request line {quoted(line.decode('latin-1').rstrip())}; expected VERB TARGET HTTP/1.1")
