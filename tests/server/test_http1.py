"""HTTP/1.1 on one connection, step by step: its state after each piece, on a socket pair and a server that is not started."""

import _socket
import socket

import pytest

from gjrpc import Application, Registry
from gjrpc.limits import Limits, Timeouts
from gjrpc.server.server import Server
from gjrpc.server.state import State

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
NEVER = float("inf")


@pytest.fixture
def server():
    """A server of one method, of which at most two requests of one connection are answered in a turn."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    limits, timeouts = Limits(pipelined=2), Timeouts(head=5, body=3, idle=7, rate=100)
    return Server(("127.0.0.1", 0), Application(registry), hosts=["*"], limits=limits, timeouts=timeouts)


@pytest.fixture
def connected(server):
    """A connection that the test advances itself, and its client's end."""
    ours, theirs = socket.socketpair()
    sock = _socket.socket(ours.family, ours.type, ours.proto, ours.detach())
    sock.setblocking(False)
    theirs.setblocking(False)
    server.handle(sock, ("192.0.2.1", 5))
    (connection,) = server.connections
    with theirs:
        yield connection, theirs
    connection.close()


def advance(connected, data):
    """Send bytes, let the server take its turn, and return what it answers and the state after that."""
    connection, client = connected
    client.sendall(data)
    connection.advance()
    try:
        return client.recv(1 << 20), connection.state
    except BlockingIOError:
        return b"", connection.state


def test_an_answered_connection_is_idle(server, connected):
    """After its answer a connection is idle, and has the idle timeout from then on."""
    told, state = advance(connected, PING)
    assert told.endswith(b'{"ping":"pong"}')
    assert (state, connected[0].expires) == (State.IDLE, server.shared.now + 7)


def test_part_of_a_head_is_read_until_its_time(server, connected):
    """Once part of a head has come the connection is reading, and later parts do not renew its time."""
    begun = server.shared.now
    for piece in (PING[:5], PING[5:9], PING[9:-1]):
        assert advance(connected, piece) == (b"", State.READING)
        assert connected[0].expires == begun + 5
        server.shared.tick()
    assert advance(connected, PING[-1:])[1] is State.IDLE


def test_an_empty_line_begins_nothing(connected):
    """An empty line before a request is no part of one."""
    assert advance(connected, b"\r\n") == (b"", State.IDLE)


def test_a_body_has_its_own_time(server, connected):
    """Once its head is complete a body has its own timeout, which its bytes extend at the minimum rate."""
    assert advance(connected, UPLOAD)[1] is State.READING
    assert connected[0].expires == pytest.approx(server.shared.now + 3 + len(UPLOAD) / 100)
    assert connected[0].has_body
    assert server.bodies.total > 0


def test_requests_beyond_a_turn_are_queued(connected):
    """Of requests that came together only some are answered in one turn; the rest waits without a timeout for the next."""
    told, state = advance(connected, PING * 5)
    assert (told.count(b"200 OK"), state, connected[0].expires) == (2, State.QUEUED, NEVER)
    told, state = advance(connected, b"")
    assert (told.count(b"200 OK"), state) == (2, State.QUEUED)
    told, state = advance(connected, b"")
    assert (told.count(b"200 OK"), state) == (1, State.IDLE)


def test_the_client_s_end_closes_it(server, connected):
    """A client that ends between requests closes the connection, without a word."""
    connection, client = connected
    client.shutdown(socket.SHUT_WR)
    connection.advance()
    assert (client.recv(1), connection.state) == (b"", State.CLOSED)
    assert len(server.connections) == 0


@pytest.mark.parametrize(("data", "status"), [(b"nonsense\r\n\r\n", b"400"), (PING[:5], b"400")], ids=["malformed", "cut off"])
def test_what_can_t_be_read_is_refused(connected, data, status):
    """A request that is malformed or cut off gets an answer that closes the connection."""
    connection, client = connected
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    connection.advance()
    if connection.state is not State.CLOSED:
        connection.advance()
    assert client.recv(1 << 20).startswith(b"HTTP/1.1 " + status)
    assert connection.state is State.CLOSED


def test_a_draining_server_ends_it_with_the_answer(server, connected):
    """While the server drains, an answer is the last one of its connection."""
    server.shared.drain()
    told, state = advance(connected, PING)
    assert b"Connection: close" in told
    assert state is State.CLOSED


def test_an_overloaded_server_refuses(server, connected):
    """Under overload a call gets 503 and is counted, the connection stays open, and the next call is answered as usual."""
    connection, client = connected
    client.sendall(PING)
    connection.refuse()
    assert client.recv(1 << 20).startswith(b"HTTP/1.1 503 ")
    assert (connection.state, server.shared.overload.refused) == (State.IDLE, 1)
    assert b"200 OK" in advance(connected, PING)[0]
