"""The log of a server that strangers reach: it stays readable whatever they do.

Owns how the log is set up, how a record becomes lines, and which lines are left out where there are too many of a kind.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from copy import copy
from types import TracebackType
from typing import Any

from gjrpc.process import outlets
from gjrpc.texts import excerpt, printable

log = logging.getLogger("gjrpc.process")

_BURST = 5
_EACH = 2.0  # seconds
_KINDS = 256
_LONGEST = 32768  # characters of one text
_INDENT = "    "

# What a foreign application writes there is a text of its own, often a traceback: it keeps its lines.
_TEXTS = frozenset({"gjrpc.wsgi.errors"})


class Lines(logging.Formatter):
    """Formats a record as one line and its traceback as indented lines, so that only a record begins a line.

    Whatever a text is made of, a name that a stranger sent or an exception's words, its control characters (newline, escape, what
    turns the direction of writing) become escapes, and its middle is left out where it is very long.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines of a record."""
        if getattr(record, "brief", False):
            return f"{super().format(_without_traceback(record))}: {printable(_cause(record.exc_info))}"
        if record.exc_info:
            record.exc_text = None  # another formatter may have left it there, as it came
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record, without its traceback."""
        text = super().formatMessage(record)
        return _indented(text).lstrip() if record.name in _TEXTS else printable(_shortened(text))

    def formatException(self, ei: Any) -> str:
        """The lines of a traceback."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """The lines of a stack."""
        return _indented(super().formatStack(stack_info))


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    plain = copy(record)  # other handlers are to have the whole one
    plain.exc_info = plain.exc_text = None
    return plain


def _cause(exc_info: Any) -> str:
    """What was raised, in a few words."""
    kind, error, _ = exc_info
    try:
        text = excerpt(str(error))
    except Exception:  # noqa: BLE001  an exception's own code, which may raise anything
        text = ""
    return f"{kind.__name__}{': ' * bool(text)}{text} (its traceback is like others above)"


def _indented(text: str) -> str:
    return "\n".join(_INDENT + printable(line) for line in _shortened(text).split("\n"))


def _shortened(text: str) -> str:
    left_out = len(text) - _LONGEST
    if left_out <= 0:
        return text
    return f"{text[: _LONGEST // 2]} … {left_out} characters are left out … {text[-_LONGEST // 2 :]}"


class Calm(logging.Filter):
    """Lets a few lines of a kind through, then one every two seconds that says how many were left out.

    A kind is what one place in the code says, whatever it says it of; of a traceback also what was raised, and where. Errors are
    never left out, since an answer may refer to them (`ref`), but the traceback is: `Lines` then writes one line.

    Args:
        clock: seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is to be written."""
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


def _raised(exc_info: Any) -> tuple[Any, ...]:
    """What was raised, and on which line."""
    if not isinstance(exc_info, tuple):
        return ()
    kind, _, trace = exc_info
    return (kind, *_innermost(trace))


def _innermost(trace: TracebackType | None) -> tuple[Any, ...]:
    if trace is None:
        return ()
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code, trace.tb_lineno


def to_stderr(level: str) -> None:
    """Send the log to standard error, calmly.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    outlets.install()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Calm())
    logging.basicConfig(handlers=[handler], level=level.upper())


def adopt() -> None:
    """Take over handlers that others, such as gunicorn, have set up, so that they never block and lines can't be forged.

    Formatters of other classes than `logging.Formatter` and handlers that write to no stream stay as they are.
    """
    outlets.install()
    unblock()
    for handler in _handlers():
        if type(handler.formatter) is logging.Formatter:
            handler.formatter.__class__ = Lines  # the same but for its methods: with the format that it was given


def unblock() -> None:
    """Make existing handlers write by outlets, and logging's last resort also limit and escape its lines.

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
    last = logging.lastResort  # what writes where no handler is set up at all
    if last is not None and last.formatter is None:
        last.setFormatter(Lines())
        last.addFilter(Calm())


def greenlet_failed(context: Any, kind: Any, error: Any, trace: Any) -> None:
    """Log what an unawaited greenlet raised; replaces `gevent.hub.Hub.print_exception`, which prints it."""
    raised = (kind, error, trace) if isinstance(error, BaseException) else None
    log.error("%s failed: %s", type(context).__name__, getattr(kind, "__name__", kind), exc_info=raised)


_STANDARD = {sys.__stdout__: "stdout", sys.__stderr__: "stderr"}


def _handlers() -> Iterator[logging.Handler]:
    """The handlers of all loggers."""
    for logger in [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]:
        yield from getattr(logger, "handlers", ())
