"""The sweep: its lines about overload, and whom it ends."""

import logging
from types import SimpleNamespace

import pytest
from conftest import on_a_hub

from gjrpc.server.connections import Connections
from gjrpc.server.sweep import Sweep


class Late:
    """A connection that has timed out, or gets more time by the end of another."""

    client_host = "test"

    def __init__(self, expires, others=()):
        self.expires, self.others, self.expired = expires, others, 0

    def expire(self):
        self.expired += 1
        for other in self.others:
            other.expires = 1e9


@pytest.fixture
def shared():
    """What a sweep looks at, with all counts at zero."""
    return SimpleNamespace(
        connections=SimpleNamespace(evicted=0, most=100),
        overload=SimpleNamespace(refused=0, reason="the server has 5 calls in flight, which is its limit"),
        unsent=SimpleNamespace(given_up=0),
        bodies=SimpleNamespace(dropped=0, most=1000),
    )


@pytest.fixture
def acceptor():
    """What accepts connections, and has never paused."""
    return SimpleNamespace(pauses=0)


def test_each_limit_that_was_reached_is_one_line(shared, acceptor, caplog):
    """What was refused since the last report is one line for each limit, and nothing where nothing was refused."""
    caplog.set_level(logging.WARNING, "gjrpc.server")
    sweep = Sweep(shared, acceptor)
    sweep._report()
    assert caplog.messages == []
    shared.connections.evicted, acceptor.pauses, shared.overload.refused, shared.unsent.given_up, shared.bodies.dropped = (
        3,
        1,
        7,
        2,
        4,
    )
    sweep._report()
    sweep._report()
    assert caplog.messages == [
        "connection limit (100) reached: idle or unfinished connections closed: 3, pauses in accepting: 1",
        "the server has 5 calls in flight, which is its limit: calls refused: 7, slow clients disconnected: 2",
        "limit for request bodies (1000 bytes) reached: unfinished bodies dropped: 4",
    ]
    shared.overload.refused = 8
    caplog.clear()
    sweep._report()
    assert [message.partition(": ")[2] for message in caplog.messages] == ["calls refused: 1, slow clients disconnected: 0"]


def test_who_has_timed_out_is_ended(shared, acceptor):
    """Each connection that is overdue is ended once, but not one that got more time meanwhile."""
    second = Late(1.0)
    first, many = Late(1.0, [second]), [Late(1.0) for _ in range(70)]
    on_a_hub(lambda: Sweep(shared, acceptor)._expire([first, second, *many], 2.0))
    assert (first.expired, second.expired, {one.expired for one in many}) == (1, 0, {1})


def test_who_is_overdue():
    """Of the open connections those are overdue whose time is before the sweep's."""
    connections = Connections(10)
    late = Late(1.0)
    for one in (late, Late(3.0)):
        connections._open[one] = None
    assert connections.overdue(2.0) == [late]
