"""Logging that stays readable, and can't be forged or flooded, whatever clients send.

Owns how logging is configured, how a record becomes lines, and which lines are omitted if there are too many of a kind.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

from gjrpc.process import outlets
from gjrpc.texts import excerpt, printable

log = logging.getLogger("gjrpc.process")

_BURST = 5  # lines of a kind that are written at once
_EACH = 2.0  # seconds between two lines of a kind after that
_KINDS = 256  # kinds that are remembered
_LONGEST = 32768  # characters of one text
_INDENT = "    "

# What a foreign application writes there may have several lines, often a traceback, which are kept.
_TEXTS = frozenset({"gjrpc.wsgi.errors"})


class LineFormatter(logging.Formatter):
    """Formats a record as one line and its traceback as indented lines, so that nothing else can look like a record.

    A text may contain what a client sent. Its control characters (newline, escape, those that change the direction of writing)
    are escaped, and a very long text loses its middle.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines of a record."""
        if getattr(record, "brief", False):
            return f"{super().format(_without_traceback(record))}: {printable(_cause(record.exc_info))}"
        if record.exc_info:
            record.exc_text = None  # another formatter may have stored it there, unescaped
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without its traceback."""
        text = super().formatMessage(record)
        return _indented(text).lstrip() if record.name in _TEXTS else printable(_shortened(text))

    def formatException(self, ei: Any) -> str:
        """Return the lines of a traceback."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """Return the lines of a stack."""
        return _indented(super().formatStack(stack_info))


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    plain = copy(record)  # other handlers need the original
    plain.exc_info = plain.exc_text = None
    return plain


def _cause(exc_info: Any) -> str:
    """Return the type and the shortened text of an exception."""
    kind, error, _ = exc_info
    try:
        text = excerpt(str(error))
    except Exception:  # noqa: BLE001  it runs the exception's own code, which may raise anything
        text = ""
    return f"{kind.__name__}{': ' * bool(text)}{text} (see above for a traceback of this kind)"


def _indented(text: str) -> str:
    return "\n".join(_INDENT + printable(line) for line in _shortened(text).split("\n"))


def _shortened(text: str) -> str:
    left_out = len(text) - _LONGEST
    if left_out <= 0:
        return text
    return f"{text[: _LONGEST // 2]} … {left_out} characters omitted … {text[-_LONGEST // 2 :]}"


class RateLimit(logging.Filter):
    """Passes a few records of a kind, then one every two seconds that reports how many were omitted.

    Records are of one kind if they have the same logger and message before formatting, and the same exception from the same line
    if they have one. Errors are never omitted, because an answer may refer to them (`ref`), but their tracebacks are:
    `LineFormatter` then writes one line.

    Args:
        clock: seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        if record.levelno >= logging.ERROR and not record.exc_info:
            return True
        key, now = (record.name, str(record.msg), *_raised(record.exc_info)), self._clock()
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(now)
        if not kind.may(now):
            record.brief = True
            return record.levelno >= logging.ERROR
        if kind.left_out and record.levelno < logging.ERROR:
            record.msg = f"{record.msg} (and {kind.left_out} more like it)"
            kind.left_out = 0
        return True


class _Kind:
    """A token bucket for the lines of one kind."""

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


def _raised(exc_info: Any) -> tuple[Any, ...]:
    """Return the type of an exception, and the line that raised it."""
    if not isinstance(exc_info, tuple):
        return ()
    kind, _, trace = exc_info
    lines = [(frame.f_code, line) for frame, line in traceback.walk_tb(trace)]
    return (kind, *lines[-1:])


def to_stderr(level: str) -> None:
    """Configure logging: to standard error, without floods and forged lines.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    outlets.install()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(RateLimit())
    logging.basicConfig(handlers=[handler], level=level.upper())


def adopt() -> None:
    """Make handlers that other code (gunicorn, for example) has configured never block, and protect them from forged lines.

    Formatters of other classes than `logging.Formatter`, and handlers that do not write to a stream, stay as they are.
    """
    outlets.install()
    unblock()
    for handler in _handlers():
        if type(handler.formatter) is logging.Formatter:
            handler.formatter.__class__ = LineFormatter  # keeps its format, and changes only its methods


def unblock() -> None:
    """Make existing handlers write through outlets, and logging's last resort limit and escape its lines too.

    Do nothing if standard output and error are not outlets.
    """
    if not outlets.are_standard():
        return
    for handler in _handlers():
        if isinstance(handler, logging.FileHandler):
            if handler.stream is not None:
                handler.stream = outlets.over(handler.stream, handler.baseFilename)
        elif isinstance(handler, logging.StreamHandler) and (stream := _STANDARD.get(handler.stream)):
            handler.setStream(getattr(sys, stream))
    last = logging.lastResort  # the handler that is used if none is configured
    if last is not None and last.formatter is None:
        last.setFormatter(LineFormatter())
        last.addFilter(RateLimit())


def greenlet_failed(context: Any, kind: Any, error: Any, trace: Any) -> None:
    """Log an exception in a greenlet that nothing waits for; replaces `gevent.hub.Hub.print_exception`, which prints it."""
    raised = (kind, error, trace) if isinstance(error, BaseException) else None
    log.error("%s failed: %s", type(context).__name__, getattr(kind, "__name__", kind), exc_info=raised)


_STANDARD = {sys.__stdout__: "stdout", sys.__stderr__: "stderr"}


def _handlers() -> Iterator[logging.Handler]:
    """Yield the handlers of all loggers."""
    for logger in [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]:
        yield from getattr(logger, "handlers", ())
