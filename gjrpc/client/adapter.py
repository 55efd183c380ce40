"""The adapter between requests and urllib3, whose connections keep within the budget of a call.

Owns how urllib3 connects, sends, receives, decompresses and waits between retries. It knows no methods and no JSON.
"""

import io
import socket
import zlib
from collections.abc import Mapping
from functools import partial
from http.client import HTTPResponse, RemoteDisconnected
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, Retry
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection
from urllib3.util.connection import create_connection

from gjrpc.client.budget import LargeError, LateError, current

MAX_WAIT = 10.0
"""The longest wait before a retry that the server asks for with `Retry-After`, in seconds."""

_PIECE = 64 * 1024
_EITHER = 32 + zlib.MAX_WBITS  # gzip's format or zlib's, which HTTP calls deflate (RFC 9110, section 8.4.1)
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class Adapter(HTTPAdapter):
    """An adapter with bounded connections, which reads each answer whole, within its budget.

    Args:
        size: the number of connections in the pool.
        policy: what to retry.
        path: the path of the Unix socket to connect to, whatever the URL says; or None.
    """

    def __init__(self, size: int, policy: Retry, path: str | None = None) -> None:
        super().__init__(1, size, policy)
        classes = _bound(self.poolmanager.pool_classes_by_scheme) if path is None else {"http": partial(_UnixPool, path=path)}
        self.poolmanager.pool_classes_by_scheme = classes

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Return the pools for an HTTP or SOCKS proxy, with bounded connections."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _bound(manager.pool_classes_by_scheme)
        return manager

    def request_url(self, *args: Any, **options: Any) -> str:
        """Return the request target for urllib3, without the query."""
        target, mark, query = super().request_url(*args, **options).partition("?")
        current.get().query = mark + query
        return target

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Read the body; if that fails, close the connection."""
        response = super().build_response(req, resp)
        try:
            response.raw = io.BytesIO(_body(resp))
        except BaseException:
            resp.close()
            raise
        return response


class Retries(Retry):
    """Retries within the call's time; urllib3's `new` keeps the class."""

    RETRY_AFTER_STATUS_CODES = frozenset({503})

    def parse_retry_after(self, retry_after: str) -> float:
        """Return the seconds to wait."""
        try:
            return min(super().parse_retry_after(retry_after), MAX_WAIT)
        except (urllib3_errors.InvalidHeader, ValueError, OverflowError):
            return 0.0  # it can't be parsed: use the usual backoff

    def increment(self, *args: Any, **known: Any) -> Any:
        """Count an attempt; it was the last if no time would be left after the wait."""
        further = super().increment(*args, **known)
        response, error, pool = known.get("response"), known.get("error"), known["_pool"]
        wait = (further.get_retry_after(response) if response is not None else None) or further.get_backoff_time()
        if not current.get().allows(wait):
            raise urllib3_errors.MaxRetryError(pool, "", error) from error
        return further


class _Received(io.RawIOBase):
    """Bytes from a socket, counted and with a time limit."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open while the answer is read
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        budget = current.get()
        self._socket.settimeout(budget.left())
        try:
            count: int = self._file.readinto(buffer)
        except TimeoutError as error:
            raise _late(error) from error
        budget.receive(count)
        self.ended = not count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer that is read through a `_Received`: http.client calls `makefile` on what it takes for a socket."""

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        self._received = _Received(sock)
        current.get().begin_answer()
        super().__init__(self, *args, **options)  # type: ignore[arg-type]  # http.client only calls makefile

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._received)

    def begin(self) -> None:
        """Read the head; unlike http.client, don't accept a head that was cut off."""
        super().begin()
        if self._received.ended:
            raise RemoteDisconnected("the server closed the connection before the end of the answer's head")


class _Bounded(HTTPConnection):
    """A connection whose every step is limited by the call's budget."""

    response_class = _Answer

    def connect(self) -> None:
        budget = current.get()
        self.timeout, sent = budget.to_connect(), budget.sent
        try:
            super().connect()
        finally:
            budget.sent = sent  # bytes for a proxy are not part of the request

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        super().putrequest(method, url + current.get().query, *args, **options)

    def send(self, data: Any) -> None:
        """Send all of the data within the budget."""
        if self.sock is None:
            self.connect()
        budget = current.get()
        budget.sent = True
        left = memoryview(data)
        try:
            while left:
                self.sock.settimeout(budget.left())
                left = left[self.sock.send(left) :]
        except TimeoutError as error:
            raise _late(error) from error


class _Direct(_Bounded):
    """A connection that connects directly, not through a SOCKS proxy."""

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that accepts; urllib3 would give each address the whole time."""
        try:
            found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, 0, socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise urllib3_errors.NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]  # it only uses the text
        failures = []
        for *_, address in found:
            try:
                return self._connect_to(str(address[0]))
            except OSError as error:
                failures.append(error)
        raise self._failure(failures[-1]) from failures[-1]

    def _connect_to(self, address: str) -> socket.socket:
        budget = current.get()
        sock = create_connection((address, self.port), budget.to_connect(), socket_options=self.socket_options)
        sock.settimeout(budget.left())
        return sock

    def _failure(self, error: OSError) -> Exception:
        in_time = error.errno is not None or not isinstance(error, TimeoutError)
        return (urllib3_errors.NewConnectionError if in_time else urllib3_errors.ConnectTimeoutError)(self, str(error))


class _UnixConnection(_Bounded):
    """A connection to a Unix socket.

    Why not requests-unixsocket or its successor: they have a pool of one connection for each URL and a timeout of their own, and
    don't distinguish a refused connection from a broken one, which decides whether a call may be retried.
    """

    def __init__(self, *args: Any, path: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._path = path

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise urllib3_errors.NewConnectionError(self, f"no connection to {self._path}: {error}") from error
        return sock


class _UnixPool(HTTPConnectionPool):
    ConnectionCls = _UnixConnection


def _bound(pools: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pool classes with bounded connections."""
    return {scheme: pool if issubclass(pool.ConnectionCls, _Bounded) else _bound_pool(pool) for scheme, pool in pools.items()}


def _bound_pool(pool: Any) -> Any:
    known = pool.ConnectionCls
    base = _Direct if known._new_conn is HTTPConnection._new_conn else _Bounded
    connection = type(f"Bounded{known.__name__}", (base, known), {})
    return type(f"Bounded{pool.__name__}", (pool,), {"ConnectionCls": connection})


def _late(error: TimeoutError) -> Exception:
    """Return LateError for a timeout of ours; the system's own (ETIMEDOUT) has an errno and is returned as it is."""
    return LateError() if error.errno is None else error


def _body(answer: Any) -> bytes:
    """Read and decompress the whole body of an answer.

    Raises:
        LargeError: the body has too many bytes.
        DecodeError: the client did not ask for its content coding, or the body is damaged.
    """
    most = current.get().max_answer
    if (answer.length_remaining or 0) > most:
        raise LargeError
    body = b"".join(iter(lambda: answer.read(_PIECE, decode_content=False), b""))
    codings = [coding.strip().lower() for coding in answer.headers.get("Content-Encoding", "").split(",")]
    for coding in [coding for coding in codings if coding not in ("", "identity")]:
        if coding not in _CODINGS or len(codings) > 1:
            raise urllib3_errors.DecodeError(f"the client did not ask for its Content-Encoding {coding[:40]!r}")
        body = _inflated(body, most)
    if len(body) > most:
        raise LargeError
    return body


def _inflated(body: bytes, most: int) -> bytes:
    """Decompress one gzip or zlib stream, to at most one byte more than `most`: 1 MB can expand to 1 GB."""
    decoder = zlib.decompressobj(_EITHER)
    try:
        decoded = decoder.decompress(body, most + 1)
    except zlib.error as error:
        raise urllib3_errors.DecodeError(str(error)) from error
    if len(decoded) <= most and (not decoder.eof or decoder.unused_data):
        raise urllib3_errors.DecodeError("it is not one complete gzip stream")
    return decoded
