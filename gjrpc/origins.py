"""Which hosts the application answers for, and which web pages may call it (CONVENTION, section 7).

Owns the checks against DNS rebinding and cross-site calls, and what a browser is told so that it lets an allowed page call (the
CORS protocol, https://fetch.spec.whatwg.org/#http-cors-protocol). It knows the request's head and no method.
"""

from collections.abc import Iterable

from gjrpc.errors import Forbidden, Misdirected
from gjrpc.messages import Head, Headers

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""What `gjrpc.serve` allows when it binds to loopback."""

_REMEMBERED = "600"  # seconds for which a browser need not ask again

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Gate:
    """Lets a request in by its `Host` and `Origin`.

    Args:
        hosts: names without port; `*` or none for any.
        origins: `scheme://host[:port]`; `*` for any.
    """

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._hosts = frozenset(map(_hostname, hosts))
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self.guards_hosts = bool(self._hosts) and "*" not in self._hosts
        """Whether the host of each request must be looked at."""

    def check(self, head: Head) -> None:
        """Raise what a request must be refused with.

        Raises:
            Misdirected: the host is not on the list.
            Forbidden: the origin is not allowed, or its body is not declared as JSON.
        """
        if self.guards_hosts and _hostname(head.host or "") not in self._hosts:
            raise Misdirected(
                f"this server does not answer for the host {head.host!r}; if it should, start it with --allowed-hosts {head.host}"
            )
        if head.origin is None:
            return
        if not self._allows(head.origin.lower(), (head.host or "").lower()):
            raise Forbidden(f"the origin {head.origin!r} may not call; if it should, start the server with --allowed-origins")
        if head.verb == "POST" and _media_type(head.content_type) != "application/json":
            raise Forbidden(f"a call from a web page needs Content-Type: application/json, got {head.content_type!r}")

    def grants(self, head: Head) -> Headers:
        """The headers by which a browser lets a page of an allowed origin read the answer; none for others, and the same origin.

        `Access-Control-Allow-Credentials` is never among them: what a browser would send by itself, as passwords that it keeps
        and certificates, no other site's page can make use of. A page can give a token in `Authorization`.
        """
        if head.origin is None or not self._lists(head.origin.lower()):
            return ()
        return (("Access-Control-Allow-Origin", head.origin), ("Vary", "Origin"))

    def _lists(self, origin: str) -> bool:
        return origin in self._origins or "*" in self._origins

    def _allows(self, origin: str, host: str) -> bool:
        if self._lists(origin):
            return True
        scheme, _, netloc = origin.partition("://")
        port = _DEFAULT_PORTS.get(scheme, "")
        return bool(netloc) and netloc.removesuffix(port) == host.removesuffix(port)


def preflight(head: Head) -> Headers:
    """What a browser asks before a page's call, answered; nothing where the request is no such question.

    It comes without credentials, so it must be answered before anybody asks for them.
    """
    if head.verb != "OPTIONS" or head.get("access-control-request-method") is None:
        return ()
    # A header means nothing to this server but for those that it knows, so that any may be sent.
    asked = head.get("access-control-request-headers")
    allowed = () if asked is None else (("Access-Control-Allow-Headers", asked),)
    return (("Access-Control-Allow-Methods", "GET, HEAD, POST"), *allowed, ("Access-Control-Max-Age", _REMEMBERED))


def _hostname(host: str) -> str:
    """A host without its port and final dot, in lower case; an IPv6 address keeps its brackets."""
    name = host.lower()
    if not name.endswith("]"):
        before, colon, port = name.rpartition(":")
        if colon and port.isdigit():
            name = before
    return name.rstrip(".")


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()
