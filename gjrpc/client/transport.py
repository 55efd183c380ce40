"""The client's transport: it sends the body of a call and returns the `requests.Response`.

Owns the pooled `requests.Session`, which calls are retried, and the one place where an error of requests, urllib3, ssl or a
socket becomes a `ClientError` (`foreign_errors` has the sentences). `adapter` keeps connections within a call's limits. It knows
no methods and no JSON.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import requote_uri
from urllib3 import Retry

from gjrpc._version import __version__
from gjrpc.client.adapter import Adapter, Retries
from gjrpc.client.budget import Budget, within
from gjrpc.client.foreign_errors import FOREIGN, explain
from gjrpc.client.options import Auth, Options, authorities
from gjrpc.client.proxies import proxies_for
from gjrpc.client.urls import parse_url, redacted
from gjrpc.errors import MisuseError, WireError

_FRAMING = frozenset({"content-length", "transfer-encoding"})  # other values would announce a different body
_DOUBT = "; the method may have run (if it may run twice, name it in Client(idempotent=…))"


class Transport:
    """Sends requests to one URL over a pool of connections.

    The semaphore, and not urllib3's blocking pool, limits the number of connections: waiting for it can time out, and a caller
    that waits in urllib3's pool when it is closed would wait forever.

    Args:
        url: as for `gjrpc.Client`.
        options: how to send.
        exact: whether to use the URL exactly as given; otherwise requests go to its path and a slash.
        path: appended to the URL.

    Raises:
        MisuseError: the URL, the headers or the proxy's certificate authorities can't be used.
    """

    def __init__(self, url: str, options: Options, *, exact: bool, path: str = "") -> None:
        target, socket_path = parse_url(url, exact)
        target += path
        self.url = redacted(url) if socket_path is None else url
        self.closed = False
        self._options = options
        self._slots = threading.Semaphore(options.pool)
        self._session = _Session()
        self._session.trust_env = False
        fixed, self._auth = _authentication(options.auth)
        self._prepared = _prepare(self._session, target, options.headers, fixed)
        self._mount(socket_path)
        # Read the environment once: doing it for each call, as requests does, makes a call 30 to 50 % slower.
        self._settings = requests.Session().merge_environment_settings(
            target, {}, False, authorities(options.verify), options.cert
        )
        if target.startswith("https:"):
            authorities(self._settings["verify"] or False)  # the environment may name other ones
        self._settings["proxies"] = proxies_for(target) if socket_path is None else {}

    def _mount(self, socket_path: str | None) -> None:
        """Mount two adapters, which share one pool of connections and differ in what they retry.

        requests chooses the adapter by the beginning of the URL. Calls that may run twice have a URL with a fragment, which is
        never sent (RFC 9110, section 7.1).
        """
        size, retries = self._options.pool, self._options.retries
        once, again = (Adapter(size, _policy(retries, repeatable), socket_path) for repeatable in (False, True))
        again.poolmanager, again.proxy_manager = once.poolmanager, once.proxy_manager
        self._pools = once.poolmanager.pools
        self._session.mount(str(self._prepared.url), once)
        self._session.mount(f"{self._prepared.url}#idempotent", again)

    def post(self, name: str, body: bytes, repeatable: bool) -> requests.Response:
        """Send a call and read the whole answer, whatever its status.

        Args:
            name: the method's name, for errors.
            body: the call.
            repeatable: whether the call may run twice.

        Raises:
            MisuseError: the client is closed.
            WireError: no answer arrived in time, or it is too large.
        """
        return self._send(name, self._request("POST", body, repeatable), repeatable)

    def get(self, path: str = "", *, repeatable: bool) -> requests.Response:
        """GET the URL, with a path appended; raise what `post` raises."""
        request = self._request("GET", b"", repeatable and not path)
        request.url = requote_uri(f"{request.url}{path}")
        return self._send("", request, repeatable)

    def _send(self, name: str, request: requests.PreparedRequest, repeatable: bool) -> requests.Response:
        limits, most = self._options.limits, self._options.max_answer
        budget = Budget(*limits, most)
        where = f"{self.url}: {name}: " if name else f"{self.url}: "
        try:
            with self._slot(where), within(budget):
                return self._session.send(request, **self._settings)
        except FOREIGN as error:
            doubt = _DOUBT if budget.sent and not repeatable else ""
            raise WireError(f"{where}{explain(error, limits, most=most, doubt=doubt)}") from error

    @contextmanager
    def _slot(self, where: str) -> Iterator[None]:
        """Reserve one of the pool's connections for a call; wait for it if all are in use."""
        if not self._slots.acquire(timeout=self._options.limits[1]):
            raise WireError(
                f"{where}no connection of the pool became free within {self._options.limits[1]:g} s; "
                f"Client(pool=…) sets their number, now {self._options.pool}"
            )
        try:
            if self.closed:
                raise MisuseError(f"{where}this client is closed; make a new one")
            yield
        finally:
            self._slots.release()
            if self.closed:  # meanwhile: close the connection that this call returned to the pool
                self._session.close()

    def _request(self, verb: str, body: bytes, repeatable: bool) -> requests.PreparedRequest:
        """Copy the prepared request: preparing each anew makes a call 20 to 30 % slower."""
        request = requests.PreparedRequest()
        request.method = verb
        request.url = f"{self._prepared.url}#idempotent" if repeatable else self._prepared.url
        request.headers = self._prepared.headers.copy()
        if verb == "POST":
            request.headers["Content-Length"] = str(len(body))
            request.body = body
        if self._auth is not None:
            self._authenticate(request)
        return request

    def _authenticate(self, request: requests.PreparedRequest) -> None:
        request.prepare_cookies({})  # HTTPDigestAuth needs the jar
        try:
            request.prepare_auth(self._auth)
        except LookupError as error:  # HTTPDigestAuth raises it for a challenge that lacks parts
            raise WireError(f"{self.url}: auth= can't answer the server's challenge: {error!r}") from error

    def close(self) -> None:
        """Close the connections; calls in flight end first, later ones raise MisuseError."""
        self.closed = True
        self._session.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"{self.url}, closed"
        opened = sum(pool.num_connections for key in list(self._pools.keys()) if (pool := self._pools.get(key)) is not None)
        return f"{self.url}, open, pool size {self._options.pool}, connections opened: {opened}"


class _Session(requests.Session):
    """A session that follows no redirects: a POST that becomes a GET is another call."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _policy(retries: int, repeatable: bool) -> Retry:
    """Return what to retry.

    For urllib3, `read` errors happen after something was sent, and `other` errors are those of TLS, which rarely go away.
    """
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
    """Return a request with all that every request has.

    Raises:
        MisuseError: the URL or a header can't be sent.
    """
    session.headers.update({"User-Agent": f"gjrpc/{__version__}", "Accept": "application/json, application/problem+json"})
    session.headers.update({"Accept-Encoding": "gzip", "Content-Type": "application/json"})
    try:
        if own := [name for name in headers or () if str(name).lower() in _FRAMING]:
            raise ValueError(f"the client itself sets {own[0]}")
        session.headers.update(headers or {})
        prepared = session.prepare_request(requests.Request("POST", target, auth=auth))
        for name, value in prepared.headers.items():
            (name + ": ").encode("ascii") + (value.encode("latin-1") if isinstance(value, str) else value)
    except (requests.RequestException, ValueError, TypeError, AttributeError) as error:
        reason = str(error).replace(target, redacted(target))
        raise MisuseError(f"the URL {redacted(target)!r} or the headers can't be sent: {reason}") from None
    return prepared


def _authentication(auth: Auth) -> tuple[Any, Any]:
    """Split `auth` into what is added to the prepared request once, and what is called for each request."""
    if isinstance(auth, tuple):
        user, password = (part.encode() for part in auth)  # UTF-8 (RFC 7617, section 2.1); requests would use latin-1
        return HTTPBasicAuth(user, password), None
    return None, auth
