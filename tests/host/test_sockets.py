"""The sockets of this machine, by the kernel's tables."""

import os
import socket

import psutil
import pytest

from gjrpc.host import sockets


def inode(held):
    """The inode of a socket of this process."""
    return os.fstat(held.fileno()).st_ino


@pytest.fixture
def pair():
    """A listener, and the two ends of a connection to it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
    ):
        yield listener, client, server


def test_inode_at(pair):
    """The socket at an address is found by its own end, also where a socket of IPv6 sees an IPv4 address."""
    _, client, server = pair
    host, port = client.getsockname()
    assert sockets.inode_at((host, port)) == sockets.inode_at((f"::ffff:{host}", port)) == inode(client)
    assert inode(client) != inode(server)
    assert sockets.inode_at(("192.0.2.1", port)) is None


def test_listening(pair, tmp_path):
    """Sockets that listen are told from connected ones, Unix sockets too."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as silent:
        listener.bind(f"{tmp_path}/a b")
        listener.listen()
        silent.bind(f"{tmp_path}/c")
        found = sockets.listening()
        assert {inode(pair[0]), inode(listener)} <= found
        assert not {inode(pair[1]), inode(pair[2]), inode(silent)} & found


@pytest.mark.parametrize(
    "name", ["a\nb c d e f g h i", "a\n", "\n\n: : : : : : :", "a\udcff\n0: 0 0 zz 0 0 7", "\0a\nb c d e f g h"]
)
def test_hostile_names(tmp_path, name):
    """A Unix socket whose name looks like lines of the kernel's table hides no other, and breaks nothing."""
    with socket.socket(socket.AF_UNIX) as hostile, socket.socket(socket.AF_UNIX) as listener:
        hostile.bind(name if name.startswith("\0") else f"{tmp_path}/{name}")
        hostile.listen()
        listener.bind(f"{tmp_path}/last")
        listener.listen()
        assert {inode(hostile), inode(listener)} <= sockets.listening()


def test_held_by(pair):
    """The sockets of a process are those among its open files; of a process that is not there there are none."""
    assert set(map(inode, pair)) <= sockets.held_by(os.getpid())
    assert sockets.held_by(2**22 + 1) == set()


def test_no_tables(monkeypatch, tmp_path):
    """Where the tables can't be read nothing is found, and the list says so."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    errors = []
    assert (sockets.listening(), sockets.held_by(1), sockets.inode_at(("127.0.0.1", 80))) == (set(), set(), None)
    assert sockets.listed(errors) == []
    assert "tcp" in str(errors)
