"""`check_process` leaves out the processes that call or serve it, and no others; with real servers and clients."""

import os
import shutil
import socket
import subprocess
import sys
import uuid

import msgspec
import pytest
from conftest import Launched
from host_machine import WAIT, child

from gjrpc.app.application import Application
from gjrpc.calls.registry import Registry
from gjrpc.host import callers, methods

# A client as people write them: the text is its argument, and the method is not in its command line.
CLIENT = """
import json, socket, sys
where, text, dialect = sys.argv[1:4]
if where.startswith("/"):
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(where)
else:
    host, port = where.rsplit(":", 1)
    wire = socket.create_connection((host, int(port)))
name = "check_" + "process"
call = {"jsonrpc": "2.0", "id": 1, "method": name, "params": [text]}
body = json.dumps({"native": {name: text}, "single": call, "batch": [call, call]}[dialect])
head = f"POST / HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n"
wire.sendall((head + body).encode())
answer = b""
while piece := wire.recv(65536):
    answer += piece
sys.stdout.write(answer.partition(b"\\r\\n\\r\\n")[2].decode())
"""


@pytest.fixture
def marker():
    """A text that no other process has in its command line."""
    return f"Marker-{uuid.uuid4().hex}"


@pytest.fixture
def host(launch):
    """Start a server of the host methods: `host(*options)` returns its address."""

    def start(*options, bind="127.0.0.1:0"):
        served = launch("-m", "gjrpc.serve", "--bind", bind, *options)
        return served.wait_url().removeprefix("http://").removeprefix("unix:")

    return start


@pytest.fixture(scope="module")
def local():
    """The address of a server of the host methods that several tests share."""
    served = Launched([sys.executable, "-m", "gjrpc.serve", "--bind", "127.0.0.1:0"])
    yield served.wait_url().removeprefix("http://")
    served.end()


def run(*command, **options):
    """Run a program and return the JSON that it prints."""
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, **options)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


def ask(where, text, dialect="native"):
    """Let a client call `check_process`, and return what it got."""
    answer = run(sys.executable, "-c", CLIENT, where, text, dialect)
    if dialect == "native":
        return answer["check_process"]
    return (answer if dialect == "single" else answer[0])["result"]


@pytest.mark.parametrize("dialect", ["native", "single", "batch"])
def test_the_client_is_left_out(local, marker, dialect):
    """The process at the other end of the connection is left out, though its command line has the text; others are listed."""
    answer = ask(local, marker, dialect)
    assert answer["output"] == []
    assert "except 1 that made or serve this call" in answer["error"]
    with child(marker) as process:
        assert [found["pid"] for found in ask(local, marker, dialect)["output"]] == [process.pid]


def test_the_client_at_a_unix_socket_is_left_out(host, marker, tmp_path):
    """On a Unix socket the kernel tells which process is the client."""
    where = host(bind=f"unix:{tmp_path}/s")
    assert ask(where, marker)["output"] == []
    with child(marker) as process:
        assert [found["pid"] for found in ask(where, marker)["output"]] == [process.pid]


def test_the_client_by_another_family_is_left_out(host, marker):
    """A client that connects with IPv6 is left out too."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1 on this machine")
    assert ask(host(bind="[::1]:0").replace("[::1]", "::1"), marker)["output"] == []


def test_an_idle_client_is_found(local, marker):
    """A process that keeps a connection open but does not call is listed."""
    address, port = local.split(":")
    code = f"import socket; wire = socket.create_connection(('{address}', {port})); {WAIT}"
    with child(marker, code=code) as process:
        assert [found["pid"] for found in ask(local, marker)["output"]] == [process.pid]


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
def test_what_started_the_client_is_left_out(local, marker):
    """A shell or another program whose command line contains the client's is left out too."""
    script = f"\"{sys.executable}\" -c '{CLIENT}' {local} {marker} native; exit 0"
    assert run("sh", "-c", script)["check_process"]["output"] == []
    wrapper = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"]
    assert run(*wrapper, sys.executable, "-c", CLIENT, local, marker, "native")["check_process"]["output"] == []


def test_what_started_the_client_for_another_reason_is_found(local, marker):
    """A program that started a client is listed if its own command line has the text."""
    code = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', sys.stdin.read(), *sys.argv[2:]]).returncode)"
    answer = run(sys.executable, "-c", code, f"agent-{marker}", local, marker, "native", input=CLIENT.encode())
    assert [found["args"].split()[-4] for found in answer["check_process"]["output"]] == [f"agent-{marker}"]


def test_a_proxy_is_found(local, marker):
    """A process at the other end of the connection that itself listens is a proxy, and is listed."""
    code = f"""
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print("ready", flush=True)
print(listener.getsockname()[1], flush=True)
client = listener.accept()[0]
server = socket.create_connection({tuple(local.split(":"))!r})
server.sendall(client.recv(65536))
while piece := server.recv(65536):
    client.sendall(piece)
client.close()
{WAIT}
"""
    with child(marker, code=code) as proxy:
        port = int(proxy.stdout.readline())
        pids = {found["pid"] for found in ask(f"127.0.0.1:{port}", marker)["output"]}
    assert proxy.pid in pids


def test_the_server_is_left_out(host, tmp_path):
    """With several workers, the workers and their master are left out."""
    where = host("--workers", "2", "--access-log", "off", bind=f"unix:{tmp_path}/s")
    answer = ask(where, "gjrpc.serve --bind unix:" + str(tmp_path))
    assert answer["output"] == []


def test_a_server_elsewhere_is_found(host, tmp_path):
    """Another server of the same program is listed."""
    first, second = (host(bind=f"unix:{tmp_path}/{name}") for name in "ab")
    assert len(ask(first, f"gjrpc.serve --bind unix:{tmp_path}")["output"]) == 1
    assert len(ask(second, f"gjrpc.serve --bind unix:{tmp_path}")["output"]) == 1


def test_under_a_foreign_server(marker):
    """Under a server that does not tell the peer, a command line that spells out the call is left out."""
    with child(f"http://localhost/check_process;{marker}"), child(marker) as other:
        output = methods.registry.find("check_process").function(marker)["output"]
    assert [found["pid"] for found in output] == [other.pid]


@pytest.mark.parametrize(
    ("line", "spells"),
    [
        ("curl http://h:1/check_process;nginx", True),
        ("curl http://h:1/check_process?process=NGINX", True),
        ("curl -d {'check_process':'nginx'} h:1", True),
        ("sh -c curl -s h:1/check_process;nginx | jq .", True),
        ("curl -d {'jsonrpc':'2.0','method':'host.check_process','params':['nginx'],'id':1} h", True),
        ("nginx -c /etc/check_process;nginx", False),
        ("python check_process.py nginx", False),
        ("python my-check_process nginx", False),
        ("check_process_daemon nginx", False),
        ("nginx: master process", False),
    ],
)
def test_spelled(line, spells):
    """A command line spells out the call if the text is only after the method's whole name."""
    assert callers._spells(line, "check_process", "nginx") is spells


def test_batch_knows_the_connection(serve):
    """Each blocking method of a batch can read its connection, whichever greenlet runs it; other methods can not."""
    from gjrpc import context

    registry = Registry()
    registry.register(lambda: context.peer().client_address[1], "port", blocking=True)
    registry.register(lambda: context.peer() is None, "none")
    served = serve(Application(registry))
    calls = [{"jsonrpc": "2.0", "id": number, "method": "port"} for number in range(5)]
    body = msgspec.json.encode([*calls, {"jsonrpc": "2.0", "id": 9, "method": "none"}])
    with served.wire() as wire:
        own = wire.socket.getsockname()[1]
        answers = wire.ask(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body), body).json()
    assert [answer["result"] for answer in answers] == [own] * 5 + [True]


def test_ended_meanwhile():
    """A process that has ended has no ancestors, and is not one of the server's own."""
    with child() as process:
        seen = callers.psutil.Process(process.pid)
        assert os.getpid() in callers._ancestors(seen)
        process.kill()
        process.wait()
    assert callers._ancestors(seen) == set()
    assert not callers._is_own(seen)
