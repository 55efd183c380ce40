"""How many bytes of answers wait for their clients: the count, the bound, and every way out of it."""

import contextlib
import socket

import gevent.event
import pytest
from conftest import wait_until
from gated import Gated

from gjrpc.limits import Timeouts
from gjrpc.server.unsent import Unsent

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = 12_000_000
BIG = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def application():
    """An application with large answers, and a call that waits until the gate is opened."""
    return Gated(big=lambda: "x" * SIZE, medium=lambda: "x" * 50_000)


def reluctant(served, stack, request=BIG):
    """A client that does not take its answer."""
    wire = stack.enter_context(served.wire(narrow=True))
    wire.send(request)
    return wire


def test_beyond_the_bound_calls_are_refused(serve, application):
    """While too many bytes wait, calls get 503 and probes their answer; once the bytes are read, calls are accepted again."""
    served = serve(application, max_unsent=SIZE * 3 // 2)
    unsent = served.server.unsent
    with contextlib.ExitStack() as stack:
        kept, slow = stack.enter_context(served.wire()), [reluctant(served, stack) for _ in range(2)]
        wait_until(lambda: unsent.full, "there are too many")
        refused = kept.ask(PING)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert f"more than {SIZE * 3 // 2} bytes of answers wait" in refused.json()["detail"]
        assert kept.ask(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert len(slow[0].answer().body) > SIZE
        wait_until(lambda: not unsent.full, "one is taken")
        assert kept.ask(PING).status == 200
        assert len(slow[1].answer().body) > SIZE
        wait_until(lambda: unsent.total == 0, "all are taken")
    assert served.server.shared.overload.refused == 1


def test_calls_that_are_ready_together_are_refused_too(serve, application):
    """The bound holds within one turn of the loop: of many calls that are ready at once only those up to it begin."""
    served = serve(application, max_unsent=SIZE // 4)
    with contextlib.ExitStack() as stack:
        gate = application.gate = gevent.event.Event()
        wires = [stack.enter_context(served.wire(narrow=True)) for _ in range(20)]
        for wire in wires:
            assert wire.ask(PING).status == 200
        for wire in wires:
            wire.send(BIG)
        wait_until(lambda: served.server.unsent.full and served.server.shared.overload.refused, "there are too many")
        assert served.server.unsent.total < 3 * SIZE
        gate.set()


def test_an_answer_counts_as_a_whole_until_it_is_taken(serve, application):
    """What systems have taken of an answer counts too while the client has not taken all: its memory is not given back before."""
    served = serve(application)
    with contextlib.ExitStack() as stack:
        wire = reluctant(served, stack)
        wait_until(lambda: served.server.unsent.total, "the answer waits")
        assert served.server.unsent.total > SIZE
        assert len(wire.answer().body) > SIZE
        wait_until(lambda: served.server.unsent.total == 0, "it is taken")


def test_who_takes_least_is_given_up(serve, application):
    """Clients that take nothing can't keep others out: after a second their answers are given up, and not one that is taken."""
    served = serve(application, max_unsent=SIZE * 3 // 2)
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(served.wire())
        for _ in range(3):
            reluctant(served, stack)
        wait_until(lambda: served.server.unsent.full, "there are too many")
        # Half of the room is free then, or, where it is too early to say of one how fast it takes, as much as is needed.
        wait_until(lambda: not served.server.unsent.full, "there is room")
        assert served.server.unsent.given_up >= 1
        assert kept.ask(PING).status == 200


def ways_out():
    """Every way in which an answer that waits can end: by name, what the test does then."""

    def taken(served, wire):
        assert len(wire.answer().body) > SIZE

    def gone(served, wire):
        wire.socket.close()

    def stopped(served, wire):
        served.stop()

    def late(served, wire):
        wait_until(lambda: served.connections == 0, "its time is over")

    def evicted(served, wire):
        served.server.connections.most = 1
        wait_until(lambda: all(one.rank is not None for one in served.server.connections), "it is slow")
        with served.wire() as newcomer:
            assert newcomer.ask(PING).status == 200

    return [taken, gone, stopped, late, evicted]


@pytest.mark.parametrize("end", ways_out(), ids=lambda end: end.__name__)
def test_the_count_does_not_leak(serve, application, end):
    """However the wait for a client ends, its bytes are counted no more."""
    served = serve(application, timeouts=Timeouts(write=0.3 if end.__name__ == "late" else 30, grace=0.1))
    with contextlib.ExitStack() as stack:
        wire = reluctant(served, stack)
        wait_until(lambda: served.server.unsent.total > SIZE // 2, "the answer waits")
        end(served, wire)
        wait_until(lambda: served.server.unsent.total == 0, "nothing is counted")
    assert not served.server.unsent._counts


@pytest.mark.parametrize("way", ["answered", "gone"])
def test_answers_held_back_are_counted(serve, application, way):
    """What a client did not take while its next call waits is counted until that call has ended."""
    served = serve(application)
    gate = application.gate = gevent.event.Event()
    with served.wire() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert wire.ask(PING).status == 200
        (connection,) = served.server.connections
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        wire.send(b"GET /medium HTTP/1.1\r\nHost: a\r\n\r\n" + WAIT)
        wait_until(lambda: served.server.unsent.total, "something is held back")
        if way == "gone":
            wire.socket.close()
        gate.set()
        if way == "answered":
            assert [wire.answer().status for _ in range(2)] == [200, 200]
        wait_until(lambda: served.server.unsent.total == 0, "nothing is counted")


class Sender:
    """Something that waits, at a rate."""

    def __init__(self, rate):
        self.told, self.given_up, self.looks = rate, 0, 0

    def look(self, now):
        self.looks += 1

    def rate(self, now):
        return self.told

    def give_up(self):
        self.given_up += 1


def test_the_count():
    """Bytes are counted by sender, a change of fullness is reported once, and the slowest are given up until half is free."""
    told = []
    unsent = Unsent(100, told.append)
    senders = [Sender(rate) for rate in (5.0, None, 1.0, 3.0)]
    for sender in senders:
        unsent.note(sender, 40)
    assert (unsent.total, told) == (160, [True])
    unsent.look(0.0)
    assert [sender.given_up for sender in senders] == [1, 0, 1, 1]
    for sender in senders:
        unsent.note(sender, 10)
        unsent.note(sender, 0)
        unsent.note(sender, 0)
    assert (unsent.total, told) == (0, [True, False])
    assert [sender.looks for sender in senders] == [1, 1, 1, 1]
