"""What a socket shows about its client, on real sockets."""

import os
import socket

import pytest

from gjrpc.server import sockets


@pytest.fixture
def pair():
    """A server's and a client's end of a connection."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_bytes_that_wait(pair):
    """Bytes that wait are seen, and stay; a client that is gone has none."""
    ours, theirs = pair
    assert not sockets.has_bytes(ours)
    theirs.sendall(b"x")
    assert sockets.has_bytes(ours)
    assert ours.recv(10) == b"x"
    theirs.close()
    assert not sockets.has_bytes(ours)


def test_a_client_that_has_left(pair):
    """A client has left once it has shut down sending."""
    ours, theirs = pair
    assert not sockets.has_left(ours)
    theirs.shutdown(socket.SHUT_WR)
    assert sockets.has_left(ours)


def test_the_client_s_process(pair):
    """The kernel names the process at the other end of a Unix socket, and none at that of any other."""
    assert sockets.peer_pid(pair[0]) == os.getpid()
    with socket.socket() as unconnected:
        assert sockets.peer_pid(unconnected) is None


def test_what_the_client_has_not_taken():
    """Bytes count as not taken until the client's host has them."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as sock:
        assert sockets.unacknowledged(sock) == 0
        listener.accept()[0].close()


@pytest.mark.parametrize(("most", "left"), [(None, b""), (65536, b"x" * 34464)])
def test_what_is_discarded(pair, most, left):
    """All that comes is dropped to its end, or until it is too much."""
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.sendall(b"x" * 100_000)
    theirs.shutdown(socket.SHUT_WR)
    ours.setblocking(True)
    sockets.discard(ours, most)
    assert sum(len(piece) for piece in iter(lambda: ours.recv(1 << 20), b"")) <= len(left)
