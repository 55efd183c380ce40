"""What a WSGI server reports about the client; how it passes on a request is tested with the application."""

import pytest

from gjrpc.app.environ import EnvironPeer
from gjrpc.auth.credentials import certificate_name


class Socket:
    """A TLS socket of gunicorn's, with the client's certificate."""

    def __init__(self, certificate):
        self._certificate = certificate

    def getpeercert(self):
        return self._certificate


@pytest.mark.parametrize(
    ("environ", "host"), [({"REMOTE_ADDR": "192.0.2.1"}, "192.0.2.1"), ({"REMOTE_ADDR": ""}, "unix"), ({}, "unix")]
)
def test_the_address(environ, host):
    """The peer's address is the server's REMOTE_ADDR; without one it is a Unix socket."""
    assert EnvironPeer(environ).client_host == host


@pytest.mark.parametrize(("environ", "scheme"), [({"wsgi.url_scheme": "https"}, "https"), ({}, "http")])
def test_the_scheme(environ, scheme):
    """The client's scheme is the server's wsgi.url_scheme."""
    assert EnvironPeer(environ).scheme == scheme


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, None),
        ({"gunicorn.socket": object()}, None),
        ({"gunicorn.socket": Socket({"subject": ((("commonName", "probe"),),)})}, "probe"),
        ({"gunicorn.socket": Socket({})}, None),
        ({"SSL_CLIENT_S_DN_CN": "probe", "SSL_CLIENT_VERIFY": "SUCCESS"}, "probe"),
        ({"SSL_CLIENT_S_DN_CN": "probe", "SSL_CLIENT_VERIFY": "FAILED:self signed"}, None),
        ({"SSL_CLIENT_S_DN_CN": "probe", "SSL_CLIENT_VERIFY": "NONE"}, None),
        ({"SSL_CLIENT_S_DN_CN": "probe"}, None),
        ({"HTTP_SSL_CLIENT_S_DN_CN": "probe", "HTTP_SSL_CLIENT_VERIFY": "SUCCESS"}, None),
    ],
)
def test_the_certificate(environ, name):
    """A certificate is read from gunicorn's socket or mod_ssl's variables if it was verified, never from a header."""
    certificate = EnvironPeer(environ).certificate
    assert (certificate_name(certificate) if certificate else None) == name
