"""A calm log: what is left out, and that it is told."""

import logging
import re
import socket

from conftest import TIMEOUT

from gjrpc.logs import Calm


def record(text, *args, level=logging.INFO, exc_info=None):
    """A record as a logger makes it."""
    return logging.LogRecord("gjrpc.test", level, __file__, 1, text, args, exc_info)


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def test_a_kind_of_line_is_left_out_after_a_burst():
    """After a few lines of a kind others are left out, whatever they are about, and the next one says how many."""
    clock = Clock()
    calm = Calm(clock)
    assert [calm.filter(record("%s: refused", number)) for number in range(105)] == [True] * 5 + [False] * 100
    assert calm.filter(record("another"))
    clock.now += 2
    told = record("%s: refused", "x")
    assert calm.filter(told)
    assert told.getMessage() == "x: refused (and 100 more like it)"
    assert not calm.filter(record("%s: refused", "y"))


def test_no_more_than_a_line_in_two_seconds_in_the_long_run():
    """Of a kind that comes without end, a line in two seconds is written."""
    clock = Clock()
    calm, written = Calm(clock), 0
    for _ in range(10_000):
        clock.now += 0.01
        written += calm.filter(record("%s: refused", 1))
    assert 50 <= written <= 56


def test_errors_are_never_left_out():
    """Errors and lines with a traceback are always written."""
    calm = Calm(Clock())
    assert all(calm.filter(record("failed", level=logging.ERROR)) for _ in range(100))
    assert all(calm.filter(record("failed", exc_info=(ValueError, ValueError(), None))) for _ in range(100))


def test_what_is_remembered_is_bounded():
    """Any number of different lines leaves no more than a few kinds in memory."""
    calm = Calm(Clock())
    for number in range(10_000):
        assert calm.filter(record(f"line {number}"))
    assert len(calm._kinds) <= 256


def test_a_flood_of_malformed_requests_leaves_a_few_lines(launch):
    """Three hundred malformed requests leave some ten lines in the log of a server, and it goes on."""
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
