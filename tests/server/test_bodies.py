"""How many bytes of bodies there may be that come in pieces: the count, the bound, and who makes room."""

import contextlib

import gevent.event
import pytest
from conftest import wait_until
from gated import Gated

from gjrpc.limits import BODIES_AT_ONCE
from gjrpc.server.bodies import Bodies

PIECE = 10_000
HEAD = b'POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 20002\r\n\r\n"'
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def application():
    """An application with a call that waits until the gate is opened."""
    made = Gated(size=len)
    made.gate = gevent.event.Event()
    return made


def awaited(served):
    """How many bodies are awaited."""
    return sum(one.body_cost is not None for one in served.server.connections)


def begun(served, stack, name=b"size"):
    """A client that has sent half of a body."""
    before = awaited(served)
    wire = stack.enter_context(served.wire())
    wire.send(HEAD % name + b"x" * PIECE)
    wait_until(lambda: awaited(served) > before, "it has come")
    return wire


def finish(wire):
    """Send the other half."""
    wire.send(b"x" * PIECE + b'"')


def test_who_has_held_most_for_longest_makes_room(serve, application):
    """Where the bodies that are awaited are too many bytes, the one that cost most is dropped, and the others are read on."""
    served = serve(application, max_bodies=PIECE * 3)
    with contextlib.ExitStack() as stack:
        stalled = begun(served, stack)
        wait_until(lambda: all(one.body_cost for one in served.server.connections), "it has cost something")
        other = stack.enter_context(served.wire())
        other.send(HEAD % b"size" + b"x" * PIECE)
        wait_until(lambda: served.server.bodies.dropped, "there is no room")
        finish(other)
        assert other.answer().json() == {"size": 2 * PIECE}
        assert stalled.socket.recv(1) == b""
        assert served.server.bodies.dropped == 1
        assert served.server.bodies.total <= served.server.bodies.most


def test_bodies_of_calls_count(serve, application):
    """The body of a call that runs counts, and stays: a further one gets 503 before it is read, and small ones go on."""
    served = serve(application, max_bodies=PIECE * 3)
    with contextlib.ExitStack() as stack:
        calling = begun(served, stack, b"wait")
        finish(calling)
        wait_until(
            lambda: served.server.bodies._counts and not any(one.body_cost for one in served.server.connections), "it runs"
        )
        further = stack.enter_context(served.wire())
        further.send(HEAD % b"size" + b"x" * PIECE)
        refused = further.answer()
        assert (refused.status, refused.headers.get("retry-after")) == (503, "1"), refused.body
        assert stack.enter_context(served.wire()).ask(PING).status == 200
        application.gate.set()
        assert calling.answer().json() == {"wait": 2 * PIECE}
        last = begun(served, stack)
        finish(last)
        assert last.answer().json() == {"size": 2 * PIECE}


def test_the_count_does_not_leak(serve, application):
    """A connection that is closed is counted no more, and one whose call has ended does not keep others out."""
    served = serve(application, max_bodies=PIECE * 3)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            wire = begun(served, stack)
            finish(wire)
            assert wire.answer().status == 200
        begun(served, stack)
    wait_until(lambda: served.connections == 0, "all are closed")
    assert (served.server.bodies.total, served.server.bodies._counts, served.server.bodies.dropped) == (0, {}, 0)


def test_small_calls_are_not_counted(serve, application):
    """A body that comes with its head is never noted, and any other as a whole, also if only its last piece is to come."""
    served = serve(application)
    with served.wire() as wire:
        assert wire.ask(b'POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"x"').status == 200
        assert not served.server.bodies._counts
        wire.send(HEAD % b"size" + b"x" * PIECE)
        wait_until(lambda: served.server.bodies.total > 2 * PIECE, "the piece that is still to come is counted too")
    assert served.server.bodies.most == BODIES_AT_ONCE * application.max_body


class Held:
    """A holder of which the test says what it has cost."""

    has_body = True

    def __init__(self, cost):
        self.body_cost = cost
        self.evicted = False

    def evict(self):
        self.evicted = True


def test_no_more_than_needed_is_dropped():
    """The dearest go first, and only until there is room; those for which the server is at work stay."""
    bodies = Bodies(100)
    cheap, dear, working, newest = Held(1.0), Held(2.0), Held(None), Held(None)
    assert all(bodies.note(held, 33) for held in (cheap, dear, working))
    assert bodies.note(newest, 33)
    assert [held.evicted for held in (cheap, dear, working, newest)] == [False, True, False, False]
    assert (bodies.total, bodies.dropped) == (99, 1)
