"""A call's limits of time and bytes, against servers that try to exceed them."""

import contextlib
import gzip
import itertools
import re
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import tracemalloc
import zlib

import pytest
from conftest import ROOT

from gjrpc import Client, RemoteError, WireError
from gjrpc.client.options import Options
from gjrpc.errors import SettingsError
from gjrpc.tools.fetch import read

HEAD = b"HTTP/1.1 200 OK\r\n"
TIMEOUT = 20.0
MOST = 10_000
# How many bytes the kernel may buffer that the client no longer reads.
BUFFERED = 16 * 1024 * 1024


class Hostile:
    """A server that reads a request and then sends whatever a generator gives, until the client closes the connection.

    Attributes:
        sent: the number of bytes that it could send on the last connection.
        connections: the number of connections so far.
    """

    def __init__(self, pieces, path=None, context=None, reads=True, raw=None):
        self.pieces, self.context, self.reads, self.raw = pieces, context, reads, raw
        self.sent = self.connections = 0
        self.done = threading.Event()
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"http{'s' if context or raw else ''}://127.0.0.1:{self.listener.getsockname()[1]}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()
            self.url = f"unix:{path}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(TIMEOUT)
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            if self.raw is not None:
                self.raw(connection, self.done)
                return
            if self.reads:
                read_request(connection)
            self.sent = 0
            for piece in self.pieces(self.done):
                connection.sendall(piece)
                self.sent += len(piece)

    def stop(self):
        self.done.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # this ends `accept`
        self.listener.close()


def read_request(connection):
    """Read one request: closing with bytes unread would reset the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)


@pytest.fixture
def hostile():
    """Start a hostile server: `hostile(pieces, **options)`."""
    started = []

    def start(pieces, **options):
        started.append(Hostile(pieces, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def drip(head, piece=b" "):
    """Send a head, then a small piece of something again and again, for ever."""

    def pieces(done):
        yield head
        while not done.wait(0.01):
            yield piece

    return pieces


def flood(head, piece):
    """Send a head, then a piece of something again and again, as fast as possible."""
    return lambda _: itertools.chain([head], itertools.repeat(piece))


def whole(*parts):
    """Send these parts, then end."""
    return lambda _: parts


DRIPS = {
    "silence": drip(b"", b""),
    "status line": drip(b"HTTP/1.1 200 ", b"x"),
    "header": drip(HEAD + b"X: ", b"x"),
    "continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drip(HEAD + b"Content-Length: 100000\r\n\r\n"),
    "body to the end": drip(HEAD + b"\r\n"),
    "chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk extension": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1", b";x"),
    "trailers": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "gzip": drip(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\0"),
    "busy": drip(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n"),
}


@pytest.mark.parametrize("pieces", DRIPS.values(), ids=DRIPS)
def test_a_call_ends_in_time(hostile, pieces):
    """However slowly a server sends, the call ends when its time is up, and is not retried."""
    server = hostile(pieces)
    with (
        Client(server.url, timeout=0.15) as client,
        pytest.raises(WireError, match=r"within 0\.15 s; the method may have run"),
    ):
        client.ping()
    assert server.connections == 1


@pytest.mark.parametrize("idempotent", [(), ("ping",)])
@pytest.mark.parametrize("path", [False, True], ids=["tcp", "unix"])
def test_all_ways_end_in_time(hostile, tmp_path, path, idempotent):
    """Notifications, batches, Unix sockets and idempotent calls end in time too: the time includes all attempts."""
    server = hostile(DRIPS["body"], path=str(tmp_path / "socket") if path else None)
    with Client(server.url, timeout=(None, 0.15), retries=50, idempotent=idempotent) as client:
        for call in (client.ping, client.notify.ping):
            with pytest.raises(WireError, match="no answer within"):
                call()
        with pytest.raises(WireError, match="no answer within"), client.batch() as batch:
            batch.ping()
    assert server.connections == 3


def test_repeats_and_their_waits_are_within_the_time(hostile):
    """A wait that would outlast the call is not begun: the call ends at once with the last answer or error."""
    server = hostile(whole(b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"))
    begin = time.monotonic()
    with Client(server.url, timeout=3, retries=50) as client, pytest.raises(RemoteError, match="Busy"):
        client.ping()
    assert server.connections == 1
    server.stop()
    with (
        Client(server.url, timeout=0.3, retries=50) as client,
        pytest.raises(WireError, match="Connection refused"),
    ):
        client.ping()
    assert time.monotonic() - begin < 3


def test_connecting_ends_in_time(hostile):
    """A call to a host that accepts no connections ends in time, even if its name has many addresses."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        client = stack.enter_context(Client(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=0.2))
        with pytest.raises(WireError, match=r"(can't connect|no answer) within 0\.2 s(; check.*)?$"):
            client.ping()


def test_each_address_of_a_name_has_what_is_left(monkeypatch, hostile):
    """All addresses of a name share the time of one call, and the first that answers is used."""
    server = hostile(whole(HEAD + b'Content-Length: 10\r\n\r\n{"ping":1}'))
    port = int(server.url.rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (2, 3, 4, 1)]
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found if args[0] == "many.test" else real(*args, **more))
    with Client(f"http://many.test:{port}", timeout=TIMEOUT) as client:
        assert client.ping() == 1


def test_sending_ends_in_time(hostile):
    """A server that reads nothing delays a call with a large argument no longer than its time."""
    server = hostile(drip(b"", b""), reads=False)
    with (
        Client(server.url, timeout=0.2) as client,
        pytest.raises(WireError, match=r"within 0\.2 s; the method may have run"),
    ):
        client.echo("x" * 50_000_000)


@pytest.mark.parametrize("pieces", [DRIPS["silence"], DRIPS["status line"], DRIPS["header"]], ids=["silence", "status", "header"])
def test_a_proxy_ends_in_time(hostile, monkeypatch, pieces):
    """A call through a proxy that is too slow ends in time, and does not claim that the method may have run."""
    monkeypatch.setenv("https_proxy", hostile(pieces).url)
    with Client("https://host.invalid", timeout=0.15) as client, pytest.raises(WireError, match=r"no answer within 0\.15 s$"):
        client.ping()


@pytest.mark.parametrize("proxy", ["http://me:secret@[::1", "ftp://me:secret@host", "http://me:secret@host:port"])
def test_a_proxy_that_cannot_be_used(monkeypatch, proxy):
    """A proxy's URL that can't be used raises WireError, which shows no password."""
    monkeypatch.setenv("http_proxy", proxy)
    with (
        Client("http://host.invalid", retries=0) as client,
        pytest.raises(WireError, match="the proxy's URL, can't be used") as raised,
    ):
        client.ping()
    assert "secret" not in "".join(traceback.format_exception(raised.value))


def greet_slowly(connection, done):
    """Send a TLS handshake that never ends: the head of a record of 16 KB, then single bytes."""
    connection.recv(65536)
    connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    while not done.wait(0.01):
        connection.sendall(b"\0")


def answer_slowly(context):
    """Send a TLS record that never ends, after a complete handshake."""

    def raw(connection, done):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        connection.sendall(outgoing.read())
        session.write(HEAD + b"Content-Length: 15000\r\n\r\n" + b" " * 15000)
        for byte in outgoing.read():
            if done.wait(0.01):
                return
            connection.sendall(bytes([byte]))

    return raw


@pytest.mark.parametrize("patched", [False, True], ids=["threads", "gevent"])
@pytest.mark.parametrize("kind", ["greeting", "record", "body"])
def test_tls_ends_in_time(hostile, certificate, kind, patched):
    """A slow handshake, TLS record or body over TLS ends in time, with gevent's patches too."""
    context = certificate.server_context()
    options = {"greeting": {"raw": greet_slowly}, "record": {"raw": answer_slowly(context)}, "body": {"context": context}}[kind]
    server = hostile(DRIPS["body"], **options)
    program = f"""
        {"from gevent import monkey; monkey.patch_all()" if patched else ""}
        import time
        from gjrpc import Client, WireError
        begin = time.monotonic()
        try:
            Client({server.url!r}, verify={certificate.ca!r}, timeout=0.4).ping()
        except WireError as error:
            assert "no answer within 0.4 s" in str(error), error
            assert ("may have run" in str(error)) == ({kind!r} != "greeting"), error
        print(time.monotonic() - begin)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(50_000_000))
FLOODS = {
    "body": flood(HEAD + b"\r\n", b" " * 65536),
    "announced": whole(HEAD + b"Content-Length: 1000000000000\r\n\r\n "),
    "just too long": whole(HEAD + b"Content-Length: %d\r\n\r\n" % (MOST + 1) + b" " * (MOST + 1)),
    "chunks": flood(CHUNKED, b"8000\r\n" + b" " * 32768 + b"\r\n"),
    "one chunk": flood(CHUNKED + b"ffffffffffff\r\n", b" " * 65536),
    "continue": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "trailers": flood(CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
    "gzip": whole(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
    "short gzip": whole(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(5_000_000))),
    "deflate": whole(HEAD + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(bytes(5_000_000))),
    "an error": flood(b"HTTP/1.1 500 Oops\r\n\r\n", b"x" * 65536),
}


@pytest.mark.parametrize("pieces", FLOODS.values(), ids=FLOODS)
def test_an_answer_is_bounded(hostile, pieces):
    """An answer that is endless, or too large after decompression, raises WireError; only a bounded part is read."""
    server = hostile(pieces)
    with Client(server.url, timeout=TIMEOUT, max_answer=MOST) as client:
        tracemalloc.start()
        try:
            with pytest.raises(WireError, match=r"more than 10000 bytes; Client\(max_answer=…\) .*; the method may have run"):
                client.ping()
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()
    assert server.sent < BUFFERED


@pytest.mark.parametrize(
    "pieces",
    [
        flood(HEAD, b"X: y\r\n" * 1000),
        flood(HEAD + b"X: ", b"x" * 65536),
        flood(b"HTTP/1.1 200 ", b"x" * 65536),
        flood(CHUNKED + b"1;", b"x" * 65536),
    ],
    ids=["headers", "header", "status", "chunk extension"],
)
def test_lines_without_end(hostile, pieces):
    """An endless line or head raises WireError, and only a bounded part of it is read."""
    server = hostile(pieces)
    with Client(server.url, timeout=TIMEOUT, max_answer=MOST) as client, pytest.raises(WireError, match="may have run"):
        client.ping()
    assert server.sent < BUFFERED


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd", "gzip, identity", "x" * 1000])
def test_codings_that_were_not_asked_for(hostile, coding):
    """A content coding that the client did not ask for, or more than one, raises WireError, which names it."""
    server = hostile(whole(HEAD + f"Content-Encoding: {coding}\r\n\r\n".encode() + gzip.compress(gzip.compress(b"{}"))))
    with Client(server.url, timeout=TIMEOUT) as client, pytest.raises(WireError, match="Content-Encoding") as raised:
        client.ping()
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("rest", [b"x", gzip.compress(b"")], ids=["junk", "another stream"])
def test_bytes_behind_a_gzip_stream(hostile, rest):
    """Bytes after the compressed body are refused: many small streams would take much time."""
    server = hostile(whole(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b'{"ping":1}') + rest))
    with Client(server.url, timeout=TIMEOUT) as client, pytest.raises(WireError, match="not one complete gzip stream"):
        client.ping()


@pytest.mark.parametrize("coded", [lambda body: body, gzip.compress, zlib.compress])
def test_an_answer_up_to_the_limit(hostile, coded):
    """An answer of exactly `max_answer` bytes is read, compressed or not."""
    body = b'{"ping":"' + b"x" * (MOST - 11) + b'"}'
    coding = {gzip.compress: b"gzip", zlib.compress: b"deflate"}.get(coded, b"identity")
    server = hostile(whole(HEAD + b"Content-Encoding: %b\r\n\r\n" % coding + coded(body)))
    with Client(server.url, timeout=TIMEOUT, max_answer=MOST) as client:
        assert len(client.ping()) == MOST - 11


def test_documents_are_bounded(hostile):
    """The time and the bytes of a document that `stub` and `diff` read are limited."""
    with pytest.raises(SettingsError, match=r"no answer within 0\.2 s$"):
        read(hostile(DRIPS["body"]).url, Options(timeout=0.2))
    with pytest.raises(SettingsError, match="the answer has more than"):
        read(hostile(FLOODS["announced"]).url)


def test_a_head_that_is_cut(hostile):
    """A head that was cut off is refused, even after a complete line."""
    server = hostile(whole(HEAD + b"X: y\r\n"))
    with (
        Client(server.url, timeout=TIMEOUT) as client,
        pytest.raises(WireError, match="closed the connection before the end of the answer's head"),
    ):
        client.notify.ping()
