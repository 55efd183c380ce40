"""How many connections there may be, on a real server: who makes room, and who waits."""

import contextlib

import pytest
from conftest import wait_until

from gjrpc import Application, Registry

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def application():
    """An application that waits in `wait` until the gate is opened."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    made = Application(registry)

    @registry.method
    def wait():
        made.gate.wait()

    return made


def gate_of(served, application):
    """Give the application an event of the server's own hub; opened by `served.stop` at the latest."""
    import gevent.event

    application.gate = gevent.event.Event()
    return application.gate


def closed(wire):
    """Whether the server has closed this connection."""
    try:
        return wire.rest() == b""
    except OSError:
        return True


def test_the_oldest_idle_connection_makes_room(serve, application):
    """At the limit a new connection is served, and the kept one that was idle for the longest is closed."""
    served = serve(application, max_connections=3)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(served.wire()) for _ in range(3)]
        for wire in wires:
            assert wire.ask(PING).status == 200
        by_port = {connection.client_address[1]: connection for connection in served.server.connections}
        wait_until(lambda: all(connection.waiting for connection in by_port.values()), "all are idle")
        for seconds, wire in enumerate((wires[1], wires[0], wires[2]), start=50):
            by_port[wire.socket.getsockname()[1]].expires = served.server.now + seconds
        newest = stack.enter_context(served.wire())
        assert newest.ask(PING).status == 200
        assert closed(wires[1])
        assert [wire.ask(PING).status for wire in (wires[0], wires[2], newest)] == [200, 200, 200]
    assert served.server.connections.evicted == 1


def test_connections_that_say_nothing_go_first(serve, application):
    """Clients that only connect push out each other, and not those that call."""
    served = serve(application, max_connections=4)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(served.wire()) for _ in range(3)]
        for wire in callers:
            assert wire.ask(PING).status == 200
        silent = [stack.enter_context(served.wire()) for _ in range(20)]
        wait_until(lambda: served.server.connections.evicted == 19, "the silent ones made room")
        assert [wire.ask(PING).status for wire in callers] == [200, 200, 200]
        assert silent[-1].ask(PING).status == 200


def test_without_an_idle_connection_a_new_one_waits(serve, application):
    """If all connections are in a call, a new one waits in the backlog and is served as soon as one ends."""
    served = serve(application, max_connections=2)
    gate = gate_of(served, application)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(served.wire()) for _ in range(2)]
        for wire in busy:
            wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        wait_until(lambda: served.server.greenlets.waiting == 2, "both calls have begun")
        late = stack.enter_context(served.wire())
        late.send(PING)
        wait_until(lambda: served.server.held_back > 0, "accepting has paused")
        assert served.connections == 2
        gate.set()
        assert [wire.answer().status for wire in (*busy, late)] == [200, 200, 200]


def test_beyond_the_calls_in_flight_there_is_503(serve, application):
    """A call beyond the limit is told to come back later, on a connection that stays open, and is welcome afterwards."""
    served = serve(application, max_calls=2)
    gate = gate_of(served, application)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(served.wire()) for _ in range(2)]
        for wire in busy:
            wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: served.server.greenlets.waiting == 2, "both calls have begun")
        further = stack.enter_context(served.wire())
        refused = further.ask(PING)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert "2 calls in flight" in refused.json()["detail"]
        assert further.ask(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert served.server.refused == 1
        gate.set()
        assert [wire.answer().status for wire in busy] == [200, 200]
        wait_until(lambda: served.server.greenlets.waiting == 0, "both calls have ended")
        assert further.ask(PING).status == 200


def test_an_overload_is_in_the_access_log(serve, application):
    """A call that was refused for too many others has its line in the access log."""
    noted = []

    class Log:
        def write(self, address, head, status, size, seconds, caller):
            noted.append((head.target, status))

    served = serve(application, max_calls=1, access_log=Log())
    gate = gate_of(served, application)
    with served.wire() as busy, served.wire() as further:
        busy.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: served.server.greenlets.waiting == 1, "the call has begun")
        assert further.ask(PING).status == 503
        gate.set()
        assert busy.answer().status == 200
    wait_until(lambda: noted == [("/ping", 503), ("/wait", 200)], "both have their line")
