"""The client's wire: bytes of a call go in, a response of requests comes out.

Owns the pooled `requests.Session` and its life, when a call may be repeated, and the one place where an error of requests,
urllib3, ssl or a socket becomes a `ClientError`. It knows no method and no JSON.
"""

import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import HTTPConnectionPool, Retry, Timeout
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection

from gjrpc._version import __version__
from gjrpc.errors import MisuseError, WireError

MAX_WAIT = 10.0
"""Seconds that a `Retry-After` is waited for; a longer one is cut to this."""

_FOREIGN = (requests.RequestException, urllib3_errors.HTTPError, HTTPException, OSError, ValueError)
_FORMS = 'expected a URL such as "http://host:9999", "https://host:9999/prefix" or "unix:/path/to.sock"'
_DOUBT = "; the method may have run (if it may run twice, name it in Client(idempotent=…))"

_REASONS = {
    urllib3_errors.ClosedPoolError: "this client is closed",
    urllib3_errors.ProxyError: "the proxy can't be used: {root}",
    urllib3_errors.NewConnectionError: "no connection: {root}",
    urllib3_errors.ConnectTimeoutError: "no connection within {connect} s",
    urllib3_errors.ReadTimeoutError: "no answer within {read} s{doubt}",
    Exception: "the connection broke before the answer was whole: {root}{doubt}",
}
"""What the errors of urllib3 mean; the first that fits, since they inherit from each other."""

_TLS_HINTS = {
    "WRONG_VERSION_NUMBER": "no TLS is spoken there; try http://",
    "RECORD_LAYER_FAILURE": "no TLS is spoken there; try http://",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": 'the server wants a client certificate: cert=("cert.pem", "key.pem")',
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 'perhaps the server wants a client certificate: cert=("cert.pem", "key.pem")',
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not trust the authority of the client certificate (cert=)",
}
"""What to do about the reasons that OpenSSL gives."""

_VERIFY_HINTS = {
    10: "it has to be renewed",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: "call the server by a name that its certificate holds",  # X509_V_ERR_HOSTNAME_MISMATCH
    64: "call the server by an address that its certificate holds",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
_UNTRUSTED = 'if it comes from an authority of your own, give its file: verify="ca.pem"'


class Wire:
    """The session, its pool and its life; bytes go in, a response comes out.

    The slots, and not urllib3's blocking pool, keep the number of connections: they have a time limit, and those who wait
    in urllib3's would wait for ever once it is closed.
    """

    def __init__(
        self,
        url: str,
        verify: bool | str | os.PathLike[str],
        cert: str | tuple[str, str] | None,
        limits: tuple[float | None, float | None],
        retries: int,
        pool: int,
        headers: Mapping[str, str] | None,
        auth: Any,
        *,
        exact: bool,
    ) -> None:
        target, path = _place(url, exact)
        self.url = url
        self.closed = False
        self._limits = limits
        self._size = _count("pool", pool, 1)
        self._slots = threading.Semaphore(self._size)
        self._session = _Session()
        self._session.trust_env = False
        fixed, self._auth = _authentication(auth)
        self._prepared = _prepare(self._session, target, headers, fixed)
        self._mount(_count("retries", retries, 0), path)
        # The environment is read once, here: doing it in each call, as requests does, adds 30 to 50 % to a call.
        environment = requests.Session().merge_environment_settings(target, {}, False, _trust(verify), cert)
        if target.startswith("https:"):
            _trust(environment["verify"])  # perhaps another, from the environment
        self._settings: dict[str, Any] = {**environment, "timeout": Timeout(connect=limits[0], read=limits[1])}
        if path is not None or is_loopback(urlsplit(target).hostname or ""):
            self._settings["proxies"] = {}

    def _mount(self, retries: int, path: str | None) -> None:
        """Mount two adapters that share one pool of connections and differ in what they repeat.

        requests chooses the adapter by the beginning of the URL. Calls that may be repeated have a fragment, which is never sent
        (RFC 9110, section 7.1).
        """
        once, again = (HTTPAdapter(1, self._size, _policy(retries, repeatable)) for repeatable in (False, True))
        if path is not None:
            once.poolmanager.pool_classes_by_scheme = {"http": partial(_UnixPool, path=path)}
        again.poolmanager, again.proxy_manager = once.poolmanager, once.proxy_manager
        self._pools = once.poolmanager.pools
        self._session.mount(str(self._prepared.url), once)
        self._session.mount(f"{self._prepared.url}#idempotent", again)

    def post(self, name: str, body: bytes, repeatable: bool) -> requests.Response:
        """Send a call and read the whole answer, whatever its status.

        Raises:
            MisuseError: the client is closed.
            WireError: no answer could be had.
        """
        request = self._request(body, repeatable)
        if not self._slots.acquire(timeout=self._limits[1]):
            raise WireError(f"{self.url}: {name}: none of the {self._size} connections became free; Client(pool=…) sets how many")
        try:
            if self.closed:
                raise MisuseError(f"{self.url}: {name}: this client is closed; make a new one")
            return self._session.send(request, **self._settings)
        except _FOREIGN as error:
            connect, read = self._limits
            reason = _reason(error, connect=connect, read=read, doubt="" if repeatable else _DOUBT)
            raise WireError(f"{self.url}: {name}: {reason}") from error
        finally:
            self._slots.release()
            if self.closed:  # in between: what this call left in the pool
                self._session.close()

    def _request(self, body: bytes, repeatable: bool) -> requests.PreparedRequest:
        """A request from what was prepared: preparing each from nothing adds 20 to 30 % to a call."""
        request = requests.PreparedRequest()
        request.method = "POST"
        request.url = f"{self._prepared.url}#idempotent" if repeatable else self._prepared.url
        request.headers = self._prepared.headers.copy()
        request.headers["Content-Length"] = str(len(body))
        request.body = body
        if self._auth is not None:
            request.prepare_cookies({})  # HTTPDigestAuth needs the jar
            request.prepare_auth(self._auth)
        return request

    def close(self) -> None:
        """Close the idle connections; calls in flight end first, further ones are a `MisuseError`."""
        self.closed = True
        self._session.close()

    def __repr__(self) -> str:
        opened = sum(pool.num_connections for key in list(self._pools.keys()) if (pool := self._pools.get(key)) is not None)
        return f"{self.url}, closed" if self.closed else f"{self.url}, open, pool of {self._size}, {opened} connections opened"


class _Session(requests.Session):
    """One that follows no redirect: a POST that becomes a GET is another call."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Retries(Retry):
    """The waits of a repeated call; `new` of urllib3 keeps the class."""

    RETRY_AFTER_STATUS_CODES = frozenset({503})

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return min(super().parse_retry_after(retry_after), MAX_WAIT)
        except (urllib3_errors.InvalidHeader, ValueError, OverflowError):
            return 0.0  # it can't be read: the usual backoff is waited for


class _UnixConnection(HTTPConnection):
    """A connection to a unix socket.

    requests-unixsocket and its successor have a pool of one connection for each URL, a timeout of their own, and don't tell a
    refused connection from a broken one, on which it depends whether a call may be repeated.
    """

    def __init__(self, *args: Any, path: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError as error:
            raise urllib3_errors.NewConnectionError(self, f"no connection to {self._path}: {error}") from error


class _UnixPool(HTTPConnectionPool):
    ConnectionCls = _UnixConnection


def _policy(retries: int, repeatable: bool) -> Retry:
    """What is repeated: `read` are failures after something was sent, `other` those of TLS, which seldom pass by themselves."""
    return _Retries(
        total=retries,
        read=None if repeatable else False,
        other=None if repeatable else 0,
        status_forcelist=(502, 503, 504) if repeatable else (),
        allowed_methods=None,  # any HTTP verb: all calls are POST
        backoff_factor=0.2,
        backoff_jitter=0.1,
        raise_on_status=False,
    )


def _reason(error: BaseException, **known: Any) -> str:
    """What an error of the libraries below means, and what to do."""
    chain = _chain(error)
    root = chain[-1]
    if isinstance(root, ssl.SSLCertVerificationError):
        hint = _VERIFY_HINTS.get(root.verify_code, _UNTRUSTED)
        return f"the server's certificate is refused ({root.verify_message.rstrip('.')}): {hint}"
    if isinstance(root, ssl.SSLError) and not isinstance(root, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return f"TLS failed ({root.reason or root}): {_TLS_HINTS.get(root.reason or '', 'see what the server logs')}"
    sentence = next(text for kind, text in _REASONS.items() if any(isinstance(link, kind) for link in chain))
    return sentence.format(root=getattr(root, "strerror", None) or root, **known)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what led to it, down to the first that is of neither requests nor urllib3."""
    chain = [error]
    while isinstance(error, (requests.RequestException, urllib3_errors.HTTPError)):
        inner = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None) or error.__context__
        if inner is None:
            break
        error = inner
        chain.append(error)
    return chain


def _place(url: str, exact: bool) -> tuple[str, str | None]:
    """Where to POST, and the path of the unix socket if it is one; below the URL's path unless `exact`.

    Raises:
        MisuseError: it is no URL of a server.
    """
    if isinstance(url, str) and url.startswith("unix:") and url.isprintable() and len(url) > len("unix:"):
        return "http://localhost/", url.removeprefix("unix:")
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise MisuseError(f"url={url!r}: {_FORMS}")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise MisuseError(f"url={url!r}: {error}; {_FORMS}") from error
    if "@" in parts.netloc:  # not shown: there is a password in it
        raise MisuseError(
            f"the URL of {parts.hostname} holds credentials, and would be logged; give them as auth=(user, password)"
        )
    faults = {
        "it has no scheme": "://" not in url,
        f"unknown scheme {parts.scheme!r}": parts.scheme not in ("http", "https"),
        "it names no host": not parts.hostname,
        "it has a query or a fragment, which calls have no use for": "?" in url or "#" in url,
    }
    for fault, found in faults.items():
        if found:
            raise MisuseError(f"url={url!r}: {fault}; {_FORMS}")
    path = (parts.path or "/") if exact else parts.path.rstrip("/") + "/"
    return f"{parts.scheme}://{parts.netloc}{path}", None


def is_loopback(host: str) -> bool:
    """Whether a host, without port and brackets, is this one: it is never asked through a proxy."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3


def _prepare(session: requests.Session, target: str, headers: Mapping[str, str] | None, auth: Any) -> requests.PreparedRequest:
    """A request with all that is the same in each.

    Raises:
        MisuseError: a part of it can't be sent.
    """
    session.headers.update({"User-Agent": f"gjrpc/{__version__}", "Accept": "application/json, application/problem+json"})
    session.headers["Content-Type"] = "application/json"
    try:
        session.headers.update(headers or {})
        prepared = session.prepare_request(requests.Request("POST", target, auth=auth))
        for name, value in prepared.headers.items():
            (name + ": ").encode("ascii") + (value.encode("latin-1") if isinstance(value, str) else value)
    except (requests.RequestException, ValueError, TypeError, AttributeError) as error:
        raise MisuseError(f"the URL {target!r} or the headers can't be sent: {error}") from error
    return prepared


def _authentication(auth: Any) -> tuple[Any, Any]:
    """What is added to the request once, and what must be asked for each."""
    if isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(part, str) for part in auth):
        return HTTPBasicAuth(auth[0].encode(), auth[1].encode()), None  # UTF-8 (RFC 7617, section 2.1); requests has latin-1
    if auth is None or callable(auth):
        return None, auth
    raise MisuseError(f"auth: expected (user, password) or a callable, got {type(auth).__name__}")


def _trust(verify: Any) -> bool | str:
    """Raises: MisuseError: there are no authorities to read."""
    if isinstance(verify, bool):
        return verify
    try:
        path: str = os.fspath(verify)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    except (OSError, ValueError, TypeError) as error:
        raise MisuseError(f"verify={verify!r}: expected True, False or a PEM file of authorities: {error}") from error
    return path


def identity(cert: str | tuple[str, str] | None) -> str | tuple[str, str] | None:
    """Raises: MisuseError: the client certificate or its key can't be read."""
    if cert is None:
        return None
    try:
        certificate, key = cert if isinstance(cert, tuple) else (cert, None)
        # An empty passphrase, so that none is asked for on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError, TypeError) as error:
        raise MisuseError(f"cert={cert!r}: expected a PEM file or (certificate, key), without a passphrase: {error}") from error
    return cert


def limits(timeout: Any) -> tuple[float | None, float | None]:
    """Read a timeout: seconds for both, or `(connect, read)`; None for ever.

    Raises:
        MisuseError: it is neither.
    """
    both = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(both) == 2 and all(limit is None or _is_seconds(limit) for limit in both):
        return both
    raise MisuseError(f"timeout={timeout!r}: expected seconds above 0, (connect, read) or None")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= threading.TIMEOUT_MAX


def _count(option: str, value: Any, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise MisuseError(f"{option}={value!r}: expected an integer from {least}")
