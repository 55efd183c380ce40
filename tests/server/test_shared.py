"""What connections share: the clock and the beginning of a stop, on a real server that is not started."""

import time

import pytest

from gjrpc import Application, Registry
from gjrpc.server.server import Server


@pytest.fixture
def server():
    """A server that is not started."""
    return Server(("127.0.0.1", 0), Application(Registry()))


def test_the_clock_goes_on_with_each_tick(server):
    """The server's time is the time of the last tick."""
    shared = server.shared
    before = shared.now
    assert shared.now == before
    shared.tick()
    assert before <= shared.now <= time.monotonic()


def test_draining_begins_once(server):
    """A server drains from the moment that it begins to stop, and its repr says so."""
    assert not server.draining
    assert "not started" in repr(server)
    server.shared.drain()
    assert server.draining
    assert "draining" in repr(server)


def test_the_server_s_parts_are_the_shared_ones(server):
    """What the server offers by name is what its connections use."""
    for name in ("connections", "greenlets", "handshakes", "bodies", "unsent"):
        assert getattr(server, name) is getattr(server.shared, name)
