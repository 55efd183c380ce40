"""Where a server listens: what is read from the text, and the socket made of it."""

import socket

import pytest

from gjrpc.addresses import Address, listen, parse
from gjrpc.errors import SettingsError


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
    ],
)
def test_parsed(text, address, is_local):
    """Each form gives its address, which knows whether only this machine can reach it."""
    assert parse(text) == address
    assert parse(text).is_local is is_local


@pytest.mark.parametrize("text", ["", "9999", "localhost", "host:", "host:x", "host:65536", "host:-1", "::1:80", "unix:"])
def test_misread(text):
    """What has none of the three forms is refused with the forms."""
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
    """A port that is taken is an error that names it and says what to do."""
    with listen(parse("127.0.0.1:0"), 5) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}.*--bind"):
            listen(Address("127.0.0.1", port), 5)


def test_unknown_host():
    """A host that can't be found, or is not this machine's, is an error that names it."""
    for host in ("no-such-host.invalid", "192.0.2.1"):
        with pytest.raises(SettingsError, match=host):
            listen(Address(host, 0), 5)


def test_unix(tmp_path):
    """A Unix socket replaces the file of a server that is gone, and neither one in use nor any other file."""
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
