"""The sockets of this machine, and the host method `netstat`."""

import os
import socket
from contextlib import closing

import psutil
import pytest
from conftest import wait_until
from host_machine import ask

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
    """A socket is found by its local address, also where an IPv6 socket reports an IPv4 address."""
    _, client, server = pair
    host, port = client.getsockname()
    assert sockets.inode_at((host, port)) == sockets.inode_at((f"::ffff:{host}", port)) == inode(client)
    assert inode(client) != inode(server)
    assert sockets.inode_at(("192.0.2.1", port)) is None


def test_listening(pair, tmp_path):
    """Only the sockets that listen are returned, Unix sockets included."""
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
    """A Unix socket whose name looks like lines of the kernel's table hides no other socket."""
    with socket.socket(socket.AF_UNIX) as hostile, socket.socket(socket.AF_UNIX) as listener:
        hostile.bind(name if name.startswith("\0") else f"{tmp_path}/{name}")
        hostile.listen()
        listener.bind(f"{tmp_path}/last")
        listener.listen()
        assert {inode(hostile), inode(listener)} <= sockets.listening()


def test_held_by(pair):
    """The sockets of a process are those among its open files; a missing process has none."""
    assert set(map(inode, pair)) <= sockets.held_by(os.getpid())
    assert sockets.held_by(2**22 + 1) == set()


def test_no_tables(monkeypatch, tmp_path):
    """If the tables can't be read, nothing is found, and the list says so."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    errors = []
    assert (sockets.listening(), sockets.held_by(1), sockets.inode_at(("127.0.0.1", 80))) == (set(), set(), None)
    assert sockets.listed(errors) == []
    assert "tcp" in str(errors)


@pytest.mark.parametrize("source", ["netstat", "other"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_netstat(host, source):
    """Listening, connected and UDP sockets have ss's words, the right addresses, and their queues."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    anywhere = "::" if ":" in host else "0.0.0.0"
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} on this machine")
    with listener, socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.bind((host, 0))
        with socket.create_connection(listener.getsockname()[:2]) as client, closing(listener.accept()[0]) as server:
            client.sendall(b"12345")
            server.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
            ports = [end.getsockname()[1] for end in (listener, client, udp)]
            entries = ask("netstat")[0] if source == "netstat" else list(sockets._other_sockets([]))
    by_ends = {(e["netid"], e["address"][0]["port"], e["address"][1]["port"]): e for e in entries}
    listening, (at, to), datagram = ports[0], (ports[1], ports[0]), ports[2]
    assert by_ends["tcp", listening, None] == entry("tcp", "LISTEN", 0, (host, listening), (anywhere, None), source)
    assert by_ends["tcp", at, to] == entry("tcp", "ESTAB", 0, (host, at), (host, to), source)
    assert by_ends["tcp", to, at] == entry("tcp", "ESTAB", 5, (host, to), (host, at), source)
    assert by_ends["udp", datagram, None] == entry("udp", "UNCONN", 0, (host, datagram), (anywhere, None), source)


def test_netstat_while_closing():
    """Both ends of a closing connection are listed, with ss's words."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server = listener.accept()[0]
        port, own = listener.getsockname()[1], client.getsockname()[1]

        def words():
            entries = [e for e in ask("netstat")[0] if e["netid"] == "tcp"]
            ends = {tuple(end["port"] for end in e["address"]): e["state"] for e in entries}
            return ends.get((own, port)), ends.get((port, own))

        client.close()
        wait_until(lambda: words() == ("FIN-WAIT-2", "CLOSE-WAIT"), "one end is closed")
        server.close()
        wait_until(lambda: words() == ("TIME-WAIT", None), "both ends are closed")


def test_netstat_without_tables(monkeypatch, tmp_path):
    """Tables that can't be read are named in the error; those of IPv6 may be missing."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    output, error = ask("netstat")
    assert output == []
    assert "tcp: " in error
    assert "udp: " in error
    assert "6:" not in error


def entry(netid, state, waiting, local, peer, source):
    """Return a socket as netstat lists it; psutil knows no queues, and no peer of an unconnected socket."""
    queues = (waiting, 0) if source == "netstat" else (None, None)
    peer = peer if source == "netstat" or peer[1] else ("", None)
    ends = [{"local": local[0], "port": local[1]}, {"peer": peer[0], "port": peer[1]}]
    return {"netid": netid, "state": state, "recv-Q": queues[0], "send-Q": queues[1], "address": ends}
