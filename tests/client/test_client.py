"""The client, against the project's own server, and against a scripted one where the answers must be odd."""

import copy
import gzip
import inspect
import json
import logging
import pickle
import pydoc
import re
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import gevent
import pytest
import trustme
from conftest import ROOT, wait_until
from cryptography.hazmat.primitives import serialization
from requests.auth import HTTPDigestAuth

import gjrpc.client.adapter
from gjrpc import Application, CallError, Client, ClientError, MisuseError, Registry, RemoteError, WireError
from gjrpc.limits import Timeouts

TIMEOUT = 20.0
EMPTY_HANDED = object()
"""In a script: the connection is closed without an answer."""

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
    """The bytes of an HTTP response."""
    fields = {"Content-Length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode("latin-1") + body


def problem(status, **fields):
    """An answer with an RFC 9457 body."""
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
        """Say nothing."""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 128

    def shutdown_request(self, request):
        super().shutdown_request(request)
        with self.changed:
            self.closed += 1
            self.changed.notify_all()

    def handle_error(self, request, client_address):
        """Say nothing: clients that give up are what is tested."""


class _UnixServer(_Server):
    address_family = socket.AF_UNIX


class Scripted:
    """A server that answers native calls, unless `script` holds the bytes that the next answers shall be.

    Attributes:
        script: the next answers: bytes, an iterable of them, a callable that gives one, or EMPTY_HANDED.
        hangs_up: whether it closes each connection after an answer, without having said so.
        requests: path, headers and body of each request so far.
        connections, closed: how many there were.
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
        """For the script: answer a ping only when the test says so."""
        self.released.wait(TIMEOUT)
        return answer(200, b'{"ping":"late"}')

    def drip(self):
        """For the script: keep the answer to a ping flowing until the test says so."""
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


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    """Whatever proxies and authorities the machine has, the tests begin without."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def scripted():
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
    with Client(server.url, timeout=TIMEOUT) as made:
        yield made


@pytest.fixture
def real(serve):
    """A client of the project's own server."""
    registry = Registry()

    @registry.method
    def add(a: int, b: int = 10) -> int:
        """Add two numbers."""
        return a + b

    @registry.method
    def fail(how):
        if how == "own":
            raise CallError("no such host", status=404, data={"host": "h"})
        raise KeyError("secret")

    @registry.method(name="odd-name")
    def odd(*args, **named):
        return [args, named]

    class Stats:
        def cpu(self):
            return 0.5

    registry.register_instance(Stats())
    registry.include(_stats(), prefix="stats.")
    with Client(serve(Application(registry)).url, timeout=TIMEOUT) as made:
        yield made


def _stats():
    registry = Registry()

    @registry.method
    def disk(name):
        """Tell how full a disk is."""
        return name

    return registry


def dead_url():
    """A URL where nobody listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unheard.getsockname()[1]}"


def sent(server):
    """What the bodies of the requests so far hold."""
    return [json.loads(body) for _, _, body in server.requests]


def run(code):
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr


# Against the project's own server.


def test_calls_give_results(real):
    """Positional, named, default, dotted and oddly named calls give decoded results."""
    assert real.add(1, 2) == real.add(a=1, b=2) == real.call("add", 1, 2) == 3
    assert real.add(2**70) == 2**70 + 10
    assert real.stats.disk("sda") == "sda"
    assert real.cpu() == 0.5
    assert real.call("odd-name", 1, [2]) == [[1, [2]], {}]
    assert real.call("odd-name", name=1, self=2) == [[], {"name": 1, "self": 2}]


def test_errors_carry_what_the_server_says(real):
    """A RemoteError has the status, detail, method, data and reference of the server's problem."""
    with pytest.raises(RemoteError) as own:
        real.fail("own")
    assert (own.value.status, own.value.detail, own.value.method) == (404, "no such host", "fail")
    assert own.value.data == {"host": "h"}
    assert own.value.ref is None
    with pytest.raises(RemoteError) as unknown:
        real.ad(1)
    assert unknown.value.status == 404
    assert "add" in unknown.value.detail
    with pytest.raises(RemoteError) as unfit:
        real.add("x")
    assert unfit.value.status == 400
    with pytest.raises(RemoteError) as broken:
        real.fail("badly")
    assert broken.value.status == 500
    assert broken.value.ref
    assert broken.value.ref in str(broken.value)
    assert "secret" not in str(broken.value)


def test_the_server_describes_its_methods(real):
    """The names, signatures and help of the project's own server reach dir, inspect and help."""
    assert {"add", "fail", "stats", "list_methods", "call", "close"} <= set(dir(real))
    assert "odd-name" not in dir(real)
    assert "disk" in dir(real.stats)
    assert list(inspect.signature(real.add).parameters) == ["a", "b"]
    assert str(inspect.signature(real.call)) == "(name: str, /, *args: Any, result: Any = typing.Any, **kwargs: Any) -> Any"
    assert real.add.__doc__ == "Add two numbers."
    assert "Tell how full a disk is." in pydoc.render_doc(real.stats.disk, renderer=pydoc.plaintext)


# How a call is written.


def test_arguments_are_never_mistaken(client, server):
    """No arguments are an empty array, positional ones an array, named ones an object, and a list is one argument."""
    client.args()
    client.args(1, None)
    client.args(a=1)
    assert client.echo([1, 2]) == [1, 2]
    assert client.echo("") == ""
    assert sent(server) == [{"args": []}, {"args": [1, None]}, {"args": {"a": 1}}, {"echo": [[1, 2]]}, {"echo": [""]}]
    path, headers, _ = server.requests[0]
    assert path == "/"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == client._transport.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: client.add(1, b=2), "by position and by name"),
        (lambda client: client.echo(object()), "object"),
        (lambda client: client.echo(float("nan")), "nan"),
        (lambda client: client.echo("\ud800"), "surrogate"),
        (lambda client: client.call(""), "not empty"),
        (lambda client: client.call(None), "not empty"),
    ],
)
def test_misuse_sends_nothing(client, server, call, text):
    """Arguments and names that can't be sent are a MisuseError, and the server hears nothing."""
    with pytest.raises(MisuseError, match=text):
        call(client)
    assert server.connections == 0


def test_attributes_send_nothing(client, server):
    """Looking at attributes, also those that tools probe for, sends nothing; an underscore is never a method."""
    assert repr(client.stats.net) == f"<RemoteMethod stats.net of {server.url}>"
    assert client.stats.net.__name__ == "stats.net"
    for probe in ("_repr_html_", "__wrapped__", "_ipython_canary_method_should_not_exist_", "__array__"):
        assert not hasattr(client, probe)
        assert not hasattr(client.stats, probe)
    copy.copy(client.add)
    with pytest.raises(TypeError):
        pickle.dumps(client)
    assert server.connections == 0


def test_introspection_is_lazy_and_asked_once(client, server):
    """The names are asked for at the first dir, a method's signature and help at the first look, and never again."""
    assert {"add", "ping", "stats", "class"} <= set(dir(client))
    assert "odd-name" not in dir(client)
    assert {"cpu", "net"} <= set(dir(client.stats))
    assert "_hidden" not in dir(client.stats)
    assert "in" in dir(client.stats.net)
    assert sent(server) == [{"list_methods": []}]
    assert str(inspect.signature(client.add)) == "(a, *rest, c, **more)"
    assert client.add.__doc__ == "What add does.\n\nAt length."
    assert repr(client.add) == f"<RemoteMethod add(a, *rest, c, **more) of {server.url}>"
    text = pydoc.render_doc(client.add, renderer=pydoc.plaintext)
    assert "add(a, *rest, c, **more)" in text
    assert "At length." in text
    assert sent(server)[1:] == [{"method_signature": ["add"]}, {"method_help": ["add"]}]
    assert str(inspect.signature(client.ping)) == "(*args: Any, **kwargs: Any) -> Any"


def test_introspection_survives_a_missing_server():
    """Without a server, dir gives the local names, help says why there is none, and the signature is the open one."""
    with Client(dead_url(), retries=0) as client:
        assert {"call", "close"} <= set(dir(client))
        assert "can't be read" in client.add.__doc__
        assert str(inspect.signature(client.add)) == "(*args: Any, **kwargs: Any) -> Any"


@pytest.mark.parametrize("names", [None, 5, "text", [1, 2], ["***a"], ["a", "a"]])
def test_introspection_survives_nonsense(client, server, names):
    """Whatever a foreign server says of its methods, nothing breaks."""
    body = json.dumps(names)
    server.script = [answer(200, f'{{"list_methods":{body}}}'.encode()), answer(200, f'{{"method_signature":{body}}}'.encode())]
    assert "call" in dir(client)
    assert str(inspect.signature(client.ping)) == "(*args: Any, **kwargs: Any) -> Any"
    server.script = [answer(200, f'{{"method_signature":{{"echo":{body}}}}}'.encode())]
    assert str(inspect.signature(client.echo)) == "(*args: Any, **kwargs: Any) -> Any"


# How an answer is read.


def test_problem_is_read_whole(client, server):
    """Each member of a problem+json body reaches the RemoteError; members of a wrong type are left out."""
    server.script = [problem(409, detail="taken", method="m", ref="r1", data=[1]), problem(400, method=1, ref=2)]
    with pytest.raises(RemoteError) as whole:
        client.ping()
    error = whole.value
    assert (error.status, error.detail, error.method, error.ref, error.data, error.code) == (409, "taken", "m", "r1", [1], None)
    with pytest.raises(RemoteError) as odd:
        client.ping()
    assert (odd.value.status, odd.value.detail, odd.value.method, odd.value.ref) == (400, "Title", "ping", None)


@pytest.mark.parametrize(
    "body", [b"<html><h1>502 Bad Gateway</h1>" + b"x" * 1000, b"", b"\xff\xfe\x1b[31m", b"[1]", b'{"detail":1}', b"nope"]
)
def test_foreign_error_pages_are_quoted(client, server, body):
    """An error whose body is no problem is a RemoteError with the status, the reason and a short excerpt, made harmless."""
    server.script = [answer(502, body, "Bad Gateway")]
    with pytest.raises(RemoteError, match="Bad Gateway") as raised:
        client.ping()
    assert raised.value.status == 502
    assert raised.value.method == "ping"
    assert len(str(raised.value)) < 320
    assert str(raised.value).isprintable()
    if b"html" in body:
        assert "502 Bad Gateway</h1>" in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"ping":', b'{"pong":1}', b'{"ping":1,"x":2}', b"{}", b"[]", b"null", b'{"ping":NaN}', b'{"ping":"\xff"}'],
)
def test_no_answer_is_a_wire_error(client, server, body):
    """A 200 that holds no `{name: result}` is a WireError that says what came."""
    server.script = [answer(200, body)]
    with pytest.raises(WireError, match="expected HTTP 200") as raised:
        client.ping()
    assert (repr(body.decode(errors="replace")) if body else "an empty body") in str(raised.value)


def test_other_successes_are_a_wire_error(client, server):
    """An answer without error that is no 200 is a WireError with its status."""
    server.script = [b"HTTP/1.1 204 No Content\r\n\r\n", answer(202, b'{"ping":1}')]
    for status in (204, 202):
        with pytest.raises(WireError, match=f"got HTTP {status}"):
            client.ping()


def test_deep_and_large_results_are_read(client, server):
    """A result may nest deeper than the server accepts in a request, and have any size."""
    body = b'{"ping":' + b"[" * 300 + b"]" * 300 + b"}"
    server.script = [answer(200, body), answer(200, b'{"ping":' + b"[" * 100_000 + b"]" * 100_000 + b"}")]
    assert json.dumps({"ping": client.ping()}, separators=(",", ":")).encode() == body
    with pytest.raises(WireError, match="nested"):
        client.ping()
    assert client.echo("x" * 1_000_000) == "x" * 1_000_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/elsewhere/", "https://example.org/", "http://[", "http://[::1]:99999/", ""])
def test_redirects_are_not_followed(client, server, status, where):
    """A redirect is a WireError that says where it points, and no second request is made."""
    server.script = [answer(status, b"moved", Location=where)]
    with pytest.raises(WireError, match=re.escape(f"HTTP {status} redirects to {where!r}")):
        client.ping()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"junk\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: \xff=\xfe; expires=never; domain=[\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_no_foreign_exception_escapes(client, server, raw):
    """Bytes that are no HTTP, or end too early, are a WireError that is chained to its cause."""
    server.script, server.hangs_up = [raw], True
    with pytest.raises(WireError) as raised:
        client.ping()
    assert "ping" in str(raised.value)
    assert len(server.requests) == 1


def test_compressed_answers_are_read(client, server):
    """An answer that a proxy on the way has compressed is read like any other."""
    server.script = [answer(200, gzip.compress(b'{"ping":1}'), Content_Encoding="gzip")]
    assert client.ping() == 1


# What is repeated, and what not.


def test_a_refused_connection_is_tried_again(scripted, caplog):
    """A call whose connection is refused goes through as soon as the server is there."""
    server = scripted(active=False)
    caplog.set_level(logging.WARNING, "urllib3")

    class Starter(logging.Handler):
        def emit(self, record):
            if not server.thread.is_alive():
                server.activate()

    starter = Starter()
    logger = logging.getLogger("urllib3.connectionpool")
    logger.addHandler(starter)
    try:
        with Client(server.url, timeout=TIMEOUT) as client:
            assert client.ping() == "pong"
    finally:
        logger.removeHandler(starter)
    assert any("Retrying" in record.getMessage() for record in caplog.records)


def test_a_refused_connection_is_a_wire_error():
    """Where nobody listens, a WireError names the URL and the method, and does not claim that anything ran."""
    url = dead_url()
    with (
        Client(url, retries=1) as client,
        pytest.raises(WireError, match=f"{url}: ping: can't connect: Connection refused; check the URL") as raised,
    ):
        client.ping()
    assert raised.value.__cause__ is not None


def test_an_unknown_host_is_a_wire_error():
    """A host name that can't be resolved is a WireError that names it."""
    with (
        Client("http://host.invalid", retries=0) as client,
        pytest.raises(WireError, match=r"host\.invalid: ping: can't connect: "),
    ):
        client.ping()


def test_503_with_retry_after_is_tried_again(client, server):
    """A 503 with Retry-After is repeated, as often as asked for, and is then a RemoteError with the server's words."""
    busy = answer(503, problem(503, detail="busy").partition(b"\r\n\r\n")[2], Retry_After=0)
    server.script = [busy]
    assert client.ping() == "pong"
    server.script = [busy] * 3
    with pytest.raises(RemoteError, match="busy") as raised:
        client.ping()
    assert raised.value.status == 503
    assert len(server.requests) == 5


@pytest.mark.parametrize("wanted", ["86400", "9" * 5000, "Fri, 31 Dec 2999 23:59:59 GMT", "soon", "-5"])
def test_retry_after_is_waited_for_with_a_bound(client, server, monkeypatch, wanted):
    """However long Retry-After asks to wait, and whether it can be read or not, the call goes on within the bound."""
    monkeypatch.setattr(gjrpc.client.adapter, "MAX_WAIT", 0.05)
    server.script = [answer(503, b"", Retry_After=wanted)]
    assert client.ping() == "pong"


@pytest.mark.parametrize(
    "failure",
    [EMPTY_HANDED, answer(502, b""), answer(503, b""), answer(504, b""), answer(429, b"", Retry_After=0), answer(500, b"")],
)
def test_what_may_have_run_is_not_repeated(client, server, failure):
    """A call that is not declared idempotent is sent once where it may have run, or the server did not ask for more."""
    server.script = [failure]
    with pytest.raises(ClientError):
        client.ping()
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [EMPTY_HANDED, answer(502, b""), answer(503, b""), answer(504, b"")])
@pytest.mark.parametrize("pattern", ["ping", "p*"])
def test_an_idempotent_call_is_repeated(server, failure, pattern):
    """A call that is declared idempotent is repeated where it may have run; others on the same client are not."""
    with Client(server.url, timeout=TIMEOUT, idempotent=("other", pattern)) as client:
        server.script = [failure]
        assert client.ping() == "pong"
        assert len(server.requests) == 2
        assert server.requests[1][0] == "/"
        server.script = [failure]
        with pytest.raises(ClientError):
            client.add(1, 2)
        assert len(server.requests) == 3


def test_a_broken_connection_says_that_the_method_may_have_run(client, server):
    """Where the answer is missing, the WireError says that the method may have run, and what to declare."""
    server.script = [EMPTY_HANDED]
    with pytest.raises(WireError, match=r"the method may have run .*idempotent="):
        client.ping()


def paying(paid, gate):
    """An application whose method `pay` notes that it ran, and holds its first caller until the gate opens."""
    registry = Registry()

    @registry.method
    def pay(amount: int) -> str:
        paid.append(amount)
        while len(paid) == 1 and not gate.is_set():
            gevent.sleep(0.005)
        return "paid"

    return Application(registry)


def pay_in_batch(client):
    """Call `pay` in a batch of one."""
    with client.batch() as batch:
        batch.pay(1)


@pytest.mark.parametrize("dialect", ["native", "jsonrpc"])
@pytest.mark.parametrize("call", [lambda client: client.pay(1), lambda client: client.notify.pay(1), pay_in_batch])
def test_a_call_that_a_stop_ends_is_not_repeated(serve, dialect, call):
    """A call that is in progress at the end of the grace period runs once, though a new server listens on the address."""
    paid, gate = [], threading.Event()
    served = serve(paying(paid, gate), timeouts=Timeouts(grace=0.1))
    with Client(served.url, timeout=TIMEOUT, dialect=dialect) as client, ThreadPoolExecutor(1) as threads:
        pending = threads.submit(call, client)
        wait_until(lambda: paid, "the call has begun")
        served.stop()
        wait_until(lambda: served.server.closed, "the address is free")
        serve(paying(paid, gate), listener=served.address)
        with pytest.raises(RemoteError, match="may have taken effect") as raised:
            pending.result(TIMEOUT)
        gate.set()
        assert raised.value.status == 504
        assert paid == [1]
        assert client.pay(2) == "paid"


def test_a_call_whose_server_is_killed_is_not_repeated(launch, tmp_path):
    """A call whose server is killed runs once, though a new server listens on the address."""
    (tmp_path / "app.py").write_text(
        """
import time
from gjrpc import Registry
registry = Registry()

@registry.method
def pay(amount: int) -> str:
    with open("paid", "a") as paid:
        paid.write("x")
    time.sleep(60 if amount == 1 else 0)
    return "paid"
"""
    )
    paid = tmp_path / "paid"
    server = launch("-m", "gjrpc.serve", "app:registry", "--bind", "127.0.0.1:0", cwd=tmp_path)
    url = server.wait_url()
    with Client(url, timeout=TIMEOUT, retries=5) as client, ThreadPoolExecutor(1) as threads:
        pending = threads.submit(client.pay, 1)
        wait_until(lambda: paid.exists() and paid.read_text(), "the call has begun")
        server.process.kill()
        launch("-m", "gjrpc.serve", "app:registry", "--bind", url.removeprefix("http://"), cwd=tmp_path).wait_url()
        with pytest.raises(WireError, match="may have run"):
            pending.result(TIMEOUT)
        assert client.pay(2) == "paid"
    assert paid.read_text() == "xx"


class Cutting:
    """A server that takes so many bytes of each request, sends so many of an answer, and then cuts the connection."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

    def __init__(self, taken, given, reset):
        self.taken, self.given, self.reset = taken, given, reset
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with self.listener:
            while True:
                connection = self.listener.accept()[0]
                self.connections += 1
                with connection:
                    if self.taken:
                        connection.recv(self.taken)
                    connection.sendall(self.ANSWER[: self.given])
                    if self.reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize(("taken", "given"), [(1, 0), (65536, 0), (65536, 5), (65536, 20), (65536, 38)])
@pytest.mark.parametrize("dialect", ["native", "jsonrpc"])
def test_a_call_whose_connection_is_cut_is_not_repeated(taken, given, reset, dialect):
    """Wherever in the exchange the connection is cut, the call was sent once, and the error says that it may have run."""
    server = Cutting(taken, given, reset)
    with Client(server.url, timeout=TIMEOUT, retries=5, dialect=dialect) as client:
        for call in (lambda: client.pay(1), lambda: client.notify.pay(1), lambda: pay_in_batch(client)):
            before = server.connections
            with pytest.raises(WireError, match="may have run"):
                call()
            assert server.connections == before + 1


def test_timeouts_are_wire_errors(server):
    """An answer that does not come in time is a WireError, which says where the method may have run."""
    with Client(server.url, timeout=0.1, idempotent=("echo",)) as client:
        server.script = [server.hang, server.hang]
        with pytest.raises(WireError, match=r"no answer within 0\.1 s; the method may have run"):
            client.ping()
        with pytest.raises(WireError, match=r"no answer within 0\.1 s$"):
            client.echo(1)
        assert len(server.requests) == 2


def test_a_connection_closed_while_idle_is_replaced(client, server):
    """A kept connection that the server has closed in the meantime is replaced before anything is sent on it."""
    server.hangs_up = True
    for count in range(1, 4):
        assert client.ping() == "pong"
        server.wait(lambda now, count=count: now.closed == count)
    assert len(server.requests) == 3


# The pool, and its end.


def test_calls_share_one_connection(client, server):
    """Calls that follow each other, also failed and repeated ones, take one connection."""
    server.script = [answer(200, b'{"ping":1}'), answer(500, b"oops"), answer(503, b"", Retry_After=0), answer(200, b"junk")]
    assert client.ping() == 1
    for kind in (RemoteError, WireError):
        with pytest.raises(kind):
            client.ping()
    dir(client)
    assert client.ping() == "pong"
    assert server.connections == 1
    assert repr(client) == f"<Client {server.url}, open, pool size 10, connections opened: 1>"


def test_threads_share_the_pool(server):
    """Fifty threads share five connections, all five at a time."""
    with Client(server.url, timeout=TIMEOUT, pool=5) as client, ThreadPoolExecutor(50) as threads:
        assert all(threads.map(lambda _: client.meet(), range(50)))
        assert [*threads.map(client.echo, range(100))] == [*range(100)]
    assert server.connections == 5


def test_greenlets_share_the_pool(server):
    """Under gevent's patches fifty greenlets share five connections, all five at a time."""
    run(f"""
        from gevent import monkey
        monkey.patch_all()
        import gevent
        from gjrpc import Client
        with Client({server.url!r}, timeout={TIMEOUT}, pool=5) as client:
            calls = [gevent.spawn(client.meet) for _ in range(50)]
            gevent.joinall(calls, timeout={TIMEOUT}, raise_error=True)
            assert [call.value for call in calls] == [True] * 50
    """)
    assert server.connections == 5


def test_no_gevent_is_needed(server):
    """The client works where gevent can't be imported."""
    run(f"""
        import sys
        sys.modules["gevent"] = None
        from gjrpc import Client
        assert Client({server.url!r}, timeout={TIMEOUT}).ping() == "pong"
    """)


def test_waiting_for_a_connection_ends(server):
    """A call that finds all connections taken waits for no longer than its time."""
    with Client(server.url, timeout=0.1, pool=1) as client:
        with (
            client._transport._slots,
            pytest.raises(WireError, match=r"no connection .* became free within 0\.1 s.*pool="),
        ):
            client.add(1, 2)
        assert client.add(1, 2) == 3
    assert len(server.requests) == 1


def test_a_closed_client_refuses(server):
    """Calls on a closed client are a MisuseError, also of one that waited; a call in flight still gets its answer."""
    server.script = [server.hang]
    with ThreadPoolExecutor(3) as threads, Client(server.url, timeout=TIMEOUT, pool=1) as client:
        first = threads.submit(client.ping)
        server.wait(lambda now: now.requests)
        waiting = [threads.submit(client.ping) for _ in range(2)]
        client.close()
        client.close()
        server.released.set()
        assert first.result(TIMEOUT) == "late"
        for call in waiting:
            with pytest.raises(MisuseError, match="closed"):
                call.result(TIMEOUT)
        assert "call" in dir(client)
    assert repr(client) == f"<Client {server.url}, closed>"
    server.wait(lambda now: now.closed == now.connections == 1)


# Ways to a server.


def test_unix_socket(scripted, tmp_path):
    """A unix socket is called with the Host localhost, its connections are pooled, and no proxy is asked."""
    server = scripted(path=str(tmp_path / "my socket"))
    with Client(server.url, timeout=TIMEOUT, pool=5) as client, ThreadPoolExecutor(20) as threads:
        assert client.ping() == "pong"
        assert server.requests[0][1]["Host"] == "localhost"
        assert all(threads.map(lambda _: client.meet(), range(20)))
        assert server.connections == 5
        assert repr(client) == f"<Client {server.url}, open, pool size 5, connections opened: 5>"
        server.script = [EMPTY_HANDED]
        with pytest.raises(WireError, match="may have run"):
            client.ping()


def test_missing_unix_socket(tmp_path):
    """A unix socket that is not there is a WireError that says so, and that nothing ran."""
    with (
        Client(f"unix:{tmp_path}/none", retries=1) as client,
        pytest.raises(WireError, match="can't connect: No such file") as raised,
    ):
        client.ping()
    assert "may have run" not in str(raised.value)


def test_path_prefix(server):
    """A URL with a path is where a mounted application lives: calls go to that path and a slash."""
    for url in (server.url + "/rpc", server.url + "/rpc/"):
        with Client(url, timeout=TIMEOUT) as client:
            assert client.ping() == "pong"
    assert [path for path, _, _ in server.requests] == ["/rpc/", "/rpc/"]


def test_proxies_from_the_environment(server, monkeypatch, tmp_path, scripted):
    """A proxy from the environment is asked for foreign hosts, and never for loopback, unix sockets or what NO_PROXY names."""
    monkeypatch.setenv("http_proxy", server.url)
    with Client("http://host.invalid:99", timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    assert server.requests[0][0] == "http://host.invalid:99/"
    monkeypatch.setenv("http_proxy", dead_url())
    unix = scripted(path=str(tmp_path / "socket"))
    for url in (server.url, server.url.replace("127.0.0.1", "localhost"), unix.url):
        with Client(url, timeout=TIMEOUT) as client:
            assert client.ping() == "pong"
    with (
        Client("http://host.invalid", retries=0) as client,
        pytest.raises(WireError, match="the proxy can't be used: Connection refused"),
    ):
        client.ping()
    monkeypatch.setenv("no_proxy", "host.invalid")
    with Client("http://host.invalid", retries=0) as client, pytest.raises(WireError, match="can't connect"):
        client.ping()


@pytest.mark.parametrize("excepted", ["fd00::/8", "[fd00::5]", "FD00::5", "[fd00::5]:99", "a, fd00::/8"])
def test_an_excepted_address_has_no_proxy(server, monkeypatch, excepted):
    """A call to an address that `no_proxy` names, with its credentials, never goes to the proxy."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", excepted)
    with Client("http://[fd00::5]:99", auth=("me", "secret"), timeout=0.2, retries=0) as client, pytest.raises(WireError):
        client.ping()
    assert server.connections == 0


def test_a_query_is_sent_and_never_shown(server, caplog, monkeypatch):
    """A JSON-RPC 2.0 URL may have a query, through a proxy too; no error, repr, traceback or log line shows it."""
    caplog.set_level(logging.DEBUG)
    reply = b'{"jsonrpc":"2.0","id":1,"result":5}'
    url = server.url + "/rpc?apikey=s3cr%2Ft&x=1"
    shown = []

    def fails(client, kind=ClientError):
        with pytest.raises(kind) as raised:
            client.ping()
        shown.append("".join(traceback.format_exception(raised.value)))

    with Client(url, dialect="jsonrpc", timeout=TIMEOUT) as client:
        server.script = [answer(503, b"", Retry_After=0), answer(200, reply)]
        assert client.ping() == 5
        server.script = [EMPTY_HANDED, answer(404, b"no /rpc?apikey=s3cr%2Ft&x=1"), answer(200, b"no s3cr/t"), answer(500, b"{")]
        server.script += [problem(403, detail="s3cr/t is no key"), answer(308, b"", Location="/rpc/?apikey=s3cr%2Ft&x=1")]
        for _ in range(6):
            fails(client)
        shown += [repr(client), repr(client.ping), str(client.ping.__doc__)]
    assert {path for path, _, _ in server.requests} == {"/rpc?apikey=s3cr%2Ft&x=1"}
    with Client(dead_url() + "/rpc?apikey=s3cr%2Ft", dialect="jsonrpc", retries=1) as client:
        fails(client, WireError)
    monkeypatch.setenv("http_proxy", server.url)
    with Client("http://host.invalid/rpc?apikey=s3cr%2Ft", dialect="jsonrpc", timeout=TIMEOUT) as client:
        server.script = [answer(200, reply), EMPTY_HANDED]
        assert client.ping() == 5
        fails(client, WireError)
    assert server.requests[-1][0] == "http://host.invalid/rpc?apikey=s3cr%2Ft"
    with pytest.raises(MisuseError, match="headers=") as native:
        Client("http://host/?apikey=s3cr%2Ft")
    everything = "\n".join([*shown, str(native.value), caplog.text])
    assert "/rpc" in everything
    assert "s3cr" not in everything


def test_a_signature_sees_the_query(server):
    """A callable that signs requests is given the whole URL."""
    urls = []

    def sign(request):
        urls.append(request.url)
        return request

    with Client(server.url + "/rpc?x=1", dialect="jsonrpc", auth=sign, timeout=TIMEOUT) as client:
        server.script = [answer(200, b'{"jsonrpc":"2.0","id":1,"result":5}')]
        client.ping()
    assert urls == [server.url + "/rpc?x=1"]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("localhost:9999", "no scheme"),
        ("127.0.0.1:9999", "no scheme"),
        ("", "no scheme"),
        ("ftp://host", "unknown scheme 'ftp'"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://host:port", "port"),
        ("http://host:99999", "[Pp]ort"),
        ("http://[::1", "Invalid IPv6"),
        ("http://host/?a=1", "query"),
        ("http://host/#a", "fragment"),
        ("http://host/?apikey=secret", "query"),
        ("http://me:secret@[::1", "auth="),
        ("http://me:sec/ret@host", "auth="),
        ("http://me:secret@host:port", "auth="),
        ("me:secret@host", "no scheme"),
        ("http://host\n/", "expected a URL"),
        ("http://ho st/", "expected a URL"),
        ("http://.host/", "can't be sent"),
        ("http://" + "ä" * 100 + "/", "can't be sent"),
        ("unix:", "no scheme"),
        (None, "expected a URL"),
        (b"http://host", "expected a URL"),
        ("http://me:secret@host", "auth="),
    ],
)
def test_bad_urls(url, text):
    """A URL that can't be one is a MisuseError with the right forms, and shows no password."""
    with pytest.raises(MisuseError, match=text) as raised:
        Client(url)
    assert "secret" not in str(raised.value)
    if "can't be sent" not in text and "auth" not in text:
        assert '"unix:/path/to.sock"' in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X": "…"}},
        {"headers": {"Ä": "x"}},
        {"headers": {"X": 1}},
        {"headers": "X"},
        {"idempotent": "ping"},
        {"idempotent": (1,)},
        {"idempotent": 5},
        {"timeout": 0},
    ],
    ids=str,
)
def test_bad_options(options):
    """An option that can't be used raises MisuseError at once, which names it."""
    with pytest.raises(MisuseError, match=next(iter(options))):
        Client("http://127.0.0.1:9", **options)


@pytest.mark.parametrize("timeout", [None, 5, 0.5, (1, None), (None, 2.5)])
def test_timeouts_that_can_be_used(server, timeout):
    """Seconds, a pair of them, or None for ever are time limits."""
    with Client(server.url, timeout=timeout) as client:
        assert client.ping() == "pong"


def test_headers_and_credentials(server):
    """Own headers replace the client's, Basic credentials are UTF-8, a callable signs each request, and no cookie is kept."""
    server.script = [answer(200, b'{"ping":1}', Set_Cookie="a=b")]
    with Client(server.url, headers={"X-Trace": "1", "user-agent": "me"}, auth=("jürgen", "päss"), timeout=TIMEOUT) as client:
        client.ping()
        client.ping()
    headers = server.requests[-1][1]
    assert (headers["X-Trace"], headers["User-Agent"], headers["Cookie"]) == ("1", "me", None)
    assert headers["Authorization"] == "Basic asO8cmdlbjpww6Rzcw=="

    def sign(request):
        request.headers["X-Signed"] = request.body.decode()
        return request

    with Client(server.url, auth=sign, timeout=TIMEOUT) as client:
        client.echo(1)
    assert server.requests[-1][1]["X-Signed"] == '{"echo":[1]}'
    assert server.requests[-1][1]["User-Agent"].startswith("gjrpc/")


def test_digest_credentials(server):
    """An authentication of requests that answers a challenge works."""
    server.script = [answer(401, b"", WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')]
    with Client(server.url, auth=HTTPDigestAuth("me", "secret"), timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    assert server.requests[-1][1]["Authorization"].startswith("Digest ")
    assert server.connections == 1


@pytest.mark.parametrize("challenge", ["Digest", 'Digest nonce="n"', 'Digest realm="r"'])
def test_a_challenge_that_cannot_be_met(server, challenge):
    """A challenge that the authentication can make nothing of is a ClientError."""
    good = 'Digest realm="r", nonce="n", qop="auth"'
    server.script = [answer(401, b"", WWW_Authenticate=good), answer(200, b'{"ping":1}')]
    with Client(server.url, auth=HTTPDigestAuth("me", "secret"), timeout=TIMEOUT) as client:
        assert client.ping() == 1
        server.script = [answer(401, b"", WWW_Authenticate=challenge)]
        for _ in range(2):
            with pytest.raises(WireError):
                client.ping()


# TLS.


def tls_context(certificate, **options):
    """A server's context with the shared certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def test_tls_with_an_authority(scripted, certificate, tmp_path, monkeypatch):
    """A server whose authority is given, as a file or in the environment, is trusted; with verify=False anyone is."""
    server = scripted(context=tls_context(certificate))
    for verify in (certificate.ca, Path(certificate.ca)):
        with Client(server.url, verify=verify, timeout=TIMEOUT) as client:
            assert client.add(1, 2) == client.add(b=2, a=1) == 3
    assert server.connections == 2
    with pytest.warns(Warning, match="Unverified"), Client(server.url, verify=False, timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate.ca)
    with Client(server.url, timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    with pytest.raises(MisuseError, match="none"):
        Client(server.url)


def test_refused_certificates_say_what_to_do(scripted, certificate):
    """A certificate that is refused is a WireError that says why and what to do, is tried once, and nothing is sent."""
    server = scripted(context=tls_context(certificate))
    with (
        Client(server.url, timeout=TIMEOUT) as client,
        pytest.raises(WireError, match=r'\(.*verify="ca\.pem"') as raised,
    ):
        client.ping()
    assert "may have run" not in str(raised.value)
    assert server.connections == 1
    other = scripted(context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    certificate.authority.issue_cert("example.org").configure_cert(other.context)
    with (
        Client(other.url, verify=certificate.ca) as client,
        pytest.raises(WireError, match="an address that is in the cert"),
    ):
        client.ping()
    assert not server.requests
    assert not other.requests


def test_client_certificates(scripted, certificate, tmp_path):
    """A client certificate is shown, as one file or two; without one the WireError names the option."""
    context = tls_context(certificate, verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(certificate.ca)
    server = scripted(context=context)
    leaf = certificate.authority.issue_cert("client@example.org")
    both, cert, key = (str(tmp_path / name) for name in ("both.pem", "cert.pem", "key.pem"))
    leaf.private_key_and_cert_chain_pem.write_to_path(both)
    leaf.private_key_pem.write_to_path(key)
    leaf.cert_chain_pems[0].write_to_path(cert)
    for shown in (both, (cert, key)):
        with Client(server.url, verify=certificate.ca, cert=shown, timeout=TIMEOUT) as client:
            assert client.ping() == "pong"
    with pytest.raises(MisuseError, match="cert="):
        Client(server.url, verify=certificate.ca, cert=(cert, str(_foreign_key(tmp_path))))
    with Client(server.url, verify=certificate.ca, timeout=TIMEOUT) as client, pytest.raises(WireError) as raised:
        client.ping()
    # The alert may be lost, when the server resets the connection behind it.
    assert "client certificate" in str(raised.value) or "the connection broke" in str(raised.value)


def test_an_encrypted_key_is_misuse(certificate, tmp_path):
    """A key with a passphrase is a MisuseError at once, and nobody is asked for the passphrase."""
    key = serialization.load_pem_private_key(Path(certificate.key).read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, form, locked))
    with pytest.raises(MisuseError, match="without a passphrase"):
        Client("https://127.0.0.1:9", cert=(certificate.cert, str(tmp_path / "key.pem")))


def _foreign_key(folder):
    path = folder / "foreign.pem"
    trustme.CA().issue_cert("x.org").private_key_pem.write_to_path(str(path))
    return path


def test_tls_and_plain_mistaken(scripted, certificate):
    """A client that speaks TLS to a plain server, or plain to a TLS one, gets a WireError; the first says what to do."""
    plain, tls = scripted(), scripted(context=tls_context(certificate))
    with Client(plain.url.replace("http:", "https:"), timeout=TIMEOUT) as client, pytest.raises(WireError, match="try http://"):
        client.ping()
    with Client(tls.url.replace("https:", "http:"), timeout=TIMEOUT) as client, pytest.raises(WireError):
        client.ping()


def test_an_idempotent_call_survives_a_tls_cut(scripted, certificate):
    """A TLS connection that is cut without an answer is a broken one: an idempotent call is repeated, another is not."""
    server = scripted(context=tls_context(certificate))
    with Client(server.url, verify=certificate.ca, timeout=TIMEOUT, idempotent=("ping",)) as client:
        server.script = [EMPTY_HANDED]
        assert client.ping() == "pong"
        server.script = [EMPTY_HANDED]
        with pytest.raises(WireError, match="may have run"):
            client.add(1, 2)
    assert len(server.requests) == 3
