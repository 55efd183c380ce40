"""How answers leave a connection: how TLS ends (RFC 8446, section 6.1), and answers that wait."""

import contextlib
import socket
import ssl
import subprocess

import gevent.event
import pytest
from conftest import TIMEOUT, Wire, wait_until
from gated import Gated

from gjrpc.limits import Limits, Timeouts
from gjrpc.server.tls import server_context

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def application():
    """An application with small and large answers, and a call that waits until the gate is opened."""
    return Gated(big=lambda: "x" * 12_000_000, medium=lambda: "x" * 10_000)


@pytest.fixture
def tls(serve, certificate):
    """Serve an application over TLS, and connect to it; a connection that ends without close_notify is an error to its client."""

    def start(application, **options):
        options = {"timeouts": Timeouts(idle=0.2, head=0.2, body=0.2, grace=1)} | options
        served = serve(application, ssl_context=server_context(certificate.cert, certificate.key), **options)

        def connect(version=ssl.TLSVersion.TLSv1_3, narrow=False):
            context = ssl.create_default_context(cafile=certificate.ca)
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which Python up to 3.11.2 sets
            context.minimum_version = context.maximum_version = version
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which some versions of Python set by themselves
            sock = served.connect()
            if narrow:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            return Wire(context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False))

        served.secured = connect
        return served

    return start


POST = b"POST /ping HTTP/1.1\r\nHost: a\r\n"
ENDS = {
    "the last answer": (LAST, 200),
    "HTTP/1.0": (b"GET /ping HTTP/1.0\r\nHost: a\r\n\r\n", 200),
    "more behind the last answer": (LAST + b"x" * 1000, 200),
    "a malformed request": (b"nonsense\r\n\r\n", 400),
    "nothing": (b"", None),
    "a slow head": (b"GET / HTTP/1.1\r\n", 408),
    "a slow body": (POST + b"Content-Length: 10\r\n\r\n[", 408),
    "too large a body": (POST + b"Content-Length: 99999\r\n\r\n" + b"x" * 2000, 413),
    "too large a head": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "an idle connection": (PING, 200),
}


@VERSIONS
@pytest.mark.parametrize(("sent", "status"), ENDS.values(), ids=ENDS)
def test_tls_ends_with_close_notify(tls, application, sent, status, version):
    """After answers, refusals and idle time TLS ends in good order, so that the client knows that nothing was cut off."""
    served = tls(application, limits=Limits(body=1000))
    with served.secured(version) as wire:
        wire.send(sent)
        if status is not None:
            assert wire.answer().status == status
        assert wire.rest() == b""


@VERSIONS
@pytest.mark.parametrize("why", ["stopping", "evicted", "abandoned", "refused"])
def test_tls_ends_with_close_notify_whoever_ends_it(tls, application, why, version):
    """The same holds where the server ends a connection for reasons of its own."""
    served = tls(application, max_connections=1, timeouts=Timeouts(grace=0.2))
    application.gate = gevent.event.Event()
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(served.secured(version))
        if why == "evicted":
            assert wire.ask(PING).status == 200
            assert stack.enter_context(served.secured(version)).ask(PING).status == 200
        elif why == "stopping":
            assert wire.ask(PING).status == 200
            served.stop()
        elif why == "abandoned":
            wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: served.server.greenlets.waiting, "the call has begun")
            served.stop()
            assert wire.answer().status == 504
        else:
            served.server.greenlets.refuse_all(True)
            assert wire.ask(LAST).status == 503
        assert wire.rest() == b""


def cut_off(environ, start_response):
    """An application that fails in the middle of an answer that only the end of the connection ends."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"the beginning"
    raise RuntimeError("on purpose")


def too_short(environ, start_response):
    """An application that gives less than it announced."""
    start_response("200 OK", [("Content-Length", "1000")])
    yield b"the beginning"


@VERSIONS
@pytest.mark.parametrize("foreign", [cut_off, too_short], ids=lambda foreign: foreign.__name__)
def test_an_answer_that_was_cut_off_has_no_good_end(tls, foreign, version):
    """Where an answer was cut off there is no close_notify: it would make the part look like the whole."""
    served = tls(foreign)
    with served.secured(version) as wire:
        wire.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="EOF"):  # an SSLEOFError, but in Python before 3.11.4
            wire.rest()


@VERSIONS
def test_an_answer_that_nobody_takes_has_no_good_end(tls, application, version):
    """An answer that is given up in the middle ends without close_notify, and the end waits for no client."""
    served = tls(application)
    with served.secured(version, narrow=True) as wire:
        wire.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: served.server.unsent.total, "the answer waits")
        served.stop()
        wait_until(lambda: served.connections == 0, "the server has closed it")
        with pytest.raises((ssl.SSLError, ConnectionResetError), match=r"EOF|reset"):
            wire.rest()


@VERSIONS
def test_small_answers_that_are_taken_late(tls, application, version):
    """Pipelined answers that a TLS client takes late all come, each whole, although there was no room for some of them."""
    served = tls(application, timeouts=Timeouts())
    with served.secured(version, narrow=True) as wire:
        wire.send(b"GET /medium HTTP/1.1\r\nHost: a\r\n\r\n" * 800)
        wait_until(lambda: served.server.unsent.total, "there is no room")
        assert {len(wire.answer().body) for _ in range(800)} == {10_013}


@pytest.mark.needs("openssl")
def test_openssl_sees_the_end(tls, application):
    """OpenSSL's own client gets an alert at the end of the connection."""
    served = tls(application)
    command = ["openssl", "s_client", "-connect", "{}:{}".format(*served.address[:2]), "-msg", "-ign_eof"]
    done = subprocess.run(command, input=LAST, capture_output=True, timeout=TIMEOUT, check=False)
    assert b"warning close_notify" in done.stdout.partition(b"pong")[2]
