"""Which calls the client retries, and which it never sends twice."""

import logging
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest
from conftest import wait_until
from scripted_server import EMPTY_HANDED, TIMEOUT, answer, dead_url, problem

import gjrpc.client.adapter
from gjrpc import Application, Client, ClientError, Registry, RemoteError, WireError
from gjrpc.limits import Timeouts

pytestmark = pytest.mark.usefixtures("without_proxies")


def test_a_refused_connection_is_tried_again(scripted, caplog):
    """A call whose connection is refused succeeds as soon as the server listens."""
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
    """If no server listens, the WireError names the URL and the method, and does not claim that the method may have run."""
    url = dead_url()
    with (
        Client(url, retries=1) as client,
        pytest.raises(WireError, match=f"{url}: ping: can't connect: Connection refused; check the URL") as raised,
    ):
        client.ping()
    assert raised.value.__cause__ is not None


def test_an_unknown_host_is_a_wire_error():
    """A host name that can't be resolved raises WireError, which names it."""
    with (
        Client("http://host.invalid", retries=0) as client,
        pytest.raises(WireError, match=r"host\.invalid: ping: can't connect: "),
    ):
        client.ping()


def test_503_with_retry_after_is_tried_again(client, server):
    """A 503 with Retry-After is retried, up to `retries` times; then it raises RemoteError with the server's sentence."""
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
    """Whatever Retry-After says, the wait is no longer than the bound."""
    monkeypatch.setattr(gjrpc.client.adapter, "MAX_WAIT", 0.05)
    server.script = [answer(503, b"", Retry_After=wanted)]
    assert client.ping() == "pong"


@pytest.mark.parametrize(
    "failure",
    [EMPTY_HANDED, answer(502, b""), answer(503, b""), answer(504, b""), answer(429, b"", Retry_After=0), answer(500, b"")],
)
def test_what_may_have_run_is_not_repeated(client, server, failure):
    """A call that is not declared idempotent is sent once if it may have run, or if the answer does not allow a retry."""
    server.script = [failure]
    with pytest.raises(ClientError):
        client.ping()
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [EMPTY_HANDED, answer(502, b""), answer(503, b""), answer(504, b"")])
@pytest.mark.parametrize("pattern", ["ping", "p*"])
def test_an_idempotent_call_is_repeated(server, failure, pattern):
    """A call that is declared idempotent is retried if it may have run; other calls of the same client are not."""
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
    """If the answer is missing, the WireError says that the method may have run, and which option declares it idempotent."""
    server.script = [EMPTY_HANDED]
    with pytest.raises(WireError, match=r"the method may have run .*idempotent="):
        client.ping()


def paying(paid, gate):
    """Return an application whose method `pay` records that it ran, and keeps its first caller waiting until the gate opens."""
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
    """A call that is running at the end of the grace period runs once, even if a new server listens on the address."""
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
    """A call whose server is killed runs once, even if a new server listens on the address."""
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
    """A server that reads some bytes of each request, sends some bytes of an answer, and then cuts the connection."""

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
    """Wherever the connection is cut, the call is sent once, and the error says that the method may have run."""
    server = Cutting(taken, given, reset)
    with Client(server.url, timeout=TIMEOUT, retries=5, dialect=dialect) as client:
        for call in (lambda: client.pay(1), lambda: client.notify.pay(1), lambda: pay_in_batch(client)):
            before = server.connections
            with pytest.raises(WireError, match="may have run"):
                call()
            assert server.connections == before + 1


def test_timeouts_are_wire_errors(server):
    """An answer that does not arrive in time raises WireError, which says if the method may have run."""
    with Client(server.url, timeout=0.1, idempotent=("echo",)) as client:
        server.script = [server.hang, server.hang]
        with pytest.raises(WireError, match=r"no answer within 0\.1 s; the method may have run"):
            client.ping()
        with pytest.raises(WireError, match=r"no answer within 0\.1 s$"):
            client.echo(1)
        assert len(server.requests) == 2


def test_a_connection_closed_while_idle_is_replaced(client, server):
    """An idle connection that the server has closed is replaced before anything is sent on it."""
    server.hangs_up = True
    for count in range(1, 4):
        assert client.ping() == "pong"
        server.wait(lambda now, count=count: now.closed == count)
    assert len(server.requests) == 3
