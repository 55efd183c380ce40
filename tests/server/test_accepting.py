"""Accepting connections: room, pauses, and the backlog, with a listener of the test's own."""

import errno
import socket

import pytest

from gjrpc.server import accepting
from gjrpc.server.accepting import Acceptor
from gjrpc.server.connections import Connections


class Listening:
    """A listening socket that is accepted from as gevent's, and may fail."""

    def __init__(self, listener):
        self._listener = listener
        self.family, self.type, self.proto = listener.family, listener.type, listener.proto
        self.error = None

    def _accept(self):
        if self.error is not None:
            raise OSError(self.error, "on purpose")
        connection, address = self._listener.accept()
        return connection.detach(), address


class Server:
    """A server that notes when it pauses."""

    backlog = 10
    closed = False

    def __init__(self, listener):
        self.socket = Listening(listener)
        self.accepts = True

    def start_accepting(self):
        self.accepts = True

    def stop_accepting(self):
        self.accepts = False


class Open:
    """An open connection, whose client is idle or not."""

    expires, client_host = 0.0, "test"

    def __init__(self, connections, rank):
        self.rank, self.connections = rank, connections
        connections.add(self)

    def loses_nothing(self):
        return True

    def evict(self):
        self.connections.discard(self)


@pytest.fixture
def server():
    """A server that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        made = Server(listener)
        made.address = listener.getsockname()
        yield made


def test_a_connection_is_accepted(server):
    """A client that has connected is accepted, on a socket that does not block; without one there is nothing."""
    acceptor = Acceptor(server, Connections(2))
    assert acceptor.accept() is None
    with socket.create_connection(server.address) as client:
        sock, address = acceptor.accept()
        assert address == client.getsockname()
        assert sock.gettimeout() == 0
        sock.close()


def test_an_idle_connection_makes_room(server):
    """At the limit an idle connection is closed for a newcomer."""
    connections = Connections(1)
    idle = Open(connections, (True, 1.0))
    with socket.create_connection(server.address):
        sock, _ = Acceptor(server, connections).accept()
        sock.close()
    assert idle not in list(connections)
    assert connections.evicted == 1


def test_without_room_accepting_pauses(server, monkeypatch):
    """Where the server works for all connections it accepts nothing for a moment, and then again."""
    resumed = []
    monkeypatch.setattr(accepting.gevent, "spawn_later", lambda seconds, resume: resumed.append(resume))
    connections = Connections(1)
    Open(connections, None)
    acceptor = Acceptor(server, connections)
    with socket.create_connection(server.address):
        assert acceptor.accept() is None
    assert (acceptor.pauses, server.accepts) == (1, False)
    resumed.pop()()
    assert server.accepts


@pytest.mark.parametrize(
    ("number", "pauses"), [(errno.EMFILE, 1), (errno.ENOBUFS, 1), (errno.ECONNABORTED, 0), (errno.EAGAIN, 0)]
)
def test_an_error_of_the_system_ends_nothing(server, monkeypatch, number, pauses):
    """Without descriptors or memory accepting pauses; a client that has left is passed over; any other error is raised."""
    monkeypatch.setattr(accepting.gevent, "spawn_later", lambda seconds, resume: None)
    acceptor = Acceptor(server, Connections(10))
    server.socket.error = number
    assert acceptor.accept() is None
    assert acceptor.pauses == pauses
    server.socket.error = errno.EBADF
    with pytest.raises(OSError, match="on purpose"):
        acceptor.accept()


def test_the_backlog(server):
    """All that wait in the backlog are accepted at a stop, and nothing once the server no longer listens."""
    acceptor = Acceptor(server, Connections(10))
    clients = [socket.create_connection(server.address) for _ in range(3)]
    accepted = list(acceptor.backlog())
    assert [address for _, address in accepted] == [client.getsockname() for client in clients]
    server.closed = True
    assert list(acceptor.backlog()) == []
    for sock in [*clients, *(sock for sock, _ in accepted)]:
        sock.close()
