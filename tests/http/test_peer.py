"""The client at the other end of a connection."""

import pytest

from gjrpc.http.peer import host_of


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (("192.0.2.1", 4711), "192.0.2.1"),
        (("2001:db8::1", 4711, 0, 0), "2001:db8::1"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::1%eth0"),
        ("", "unix"),
        ("/run/client.sock", "unix"),
        (None, "unix"),
    ],
)
def test_a_peer_has_a_name(address, name):
    """A peer's name is its host without the port, and `unix` on a Unix socket."""
    assert host_of(address) == name
