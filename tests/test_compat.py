"""py-jrpc's examples, with only their imports and Python 3 spelling changed; and what else its programs may use."""

import gzip
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time

import pytest
import requests

from gjrpc import HTTPError, SimpleTCPClient, SimpleTCPDispatcher, SimpleTCPRequestHandler, SimpleTCPServer, URLError
from gjrpc.errors import InvalidArguments, RegistrationError

FUNCTIONS = """
def ping():
    return "pong"


def blah(a):
    return a

"""
SERVER = """
import sys
from gjrpc import SimpleTCPServer
{functions}
if __name__ == "__main__":
    HOST, PORT = "localhost", 0
    server = SimpleTCPServer((HOST, PORT))
    {wrap}
    server.register_function(ping)
    server.register_function(blah)
    print("http://localhost:%d" % server.server_address[1], flush=True)
    server.serve_forever()
"""
THREADED = """
from socketserver import ThreadingMixIn
from gjrpc import SimpleTCPRequestHandler, SimpleTCPServer
{functions}

class Handler(SimpleTCPRequestHandler):
    def log_request(self, code="-", size="-"):
        print("%s - %s %s %s" % (self.client_address[0], self.requestline, str(code), str(size)), flush=True)

    def log_error(self, format, *args):
        print("%s - %s" % (self.client_address[0], format % args), flush=True)


class Server(ThreadingMixIn, SimpleTCPServer):
    def __init__(self, bindaddr):
        SimpleTCPServer.__init__(self, bindaddr, Handler)
        self.register_function(ping)
        self.register_function(blah)


if __name__ == "__main__":
    server = Server(("localhost", 0))
    print("http://localhost:%d" % server.server_address[1], flush=True)
    server.serve_forever()
"""
CLIENT = """
import sys
from gjrpc import SimpleTCPClient

conn = SimpleTCPClient("localhost", int(sys.argv[1]), ssl=len(sys.argv) > 2)
print(conn.ping())
print(conn.blah("test"))
"""
ANSWERS = '{"ping":"pong"}\n{"blah":"test"}\n'


def ping():
    """Answer."""
    return "pong"


class Running:
    """A server in a thread."""

    def __init__(self, server):
        self.server = server
        self.thread = threading.Thread(target=server.serve_forever, daemon=True)
        self.thread.start()
        self.port = server.server_address[1]

    def stop(self):
        """Stop it, and wait until it has."""
        self.server.shutdown()
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.server.server_close()


@pytest.fixture
def run():
    """Run a server in a thread until the end of the test."""
    running = []

    def start(server):
        running.append(Running(server))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def call(port, *arguments, ca=None):
    """Run the client example and give what it prints."""
    env = {**os.environ, **({"REQUESTS_CA_BUNDLE": ca} if ca else {})}
    command = [sys.executable, "-c", CLIENT, str(port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=True).stdout


def started(launch, tmp_path, script):
    """Start a script and give the program and its port."""
    path = tmp_path / "server.py"
    path.write_text(script)
    program = launch(str(path), env={**os.environ, "PYTHONUNBUFFERED": "1"})
    return program, int(program.wait_url().rpartition(":")[2])


def test_plain_example(launch, tmp_path):
    """py-jrpc's server and client examples work, answers are logged, and Ctrl-C ends the server."""
    program, port = started(launch, tmp_path, SERVER.format(functions=FUNCTIONS, wrap=""))
    assert call(port) == ANSWERS
    program.wait_for(r'"POST / HTTP/1.1" 200')
    program.process.send_signal(signal.SIGINT)
    assert program.wait() == 0
    assert "SIGINT: stopping" in program.output
    assert "Traceback" not in program.output


def test_threaded_example(launch, tmp_path):
    """A server with ThreadingMixIn and its own request handler logs answers and errors by that handler."""
    program, port = started(launch, tmp_path, THREADED.format(functions=FUNCTIONS))
    assert call(port) == ANSWERS
    program.wait_for(r"127\.0\.0\.1 - POST / HTTP/1\.1 200 15")
    with pytest.raises(HTTPError):
        SimpleTCPClient("localhost", port).nope()
    program.wait_for("code 404, message Not Found")


def test_tls_example(launch, tmp_path, certificate):
    """A listening socket that is wrapped before serving turns TLS on."""
    wrap = (
        "import ssl; context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
        f"context.load_cert_chain({certificate.cert!r}, {certificate.key!r}); "
        "server.socket = context.wrap_socket(server.socket, server_side=True)"
    )
    _, port = started(launch, tmp_path, SERVER.format(functions=FUNCTIONS, wrap=wrap))
    assert call(port, "tls", ca=certificate.ca) == ANSWERS
    with pytest.raises(URLError, match="certificate can't be verified"):
        SimpleTCPClient("localhost", port, ssl=True)


def test_tls_in_this_process(run, certificate):
    """TLS works without monkey-patching as well."""
    server = SimpleTCPServer(("localhost", 0), logging=False)
    server.socket = certificate.server_context().wrap_socket(server.socket, server_side=True)
    server.register_function(ping)
    client = SimpleTCPClient("localhost", run(server).port, ssl=True, verify=certificate.ca)
    assert client.ping() == '{"ping":"pong"}'


def test_client(run):
    """The client returns JSON texts, lists the methods, and raises py-jrpc's exceptions."""
    server = SimpleTCPServer(("localhost", 0), logging=False)
    server.register_function(ping)
    server.register_function(lambda a, b=10: a + b, "add")
    running = run(server)
    client = SimpleTCPClient("localhost", running.port)
    assert client.geturl() == f"http://localhost:{running.port}"
    assert client.get("ping") == client.get("/ping") == '{"ping":"pong"}'
    assert client.post({"add": {"a": 1, "b": 2}}) == '{"add":3}'
    assert client.add(5) == '{"add":15}'
    assert {"add", "ping", "get", "post", "geturl", "list_methods"} <= set(dir(client))
    with pytest.raises(HTTPError, match="HTTP Error 400: Bad Request") as error:
        client.add("x", 1, 2)
    assert error.value.code == 400
    assert "too many arguments" in error.value.body
    for probed in (client, client.add):
        assert not hasattr(probed, "_repr_html_")
    with pytest.raises(URLError, match="urlopen error"):
        SimpleTCPClient("localhost", 1)


class Stats:
    """An instance with methods."""

    def load(self):
        """Tell the load."""
        return 0.5


class Host:
    """An instance that holds another."""

    def __init__(self):
        self.stats = Stats()


class Own:
    """An instance that dispatches for itself."""

    def _dispatch(self, method, params):
        if method == "missing":
            raise NameError("no such thing")
        return [method, params]


def test_a_host_of_another_name(run):
    """On a loopback address the server answers for loopback names only."""
    url = f"http://127.0.0.1:{run(SimpleTCPServer(('127.0.0.1', 0))).port}"
    statuses = [
        requests.get(f"{url}/list_methods", headers={"Host": host}, timeout=60).status_code
        for host in ("localhost", "evil.example")
    ]
    assert statuses == [200, 421]


def test_instances(run):
    """Dotted names reach into a registered instance, and an instance's `_dispatch` gets calls of unregistered names."""
    server = SimpleTCPServer(("localhost", 0), logging=False)
    server.register_instance(Host())
    server.register_instance(Own())
    client = SimpleTCPClient("localhost", run(server).port)
    assert client.stats.load() == '{"stats.load":0.5}'
    assert client.anything(1, 2) == '{"anything":["anything",[1,2]]}'
    with pytest.raises(HTTPError, match="404"):
        client.missing()


def test_dispatcher():
    """The dispatcher also calls methods in the process, and a taken name is an error at once."""
    dispatcher = SimpleTCPDispatcher()
    dispatcher.register_function(ping)
    dispatcher.register_instance(Own())
    assert dispatcher.list_methods() == ["list_methods", "method_help", "method_signature", "ping"]
    assert dispatcher.method_signature("ping") == {"ping": []}
    assert dispatcher.method_help("ping") == "Answer."
    assert dispatcher.functions["ping"] is ping
    assert dispatcher._dispatch("ping", "") == "pong"
    assert dispatcher._dispatch("other", [1]) == ["other", [1]]
    with pytest.raises(NameError):
        dispatcher._dispatch("missing", "")
    with pytest.raises(NameError, match=r"\[nope\]"):
        SimpleTCPDispatcher()._dispatch("nope", "")
    with pytest.raises(InvalidArguments):
        dispatcher._dispatch("ping", [1])
    with pytest.raises(RegistrationError, match="taken"):
        dispatcher.register_function(ping)


def test_threads_run_at_the_same_time(run):
    """With ThreadingMixIn, functions that block in C run at the same time."""
    everyone = threading.Barrier(4)

    class Server(socketserver.ThreadingMixIn, SimpleTCPServer):
        pass

    server = Server(("localhost", 0), logging=False)
    server.register_function(lambda: everyone.wait(60) >= 0, "meet")
    port = run(server).port
    answers = []
    callers = [threading.Thread(target=lambda: answers.append(SimpleTCPClient("localhost", port).meet())) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert answers == ['{"meet":true}'] * 4


def test_life():
    """A server binds at once or later, has a descriptor, stops on `shutdown`, and closes as a context manager."""
    with SimpleTCPServer(("127.0.0.1", 0), SimpleTCPRequestHandler, bind_and_activate=False, logging=False) as server:
        assert server.socket is None
        running = threading.Thread(target=server.serve_forever, daemon=True)
        running.start()
        end = time.monotonic() + 10
        while server._wake is None:
            assert time.monotonic() < end
        assert server.fileno() > 0
        server.register_function(ping)
        assert SimpleTCPClient("127.0.0.1", server.server_address[1]).ping() == '{"ping":"pong"}'
        server.shutdown()
        running.join(60)
        assert not running.is_alive()
    with pytest.raises(URLError):
        SimpleTCPClient("127.0.0.1", server.server_address[1])
    server.shutdown()  # a server that does not serve is stopped already


def test_the_client_goes_nowhere_else(serve, tmp_path, monkeypatch):
    """A redirect is an HTTPError and no second call; no password of .netrc is sent, and the size of an answer is limited."""
    heard = []

    def application(environ, start_response):
        heard.append((environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION")))
        if environ["PATH_INFO"] == "/list_methods":
            start_response("200 OK", [])
            return [b'{"list_methods":[]}']
        if environ["PATH_INFO"] == "/bomb":
            start_response("200 OK", [("Content-Encoding", "gzip")])
            return [gzip.compress(bytes(100_000_000), 1)]
        start_response("302 Found", [("Location", "/elsewhere")])
        return []

    (tmp_path / "netrc").write_text("machine localhost login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client = SimpleTCPClient("localhost", serve(application).address[1])
    for call in (client.pay, lambda: client.get("pay it")):
        with pytest.raises(HTTPError) as raised:
            call()
        assert raised.value.code == 302
    with pytest.raises(URLError, match="the answer has more than"):
        client.get("bomb")
    assert heard == [("/list_methods", None), ("/", None), ("/pay it", None), ("/bomb", None)]
