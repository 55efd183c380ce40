"""The application is the same on every server: the project's own, gunicorn, uWSGI, waitress."""

import json
import os
import socket
import sys
import threading
from pathlib import Path

import gevent
import gevent.socket
import pytest
from conftest import TIMEOUT, Wire, launcher

from gjrpc import Application, Registry
from gjrpc.server.server import Server

APP = """
import sys
import time
from pathlib import Path

import gevent.monkey

from gjrpc import Application, Registry

registry = Registry()
native_sleep = gevent.monkey.get_original("time", "sleep")


@registry.method
def ping():
    return "pong"


@registry.method
def echo(x):
    return x


@registry.method
def add(a: int, b: int = 10):
    return a + b


@registry.method(name="\\u00e9t\\u00e9")
def summer():
    return "\\u2600"


@registry.method
def fail():
    raise ZeroDivisionError("a secret")


@registry.method
def runtime():
    return type(application.dispatcher.runtime).__name__


@registry.method(blocking=True)
def block(name: str):
    Path(name).touch()
    while not Path("opened").exists():
        native_sleep(0.01)
    return name


@registry.method(deadline=0.2)
def wait():
    time.sleep(30)


@registry.method(blocking=True, deadline=0.2)
def block_long():
    while not Path("opened").exists():
        native_sleep(0.01)


application = Application(registry, max_body=1000)
"""

CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


def request(verb, target, body=None):
    """A request, which closes its connection."""
    head = f"{verb} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
    return head + (b"\r\n" if body is None else b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


PONG = {"ping": "pong"}
CHUNKED = request("POST", "/echo")[:-2] + CHUNKS + b"4\r\n[[1,\r\n3\r\n2]]\r\n0\r\n\r\n"
# What is asked, the status, and the body; of a problem only its detail's words.
CALLS = [
    (request("GET", "/ping"), 200, PONG),
    (request("GET", "/add?a=1&b=2"), 200, {"add": 3}),
    (request("GET", "/echo;hello"), 200, {"echo": "hello"}),
    (request("GET", "/echo;a%3Bb%2Fc"), 200, {"echo": "a;b/c"}),
    (request("GET", "/echo%3Bhello"), 404, "'echo;hello'"),
    (request("GET", "/echo?x=%C3%A9%26+%3D"), 200, {"echo": "é& ="}),
    (request("GET", "/%C3%A9t%C3%A9"), 200, {"été": "☀"}),
    (request("GET", "/echo;%FF"), 400, "UTF-8"),
    (request("GET", "/echo"), 400, "x"),
    (request("GET", "/pong"), 404, "'ping'"),
    (request("GET", "//ping"), 404, "'/ping'"),
    (request("GET", "/fail"), 500, "ref"),
    (request("GET", "/-/healthy"), 200, {"healthy": True}),
    (request("HEAD", "/ping"), 200, None),
    (request("HEAD", "/pong"), 404, None),
    (request("OPTIONS", "/ping"), 204, None),
    (request("DELETE", "/ping"), 405, "DELETE"),
    (request("POST", "/", b'{"add":[1,2]}'), 200, {"add": 3}),
    (request("POST", "/", '{"echo":"é"}'.encode()), 200, {"echo": "é"}),
    (request("POST", "/add", b'{"a":1}'), 200, {"add": 11}),
    (request("POST", "/ping", b""), 200, PONG),
    (request("POST", "/ping"), 200, PONG),
    (request("POST", "/", b'{"add":[1,'), 400, "byte"),
    (request("POST", "/", b"x" * 1001), 413, "1000"),
    (request("POST", "/", b'{"jsonrpc":"2.0","method":"ping","id":1}'), 200, {"jsonrpc": "2.0", "result": "pong", "id": 1}),
    (request("POST", "/", b'{"jsonrpc":"2.0","method":"ping"}'), 204, None),
]
ALLOWED = {204: "GET, HEAD, POST, OPTIONS", 405: "GET, HEAD, POST, OPTIONS"}


def own(launch, folder):
    """The project's own server."""
    return launch("-m", "gjrpc.serve", "app:application", "--bind", "127.0.0.1:0", cwd=folder)


def gunicorn(*options):
    """Gunicorn with a kind of worker."""

    def start(launch, folder):
        arguments = ["--bind", "127.0.0.1:0", "--worker-class", *options, "app:application"]
        return launch(*arguments, program=beside_python("gunicorn"), cwd=folder)

    return start


def uwsgi(patch):
    """uWSGI's HTTP server with greenlets, on a port of the kernel's choice, which it can't report itself."""

    def start(launch, folder):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            arguments = [
                "--master",
                "--no-orphans",
                "--die-on-term",
                "--http",
                f"fd://{listener.fileno()}",
                "--gevent",
                "50",
                patch,
            ]
            arguments += ["--virtualenv", sys.prefix, "--pythonpath", str(folder), "--module", "app:application", "--need-app"]
            options = {"program": beside_python("uwsgi"), "cwd": folder, "pass_fds": [listener.fileno()]}
            launched = launch(*arguments, **options)
            launched.wait_for(r"uWSGI http bound on")
            launched.wait_for(r"spawned uWSGI worker 1 ")
            launched.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return launched

    return start


def waitress(launch, folder):
    """Waitress, in threads."""
    return launch("--listen=127.0.0.1:0", "app:application", program=beside_python("waitress-serve"), cwd=folder)


SERVERS = {
    "own": own,
    "gunicorn sync": gunicorn("sync"),
    "gunicorn gthread": gunicorn("gthread", "--threads", "2"),
    "gunicorn gevent": gunicorn("gevent"),
    "uwsgi": uwsgi("--gevent-early-monkey-patch"),
    "waitress": waitress,
}
LATE = "uwsgi, patched late"


def beside_python(name):
    """A program of the environment that these tests run in."""
    return os.path.join(os.path.dirname(sys.executable), name)


@pytest.fixture
def folder(tmp_path):
    """A folder with the application."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


class Mounted:
    """A server that was started.

    Attributes:
        program: its process.
        name: what it is called above.
    """

    def __init__(self, start, launch, folder, name=""):
        self.name = name
        self.program = start(launch, folder)
        host, port = (self.program.url or self.program.wait_url()).removeprefix("http://").split(":")
        self._address = host, int(port)

    def wire(self):
        """A new connection."""
        return Wire(socket.create_connection(self._address, timeout=TIMEOUT))

    def ask(self, data):
        """One request on a connection of its own."""
        with self.wire() as wire:
            return wire.ask(data, verb=data.split()[0].decode())


@pytest.fixture(scope="module", params=SERVERS)
def mounted(request, tmp_path_factory):
    """Each server in turn, started once for the tests that change nothing on it."""
    folder = tmp_path_factory.mktemp("mounted")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    with launcher() as launch:
        yield Mounted(SERVERS[request.param], launch, folder, request.param)


def test_each_server_answers_the_same(mounted):
    """The same requests get the same statuses, headers and bodies on each server."""
    for asked, status, body in CALLS:
        answer = mounted.ask(asked)
        if mounted.name == "waitress" and asked.startswith(b"GET //"):  # it gives an application the path with a single slash
            assert answer.json() == {"ping": "pong"}
            continue
        assert answer.status == status, asked
        assert answer.headers.get("allow") == (ALLOWED.get(status) if b"jsonrpc" not in asked else None), asked
        if body is None:
            assert answer.body == b"", asked
        elif isinstance(body, str):
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert (problem["status"], body in problem["detail"]) == (status, True), problem
            assert b"secret" not in answer.raw
        else:
            assert (answer.headers["content-type"], answer.json()) == ("application/json", body)


def test_a_chunked_body(mounted):
    """A chunked body is read to its end, at most to the limit; under uWSGI, which withholds it, the client gets 411."""
    if mounted.name == "uwsgi":
        answer = mounted.ask(CHUNKED)
        assert (answer.status, "Content-Length" in answer.json()["detail"]) == (411, True)
        return
    answer = mounted.ask(CHUNKED)
    assert (answer.status, answer.body) == (200, b'{"echo":[1,2]}')
    answer = mounted.ask(CHUNKED[: CHUNKED.index(CHUNKS)] + CHUNKS + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
    assert (answer.status, "1000" in answer.json()["detail"]) == (413, True)
    answer = mounted.ask(request("POST", "/ping")[:-2] + CHUNKS + b"0\r\n\r\n")
    assert (answer.status, answer.json()) == (200, PONG)


@pytest.mark.parametrize("name", ["own", "gunicorn gevent", "uwsgi", LATE])
def test_blocking_methods_and_deadlines_under_gevent(launch, folder, name):
    """Under gevent, blocking methods run in its threads and block no other call, and deadlines hold."""
    # uWSGI's other option, which most of its examples have, patches when the application has been loaded.
    mounted = Mounted(uwsgi("--gevent-monkey-patch") if name == LATE else SERVERS[name], launch, folder)
    assert mounted.ask(request("GET", "/runtime")).json() == {"runtime": "Green"}
    wires = [mounted.wire() for _ in range(5)]
    for number, wire in enumerate(wires):
        wire.send(request("GET", f"/block?name={number}"))
    while not all(Path(folder, str(number)).exists() for number in range(5)):
        assert mounted.ask(request("GET", "/ping")).json() == PONG
    for target in ("/wait", "/block_long"):
        answer = mounted.ask(request("GET", target))
        assert (answer.status, "0.2 s" in answer.json()["detail"]) == (504, True)
    Path(folder, "opened").touch()
    for number, wire in enumerate(wires):
        with wire:
            assert wire.answer().json() == {"block": str(number)}


@pytest.mark.parametrize("name", ["gunicorn sync", "gunicorn gthread", "waitress"])
def test_blocking_methods_without_gevent(launch, folder, name):
    """Without gevent, a blocking method runs where it is called."""
    mounted = Mounted(SERVERS[name], launch, folder)
    Path(folder, "opened").touch()
    assert mounted.ask(request("GET", "/runtime")).json() == {"runtime": "Plain"}
    assert mounted.ask(request("GET", "/block?name=1")).json() == {"block": "1"}
    assert mounted.ask(request("GET", "/block_long")).json() == {"block_long": None}


def test_the_failure_is_in_each_log(launch, folder):
    """On other servers, too, the log has the details of an error under the ref that the client got."""
    mounted = Mounted(SERVERS["gunicorn sync"], launch, folder)
    ref = json.loads(mounted.ask(request("GET", "/fail")).body)["ref"]
    mounted.program.wait_for(rf"ref {ref}: method fail(?s:.*)ZeroDivisionError: a secret")


def answer(server, path, host="localhost"):
    """The status of a GET from a greenlet of this hub, and its JSON."""
    with gevent.socket.create_connection(server.address, timeout=TIMEOUT) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_two_servers_of_one_application_do_not_disturb_each_other():
    """Of two servers on one application, one that stops is not ready; the other stays so, with its hosts and its threads."""
    registry, gate, entered = Registry(), threading.Event(), []
    registry.register(lambda: entered.append(1) or gate.wait(TIMEOUT), "block", blocking=True)
    application = Application(registry)
    first, second = (Server(("127.0.0.1", 0), application, hosts=hosts) for hosts in (["localhost"], ["*"]))
    first.start()
    second.start()
    assert [answer(server, "/-/ready", "a")[0] for server in (first, second)] == [200, 200]
    assert [answer(server, "/list_methods", "a")[0] for server in (first, second)] == [421, 200]
    blocked = [gevent.spawn(answer, server, "/block") for server in (first, second)]
    kept = gevent.socket.create_connection(first.address, timeout=TIMEOUT)
    kept.sendall(b"GET /-/ready HTTP/1.1\r\n")
    with gevent.Timeout(TIMEOUT):
        while len(entered) < 2:
            gevent.sleep(0.01)
    stop = gevent.spawn(first.stop)
    gevent.sleep(0.1)
    kept.sendall(b"Host: a\r\n\r\n")
    assert b" 503 " in kept.recv(65536)
    assert answer(second, "/-/ready") == (200, {"ready": True})
    gate.set()
    assert [each.get(timeout=TIMEOUT) for each in blocked] == [(200, {"block": True})] * 2
    stop.get(timeout=TIMEOUT)
    assert answer(second, "/block", "a") == (200, {"block": True})
    assert answer(second, "/-/ready") == (200, {"ready": True})
    second.stop()
    kept.close()
