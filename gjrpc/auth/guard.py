"""Authenticates requests and rejects the rest.

Owns the order in which a request's credentials are checked, the challenges of a 401 (RFC 9110, section 11.6.1), and what is
remembered of a head. `Authenticators` check the credentials themselves; this module knows no file and no method.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gjrpc.auth.origins import is_cross_origin
from gjrpc.auth.throttle import WINDOW, LoginThrottle
from gjrpc.calls.rights import ANYONE, Caller
from gjrpc.errors import Forbidden, SettingsError, Unauthorized
from gjrpc.http.messages import Head
from gjrpc.http.peer import Peer
from gjrpc.http.problems import BEARER, Throttled, Unauthenticated

log = logging.getLogger("gjrpc.auth")

T = TypeVar("T")

SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "certificate": {"type": "mutualTLS"},
}
"""The ways to authenticate, as OpenAPI's Security Scheme Objects."""

_CREDENTIALS = {
    "bearer": "a token (Authorization: Bearer TOKEN)",
    "basic": "a name and password (HTTP Basic)",
    "certificate": "a client certificate",
}
_CHALLENGES = {"bearer": BEARER, "basic": 'Basic realm="gjrpc", charset="UTF-8"'}  # RFC 7617, 2.1
_ERRORS = {BEARER: ', error="invalid_token"'}  # RFC 6750, 3.1


class Offload(Protocol):
    """Runs slow functions off the event loop, a few at a time."""

    def __call__(self, function: Callable[[], T], /) -> T:
        """Run a function and return its result."""
        ...


class Tokens(Protocol):
    """Authenticates callers by bearer tokens."""

    def find(self, token: str) -> Caller | None:
        """Return the caller with this token, or None."""
        ...


class Passwords(Protocol):
    """Authenticates callers by names and passwords."""

    def find(self, credentials: str, blocked: Callable[[], bool], offload: Offload) -> Caller | None:
        """Return the caller with this name and password, which RFC 7617 encodes in Base64; None if there is none.

        Also None if `blocked` returns True, because the client's address has failed too often.
        """
        ...


@dataclass(frozen=True)
class Authenticators:
    """The configured ways to authenticate, one attribute for each name in `SCHEMES`; a caller needs one of them.

    Attributes:
        bearer: tokens.
        basic: names and passwords.
        certificate: returns the caller that a client certificate names.
    """

    bearer: Tokens | None = None
    basic: Passwords | None = None
    certificate: Callable[[Mapping[str, Any]], Caller | None] | None = None

    challenges: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        offered = tuple(words for scheme, words in _CHALLENGES.items() if getattr(self, scheme) is not None)
        # A 401 must have a challenge (RFC 9110, 15.5.2), and none exists for certificates.
        object.__setattr__(self, "challenges", offered or (BEARER,))


class Guard:
    """Authenticates the callers of an application.

    Args:
        load: reads the credentials; `reload` calls it again.
        throttle: counts failed logins by address.
        client_of: returns the client's address from the peer's socket address and the head, if there are trusted proxies.

    Raises:
        gjrpc.errors.SettingsError: from `load`.
    """

    def __init__(
        self, load: Callable[[], Authenticators], throttle: LoginThrottle, client_of: Callable[[Any, Head], str] | None = None
    ) -> None:
        self._load = load
        self._throttle = throttle
        self._client_of = client_of
        self._authenticators = load()
        self.schemes = {name: words for name, words in SCHEMES.items() if getattr(self._authenticators, name) is not None}
        """The configured schemes, for the documents."""

    def reload(self) -> None:
        """Read the credentials again; if that fails, keep the old ones and log an error."""
        try:
            self._authenticators = self._load()
        except SettingsError as error:
            log.error("could not reload the credentials; the old ones stay in use: %s", error)
        else:
            log.info("reloaded the credentials")

    def authenticate(self, head: Head, peer: Peer | None, offload: Offload) -> Caller:
        """Return the caller of a request.

        Raises:
            Unauthenticated: the credentials are missing or wrong.
            Throttled: too many logins from the client's address have failed.
            Forbidden: a browser added the credentials to a request that a page of another site caused.
        """
        authenticators, known = self._authenticators, head.notes.authenticated
        # The same head has the same token. Passwords are not remembered here: a blocked address could then go on guessing.
        if known is not None and known[0] is authenticators:
            return known[1]  # type: ignore[no-any-return]  # what was noted below
        scheme, credentials = _authorization(head, authenticators)
        if scheme == "bearer" and authenticators.bearer is not None:
            caller = authenticators.bearer.find(credentials)
            if caller is None:
                raise self._failed(authenticators, self._address(peer, head), "unknown token")
            head.notes.authenticated = (authenticators, caller)
            return caller
        _check_site(head)
        if scheme == "basic" and authenticators.basic is not None:
            return self._by_password(authenticators, authenticators.basic, credentials, self._address(peer, head), offload)
        return _by_certificate(authenticators, peer)

    def _by_password(
        self, authenticators: Authenticators, users: Passwords, credentials: str, address: str, offload: Offload
    ) -> Caller:
        caller = users.find(credentials, lambda: self._throttle.blocked(address), offload)
        if caller is None:
            raise self._failed(authenticators, address, "wrong name or password")
        return caller

    def _address(self, peer: Peer | None, head: Head) -> str:
        if peer is None:
            return "unknown"
        return peer.client_host if self._client_of is None else self._client_of(peer.client_address, head)

    def _failed(self, authenticators: Authenticators, address: str, reason: str) -> Unauthorized:
        """Count a failed login and return its error."""
        if self._throttle.blocked(address):
            return Throttled(f"too many failed logins from this address; try again in {WINDOW} s", retry_after=WINDOW)
        self._throttle.note(address, reason)
        return Unauthenticated(reason, [challenge + _ERRORS.get(challenge, "") for challenge in authenticators.challenges])


class AnonymousGuard:
    """Replaces `Guard` if authentication is off but some methods need a scope: no caller has one."""

    schemes: Mapping[str, dict[str, str]] = {}

    def reload(self) -> None:
        """Do nothing: there are no credentials to read."""

    def authenticate(self, head: Head, peer: Peer | None, offload: Offload) -> Caller:
        """Return the anonymous caller."""
        return ANYONE


def _authorization(head: Head, authenticators: Authenticators) -> tuple[str, str]:
    """Return the scheme in lower case (RFC 9110, 11.1) and its credentials; both are empty if there are none."""
    values = [value for name, value in head.headers if name == "authorization"]
    if len(values) > 1:  # RFC 9110, 5.3: it is not a list; a proxy that reads another one than this would see another caller
        raise Unauthenticated("the request has several Authorization headers; send one", authenticators.challenges)
    scheme, _, credentials = values[0].partition(" ") if values else ("", "", "")
    return scheme.lower(), credentials.strip()


def _by_certificate(authenticators: Authenticators, peer: Peer | None) -> Caller:
    caller = None
    if authenticators.certificate is not None and peer is not None and (certificate := peer.certificate):
        caller = authenticators.certificate(certificate)
    if caller is None:
        offered = " or ".join(words for scheme, words in _CREDENTIALS.items() if getattr(authenticators, scheme) is not None)
        raise Unauthenticated(f"this server requires authentication: send {offered}", authenticators.challenges)
    return caller


def _check_site(head: Head) -> None:
    """Reject credentials that a browser itself adds (passwords, certificates) to requests that another site's page caused.

    This includes pages of allowed origins: they may call, but not as the browser's user.
    """
    if is_cross_origin(head):
        raise Forbidden(
            "a page of another site may not call with a password or certificate that the browser adds by itself; "
            "make the page send a token (Authorization: Bearer TOKEN)"
        )
