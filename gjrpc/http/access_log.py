"""The access log: a line for each answer.

Owns its two formats. It gets one record for each answer and knows no socket; without an access log the server makes no records
and does not even read the clock.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TextIO
from urllib.parse import quote

from msgspec import Struct

from gjrpc.http.messages import Head
from gjrpc.http.peer import host_of
from gjrpc.values import codec

log = logging.getLogger("gjrpc.http")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Answered(Struct, frozen=True):
    """The record of one answer.

    Attributes:
        address: the client's socket address.
        head: the head of the request.
        status: the answer's HTTP status.
        size: bytes of the answer's body.
        seconds: from the request to the answer.
        caller: the caller's name; None without authentication.
        method: the method's name, or the first names of a batch with commas between them; None if no method was called.
    """

    address: Any
    head: Head
    status: int
    size: int
    seconds: float
    caller: str | None = None
    method: str | None = None


def _common(at: str, answered: Answered) -> str:
    """Return a line in the Common Log Format, as Apache defined it, with the seconds and the method added at its end."""
    peer, head, caller, method = host_of(answered.address), answered.head, answered.caller, answered.method
    # A blank would split the field.
    user = "-" if caller is None else quote(caller, safe="@")
    target = head.target
    version = "1.1" if head.version == (1, 1) else "1.0"
    if '"' in target or "\\" in target:  # neither may end the quoted field early; control characters can't be in a target
        target = target.replace("\\", "\\\\").replace('"', '\\"')
    called = "-" if method is None else quote(method, safe="./:,+")
    request = f"{head.verb} {target} HTTP/{version}"
    return f'{peer} - {user} [{at}] "{request}" {answered.status} {answered.size} {answered.seconds:.6f} {called}\n'


def _json(at: str, answered: Answered) -> str:
    line = {
        "time": at,
        "peer": host_of(answered.address),
        "caller": answered.caller,
        "verb": answered.head.verb,
        "target": answered.head.target,
        "status": answered.status,
        "size": answered.size,
        "seconds": round(answered.seconds, 6),
        "method": answered.method,
    }
    text = codec.encode(line).decode()
    if not text.isprintable():  # the name of a caller or method may contain bidirectional control characters
        text = json.dumps(json.loads(text), separators=(",", ":"))
    return text + "\n"


def common_time(at: time.struct_time, zone: str = "+0000") -> str:
    """Format a time as Apache does, `27/Nov/2026:13:05:00 +0000`; strftime's month names depend on the application's locale."""
    day, month = f"{at.tm_mday:02d}", _MONTHS[at.tm_mon - 1]
    return f"{day}/{month}/{at.tm_year}:{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} {zone}"


def _iso_time(at: time.struct_time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", at)


class _Format(NamedTuple):
    """How a line is written: what formats the time, and what makes a line of a formatted time and an answer."""

    time: Callable[[time.struct_time], str]
    line: Callable[[str, Answered], str]


FORMATS: dict[str, _Format] = {
    "common": _Format(common_time, _common),
    "json": _Format(_iso_time, _json),
}
"""The formats by name."""


class AnswerLog(Protocol):
    """Anything that is notified of each answer."""

    def write(self, answered: Answered) -> None:
        """Note one answer."""
        ...


class AccessLog:
    """Writes a line for each answer.

    Args:
        style: a name from `FORMATS`.
        stream: a text file.
        clock: seconds since the epoch.
        later: calls a function a moment later, so that lines are written together; without it each is written at once.
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
        self._until = 0.0  # when the second ends that `_at` names
        self._lines: list[str] = []

    def write(self, answered: Answered) -> None:
        """Write the line of one answer."""
        now = self._clock()
        if not self._until - 1.0 <= now < self._until:  # also true if the clock was set back
            self._until = now // 1 + 1.0
            self._at = self._time(time.gmtime(now))
        lines = self._lines
        lines.append(self._line(self._at, answered))
        if self._later is None:
            self.flush()
        elif len(lines) == 1:
            self._later(self.flush)

    def flush(self) -> None:
        """Write the lines that are waiting."""
        lines, self._lines = self._lines, []
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except OSError as error:  # for example a full disk, or a pipe without a reader: the server keeps running
            log.warning("can't write the access log: %s; lines lost: %d", error, len(lines))
