"""Logging that can't be flooded or forged."""

import logging
import re
import socket
import sys

import pytest
from conftest import TIMEOUT

from gjrpc.process.logs import LineFormatter, RateLimit


def record(text, *args, level=logging.INFO, exc_info=None):
    """Return a record as a logger makes it."""
    return logging.LogRecord("gjrpc.test", level, __file__, 1, text, args, exc_info)


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def test_a_kind_of_line_is_left_out_after_a_burst():
    """After a few lines of a kind, further ones are omitted, and the next one reports how many."""
    clock = Clock()
    calm = RateLimit(clock)
    assert [calm.filter(record("%s: refused", number)) for number in range(105)] == [True] * 5 + [False] * 100
    assert calm.filter(record("another"))
    clock.now += 2
    told = record("%s: refused", "x")
    assert calm.filter(told)
    assert told.getMessage() == "x: refused (and 100 more like it)"
    assert not calm.filter(record("%s: refused", "y"))


def test_no_more_than_a_line_in_two_seconds_in_the_long_run():
    """Of an endless flood of one kind, one line is written every two seconds."""
    clock = Clock()
    calm, written = RateLimit(clock), 0
    for _ in range(10_000):
        clock.now += 0.01
        written += calm.filter(record("%s: refused", 1))
    assert 50 <= written <= 56


def test_errors_are_never_left_out():
    """Errors without a traceback are always written."""
    calm = RateLimit(Clock())
    assert all(calm.filter(record("failed", level=logging.ERROR)) for _ in range(100))


def raised(kind):
    """Return `sys.exc_info()` of an exception of a class, raised on one of two lines."""
    try:
        if kind is ValueError:
            raise kind("a")
        raise kind("b")
    except (ValueError, KeyError):
        return sys.exc_info()


def test_tracebacks_of_one_kind_are_left_out_after_a_burst():
    """Of a flood of one exception from one line, a few tracebacks are written; each further error is one line."""
    clock, lines = Clock(), LineFormatter()
    calm = RateLimit(clock)

    def written(number, kind=ValueError):
        told = record("ref %s", number, level=logging.ERROR, exc_info=raised(kind))
        assert calm.filter(told)
        return lines.format(told).split("\n")

    flood = [written(number) for number in range(105)]
    assert [len(text) > 1 for text in flood] == [True] * 5 + [False] * 100
    assert flood[5:] == [[f"ref {number}: ValueError: a (see above for a traceback of this kind)"] for number in range(5, 105)]
    assert len(written("other", KeyError)) > 1
    clock.now += 2
    assert len(written("x")) > 1


def test_a_brief_line_is_one_line():
    """An exception with a hostile, long or unreadable text is one line too; other handlers still have the traceback."""

    class Odd(ValueError):
        def __str__(self):
            raise KeyError("odd")

    for error, words in ((ValueError("a\nforged" + "x" * 10_000), "ValueError: a\\nforged"), (Odd(), "Odd (see above")):
        told = record("ref %s", 1, level=logging.ERROR, exc_info=(type(error), error, None))
        told.brief = True
        text = LineFormatter().format(told)
        assert text.startswith(f"ref 1: {words}")
        assert "\n" not in text
        assert len(text) < 250
        assert told.exc_info[1] is error


@pytest.mark.parametrize(
    "evil", ["\n", "\r", "\x1b[2J", "\x85", "\u2028", "\u2029", "\u202e", "\0", "\x0b", "\x0c", "\x9b", "\ud800"]
)
def test_a_line_cannot_be_forged(evil):
    """Whatever a client's text contains, a record stays one line, and no line of a traceback looks like a record."""
    text = f"x{evil}2026-01-01 00:00:00,000 ERROR gjrpc: forged"
    lines = LineFormatter("%(levelname)s %(message)s")
    (line,) = lines.format(record("name %s", text)).split("\n")
    assert evil not in line
    assert line.isprintable()
    try:
        raise ValueError(text) from KeyError(text)
    except ValueError:
        told = record("failed", exc_info=sys.exc_info())
    first, *others = lines.format(told).split("\n")
    assert first == "INFO failed"
    assert all(other.startswith("    ") and other.isprintable() for other in others)
    assert any("forged" in other for other in others)


def test_a_traceback_that_another_formatter_left_is_not_taken():
    """A traceback that another formatter has stored on the record is escaped too."""
    try:
        raise ValueError("x\nforged")
    except ValueError:
        told = record("failed", exc_info=sys.exc_info())
    assert "\nforged" in logging.Formatter().format(told)
    assert "\nforged" not in LineFormatter().format(told)


def test_a_long_text_is_shortened():
    """An exception with ten megabytes of text, or a million lines, is shortened."""
    for text in ("x" * 10_000_000, "\n" * 1_000_000):
        try:
            raise ValueError(text)
        except ValueError:
            told = record("%s", text, exc_info=sys.exc_info())
        assert len(LineFormatter().format(told)) < 300_000


def test_a_foreign_application_keeps_its_lines():
    """Text that a foreign application writes to wsgi.errors keeps its lines, and none looks like a record."""
    told = logging.LogRecord("gjrpc.wsgi.errors", logging.ERROR, __file__, 1, "one\ntwo\x1b", (), None)
    assert LineFormatter("%(message)s").format(told) == "one\n    two\\x1b"


def test_what_is_remembered_is_bounded():
    """However many different lines there are, the number of remembered kinds is bounded."""
    calm = RateLimit(Clock())
    for number in range(10_000):
        assert calm.filter(record(f"line {number}"))
    assert len(calm._kinds) <= 256


def test_a_flood_of_malformed_requests_leaves_a_few_lines(launch):
    """Three hundred malformed requests leave about ten lines in a server's log."""
    server = launch("-m", "gjrpc.serve", "--bind", "127.0.0.1:0")
    url = server.wait_url()
    host, port = re.fullmatch(r"http://(\S+):(\d+)", url).groups()
    for _ in range(300):
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
            connection.sendall(b"NONSENSE\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert server.output.count("refused: 400") <= 12
    server.process.terminate()
    assert server.wait() == 0
