"""What a client gets that speaks plain HTTP to a TLS port."""

import contextlib
import logging
import socket
import ssl

import pytest

from gjrpc import Application, Registry
from gjrpc.server import tls


@pytest.fixture
def secured(serve, certificate):
    """A server that speaks TLS."""
    return serve(Application(Registry()), ssl_context=tls.server_context(certificate.cert, certificate.key))


@pytest.mark.parametrize("verb", [b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"PROPFIND"])
@pytest.mark.parametrize("size", [0, 3_000_000])
def test_plain_http(secured, caplog, verb, size):
    """A request without TLS is answered with 400, which says what to do, however much comes with it; the log says so too."""
    caplog.set_level(logging.WARNING, "gjrpc.server")
    with secured.wire() as wire:
        wire.send(verb + b" /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size)
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert "use https:// instead of http://" in answer.json()["detail"]
        assert wire.rest() == b""
    assert "127.0.0.1: TLS handshake failed: the client sent plain HTTP to a TLS port" in caplog.text


@pytest.mark.parametrize("first", [b"\x00", b"\x80", b"\xff", b"\n", b"a"])
def test_neither(secured, first):
    """What begins neither a TLS greeting nor a request gets no plain answer."""
    with secured.wire() as wire:
        wire.send(first * 100)
        with contextlib.suppress(OSError):  # closed already
            wire.socket.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in wire.rest()


def test_tls(secured, certificate):
    """A greeting is TLS's, also where it comes byte by byte."""
    context = ssl.create_default_context(cafile=certificate.ca)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with secured.wire() as wire:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.send(*(bytes([byte]) for byte in outgoing.read()))
                incoming.write(wire.socket.recv(65536))
        assert client.version() == "TLSv1.3"
