"""A server whose next answers a test can script: any bytes, none, or never.

`answer` and `problem` write the bytes of an answer, and `response` makes the `requests.Response` that a client reads from one.
"""

import json
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest
import requests

TIMEOUT = 20.0
EMPTY_HANDED = object()
"""In a script: close the connection without an answer."""

NATIVE = {
    "ping": lambda: "pong",
    "add": lambda a, b: a + b,
    "echo": lambda x: x,
    "args": lambda *args, **named: [list(args), named],
    "list_methods": lambda: ["add", "echo", "odd-name", "ping", "stats.cpu", "stats.net.in", "stats._hidden", "class"],
    "method_signature": lambda name: {name: ["a", "*rest", "c", "**more"] if name == "add" else "method/function not found"},
    "method_help": lambda name: f"What {name} does.\n\nAt length.",
    "stats.cpu": lambda: 0.5,
    "odd-name": lambda: "odd",
}


def answer(status, body=b"", reason="Reason", **headers):
    """Return the bytes of an HTTP response."""
    fields = {"Content-Length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode("latin-1") + body


def problem(status, **fields):
    """Return the bytes of an answer with an RFC 9457 body."""
    body = json.dumps({"type": "about:blank", "title": "Title", "status": status, **fields}).encode()
    return answer(status, body, Content_Type="application/problem+json")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        self.disable_nagle_algorithm = self.server.address_family == socket.AF_INET
        with self.server.changed:
            self.server.connections += 1
        if self.server.context is not None:
            self.request.settimeout(TIMEOUT)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.changed:
            self.server.requests.append((self.path, self.headers, body))
            self.server.changed.notify_all()
            scripted = self.server.script.pop(0) if self.server.script else self._native(body)
        if callable(scripted):
            scripted = scripted()
        if scripted is EMPTY_HANDED:
            self.close_connection = True
        else:
            for piece in [scripted] if isinstance(scripted, bytes) else scripted:
                self.wfile.write(piece)
                self.wfile.flush()
        if self.server.hangs_up:
            self.close_connection = True

    def _native(self, body):
        ((name, arguments),) = json.loads(body).items()
        if name == "meet":
            return lambda: (self.server.barrier.wait(TIMEOUT), answer(200, b'{"meet":true}'))[1]
        method = NATIVE[name]
        result = method(**arguments) if isinstance(arguments, dict) else method(*arguments)
        return answer(200, json.dumps({name: result}).encode())

    def log_message(self, *args):
        """Log nothing."""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 128

    def shutdown_request(self, request):
        super().shutdown_request(request)
        with self.changed:
            self.closed += 1
            self.changed.notify_all()

    def handle_error(self, request, client_address):
        """Log nothing: clients that give up are expected."""


class _UnixServer(_Server):
    address_family = socket.AF_UNIX


class Scripted:
    """A server that answers native calls, unless `script` has other answers.

    Attributes:
        script: the next answers: bytes, an iterable of bytes, a callable that returns one of these, or EMPTY_HANDED.
        hangs_up: whether the server closes each connection after an answer without announcing it.
        requests: path, headers and body of each request so far.
        connections, closed: the number of connections so far, and of closed ones.
    """

    def __init__(self, path=None, context=None, active=True):
        server = _UnixServer(path, _Handler, False) if path else _Server(("127.0.0.1", 0), _Handler, False)
        server.changed, server.barrier = threading.Condition(), threading.Barrier(5)
        server.requests, server.script, server.connections, server.closed = [], [], 0, 0
        server.hangs_up, server.context = False, context
        self.__dict__["server"] = server
        server.server_bind()
        scheme = "https" if context else "http"
        self.__dict__["url"] = f"unix:{path}" if path else f"{scheme}://127.0.0.1:{server.server_address[1]}"
        self.__dict__["released"] = threading.Event()
        self.__dict__["thread"] = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        if active:
            self.activate()

    def __getattr__(self, name):
        return getattr(self.server, name)

    def __setattr__(self, name, value):
        setattr(self.server, name, value)

    def activate(self):
        self.server.server_activate()
        self.thread.start()

    def hang(self):
        """Answer a ping when the test ends or releases it; for the script."""
        self.released.wait(TIMEOUT)
        return answer(200, b'{"ping":"late"}')

    def drip(self):
        """Send an answer to a ping that does not end until the test ends or releases it; for the script."""
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"
        while not self.released.wait(0.02):
            yield b" "

    def wait(self, condition):
        with self.server.changed:
            assert self.server.changed.wait_for(lambda: condition(self.server), TIMEOUT)

    def stop(self):
        self.released.set()
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join(TIMEOUT)
        self.server.server_close()


def response(body, status=200, reason=None, **headers):
    """Return an answer as a `requests.Response`, without a connection."""
    made = requests.Response()
    made.status_code, made.reason, made._content = status, reason, body
    made.headers.update(headers)
    return made


def dead_url():
    """Return a URL at which no server listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unheard.getsockname()[1]}"


@pytest.fixture
def without_proxies(monkeypatch):
    """Hide the machine's own proxies and certificate authorities from the test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def scripted(without_proxies):
    """Start a scripted server: `scripted(**options of Scripted)`."""
    started = []

    def start(**options):
        started.append(Scripted(**options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(scripted):
    """A scripted server."""
    return scripted()


@pytest.fixture
def client(server):
    """A client of the scripted server."""
    from gjrpc import Client

    with Client(server.url, timeout=TIMEOUT) as made:
        yield made
