"""How one request is answered, by each of the ways."""

from functools import partial

import pytest
from conftest import wait_until

from gjrpc import Application, Registry

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
PONG = b'{"ping":"pong"}'


@pytest.fixture
def application():
    """An application with methods to try."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    registry.register(lambda: "x" * 100_000, "much")
    return Application(registry)


@pytest.fixture(params=[lambda application: application, partial], ids=["short way", "WSGI"])
def door(request):
    """Each way to the application."""
    return request.param


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "closed"])
@pytest.mark.parametrize(("name", "size"), [("ping", 15), ("much", 100_011)])
def test_an_answer_of_any_size_comes_whole(serve, application, door, name, size, keep):
    """A small answer and a large one arrive whole, whether the connection stays open or not."""
    asked = PING.replace(b"ping", name.encode())
    with serve(door(application)).wire() as wire:
        answer = wire.ask(asked if keep else asked[:-2] + b"Connection: close\r\n\r\n")
        assert (answer.status, len(answer.body)) == (200, size)
        if keep:
            assert wire.ask(PING).body == PONG
        else:
            assert wire.rest() == b""


class Noted:
    """An access log that keeps its records."""

    def __init__(self):
        self.lines = []

    def write(self, answered):
        self.lines.append((answered.address[0], repr(answered.head), answered.status, answered.size))
        assert 0 <= answered.seconds < 15


def test_the_access_log(serve, application, door):
    """Each answer is noted with its peer, target, status and size, also a refusal."""
    noted = Noted()
    served = serve(door(application), access_log=noted)
    served.exchange(PING + b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n" + b"bad\r\n")
    wait_until(lambda: len(noted.lines) == 3, "three lines")
    assert noted.lines[0] == ("127.0.0.1", "<Head GET /ping>", 200, len(PONG))
    assert noted.lines[1][:3] == ("127.0.0.1", "<Head GET /nope>", 404)
    assert noted.lines[2][:3] == ("127.0.0.1", "<Head - ->", 400)
