"""What the tests share: servers in threads, programs in processes, certificates, and `read_every_way`."""

import gc
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import needs
import pytest
import scripted_server
import trustme
from needs import need

from gjrpc.errors import BadMessage
from gjrpc.http.reader import Memory, Reader
from gjrpc.limits import Limits

ROOT = Path(__file__).parent.parent
"""The root of the repository."""

TIMEOUT = 60.0
"""Seconds that a test waits for something before it fails; long, for busy machines."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs so, and programs that tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugins: the programs that a test needs, and the scripted server."""
    config.pluginmanager.register(needs, "needs")
    config.pluginmanager.register(scripted_server, "scripted_server")


class Served:
    """A `gjrpc.server.server.Server` that runs on its own gevent hub, in a thread of this process.

    Attributes:
        server: the server; other threads may only read it.
        address: where it listens, `(host, port)`.
        url: the same as a URL.
    """

    def __init__(self, application: Any, options: dict[str, Any]) -> None:
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(application, options), daemon=True)
        self._thread.start()
        assert self._ready.wait(TIMEOUT), "the server did not start"
        if self._failure is not None:
            raise self._failure
        self.address = self.server.address
        self.url = self.server.url

    def _run(self, application: Any, options: dict[str, Any]) -> None:
        import gevent

        from gjrpc.server.server import Server

        hub = gevent.get_hub()
        try:
            options.setdefault("hosts", ("*",))  # tests use any host name
            self.server = Server(options.pop("listener", ("127.0.0.1", 0)), application, **options)
            self.server.start()
            self._stop = hub.loop.async_()
            self._stop.start(lambda: gevent.spawn(self.server.stop))
        except BaseException as error:  # noqa: BLE001  raised again in the test's thread
            self._failure = error
            return
        finally:
            self._ready.set()
        self.server.serve_forever()
        hub.destroy(destroy_loop=True)

    def stop(self) -> None:
        """Start to stop the server, from any thread, and return at once."""
        if self._thread.is_alive():
            self._stop.send()

    def join(self, timeout: float = TIMEOUT) -> None:
        """Wait until the server has stopped."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the server did not stop"

    def connect(self) -> socket.socket:
        """Open a connection to the server, with a timeout."""
        return socket.create_connection(self.address[:2], timeout=TIMEOUT)

    def wire(self, narrow: bool = False) -> "Wire":
        """Open a connection that sends any bytes and parses answers; a narrow one has a small receive buffer."""
        connection = self.connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if narrow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        return Wire(connection)

    @property
    def connections(self) -> int:
        """The number of open connections of the server."""
        return len(self.server.connections)

    def exchange(self, *pieces: bytes) -> bytes:
        """Send each piece in its own write on a new connection, shut down the sending side, and return all that comes back."""
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
            except OSError:  # refused before all was sent: the answer can still be read
                pass
            return read_all(connection)


class Launched:
    """A program in its own process, with its standard output and error.

    Attributes:
        process: the process.
        url: its URL, once `wait_url` has found it in the output.
    """

    def __init__(self, command: list[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self) -> str:
        """The output so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, timeout: float = TIMEOUT) -> re.Match[str]:
        """Wait until the output matches a regular expression, and return the match."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = re.search(pattern, "".join(self._lines))
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"{pattern!r} did not appear; the output is:\n{''.join(self._lines)}")
                self._changed.wait(min(left, 0.5))

    def wait_url(self) -> str:
        """Wait for the line with the server's URL, and return the URL."""
        self.url = self.wait_for(r"(https?://[^\s/]+:\d+|unix:\S+)")[1]
        return self.url

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait until the program ends, and return its exit code."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def end(self) -> None:
        """Terminate the program; kill it if it does not end within ten seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()


def wait_until(condition: Callable[[], Any], what: str, timeout: float = TIMEOUT) -> None:
    """Wait until a condition holds that can only be polled, for example one inside a server."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"timed out waiting for: {what}"
        threading.Event().wait(0.005)


def link_local() -> str | None:
    """Return a link-local address of this machine with its scope, as in fe80::1%lo, or None."""
    known = Path("/proc/net/if_inet6")
    for line in known.read_text().splitlines() if known.exists() else ():
        digits, *_, name = line.split()
        if digits.startswith("fe80"):
            return ":".join(digits[at : at + 4] for at in range(0, 32, 4)) + f"%{name}"
    return None


def refuses(path: Path) -> bool:
    """Return whether nothing listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) != 0


class Answer:
    """One response as received.

    Attributes:
        status: the status.
        headers: name in lower case → value.
        body: the body without chunked coding.
        raw: all its bytes.
    """

    def __init__(self, head: bytes, body: bytes, raw: bytes) -> None:
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        assert first.startswith("HTTP/1.1 "), head
        self.status = int(first.split(" ")[1])
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}
        once = [name for name, _ in pairs if name != "WWW-Authenticate"]  # RFC 9110, 11.6.1: there may be several challenges
        assert len({name.lower() for name in once}) == len(once), head
        self.body = body
        self.raw = raw

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Wire:
    """A client's connection that sends any bytes and parses responses one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = bytearray()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send each piece in its own write."""
        for piece in pieces:
            self.socket.sendall(piece)

    def ask(self, *pieces: bytes, verb: str = "GET") -> Answer:
        """Send a request and read its answer."""
        self.send(*pieces)
        return self.answer(verb)

    def answer(self, verb: str = "GET") -> Answer:
        """Read one response, also an interim one, to its end and no further."""
        raw = head = self._until(b"\r\n\r\n")
        told = Answer(head, b"", raw)
        if verb == "HEAD" or told.status in (100, 204, 304):
            return told
        if told.headers.get("transfer-encoding") == "chunked":
            body = b""
            while (line := self._until(b"\r\n")) != b"0\r\n":
                piece = self._exactly(int(line, 16) + 2)
                body += piece[:-2]
                raw += line + piece
            return Answer(head, body, raw + line + self._exactly(2))
        body = self._exactly(int(told.headers["content-length"])) if "content-length" in told.headers else self.rest()
        return Answer(head, body, raw + body)

    def rest(self) -> bytes:
        """Return all bytes until the server closes the connection."""
        data = bytes(self._buffer) + read_all(self.socket)
        self._buffer.clear()
        return data

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        return self._exactly(self._buffer.index(end) + len(end))

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"closed after {bytes(self._buffer)!r}")
        self._buffer += data


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes the connection."""
    pieces = []
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def untraced(**more: str) -> dict[str, str]:
    """Return an environment without coverage, which makes programs several times slower."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")} | more


PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "xdist.plugin"]
"""Runs pytest with only the plugins that it needs; loading all takes longer than a test."""


def bare_environment(**more: str) -> dict[str, str]:
    """Return the environment for `PYTEST`."""
    return untraced(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="", PYTHONDONTWRITEBYTECODE="1", **more)


def curl(line: str) -> str:
    """Run a curl command as a program printed it, and return the body of the answer."""
    program, *words = shlex.split(line)
    done = subprocess.run([need(program), "-sS", *words], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Start a `Server` in this process: `serve(application, **options of Server)`."""
    started: list[Served] = []

    def start(application: Any, **options: Any) -> Served:
        started.append(Served(application, options))
        return started[-1]

    yield start
    for served in started:
        served.stop()
    for served in started:
        served.join()


@contextmanager
def launcher() -> Iterator[Callable[..., Launched]]:
    """Start programs that end with the block; see the fixture `launch`."""
    started: list[Launched] = []

    def start(*arguments: str, **options: Any) -> Launched:
        program = options.pop("program", sys.executable)
        # By default a server listens on a free port that the kernel chooses: port 9999 may be in use.
        options.setdefault("env", os.environ | {"GJRPC_BIND": "127.0.0.1:0"})
        started.append(Launched([program, *arguments], **options))
        return started[-1]

    yield start
    for launched in started:
        launched.end()


@pytest.fixture
def launch() -> Iterator[Callable[..., Launched]]:
    """Start a program: `launch("-m", "gjrpc.serve", …, cwd=…)` runs this Python with these arguments."""
    with launcher() as start:
        yield start


class Certificate:
    """A temporary authority and a server certificate that it issued, as files.

    Attributes:
        authority: the trustme authority, to issue more certificates.
        ca, cert, key: paths of PEM files.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        leaf = self.authority.issue_cert("localhost", "127.0.0.1", "::1")
        self.ca, self.cert, self.key = (str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        self.authority.cert_pem.write_to_path(self.ca)
        leaf.private_key_pem.write_to_path(self.key)
        Path(self.cert).write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))

    def server_context(self) -> ssl.SSLContext:
        """Return a new context for a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost and its authority, made once per session."""
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Install a package from npm, `npm("jayson@4.3.0")`, and return the folder in which node finds it."""
    need("node", "npm")

    def install(package: str) -> Path:
        folder = tmp_path_factory.mktemp("npm")
        # npm retries after 1 to 5 seconds; Debian's npm 9.2 rejects a maximum below the minimum, which is 10 by default.
        waits = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *waits, "--prefix", str(folder), package]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder

    return install


Told = tuple[Any, ...]
"""The result of a `Reader`: a request as (verb, target, headers, version, body, keep_alive, expects), a refusal as (status,
message)."""


def read_pieces(pieces: Iterable[bytes], limits: Limits, memory: Memory) -> list[Told]:
    """Return all requests and refusals that a `Reader` finds in these pieces, followed by the end of the bytes."""
    reader = Reader(limits, memory)
    told: list[Told] = []
    try:
        for piece in pieces:
            request = reader.receive(piece)
            while request is not None:
                head, parsed = request.head, reader.parsed
                assert parsed is not None
                told.append((head.verb, head.target, head.headers, head.version, request.body, parsed.keep_alive, parsed.expects))
                request = reader.next()
        reader.end()
    except BadMessage as error:
        told.append((error.status, error.message))
    return told


def read_every_way(data: bytes, limits: Limits | None = None) -> list[Told]:
    """Read bytes whole, byte by byte, in pieces, and with a memory that knows the heads; check that all results are equal."""
    limits, memory = limits or Limits(), Memory()
    whole = read_pieces([data], limits, Memory())
    for size in (1, 2, 3, 7, 64, 1000):
        if size > 2 or len(data) < 20_000:
            told = read_pieces([data[at : at + size] for at in range(0, len(data), size)], limits, memory)
            assert told == whole, f"in pieces of {size}"
    assert read_pieces([data], limits, memory) == whole, "with a memory"
    return whole


def assert_socket_taken_over(start: Callable[..., Launched], path: Path) -> None:
    """Stop a server on a Unix socket during a call, and start another there: each ends well, and the second keeps its socket.

    Args:
        start: starts a server of `sample_app`, `start(*options, bind=...)`.
        path: of the socket.
    """
    old = start(bind=f"unix:{path}")
    old.wait_url()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        caller = Wire(connection)
        caller.send(b"GET /nap?seconds=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        old.wait_for("napping")
        old.process.terminate()
        old.wait_for("stopping")
        wait_until(lambda: refuses(path), "the end of accepting")
        new = start("--socket-mode", "0600", bind=f"unix:{path}")
        new.wait_url()
        assert caller.answer().status == 200
    assert old.wait() == 0
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        assert Wire(connection).ask(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
    new.process.terminate()
    assert new.wait() == 0
    assert not path.exists()


def assert_response_object(answer):
    """Check a response object against section 5 of the JSON-RPC 2.0 specification."""
    assert type(answer) is dict
    assert answer["jsonrpc"] == "2.0"
    assert type(answer["id"]) in (str, int, float, type(None))
    if "result" in answer:
        assert answer.keys() == {"jsonrpc", "result", "id"}
        return
    assert answer.keys() == {"jsonrpc", "error", "id"}
    error = answer["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "data"}
    assert type(error["code"]) is int
    assert type(error["message"]) is str


def on_a_hub(function):
    """Run a function on its own gevent hub, in a thread; check that no greenlet of a batch is left behind."""
    import gevent

    from gjrpc.server.gevent_runtime import _Helper

    done = []

    def run():
        hub = gevent.get_hub()
        try:
            done.append((function(), None))
            gevent.sleep(0)  # killed greenlets end in the loop's next iteration
            alive = [one for one in gc.get_objects() if type(one) is _Helper and not one.dead]
            assert alive == []
        except BaseException as error:  # noqa: BLE001  raised again in the test's thread
            done.append((None, error))
        finally:
            hub.destroy(destroy_loop=True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert done, "it did not end"
    value, error = done[-1]
    if error is not None:
        raise error
    return value
