"""Whose handshake begins when: a flood of half greetings, on a real loop and a real server."""

import contextlib
import socket
import ssl
import time
from collections import Counter

import gevent
import pytest
from conftest import Wire, wait_until
from gevent.hub import get_hub

from gjrpc import Application, Registry
from gjrpc.server.handshakes import AT_A_TURN, Handshakes
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.tls import server_context

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


class Client:
    """A client that notes in which turn of the loop it was greeted, or that it was let go."""

    def __init__(self, notes):
        self.notes = notes

    def greet(self):
        self.notes.append((self, get_hub().loop.iteration))

    def evict(self):
        self.notes.append((self, "let go"))


class Task:
    """A call of an established connection: it is ready again after each turn, as long as there is something left to do."""

    def __init__(self, pool, turns):
        self.pool, self.turns = pool, turns

    def advance(self):
        self.turns.append(get_hub().loop.iteration)
        get_hub().loop.timer(0).start(self.pool.ready.append, self)


def run(until):
    """Let the loop turn until something holds."""
    with gevent.Timeout(10):
        while not until():
            gevent.sleep(0.001)


def test_few_begin_in_a_turn_and_calls_run_between():
    """However many wait, only few handshakes begin in one turn of the loop, and calls that are ready run in each turn."""
    notes, turns = [], []
    pool = Greenlets()
    pool.start()
    handshakes = Handshakes(get_hub().loop)
    for _ in range(100):
        handshakes.add(Client(notes))
    pool.ready.append(Task(pool, turns))
    run(lambda: handshakes.begun == 100)
    pool.stop()
    greeted = Counter(turn for _, turn in notes)
    assert max(greeted.values()) == AT_A_TURN
    assert len(greeted) == 100 // AT_A_TURN
    assert set(greeted) - {min(greeted)} <= set(turns)


def test_a_held_loop_costs_nobody_his_turn(monkeypatch):
    """Clients that wait while a call holds the loop for longer than anybody waits are greeted after it."""
    monkeypatch.setattr("gjrpc.server.handshakes.PATIENCE", 0.15)
    notes = []
    handshakes = Handshakes(get_hub().loop)
    for _ in range(5):
        handshakes.add(Client(notes))
    time.sleep(0.2)  # not gevent's: the loop stands still
    run(lambda: len(notes) == 5)
    assert "let go" not in {turn for _, turn in notes}


def test_the_newest_go_first():
    """Who came last is greeted first, and nothing is left to turn for once all are."""
    notes, handshakes = [], Handshakes(get_hub().loop)
    clients = [Client(notes) for _ in range(5)]
    for client in clients:
        handshakes.add(client)
    run(lambda: len(notes) == 5)
    assert [client for client, _ in notes] == clients[::-1]
    run(lambda: not handshakes._watchers)
    handshakes.add(clients[0])
    run(lambda: len(notes) == 6)


def test_who_waits_for_too_long_is_let_go(monkeypatch):
    """A client whose turn does not come in time is let go, and one that is gone is forgotten."""
    monkeypatch.setattr("gjrpc.server.handshakes.PATIENCE", -1.0)
    notes, handshakes = [], Handshakes(get_hub().loop)
    client, gone = Client(notes), Client(notes)
    handshakes.add(client)
    handshakes.add(gone)
    handshakes.discard(gone)
    run(lambda: notes)
    assert notes == [(client, "let go")]
    assert handshakes.begun == 0


def test_no_more_than_so_many_are_at_work():
    """For one handshake more than may be at work the oldest is ended; one that is done makes room itself."""
    notes, handshakes = [], Handshakes(get_hub().loop, most=3)
    clients = [Client(notes) for _ in range(5)]
    for number, client in enumerate(clients):
        handshakes.add(client)
        run(lambda number=number: handshakes.begun == number + 1)
        if number == 1:
            handshakes.discard(client)
    assert [client for client, what in notes if what == "let go"] == [clients[0]]
    assert len(handshakes._at_work) == 3


@pytest.fixture
def served(serve, certificate):
    """A server with TLS."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    return serve(Application(registry), ssl_context=server_context(certificate.cert, certificate.key))


def hello():
    """The first flight of a TLS client."""
    out = ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return out.read()


def test_half_greetings(served, certificate, monkeypatch):
    """Beside many half greetings those that are connected are answered, newcomers get in, and few handshakes stay at work."""
    served.server.handshakes._most = 10
    context = ssl.create_default_context(cafile=certificate.ca)

    def connect():
        return Wire(context.wrap_socket(served.connect(), server_hostname="localhost"))

    with contextlib.ExitStack() as stack:
        kept, first = stack.enter_context(connect()), hello()
        for _ in range(60):
            half = stack.enter_context(socket.create_connection(served.address))
            half.sendall(first)
            assert kept.ask(PING).status == 200
        wait_until(lambda: served.server.handshakes.begun >= 61, "all have had their turn")
        assert len(served.server.handshakes._at_work) <= 10
        assert stack.enter_context(connect()).ask(PING).status == 200
        wait_until(lambda: served.connections <= 13, "the others were ended")
    wait_until(lambda: served.connections == 0, "all are gone")
    assert not served.server.handshakes._at_work
    assert not served.server.handshakes._waiting
