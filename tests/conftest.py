"""What the tests share: a server in a thread, a program in a process, certificates."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

TIMEOUT = 20.0
"""Seconds after which a test that waits for something has failed."""


class Served:
    """A `gjrpc.server.Server` that runs on a gevent hub of its own, in a thread of this process.

    Attributes:
        server: the server; only to be looked at from other threads.
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

        from gjrpc.server import Server

        hub = gevent.get_hub()
        try:
            self.server = Server(options.pop("listener", ("127.0.0.1", 0)), application, **options)
            self.server.start()
            self._stop = hub.loop.async_()
            self._stop.start(lambda: gevent.spawn(self.server.stop))
        except BaseException as error:  # noqa: BLE001  handed to the test's own thread
            self._failure = error
            return
        finally:
            self._ready.set()
        self.server.serve_forever()
        hub.destroy(destroy_loop=True)

    def stop(self) -> None:
        """Begin to stop, from any thread; returns at once."""
        if self._thread.is_alive():
            self._stop.send()

    def join(self, timeout: float = TIMEOUT) -> None:
        """Wait for the end of the server."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the server did not stop"

    def connect(self) -> socket.socket:
        """A new connection to the server, with a time limit."""
        return socket.create_connection(self.address, timeout=TIMEOUT)

    def exchange(self, *pieces: bytes) -> bytes:
        """Send bytes on a new connection, each piece in a write of its own, say that it was all, and give what comes back."""
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
            except OSError:  # refused before all was sent: the answer is there to be read
                pass
            return read_all(connection)


class Launched:
    """A program in a process of its own, with what it says on standard error and output.

    Attributes:
        process: the process.
        url: where it says that it listens, once `wait_url` has found it.
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
        """All that it has said so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, timeout: float = TIMEOUT) -> re.Match[str]:
        """Wait until the output matches a regular expression, and give the match."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = re.search(pattern, "".join(self._lines))
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"{pattern!r} did not come; the output is:\n{''.join(self._lines)}")
                self._changed.wait(min(left, 0.5))

    def wait_url(self) -> str:
        """Wait for the line that says where it listens."""
        self.url = self.wait_for(r"(https?://[^\s/]+:\d+|unix:\S+)")[1]
        return self.url

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end and give its exit code."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def end(self) -> None:
        """End it, kindly and then not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
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


@pytest.fixture
def launch() -> Iterator[Callable[..., Launched]]:
    """Start a program: `launch("-m", "gjrpc.serve", …, cwd=…)` runs this Python with these arguments."""
    started: list[Launched] = []

    def start(*arguments: str, **options: Any) -> Launched:
        program = options.pop("program", sys.executable)
        started.append(Launched([program, *arguments], **options))
        return started[-1]

    yield start
    for launched in started:
        launched.end()


class Certificate:
    """A throw-away authority and a server certificate of its making, as files.

    Attributes:
        authority: the trustme authority, to make more with.
        ca, cert, key: paths of PEM files.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        leaf = self.authority.issue_cert("localhost", "127.0.0.1", "::1")
        self.ca, self.cert, self.key = (str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        self.authority.cert_pem.write_to_path(self.ca)
        leaf.private_key_pem.write_to_path(self.key)
        Path(self.cert).write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost and its authority, made once."""
    return Certificate(tmp_path_factory.mktemp("certificate"))
