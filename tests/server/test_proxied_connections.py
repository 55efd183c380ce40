"""Connections through trusted proxies, which add headers to requests or begin with a PROXY protocol header."""

import ssl
import struct

import pytest
import requests
from conftest import wait_until
from gated import Gated

from gjrpc.http.forwarded import ForwardedLog, Proxies
from gjrpc.http.messages import Response
from gjrpc.http.proxy_protocol import SIGNATURE
from gjrpc.limits import Timeouts
from gjrpc.server.tls import server_context


def v2(family, addresses, command=0x21, more=b""):
    """Return a PROXY protocol header of version 2."""
    return SIGNATURE + struct.pack(">BBH", command, family, len(addresses + more)) + addresses + more


IPV4 = v2(0x11, bytes([192, 0, 2, 1, 198, 51, 100, 1]) + struct.pack(">HH", 5, 443))
IPV6 = v2(0x21, bytes.fromhex("20010db8" + "00" * 11 + "01") * 2 + struct.pack(">HH", 5, 443))


class Lines:
    """An access log that keeps the hosts of the clients."""

    def __init__(self):
        self.hosts = []

    def write(self, answered):
        self.hosts.append(answered.address[0])


REQUEST = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
PONG = b'{"ping":"pong"}'


@pytest.fixture
def application():
    """An application with `ping`."""
    return Gated()


@pytest.mark.parametrize("header", [IPV4, b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_connection_with_a_header(serve, application, header, size):
    """A trusted proxy's header is read, in any pieces, and names the client; the requests after it are answered."""
    lines = Lines()
    served = serve(application, access_log=lines, proxy_protocol=Proxies(["127.0.0.1"]))
    data = header + 2 * REQUEST
    answer = served.exchange(*(data[at : at + size] for at in range(0, len(data), size)))
    assert answer.count(PONG) == 2
    assert lines.hosts == ["192.0.2.1"] * 2


def test_a_header_that_names_nobody(serve, application):
    """A proxy's own health check, which names no client, is answered under the proxy's address."""
    lines = Lines()
    served = serve(application, access_log=lines, proxy_protocol=Proxies(["127.0.0.1"]))
    assert PONG in served.exchange(v2(0x00, b"", command=0x20) + REQUEST)
    assert lines.hosts == ["127.0.0.1"]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(0x00, b""), v2(0x11, IPV4[16:], command=0x20)])
def test_behind_a_header_that_names_nobody_nothing_is_believed(serve, application, header):
    """If a proxy does not name its client, that client's own headers can't name it either, for the log or the guard."""
    proxies, lines, asked = Proxies(["127.0.0.1"]), Lines(), []
    application.respond = lambda request, peer: asked.append((peer, request.head)) or Response(200)
    served = serve(application, access_log=ForwardedLog(lines, proxies), proxy_protocol=proxies)
    claims = REQUEST.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: https\r\n\r\n")
    served.exchange(header + claims)
    served.exchange(IPV4 + claims)
    ((unnamed, head), (named, _)) = asked
    assert lines.hosts == ["127.0.0.1", "192.0.2.1"]
    assert (proxies.name(unnamed.client_address, head), proxies.scheme(unnamed, head)) == ("127.0.0.1", "http")
    assert proxies.name(named.client_address, head) == "192.0.2.1"


def test_a_header_before_tls(serve, application, certificate):
    """The header precedes the TLS handshake, which then proceeds as if the header were not there."""
    lines = Lines()
    context = server_context(certificate.cert, certificate.key)
    served = serve(application, ssl_context=context, access_log=lines, proxy_protocol=Proxies(["127.0.0.1"]))
    connection = served.connect()
    connection.sendall(IPV4)
    trust = ssl.create_default_context(cafile=certificate.ca)
    with trust.wrap_socket(connection, server_hostname="localhost") as secured:
        secured.sendall(REQUEST)
        assert PONG in secured.recv(65536)
    wait_until(lambda: lines.hosts == ["192.0.2.1"], "a line in the access log")


def test_a_header_from_a_stranger(serve, application):
    """From a client that is not a trusted proxy a header is malformed HTTP, and a request without one is answered."""
    lines = Lines()
    served = serve(application, access_log=lines, proxy_protocol=Proxies(["10.0.0.0/8"]))
    assert served.exchange(IPV4 + REQUEST).startswith(b"HTTP/1.1 400 ")
    assert PONG in served.exchange(REQUEST)
    assert lines.hosts == ["127.0.0.1"] * 2


@pytest.mark.parametrize(
    ("sent", "said"), [(REQUEST, "make the proxy send one"), (IPV4[:20], "ended after"), (b"", "ended after b''")]
)
def test_a_trusted_connection_without_a_header(serve, application, caplog, sent, said):
    """A trusted proxy's connection without the header is closed without an answer, and one line in the log says why."""
    served = serve(application, proxy_protocol=Proxies(["127.0.0.1"]))
    assert served.exchange(sent) == b""
    (line,) = [record.getMessage() for record in caplog.records if record.name == "gjrpc.server"]
    assert line.startswith("127.0.0.1: no PROXY protocol header: ")
    assert said in line


def test_a_header_that_does_not_come(serve, application, caplog):
    """A header that is not complete within the head timeout ends the connection, even if bytes trickle in."""
    served = serve(application, proxy_protocol=Proxies(["127.0.0.1"]), timeouts=Timeouts(head=0.2))
    with served.wire() as wire:
        wire.send(IPV4[:5])
        assert wire.rest() == b""
    assert "no PROXY protocol header: not done within 0.2 s" in caplog.text


def test_a_page_behind_a_proxy_that_speaks_tls(launch):
    """Behind a trusted proxy that terminates TLS, a page at https has the same origin, and one at http does not."""
    url = launch("-m", "gjrpc.serve", "--bind", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1").wait_url()

    def status(origin, **headers):
        return requests.get(
            f"{url}/list_methods", headers={"Host": "localhost", "Origin": origin, **headers}, timeout=60
        ).status_code

    https = {"X-Forwarded-Proto": "https"}
    assert (status("https://localhost", **https), status("http://localhost", **https)) == (200, 403)
    assert (status("https://localhost"), status("http://localhost")) == (403, 200)


def test_failures_are_counted_for_the_client(launch, tmp_path):
    """Behind a trusted proxy a client that fails too often gets 429, and the proxy's other clients do not."""
    (tmp_path / "tokens").write_text("# nobody's\n")
    (tmp_path / "tokens").chmod(0o600)
    options = ["--token-file", str(tmp_path / "tokens"), "--htpasswd", str(tmp_path / "users"), "--max-failures", "1"]
    (tmp_path / "users").write_text("me:$2b$04$" + "." * 53 + "\n")
    (tmp_path / "users").chmod(0o600)
    url = launch("-m", "gjrpc.serve", "--bind", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1", *options).wait_url()

    def call(client):
        headers = {"X-Forwarded-For": client}
        return requests.get(f"{url}/list_methods", headers=headers, auth=("me", "wrong"), timeout=60).status_code

    assert [call("192.0.2.1") for _ in range(3)][-1] == 429
    assert call("192.0.2.2") == 401
