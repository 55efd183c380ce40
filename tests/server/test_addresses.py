"""Where a server listens: the parsed address, and its socket."""

import contextlib
import grp
import os
import socket
import stat
import subprocess
import sys

import pytest
from conftest import link_local

from gjrpc.errors import SettingsError
from gjrpc.server.addresses import Address, Endpoint, SocketFile, parse


def listen(address, backlog, **options):
    """A socket that listens at an address."""
    endpoint = Endpoint(address, backlog, **options)
    try:
        endpoint.listen()
    except SettingsError:
        endpoint.socket.close()
        raise
    return endpoint.socket


@pytest.mark.parametrize(
    ("text", "address", "is_local"),
    [
        ("127.0.0.1:9999", Address("127.0.0.1", 9999), True),
        ("localhost:0", Address("localhost", 0), True),
        ("[::1]:80", Address("::1", 80), True),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535), False),
        ("[::]:1", Address("::", 1), False),
        (":9999", Address("", 9999), False),
        ("example.org:80", Address("example.org", 80), False),
        ("unix:/run/x.sock", Address(path="/run/x.sock"), True),
        ("[fe80::1%lo]:9999", Address("fe80::1%lo", 9999), False),
    ],
)
def test_parsed(text, address, is_local):
    """Each form is parsed, and the address shows whether only this machine can reach it."""
    assert parse(text) == address
    assert parse(text).is_local is is_local


@pytest.mark.parametrize("text", ["", "9999", "localhost", "host:", "host:x", "host:65536", "host:-1", "::1:80", "unix:"])
def test_misread(text):
    """An address in none of the three forms is refused, and the error lists the forms."""
    with pytest.raises(SettingsError, match="HOST:PORT"):
        parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:0", "[::1]:0", ":0"])
def test_tcp(text):
    """A TCP address gives a listening socket, which an IPv4 or IPv6 client reaches."""
    with listen(parse(text), 5) as listener:
        port = listener.getsockname()[1]
        host = "::1" if text.startswith("[") else "127.0.0.1"
        with socket.create_connection((host, port), timeout=5) as client:
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getpeername()[1] == client.getsockname()[1]


def test_taken():
    """A port that is in use is an error that names the address and the remedy."""
    with listen(parse("127.0.0.1:0"), 5) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}.*--bind"):
            listen(Address("127.0.0.1", port), 5)


def test_unknown_host():
    """A host that can't be resolved, or is not this machine's, is an error that names it."""
    for host in ("no-such-host.invalid", "192.0.2.1"):
        with pytest.raises(SettingsError, match=host):
            listen(Address(host, 0), 5)


def test_nothing_is_bound_before_listen(tmp_path):
    """An endpoint binds only when it listens: until then no file is made or replaced, and another server can take the port."""
    stale, fresh = tmp_path / "stale.sock", tmp_path / "fresh.sock"
    listen(Address(path=str(stale)), 5).close()
    before = os.lstat(stale)
    for path in (stale, fresh):
        Endpoint(Address(path=str(path)), 5).socket.close()
    assert os.lstat(stale) == before
    assert not fresh.exists()
    with listen(parse("127.0.0.1:0"), 5) as listener:
        endpoint = Endpoint(Address("127.0.0.1", listener.getsockname()[1]), 5)
        with endpoint.socket, pytest.raises(SettingsError, match="in use"):
            endpoint.listen()


def test_the_folder_of_a_unix_socket(tmp_path, monkeypatch):
    """A relative path is below the folder in which the endpoint was made, whatever the folder is when it listens."""
    monkeypatch.chdir(tmp_path)
    endpoint = Endpoint(Address(path="s.sock"), 5)
    monkeypatch.chdir("/")
    endpoint.listen()
    endpoint.socket.close()
    assert (tmp_path / "s.sock").is_socket()


def test_unix(tmp_path):
    """A Unix socket replaces the file of a server that no longer runs, but neither one in use nor any other file."""
    path = tmp_path / "s.sock"
    listen(Address(path=str(path)), 5).close()
    assert path.exists()
    with listen(Address(path=str(path)), 5), pytest.raises(SettingsError, match=r"s\.sock"):
        listen(Address(path=str(path)), 5)
    other = tmp_path / "notes"
    other.write_text("keep")
    with pytest.raises(SettingsError, match="notes"):
        listen(Address(path=str(other)), 5)
    assert other.read_text() == "keep"


@pytest.mark.skipif(link_local() is None, reason="no interface here has a link-local IPv6 address")
def test_a_scope():
    """A link-local address keeps its scope, without which it can't be bound."""
    with listen(parse(f"[{link_local()}]:0"), 5) as listener:
        *_, port, _, scope = listener.getsockname()
        assert scope != 0
        socket.create_connection((link_local(), port), timeout=5).close()


def refuses(path):
    """Return whether listening on a path is refused and its file stays as it is."""
    before = os.lstat(path)
    with pytest.raises(SettingsError, match="can't listen on unix:"):
        listen(Address(path=str(path)), 5)
    return os.lstat(path) == before


def test_what_is_not_a_dead_socket_stays(tmp_path):
    """A live socket of any kind, one with a full backlog, a link to one, a folder and a dangling link stay."""
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
            live = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            path = tmp_path / f"{kind}.sock"
            live.bind(str(path))
            if kind != socket.SOCK_DGRAM:
                live.listen(0)
            assert refuses(path)
        assert refuses(path)  # what asked before still fills its backlog
        dead = tmp_path / "dead.sock"
        listen(Address(path=str(dead)), 5).close()
        for link, target in (("link", dead), ("nowhere", tmp_path / "missing")):
            (tmp_path / link).symlink_to(target)
            assert refuses(tmp_path / link)
        assert dead.exists()
        (tmp_path / "folder").mkdir()
        assert refuses(tmp_path / "folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_socket_of_another_user_stays(tmp_path):
    """A socket that this user may not connect to stays, even if the folder's permissions allow its removal."""
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:2]:
        folder.chmod(folder.stat().st_mode | 0o711)
    path = tmp_path / "s.sock"
    program = (
        "import os, sys; from gjrpc.server.addresses import Address, Endpoint\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "Endpoint(Address(path=sys.argv[1]), 5).listen()"
    )
    with listen(Address(path=str(path)), 5, mode=0o600):
        before = os.lstat(path)
        told = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60, check=False)
        assert "SettingsError: can't listen on unix:" in told.stderr
        assert os.lstat(path) == before


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_mode_and_group(tmp_path, umask):
    """A Unix socket has the requested mode and group, whatever the process's umask is, and the umask stays."""
    path, group = tmp_path / "s.sock", grp.getgrgid(os.getegid()).gr_name
    before = os.umask(umask)
    try:
        for mode in (0o660, 0o600, 0o666, 0o640):
            for name in (group, str(os.getegid())):
                listen(Address(path=str(path)), 5, mode=mode, group=name).close()
                status = path.stat()
                assert (stat.S_IMODE(status.st_mode), status.st_gid) == (mode, os.getegid())
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    with pytest.raises(SettingsError, match="--socket-group 'nobody-has-this'"):
        listen(Address(path=str(path)), 5, group="nobody-has-this")


def test_the_file_of_another_server_stays(tmp_path):
    """Only the process that created a socket's file removes it, and only if the file is still the same."""
    path = tmp_path / "s.sock"
    old = listen(Address(path=str(path)), 5)
    file = SocketFile(str(path))
    old.close()
    with listen(Address(path=str(path)), 5):
        file.remove()
        assert path.exists()
        mine = SocketFile(str(path))
        if (child := os.fork()) == 0:
            mine.remove()
            os._exit(0)
        os.waitpid(child, 0)
        assert path.exists()
        mine.remove()
        assert not path.exists()
        mine.remove()
