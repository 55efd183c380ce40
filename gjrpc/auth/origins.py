"""Which hosts an application answers for, and which web pages may call it (CONVENTION, section 7).

Owns the checks against DNS rebinding and cross-site calls, and the headers by which a browser lets an allowed page call (the CORS
protocol, https://fetch.spec.whatwg.org/#http-cors-protocol). It knows a request's head, but no method.
"""

import logging
from collections.abc import Iterable
from typing import TypeVar

from gjrpc.errors import CallError, Forbidden, Misdirected
from gjrpc.http.hosts import hostname, hostnames
from gjrpc.http.messages import Head, Headers
from gjrpc.texts import excerpt, quoted

E = TypeVar("E", bound=CallError)

log = logging.getLogger("gjrpc.auth")

_PROBES = frozenset({"/-/healthy", "/-/ready"})
_CONSOLE = "/-/"
_REMEMBERED = "600"  # seconds for which a browser remembers the answer to a preflight

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_ELSEWHERE = frozenset({"cross-site", "same-site"})
_VARY = ("Vary", "Origin")


class OriginPolicy:
    """Accepts or refuses requests by their `Host` and `Origin`.

    Args:
        hosts: names without port; `*` or an empty list means any. None leaves the choice to the server that receives the request.
        origins: `scheme://host[:port]`; `*` means any.

    Attributes:
        has_allowed_origins: whether any origin is allowed, so that answers depend on a request's origin.
    """

    def __init__(self, hosts: Iterable[str] | None, origins: Iterable[str]) -> None:
        self._hosts = None if hosts is None else hostnames(hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self.has_allowed_origins = bool(self._origins)

    @property
    def server_decides_hosts(self) -> bool:
        """Whether the server decides which hosts to answer for."""
        return self._hosts is None

    def guards_hosts(self, server_hosts: frozenset[str]) -> bool:
        """Whether requests for other hosts are refused.

        Args:
            server_hosts: the server's hosts, if it decides; empty for any.
        """
        return bool(server_hosts if self._hosts is None else self._hosts)

    def check_host(self, head: Head, server_hosts: frozenset[str] = frozenset()) -> None:
        """Refuse a request for a host that is not allowed.

        Args:
            server_hosts: the server's hosts, if it decides; empty for any.

        Raises:
            Misdirected
        """
        hosts = server_hosts if self._hosts is None else self._hosts
        if not hosts or hostname(head.host or "") in hosts or is_probe(head):
            return
        if not head.host:
            raise _logged(
                Misdirected("the request names no host, and this server answers only for some hosts: send a Host header")
            )
        refused = Misdirected(
            f"this server does not answer for the host {quoted(head.host)}; to allow the host, start the server with "
            f"--allowed-hosts {excerpt(head.host)} (in Python: Application(registry, allowed_hosts=[...]))"
        )
        raise _logged(refused)

    def check_page(self, head: Head, scheme: str) -> None:
        """Refuse a request that a web page may not send.

        Args:
            scheme: the client's scheme, `http` or `https`: the same host with the other scheme is another origin (RFC 6454, 5).

        Raises:
            Forbidden: the page's origin is neither allowed nor the server's own, or the body is not declared as JSON.
        """
        foreign = is_cross_origin(head)
        if (head.origin is None and not foreign) or is_probe(head):
            return
        origin = _single_origin(head)
        if not (self.allows(origin) or (not foreign and _is_same(origin, head.host, scheme))):
            whose = "a page of another origin" if head.origin is None else f"the origin {quoted(head.origin)}"
            refused = Forbidden(
                f"{whose} may not call {scheme}://{excerpt(head.host or '')}; to allow it, start the server with "
                "--allowed-origins, or with --trusted-proxies if a proxy in front of it speaks https"
            )
            raise _logged(refused)
        if head.verb == "POST" and _media_type(head.content_type) != "application/json":
            got = quoted(head.content_type or "none")
            raise _logged(Forbidden(f"a call from a web page needs Content-Type: application/json, got {got}"))

    def cors_headers(self, origin: str | None) -> Headers:
        """Return the headers that let a page of an allowed origin read the answer; none for other origins and the server's own.

        If any origin is allowed, each answer depends on the request's origin, and `Vary` tells caches so (RFC 9110, 12.5.5).

        `Access-Control-Allow-Credentials` is never among the headers: no other site's page can use what a browser itself sends,
        stored passwords and certificates. A page can send a token in `Authorization`.
        """
        if not self.has_allowed_origins:
            return ()
        return (("Access-Control-Allow-Origin", origin), _VARY) if origin and self.allows(origin) else (_VARY,)

    def allows(self, origin: str | None) -> bool:
        """Return whether an origin is allowed; a request without one is allowed only if any origin is."""
        return "*" in self._origins or (origin is not None and origin.lower() in self._origins)


def _logged(refused: E) -> E:
    """Log a refusal and return it: usually the operator must allow the page or host, not the caller."""
    log.warning("refused: %s", refused.message)
    return refused


def is_probe(head: Head) -> bool:
    """Return whether a request is a health probe, which anyone may send (CONVENTION, section 6)."""
    return head.target.partition("?")[0] in _PROBES


def is_cross_origin(head: Head) -> bool:
    """Return whether a page of another origin caused a request, as the browser reports it.

    See https://www.w3.org/TR/fetch-metadata, section 2.1. A link to the console is not a call: it opens the console's own page.
    """
    if head.site is None:
        return False
    sites = {word.strip().lower() for name, value in head.headers if name == "sec-fetch-site" for word in value.split(",")}
    return not sites.isdisjoint(_ELSEWHERE) and not (head.origin is None and _opens_console(head))


def _opens_console(head: Head) -> bool:
    return head.verb in ("GET", "HEAD") and head.target.partition("?")[0] == _CONSOLE


def _single_origin(head: Head) -> str | None:
    """Return the origin; "" if there are several, because a proxy that reads another one would admit another page."""
    return head.origin if sum(name == "origin" for name, _ in head.headers) == 1 else ""


def _is_same(origin: str | None, host: str | None, scheme: str) -> bool:
    """Return whether a page's origin is this server's own: scheme, host and port (RFC 6454, 5)."""
    if not origin or not host:
        return False
    port = _DEFAULT_PORTS.get(scheme, "")
    return origin.lower().removesuffix(port) == f"{scheme}://{host}".lower().removesuffix(port)


def preflight(head: Head) -> Headers:
    """Return the headers that answer a CORS preflight; none if the request is not one.

    A preflight comes without credentials, so it must be answered before authentication.
    """
    if head.verb != "OPTIONS" or head.get("access-control-request-method") is None:
        return ()
    # A page may send any header: those that this server does not know have no effect.
    requested = head.get("access-control-request-headers")
    allowed = () if requested is None else (("Access-Control-Allow-Headers", requested),)
    return (("Access-Control-Allow-Methods", "GET, HEAD, POST"), *allowed, ("Access-Control-Max-Age", _REMEMBERED))


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()
