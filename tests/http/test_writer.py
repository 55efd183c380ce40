"""Responses written as bytes."""

import pytest

from gjrpc.http.messages import JSON, Head, Response
from gjrpc.http.writer import Writer


class Clock:
    """A clock that the test sets; 2 January 2020, 03:04:05 UTC at first."""

    now = 1577934245.0

    def __call__(self):
        return self.now


DATE = b"Date: Thu, 02 Jan 2020 03:04:05 GMT\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
OLD = Head("GET", "/", version=(1, 0))


@pytest.mark.parametrize(
    ("response", "keep_alive", "asked", "written"),
    [
        (Response(200, b"{}"), True, None, OK + DATE + b"Content-Length: 2\r\n\r\n{}"),
        (Response(200, b"{}"), True, Head("POST", "/"), OK + DATE + b"Content-Length: 2\r\n\r\n{}"),
        (Response(200, b""), True, Head("GET", "/"), OK + DATE + b"Content-Length: 0\r\n\r\n"),
        (Response(200, b"{}"), True, Head("HEAD", "/"), OK + b"Content-Length: 2\r\n" + DATE + b"\r\n"),
        (Response(200, b"{}"), False, None, OK + b"Content-Length: 2\r\nConnection: close\r\n" + DATE + b"\r\n{}"),
        (Response(200, b"{}"), False, OLD, OK + b"Content-Length: 2\r\nConnection: close\r\n" + DATE + b"\r\n{}"),
        (Response(200, b"{}"), True, OLD, OK + b"Content-Length: 2\r\nConnection: keep-alive\r\n" + DATE + b"\r\n{}"),
        (Response(204, headers=()), True, None, b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"),
        (Response(304, headers=()), True, None, b"HTTP/1.1 304 Not Modified\r\n" + DATE + b"\r\n"),
        (
            Response(204, headers=(("Allow", "GET"),)),
            False,
            None,
            b"HTTP/1.1 204 No Content\r\nAllow: GET\r\nConnection: close\r\n" + DATE + b"\r\n",
        ),
        (
            Response(404, b"no", (("Content-Type", "text/plain"), ("X", "\xe9"))),
            True,
            Head("GET", "/"),
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX: \xe9\r\nContent-Length: 2\r\n" + DATE + b"\r\nno",
        ),
        (Response(599, b"", ()), True, None, b"HTTP/1.1 599 Error\r\nContent-Length: 0\r\n" + DATE + b"\r\n"),
        (Response(404, b"{}", JSON), False, Head("HEAD", "/", version=(1, 0)), b"HTTP/1.1 404 Not Found\r\n"),
    ],
)
def test_responses(response, keep_alive, asked, written):
    """A response has a date, its length and `Connection` where that is not the default; to HEAD, or with 204, it has no body."""
    told = Writer(Clock()).write(response, keep_alive=keep_alive, head=asked)
    assert told == written or (told.startswith(written) and asked.verb == "HEAD" and told.endswith(DATE + b"\r\n"))


def test_the_date_follows_the_clock():
    """Each response has the date of the last tick, also after the clock was set back."""
    clock = Clock()
    writer = Writer(clock)
    for second, shown in ((0, b"03:04:05"), (0.9, b"03:04:05"), (1, b"03:04:06"), (3600, b"04:04:05"), (-5, b"03:04:00")):
        clock.now = Clock.now + second
        writer.tick()
        for keep_alive in (True, False):
            assert b"Date: Thu, 02 Jan 2020 %b GMT\r\n" % shown in writer.write(Response(200), keep_alive=keep_alive)


@pytest.mark.parametrize("size", [0, 1023, 1024, 100_000])
def test_each_size_is_written_alike(size):
    """A body's length is correct below and above the sizes that are prepared."""
    written = Writer(Clock()).write(Response(200, b"x" * size), keep_alive=True)
    head, _, body = written.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % size in head
    assert len(body) == size


@pytest.mark.parametrize("response", [Response(200, b"{}"), Response(404, b"no", (("X", "y"),)), Response(204, headers=())])
def test_a_head_alone(response):
    """The head of a response, followed by the body, is the whole response."""
    writer = Writer(Clock())
    head = writer.write_head(response, keep_alive=False)
    assert head + response.body == writer.write(response, keep_alive=False)
