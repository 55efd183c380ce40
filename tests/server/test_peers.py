"""What a connection shows an application about its client."""

import socket
from types import SimpleNamespace

import pytest

from gjrpc.server.peers import SocketPeer


@pytest.fixture
def shared():
    """What a peer looks at."""
    return SimpleNamespace(secured=False, hosts=frozenset({"a"}), draining=False)


def test_a_plain_client(shared):
    """A client without TLS has the scheme http, no certificate, and its host as its name."""
    peer = SocketPeer(SimpleNamespace(family=socket.AF_INET), ("192.0.2.1", 5), shared)
    assert (peer.client_host, peer.scheme, peer.certificate, peer.pid) == ("192.0.2.1", "http", None, None)
    assert peer.server_hosts == {"a"}


def test_a_client_with_a_certificate(shared):
    """Over TLS the scheme is https, and the certificate is read once; an empty one counts as none."""
    shared.secured = True
    asked = []
    sock = SimpleNamespace(getpeercert=lambda: asked.append(1) or {"subject": ()})
    peer = SocketPeer(sock, ("192.0.2.1", 5), shared)
    assert (peer.scheme, peer.certificate, peer.certificate) == ("https", {"subject": ()}, {"subject": ()})
    assert asked == [1]
    assert SocketPeer(SimpleNamespace(getpeercert=dict), "", shared).certificate is None


def test_a_server_that_stops_is_not_ready(shared):
    """The peer knows that the server which received the request has begun to stop."""
    peer = SocketPeer(None, "", shared)
    assert (peer.server_ready, peer.client_host) == (True, "unix")
    shared.draining = True
    assert not peer.server_ready
