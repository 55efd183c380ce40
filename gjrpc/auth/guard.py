"""Says who calls, and turns away who can't say it.

Owns the order in which a request's credentials are looked at, the challenge of a 401 (RFC 9110, section 11.6.1), and what is
remembered of a head. The credentials themselves are kept by `Doors`, which it is given; it knows no file and no method.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gjrpc.auth.origins import is_cross_origin
from gjrpc.auth.throttle import WINDOW, Failures
from gjrpc.calls.rights import ANYONE, Caller
from gjrpc.errors import Forbidden, SettingsError
from gjrpc.http.messages import Head, Headers
from gjrpc.http.peer import Peer
from gjrpc.http.problems import Refused

log = logging.getLogger("gjrpc.auth")

T = TypeVar("T")

SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "certificate": {"type": "mutualTLS"},
}
"""The ways to say who calls, as OpenAPI describes them."""

_CHALLENGES = {"bearer": 'Bearer realm="gjrpc"', "basic": 'Basic realm="gjrpc", charset="UTF-8"'}  # RFC 6750, 3; RFC 7617, 2.1


class Apart(Protocol):
    """Runs a function so that it holds up nobody, a few at a time."""

    def __call__(self, function: Callable[[], T], /) -> T:
        """Run it and give what it returns."""
        ...


class Tokens(Protocol):
    """Knows tokens."""

    def find(self, token: str) -> Caller | None:
        """Whose token it is, or None."""
        ...


class Passwords(Protocol):
    """Knows passwords."""

    def find(self, credentials: str, blocked: Callable[[], bool], apart: Apart) -> Caller | None:
        """Whose name and password these are, in Base64 as RFC 7617 has it, or None; nothing is found for who is blocked."""
        ...


@dataclass(frozen=True)
class Doors:
    """What is known of callers now; any of the three lets one in.

    Attributes:
        bearer: tokens.
        basic: names with passwords.
        certificate: gives the caller of a client's certificate.
    """

    bearer: Tokens | None = None
    basic: Passwords | None = None
    certificate: Callable[[Mapping[str, Any]], Caller | None] | None = None

    # Each challenge is a header of its own: some clients can't take several apart.
    challenges: Headers = field(init=False, default=())

    def __post_init__(self) -> None:
        offered = tuple(("WWW-Authenticate", words) for scheme, words in _CHALLENGES.items() if getattr(self, scheme) is not None)
        # A 401 must have one (RFC 9110, 15.5.2), and there is none for certificates.
        object.__setattr__(self, "challenges", offered or (("WWW-Authenticate", _CHALLENGES["bearer"]),))


class Guard:
    """Lets in who can say who calls.

    Args:
        load: reads what is known of callers; it is called again by `reload`.
        failures: counts wrong credentials by address.
        client_of: returns the client's address from the peer's socket address and the head, if there are trusted proxies.

    Raises:
        gjrpc.errors.SettingsError: from `load`.
    """

    def __init__(
        self, load: Callable[[], Doors], failures: Failures, client_of: Callable[[Any, Head], str] | None = None
    ) -> None:
        self._load = load
        self._failures = failures
        self._client_of = client_of
        self._doors = load()
        self.schemes = {name: words for name, words in SCHEMES.items() if getattr(self._doors, name) is not None}
        """What is on offer, for the documents."""

    def reload(self) -> None:
        """Read again what is known of callers; where that fails, all stays as it was, and the log says so."""
        try:
            self._doors = self._load()
        except SettingsError as error:
            log.error("the old credentials stay in use: %s", error)
        else:
            log.info("the credentials were read again")

    def identify(self, head: Head, peer: Peer | None, apart: Apart) -> Caller:
        """Say who calls.

        Raises:
            Refused: the credentials are missing or wrong.
            Forbidden: a browser added them to what a page of another site asked for.
        """
        doors, known = self._doors, head.known
        # The same head has the same token; a password is not remembered so, as a blocked address could go on guessing then.
        if known is not None and known[0] is doors:
            return known[1]  # type: ignore[no-any-return]  # what was noted below
        scheme, credentials = _authorization(head, doors)
        if scheme == "bearer" and doors.bearer is not None:
            caller = doors.bearer.find(credentials)
            if caller is None:
                raise self._wrong(doors, self._address(peer, head), "unknown token")
            head.known = (doors, caller)
            return caller
        _check_site(head)
        if scheme == "basic" and doors.basic is not None:
            return self._by_password(doors, doors.basic, credentials, self._address(peer, head), apart)
        return _by_certificate(doors, peer)

    def _by_password(self, doors: Doors, users: Passwords, credentials: str, address: str, apart: Apart) -> Caller:
        caller = users.find(credentials, lambda: self._failures.blocked(address), apart)
        if caller is None:
            raise self._wrong(doors, address, "wrong name or password")
        return caller

    def _address(self, peer: Peer | None, head: Head) -> str:
        if peer is None:
            return "unknown"
        return peer.peer if self._client_of is None else self._client_of(peer.client_address, head)

    def _wrong(self, doors: Doors, address: str, what: str) -> Refused:
        if self._failures.blocked(address):
            text = f"too many wrong credentials from this address; try again in {WINDOW} s"
            return Refused(text, (("Retry-After", str(WINDOW)),), status=429)
        self._failures.note(address, what)
        # RFC 6750, 3.1: invalid_token
        return Refused(what, tuple((name, words + _ERRORS.get(words, "")) for name, words in doors.challenges))


class Unasked:
    """Stands where nobody is asked who calls, and not all is open."""

    schemes: Mapping[str, dict[str, str]] = {}

    def reload(self) -> None:
        """There is nothing to read."""

    def identify(self, head: Head, peer: Peer | None, apart: Apart) -> Caller:
        """Anyone calls."""
        return ANYONE


_ERRORS = {_CHALLENGES["bearer"]: ', error="invalid_token"'}


def _authorization(head: Head, doors: Doors) -> tuple[str, str]:
    """The scheme in lower case (RFC 9110, 11.1) and its credentials; empty without any."""
    values = [value for name, value in head.headers if name == "authorization"]
    if len(values) > 1:  # RFC 9110, 5.3: it is no list; whoever reads another one than this would see another caller
        raise Refused("there are several Authorization headers; send one", doors.challenges)
    scheme, _, credentials = values[0].partition(" ") if values else ("", "", "")
    return scheme.lower(), credentials.strip()


def _by_certificate(doors: Doors, peer: Peer | None) -> Caller:
    caller = None
    if doors.certificate is not None and peer is not None and (certificate := peer.certificate):
        caller = doors.certificate(certificate)
    if caller is None:
        raise Refused("say who calls: this server answers only callers that it knows", doors.challenges)
    return caller


def _check_site(head: Head) -> None:
    """Reject credentials that a browser adds by itself (passwords, certificates) to requests of another site's page.

    This holds for pages of listed origins too: they may call, but not as the browser's user.
    """
    if is_cross_origin(head):
        raise Forbidden(
            "a page of another site may not call with a password or a certificate, which the browser adds by itself: "
            "let it send a token (Authorization: Bearer TOKEN)"
        )
