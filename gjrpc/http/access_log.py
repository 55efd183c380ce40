"""The access log: a line for each answer.

Owns its two formats. It is handed finished facts and knows no socket; without it the server does not even take the time.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TextIO
from urllib.parse import quote

from msgspec import Struct

from gjrpc.http.messages import Head
from gjrpc.http.peer import peer_name
from gjrpc.values import codec

log = logging.getLogger("gjrpc.http")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Answered(Struct, frozen=True):
    """One answer, as a log is told of it.

    Attributes:
        address: the socket address of who asked.
        head: of the request.
        status: of the answer.
        size: bytes of its body.
        seconds: from the request to the answer.
        caller: the name of who called, or None where nobody was asked.
        method: the name of what was called, of a batch the first names with commas between them; None where that was nothing.
    """

    address: Any
    head: Head
    status: int
    size: int
    seconds: float
    caller: str | None = None
    method: str | None = None


def _common(at: str, answered: Answered) -> str:
    """The Common Log Format, as Apache defined it, with the seconds taken and the method at its end."""
    peer, head, caller, method = peer_name(answered.address), answered.head, answered.caller, answered.method
    # Blanks would make more fields of one.
    user = "-" if caller is None else quote(caller, safe="@")
    target = head.target
    version = "1.1" if head.version == (1, 1) else "1.0"
    if '"' in target or "\\" in target:  # it is not to end the quotation that it stands in; control characters can't be in it
        target = target.replace("\\", "\\\\").replace('"', '\\"')
    called = "-" if method is None else quote(method, safe="./:,+")
    request = f"{head.verb} {target} HTTP/{version}"
    return f'{peer} - {user} [{at}] "{request}" {answered.status} {answered.size} {answered.seconds:.6f} {called}\n'


def _json(at: str, answered: Answered) -> str:
    line = {
        "time": at,
        "peer": peer_name(answered.address),
        "caller": answered.caller,
        "verb": answered.head.verb,
        "target": answered.head.target,
        "status": answered.status,
        "size": answered.size,
        "seconds": round(answered.seconds, 6),
        "method": answered.method,
    }
    text = codec.encode(line).decode()
    if not text.isprintable():  # a caller's or method's name may hold bidirectional controls
        text = json.dumps(json.loads(text), separators=(",", ":"))
    return text + "\n"


def common_time(at: time.struct_time, zone: str = "+0000") -> str:
    """A time as Apache writes it, `27/Nov/2026:13:05:00 +0000`; strftime's names depend on the application's locale."""
    day, month = f"{at.tm_mday:02d}", _MONTHS[at.tm_mon - 1]
    return f"{day}/{month}/{at.tm_year}:{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} {zone}"


def _iso_time(at: time.struct_time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", at)


class _Format(NamedTuple):
    """How a line is written: its time, and what makes a line of that and an answer."""

    time: Callable[[time.struct_time], str]
    line: Callable[[str, Answered], str]


FORMATS: dict[str, _Format] = {
    "common": _Format(common_time, _common),
    "json": _Format(_iso_time, _json),
}
"""The formats by name."""


class AnswerLog(Protocol):
    """Whatever wants to know of each answer."""

    def write(self, answered: Answered) -> None:
        """Note one answer."""
        ...


class AccessLog:
    """Writes a line for each answer.

    Args:
        style: a name from `FORMATS`.
        stream: a text file.
        clock: seconds since the epoch.
        later: calls a function a moment later, so that lines go out together; each at once without it.
    """

    def __init__(
        self,
        style: str,
        stream: TextIO,
        clock: Callable[[], float] = time.time,
        later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._time, self._line = FORMATS[style]
        self._stream = stream
        self._clock = clock
        self._later = later
        self._at = ""
        self._until = 0.0  # when the second is over that `_at` names
        self._lines: list[str] = []

    def write(self, answered: Answered) -> None:
        """Write the line of one answer."""
        now = self._clock()
        if not self._until - 1.0 <= now < self._until:  # also where the clock was set back
            self._until = now // 1 + 1.0
            self._at = self._time(time.gmtime(now))
        lines = self._lines
        lines.append(self._line(self._at, answered))
        if self._later is None:
            self.flush()
        elif len(lines) == 1:
            self._later(self.flush)

    def flush(self) -> None:
        """Write the lines that were kept for later."""
        lines, self._lines = self._lines, []
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except OSError as error:  # a full disk, say, or a reader that has gone: the calls go on
            log.warning("the access log can't be written, and %d lines are lost: %s", len(lines), error)
