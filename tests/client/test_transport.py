"""How the client's requests are sent: the pool and its end, Unix sockets, proxies, headers and credentials."""

import gzip
import logging
import subprocess
import sys
import textwrap
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT
from requests.auth import HTTPDigestAuth
from scripted_server import EMPTY_HANDED, TIMEOUT, answer, dead_url, problem

from gjrpc import Client, ClientError, MisuseError, RemoteError, WireError

pytestmark = pytest.mark.usefixtures("without_proxies")


def run(code):
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr


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
    """An answer that is not HTTP, or ends too early, raises WireError, with its cause."""
    server.script, server.hangs_up = [raw], True
    with pytest.raises(WireError) as raised:
        client.ping()
    assert "ping" in str(raised.value)
    assert len(server.requests) == 1


def test_compressed_answers_are_read(client, server):
    """An answer that a proxy has compressed is read like any other."""
    server.script = [answer(200, gzip.compress(b'{"ping":1}'), Content_Encoding="gzip")]
    assert client.ping() == 1


# The pool, and closing it.


def test_calls_share_one_connection(client, server):
    """Successive calls use one connection, even after failed and retried ones."""
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
    """Fifty threads share five connections, and use all five at once."""
    with Client(server.url, timeout=TIMEOUT, pool=5) as client, ThreadPoolExecutor(50) as threads:
        assert all(threads.map(lambda _: client.meet(), range(50)))
        assert [*threads.map(client.echo, range(100))] == [*range(100)]
    assert server.connections == 5


def test_greenlets_share_the_pool(server):
    """Under gevent's patches fifty greenlets share five connections, and use all five at once."""
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
    """The client works if gevent can't be imported."""
    run(f"""
        import sys
        sys.modules["gevent"] = None
        from gjrpc import Client
        assert Client({server.url!r}, timeout={TIMEOUT}).ping() == "pong"
    """)


def test_waiting_for_a_connection_ends(server):
    """A call that finds all connections in use waits no longer than its time."""
    with Client(server.url, timeout=0.5, pool=1) as client:
        with (
            client._transport._slots,
            pytest.raises(WireError, match=r"no connection .* became free within 0\.5 s.*pool="),
        ):
            client.add(1, 2)
        assert client.add(1, 2) == 3
    assert len(server.requests) == 1


def test_a_closed_client_refuses(server):
    """Calls on a closed client raise MisuseError, also those that were waiting; a call in flight still gets its answer."""
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


# Unix sockets, paths, proxies, headers and credentials.


def test_unix_socket(scripted, tmp_path):
    """Calls to a Unix socket have the Host localhost, share a pool of connections, and use no proxy."""
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
    """A missing Unix socket raises WireError, which does not claim that the method may have run."""
    with (
        Client(f"unix:{tmp_path}/none", retries=1) as client,
        pytest.raises(WireError, match="can't connect: No such file") as raised,
    ):
        client.ping()
    assert "may have run" not in str(raised.value)


def test_path_prefix(server):
    """Calls to a URL with a path, as of a mounted application, go to that path and a slash."""
    for url in (server.url + "/rpc", server.url + "/rpc/"):
        with Client(url, timeout=TIMEOUT) as client:
            assert client.ping() == "pong"
    assert [path for path, _, _ in server.requests] == ["/rpc/", "/rpc/"]


def test_proxies_from_the_environment(server, monkeypatch, tmp_path, scripted):
    """The proxy from the environment is used for other hosts, and never for loopback, Unix sockets or the hosts in NO_PROXY."""
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
    """A call to an address in `no_proxy`, with its credentials, never goes to the proxy."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", excepted)
    with Client("http://[fd00::5]:99", auth=("me", "secret"), timeout=0.2, retries=0) as client, pytest.raises(WireError):
        client.ping()
    assert server.connections == 0


def test_a_query_is_sent_and_never_shown(server, caplog, monkeypatch):
    """A JSON-RPC 2.0 URL may have a query, also through a proxy; no error, repr, traceback or log line shows it."""
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
    """A callable that signs requests gets the whole URL."""
    urls = []

    def sign(request):
        urls.append(request.url)
        return request

    with Client(server.url + "/rpc?x=1", dialect="jsonrpc", auth=sign, timeout=TIMEOUT) as client:
        server.script = [answer(200, b'{"jsonrpc":"2.0","id":1,"result":5}')]
        client.ping()
    assert urls == [server.url + "/rpc?x=1"]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_headers_that_frame_the_body(name):
    """The headers that say where a body ends are the client's own: with others, the server would wait for more of it."""
    with pytest.raises(MisuseError, match=f"can't be sent: the client itself sets {name}"):
        Client("http://localhost", headers={name: "5"}).call("ping")


def test_headers_and_credentials(server):
    """The caller's headers replace the client's, Basic credentials are UTF-8, a callable signs, and cookies are not kept."""
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
    """requests' HTTPDigestAuth, which answers a challenge, works."""
    server.script = [answer(401, b"", WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')]
    with Client(server.url, auth=HTTPDigestAuth("me", "secret"), timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    assert server.requests[-1][1]["Authorization"].startswith("Digest ")
    assert server.connections == 1


@pytest.mark.parametrize("challenge", ["Digest", 'Digest nonce="n"', 'Digest realm="r"'])
def test_a_challenge_that_cannot_be_met(server, challenge):
    """A challenge that HTTPDigestAuth can't answer raises WireError."""
    good = 'Digest realm="r", nonce="n", qop="auth"'
    server.script = [answer(401, b"", WWW_Authenticate=good), answer(200, b'{"ping":1}')]
    with Client(server.url, auth=HTTPDigestAuth("me", "secret"), timeout=TIMEOUT) as client:
        assert client.ping() == 1
        server.script = [answer(401, b"", WWW_Authenticate=challenge)]
        for _ in range(2):
            with pytest.raises(WireError):
                client.ping()
