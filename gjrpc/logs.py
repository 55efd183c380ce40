"""The log of a server that strangers reach: it stays readable whatever they do.

Owns how the log is set up, and which lines are left out where there are too many of a kind.
"""

import logging
import sys
import time
from collections.abc import Callable

_BURST = 5
_EACH = 2.0  # seconds
_KINDS = 256


class Calm(logging.Filter):
    """Lets a few lines of a kind through, then one each two seconds, which says how many like it were left out.

    A kind is what one place in the code says, whatever it says it of. Errors, and lines with a traceback, are never left out.

    Args:
        clock: seconds, of any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is to be written."""
        if record.levelno >= logging.ERROR or record.exc_info:
            return True
        key, now = (record.name, str(record.msg)), self._clock()
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(now)
        if not kind.may(now):
            return False
        if kind.left_out:
            record.msg = f"{record.msg} (and {kind.left_out} more like it)"
            kind.left_out = 0
        return True


class _Kind:
    """What was said of a kind: a bucket of lines that fills again with time."""

    __slots__ = ("_room", "_since", "left_out")

    def __init__(self, now: float) -> None:
        self._room = float(_BURST)
        self._since = now
        self.left_out = 0

    def may(self, now: float) -> bool:
        self._room = min(_BURST, self._room + (now - self._since) / _EACH)
        self._since = now
        if self._room < 1:
            self.left_out += 1
            return False
        self._room -= 1
        return True


def to_stderr(level: str) -> None:
    """Send the log to standard error, calmly.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm())
