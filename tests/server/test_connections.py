"""How many connections there may be, on a real server: who makes room, and who waits."""

import contextlib
import ssl

import pytest
from conftest import Wire, wait_until
from gated import Gated

from gjrpc.http.forwarded import Proxies
from gjrpc.server.connections import Connections
from gjrpc.server.tls import server_context

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def application():
    """An application with a call that waits until the gate is opened."""
    return Gated()


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
        wait_until(lambda: all(connection.idle for connection in by_port.values()), "all are idle")
        for seconds, wire in enumerate((wires[1], wires[0], wires[2]), start=50):
            by_port[wire.socket.getsockname()[1]]._http.expires = served.server.shared.now + seconds
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
        wait_until(lambda: served.server.acceptor.pauses > 0, "accepting has paused")
        assert served.connections == 2
        gate.set()
        assert [wire.answer().status for wire in (*busy, late)] == [200, 200, 200]


def test_beyond_the_calls_in_flight_there_is_503(serve, application):
    """A call beyond the limit gets 503 on a connection that stays open, and is served when there is room again."""
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
        assert served.server.shared.overload.refused == 1
        gate.set()
        assert [wire.answer().status for wire in busy] == [200, 200]
        wait_until(lambda: served.server.greenlets.waiting == 0, "both calls have ended")
        assert further.ask(PING).status == 200


def test_an_overload_is_in_the_access_log(serve, application):
    """A call that was refused for too many others has its line in the access log."""
    noted = []

    class Log:
        def write(self, answered):
            noted.append((answered.head.target, answered.status))

    served = serve(application, max_calls=1, access_log=Log())
    gate = gate_of(served, application)
    with served.wire() as busy, served.wire() as further:
        busy.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: served.server.greenlets.waiting == 1, "the call has begun")
        assert further.ask(PING).status == 503
        gate.set()
        assert busy.answer().status == 200
    wait_until(lambda: noted == [("/ping", 503), ("/wait", 200)], "both have their line")


HEAD = b"GET /ping HTTP/1.1\r\nHost: a\r\nX-"
BODY = b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n["
UNFINISHED = {"nothing": b"", "part of a line": b"G", "part of a head": HEAD, "part of a body": BODY}


@pytest.mark.parametrize("start", UNFINISHED.values(), ids=UNFINISHED)
def test_unfinished_requests_make_room(serve, application, start):
    """Where all room is taken by unfinished requests a newcomer is served, and those that keep a connection lose none of them."""
    served = serve(application, max_connections=12)
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(served.wire()) for _ in range(3)]
        for wire in kept:
            assert wire.ask(PING).status == 200
        for _ in range(30):
            stack.enter_context(served.wire()).send(start)
        assert stack.enter_context(served.wire()).ask(PING).status == 200
        assert [wire.ask(PING).status for wire in kept] == [200] * 3
    assert served.server.connections.evicted >= 22
    assert served.server.acceptor.pauses == 0


@pytest.mark.parametrize("start", [HEAD, BODY], ids=["head", "body"])
def test_a_kept_connection_with_an_unfinished_request_makes_room(serve, application, start):
    """One answer does not buy room for a request that does not go on: such clients go before those that ask for nothing."""
    served = serve(application, max_connections=4)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(served.wire()) for _ in range(4)]
        for wire in wires:
            assert wire.ask(PING).status == 200
        newcomer = stack.enter_context(served.wire())  # so that the order is known from before the requests begin
        assert newcomer.ask(PING).status == 200
        assert closed(wires.pop(0))
        for wire in wires[1:]:
            wire.send(start)
        wait_until(lambda: sum(not one.idle for one in served.server.connections) == 2, "both requests have begun")
        assert [stack.enter_context(served.wire()).ask(PING).status for _ in range(2)] == [200, 200]
        assert [closed(wire) for wire in wires[1:]] == [True, True]
        assert [wire.ask(PING).status for wire in (wires[0], newcomer)] == [200, 200]


def test_a_body_that_goes_on_stays(serve, application):
    """Of unfinished bodies the one of which the least has come goes first, and not the one that began first."""
    served = serve(application, max_connections=3)
    upload = b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        honest = stack.enter_context(served.wire())
        honest.send(upload + b" " * 300_000)
        wait_until(
            lambda: any(one._http.partial and one._http.partial.size > 200_000 for one in served.server.connections),
            "most of it has come",
        )
        for _ in range(10):
            stack.enter_context(served.wire()).send(BODY)
        assert stack.enter_context(served.wire()).ask(PING).status == 200
        assert honest.ask(b" " * 99_998 + b"[]").status == 200


def test_clients_that_take_no_answer_make_room(serve, application):
    """Answers that are not read lock no client out: after a second, such a client is closed before idle keep-alive clients."""
    served = serve(application, max_connections=3)
    application.dispatcher.registry.register(lambda: "x" * 20_000_000, "big")
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(served.wire())
        assert kept.ask(PING).status == 200
        for _ in range(2):
            stack.enter_context(served.wire(narrow=True)).send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: sum(one.rank is None for one in served.server.connections) == 2, "both are sent to")
        wait_until(lambda: all(one.rank is not None for one in served.server.connections), "neither takes anything")
        assert [stack.enter_context(served.wire()).ask(PING).status for _ in range(2)] == [200, 200]
        assert kept.ask(PING).status == 200
    assert served.server.acceptor.pauses == 0


def test_refused_clients_that_stay_make_room(serve, application):
    """Clients that were refused, and keep the connection open nevertheless, lock no other client out."""
    served = serve(application, max_connections=2)
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            wire = stack.enter_context(served.wire())
            wire.send(b"nonsense\r\n\r\n")
            assert wire.answer().status == 400
        assert stack.enter_context(served.wire()).ask(PING).status == 200
    assert served.server.acceptor.pauses == 0


def secured(served, certificate):
    """A TLS connection."""
    context = ssl.create_default_context(cafile=certificate.ca)
    return Wire(context.wrap_socket(served.connect(), server_hostname="localhost"))


GREETINGS = {"nothing": b"", "a byte": b"\x16", "part of a greeting": b"\x16\x03\x01\x02\x00\x01"}


@pytest.mark.parametrize("start", GREETINGS.values(), ids=GREETINGS)
def test_unfinished_tls_greetings_make_room(serve, application, certificate, start):
    """Where all room is taken by TLS handshakes that don't go on a newcomer is served, and who keeps a connection keeps it."""
    served = serve(application, max_connections=8, ssl_context=server_context(certificate.cert, certificate.key))
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(secured(served, certificate))
        assert kept.ask(PING).status == 200
        for _ in range(20):
            stack.enter_context(served.connect()).sendall(start)
        assert stack.enter_context(secured(served, certificate)).ask(PING).status == 200
        assert kept.ask(PING).status == 200


@pytest.mark.parametrize("start", [b"", b"PROXY TCP4 1"], ids=["nothing", "part of a header"])
def test_unfinished_proxy_headers_make_room(serve, application, start):
    """Where all room is taken by connections without their PROXY protocol header, one with it is served."""
    served = serve(application, max_connections=4, proxy_protocol=Proxies(("127.0.0.1",)))
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(served.wire())
        assert kept.ask(b"PROXY UNKNOWN\r\n" + PING).status == 200
        for _ in range(10):
            stack.enter_context(served.connect()).sendall(start)
        assert stack.enter_context(served.wire()).ask(b"PROXY UNKNOWN\r\n" + PING).status == 200
        assert kept.ask(PING).status == 200


class Client:
    """A connection with a standing, which counts how often it is looked at."""

    looked = 0
    client_host = "test"

    def __init__(self, connections, owes, expires):
        self.connections, self.owes, self.expires = connections, owes, expires
        connections.add(self)

    @property
    def rank(self):
        Client.looked += 1
        return (not self.owes, self.expires)

    def loses_nothing(self):
        return True

    def evict(self):
        self.connections.discard(self)


@pytest.mark.parametrize("owes", [True, False], ids=["unfinished", "idle"])
def test_a_flood_costs_a_few_looks_for_each_newcomer(owes):
    """At the limit the work for each newcomer does not grow with the number of connections."""
    looks = {}
    for most in (500, 5000):
        connections = Connections(most)
        Client.looked = 0
        for number in range(4 * most):
            if len(connections) >= most:
                assert connections.make_room()
            Client(connections, owes, float(number))
        looks[most] = Client.looked / (3 * most)
        assert len(connections) == most
        assert min(one.expires for one in connections) == 3 * most
        assert len(connections._order) <= 4 * most
    assert max(looks.values()) < 4


def test_what_rises_unnoticed_is_looked_at_again():
    """A client that has got more time since it was last looked at stays before one that has not."""
    connections = Connections(3)
    drips, stays, idles = (Client(connections, owes, 1.0 + number) for number, owes in enumerate((True, True, False)))
    assert connections.first_to_close() is drips
    drips.expires = 5.0
    assert connections.first_to_close() is stays
    stays.owes = False
    assert connections.first_to_close() is drips
    drips.owes = False
    assert connections.first_to_close() is stays
    idles.owes = True
    connections.note(idles)
    assert connections.first_to_close() is idles


def test_closed_connections_are_forgotten():
    """Where connections come and go near the limit, what is remembered of those that are gone is bounded."""
    connections = Connections(100)
    for _ in range(100):
        Client(connections, False, 1.0)
    assert connections.make_room()
    for _ in range(5000):
        Client(connections, True, 2.0).evict()
    assert len(connections._order) <= 400
