"""HTTP/1.1 without a socket: responses → bytes.

Owns how a response is written. Of a request it knows only the head.
"""

import time
from collections.abc import Callable
from email.utils import formatdate

from gjrpc.http.messages import JSON, WITHOUT_BODY, Head, Response, reason_phrase

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""RFC 9110, section 15.2.1."""


class Writer:
    """Writes responses; `tick` prepares what they have in common.

    Args:
        clock: seconds since the epoch.

    Attributes:
        date: the `Date` header line (RFC 9110, 6.6.1).
    """

    __slots__ = ("_clock", "_json", "_second", "date")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self.date = b""
        self._json = b""
        self.tick()

    def tick(self) -> None:
        """Read the clock; call this about twice a second."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self.date = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
            self._json = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self.date + b"Content-Length: "

    def write(self, response: Response, keep_alive: bool, head: Head | None = None) -> bytes:
        """Return a response as bytes, for a `HEAD` without its body.

        It has a `Connection` header if the connection closes, or if one of HTTP/1.0 stays open.
        """
        body = response.body
        if keep_alive and response.headers is JSON and response.status == 200 and (head is None or head.plain):
            size = len(body)
            return self._json + (_LENGTHS[size] if size < _MANY else b"%d\r\n\r\n" % size) + body
        text = self.write_head(response, keep_alive, head)
        return text if head is not None and head.verb == "HEAD" else text + body

    def write_head(self, response: Response, keep_alive: bool, head: Head | None = None) -> bytes:
        """Return the head of a response: everything before its body."""
        lines = [f"HTTP/1.1 {response.status} {reason_phrase(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if response.status not in WITHOUT_BODY:
            lines.append(f"Content-Length: {len(response.body)}")
        if not keep_alive:
            lines.append("Connection: close")
        elif head is not None and head.version == (1, 0):
            lines.append("Connection: keep-alive")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n" + self.date + b"\r\n"


_MANY = 1024
_LENGTHS = [b"%d\r\n\r\n" % size for size in range(_MANY)]
