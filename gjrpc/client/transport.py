"""The client's transport: bytes of a call go in, a response of requests comes out.

Owns the pooled `requests.Session` and its life, when a call may be repeated, and the one place where an error of requests,
urllib3, ssl or a socket becomes a `ClientError`; what that error says is `reasons`'. How connections keep to what a call may take
is `transport`'s. It knows no method and no JSON.
"""

import os
import ssl
import threading
from collections.abc import Mapping
from typing import Any

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import requote_uri
from urllib3 import Retry

from gjrpc._version import __version__
from gjrpc.client.adapter import Adapter, Retries
from gjrpc.client.budget import Budget, within
from gjrpc.client.foreign_errors import FOREIGN, explain
from gjrpc.client.proxies import proxies_for
from gjrpc.client.urls import place, shown
from gjrpc.errors import MisuseError, WireError
from gjrpc.limits import CLIENT_MAX_ANSWER

_DOUBT = "; the method may have run (if it may run twice, name it in Client(idempotent=…))"


class Transport:
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
        max_answer: int = CLIENT_MAX_ANSWER,
    ) -> None:
        target, path = place(url, exact)
        self.url = url if path is not None else shown(url)
        self.closed = False
        self._limits = limits
        self._max_answer = _count("max_answer", max_answer, 1)
        self._size = _count("pool", pool, 1)
        self._slots = threading.Semaphore(self._size)
        self._session = _Session()
        self._session.trust_env = False
        fixed, self._auth = _authentication(auth)
        self._prepared = _prepare(self._session, target, headers, fixed)
        self._mount(_count("retries", retries, 0), path)
        # The environment is read once, here: doing it in each call, as requests does, adds 30 to 50 % to a call.
        self._settings = requests.Session().merge_environment_settings(target, {}, False, _trust(verify), cert)
        if target.startswith("https:"):
            _trust(self._settings["verify"])  # perhaps another, from the environment
        self._settings["proxies"] = {} if path is not None else proxies_for(target)

    def _mount(self, retries: int, path: str | None) -> None:
        """Mount two adapters that share one pool of connections and differ in what they repeat.

        requests chooses the adapter by the beginning of the URL. Calls that may be repeated have a fragment, which is never sent
        (RFC 9110, section 7.1).
        """
        once, again = (Adapter(self._size, _policy(retries, repeatable), path) for repeatable in (False, True))
        again.poolmanager, again.proxy_manager = once.poolmanager, once.proxy_manager
        self._pools = once.poolmanager.pools
        self._session.mount(str(self._prepared.url), once)
        self._session.mount(f"{self._prepared.url}#idempotent", again)

    def post(self, name: str, body: bytes, repeatable: bool) -> requests.Response:
        """Send a call and read the whole answer, whatever its status.

        Raises:
            MisuseError: the client is closed.
            WireError: there is no answer, or not in time, or it is too large.
        """
        return self._send(name, self._request("POST", body, repeatable), repeatable)

    def get(self, path: str = "", *, repeatable: bool) -> requests.Response:
        """GET what is at the URL, with a path behind it; raises what `post` does."""
        request = self._request("GET", b"", repeatable and not path)
        request.url = requote_uri(f"{request.url}{path}")
        return self._send("", request, repeatable)

    def _send(self, name: str, request: requests.PreparedRequest, repeatable: bool) -> requests.Response:
        budget = Budget(*self._limits, self._max_answer)
        where = f"{self.url}: {name}: " if name else f"{self.url}: "
        if not self._slots.acquire(timeout=self._limits[1]):
            raise WireError(f"{where}none of the {self._size} connections became free; Client(pool=…) sets how many")
        try:
            if self.closed:
                raise MisuseError(f"{where}this client is closed; make a new one")
            with within(budget):
                return self._session.send(request, **self._settings)
        except FOREIGN as error:
            doubt = _DOUBT if budget.sent and not repeatable else ""
            reason = explain(error, self._limits, most=self._max_answer, doubt=doubt)
            raise WireError(f"{where}{reason}") from error
        finally:
            self._slots.release()
            if self.closed:  # in between: what this call left in the pool
                self._session.close()

    def _request(self, verb: str, body: bytes, repeatable: bool) -> requests.PreparedRequest:
        """A request from what was prepared: preparing each from nothing adds 20 to 30 % to a call."""
        request = requests.PreparedRequest()
        request.method = verb
        request.url = f"{self._prepared.url}#idempotent" if repeatable else self._prepared.url
        request.headers = self._prepared.headers.copy()
        if verb == "POST":
            request.headers["Content-Length"] = str(len(body))
            request.body = body
        if self._auth is not None:
            request.prepare_cookies({})  # HTTPDigestAuth needs the jar
            try:
                request.prepare_auth(self._auth)
            except LookupError as error:  # from HTTPDigestAuth, for a challenge that lacks parts
                raise WireError(f"{self.url}: auth= can't answer the server's challenge: {error!r}") from error
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


def _policy(retries: int, repeatable: bool) -> Retry:
    """What is repeated: `read` are failures after something was sent, `other` those of TLS, which seldom pass by themselves."""
    return Retries(
        total=retries,
        read=None if repeatable else False,
        other=None if repeatable else 0,
        status_forcelist=(502, 503, 504) if repeatable else (),
        allowed_methods=None,  # any HTTP verb: all calls are POST
        backoff_factor=0.2,
        backoff_jitter=0.1,
        raise_on_status=False,
    )


def _prepare(session: requests.Session, target: str, headers: Mapping[str, str] | None, auth: Any) -> requests.PreparedRequest:
    """A request with all that is the same in each.

    Raises:
        MisuseError: a part of it can't be sent.
    """
    session.headers.update({"User-Agent": f"gjrpc/{__version__}", "Accept": "application/json, application/problem+json"})
    session.headers.update({"Accept-Encoding": "gzip", "Content-Type": "application/json"})
    try:
        session.headers.update(headers or {})
        prepared = session.prepare_request(requests.Request("POST", target, auth=auth))
        for name, value in prepared.headers.items():
            (name + ": ").encode("ascii") + (value.encode("latin-1") if isinstance(value, str) else value)
    except (requests.RequestException, ValueError, TypeError, AttributeError) as error:
        reason = str(error).replace(target, shown(target))
        raise MisuseError(f"the URL {shown(target)!r} or the headers can't be sent: {reason}") from None
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


def time_limits(timeout: Any) -> tuple[float | None, float | None]:
    """Read a timeout: seconds for the whole call, or `(connect, call)`; None for no limit.

    Raises:
        MisuseError: it is neither.
    """
    both = timeout if isinstance(timeout, tuple) else (None, timeout)
    if len(both) == 2 and all(limit is None or _is_seconds(limit) for limit in both):
        return both
    raise MisuseError(f"timeout={timeout!r}: expected seconds above 0, (connect, call) or None")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= threading.TIMEOUT_MAX


def _count(option: str, value: Any, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise MisuseError(f"{option}={value!r}: expected an integer from {least}")
