"""Which hosts the application answers for, and which web pages may call it (CONVENTION, section 7).

Owns the checks against DNS rebinding and cross-site calls. It knows the request's head and no method.
"""

from collections.abc import Iterable

from gjrpc.errors import Forbidden, Misdirected
from gjrpc.messages import Head

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""What `gjrpc.serve` allows when it binds to loopback."""

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

    def _allows(self, origin: str, host: str) -> bool:
        if origin in self._origins or "*" in self._origins:
            return True
        scheme, _, netloc = origin.partition("://")
        port = _DEFAULT_PORTS.get(scheme, "")
        return bool(netloc) and netloc.removesuffix(port) == host.removesuffix(port)


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
