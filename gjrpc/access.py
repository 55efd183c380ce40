"""The access log: a line for each answer.

Owns its two formats. It is handed finished facts and knows no socket; without it the server does not even take the time.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO
from urllib.parse import quote

from gjrpc import codec
from gjrpc.messages import Head


def _common(peer: str, head: Head, status: int, size: int, seconds: float, caller: str | None, now: float) -> str:
    """The Common Log Format, as Apache defined it, with the seconds taken at its end."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
    version = ".".join(map(str, head.version))
    # Blanks would make more fields of one.
    user = "-" if caller is None else quote(caller, safe="@")
    return f'{peer} - {user} [{at}] "{head.verb} {_quoted(head.target)} HTTP/{version}" {status} {size} {seconds:.6f}'


def _json(peer: str, head: Head, status: int, size: int, seconds: float, caller: str | None, now: float) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    line = {"time": at, "peer": peer, "caller": caller, "verb": head.verb, "target": head.target, "status": status, "size": size}
    return codec.encode(line | {"seconds": round(seconds, 6)}).decode()


FORMATS: dict[str, Callable[[str, Head, int, int, float, str | None, float], str]] = {"common": _common, "json": _json}
"""The formats by name: each makes a line of peer, head, status, bytes of body, seconds taken, caller, seconds since
the epoch."""


class AnswerLog(Protocol):
    """Whatever wants to know of each answer."""

    def write(self, address: Any, head: Head, status: int, size: int, seconds: float, caller: str | None = None) -> None:
        """Note one answer: the socket address of who asked, for what, status, bytes of body, seconds taken, caller."""
        ...


class AccessLog:
    """Writes a line for each answer.

    Args:
        style: a name from `FORMATS`.
        stream: a text file.
        clock: seconds since the epoch.
    """

    def __init__(self, style: str, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        self._format = FORMATS[style]
        self._stream = stream
        self._clock = clock

    def write(self, address: Any, head: Head, status: int, size: int, seconds: float, caller: str | None = None) -> None:
        """Write the line of one answer."""
        self._stream.write(self._format(peer_name(address), head, status, size, seconds, caller, self._clock()) + "\n")
        self._stream.flush()


def peer_name(address: Any) -> str:
    """The host of a socket address; `unix` where there is none."""
    return str(address[0]) if isinstance(address, tuple) else "unix"


def _quoted(target: str) -> str:
    """A target that can't end the quotation that it stands in; control characters can't be in it."""
    return target.replace("\\", "\\\\").replace('"', '\\"')
