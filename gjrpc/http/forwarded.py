"""The client's address and scheme behind trusted proxies: the list of proxies, and the headers that they add.

Owns the reading of `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239). It knows no socket. No proxy is trusted
unless it is listed: anyone can send such a header, and it is only as trustworthy as its sender.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple

from msgspec.structs import replace

from gjrpc.errors import SettingsError
from gjrpc.http.access_log import Answered, AnswerLog
from gjrpc.http.hosts import is_port, parse_ip
from gjrpc.http.messages import Head
from gjrpc.http.peer import Peer, host_of
from gjrpc.http.proxy_protocol import Unnamed

LOCAL = "unix"
"""The entry in the list of trusted proxies that means any client of a Unix socket."""

# RFC 7239, 4: forwarded-pair = token "=" value, value = token / quoted-string; pairs end at ";", elements at ",". An unquoted
# value may also contain ":" and brackets, because proxies often omit the quotation marks that these need.
_PAIR = re.compile(r'[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))[ \t]*(?:([;,])|$)')

_ESCAPED = re.compile(r"\\(.)")


class Proxies:
    """The proxies that are trusted to report the client's address and scheme.

    Args:
        trusted: addresses and networks, `10.0.0.5` or `10.0.0.0/8` or `fd00::/8`; `unix` means any client of a Unix socket.
        header: the header that the proxies set, a name from `HEADERS`; or `off`. All others are ignored: a client can send them.

    Raises:
        SettingsError: an entry is not valid.
    """

    def __init__(self, trusted: Iterable[str], header: str = "x-forwarded-for") -> None:
        names = tuple(trusted)
        self._networks = tuple(_network(name) for name in names if name != LOCAL)
        self._local = LOCAL in names
        self._header = HEADERS.get(header)

    def trusts(self, address: Any) -> bool:
        """Return whether the client at a socket address is a trusted proxy."""
        if isinstance(address, Unnamed):
            return False
        if not isinstance(address, tuple):
            return self._local
        host = parse_ip(str(address[0]))
        return host is not None and any(host in network for network in self._networks)

    def client(self, address: Any, head: Head) -> Any:
        """Return the client's address, `(host, port)`, from the socket's address and the request's headers.

        Each proxy reports the hop before it. The hops are read from the last to the first, as long as the reporting proxy is
        trusted. If a trusted proxy does not report an IP address (`unknown`, a pseudonym, nonsense), the result is its own.
        """
        return self._walk(address, head)[0]

    def name(self, address: Any, head: Head) -> str:
        """Return the name of the client, as `host_of` returns it."""
        return host_of(self.client(address, head))

    def scheme(self, peer: Peer, head: Head) -> str:
        """Return the scheme, `http` or `https`, by which the client reached the first trusted proxy; without one, the peer's own.

        Proxies report it in `X-Forwarded-Proto` (a word for each proxy, or one for all) or in the `proto` of `Forwarded`.
        """
        if self._header is None or not self.trusts(peer.client_address):
            return peer.scheme
        hops = max(self._walk(peer.client_address, head)[1], 1)
        schemes = self._header.schemes(_joined(head, self._header.scheme_name))
        scheme = schemes[-min(hops, len(schemes))].strip().lower() if schemes else ""
        return scheme if scheme in ("http", "https") else peer.scheme

    def _walk(self, address: Any, head: Head) -> tuple[Any, int]:
        """Return the client's address and the number of hops to it."""
        walked = 0
        if self._header is not None and self.trusts(address):
            for hop in reversed(self._header.hops(_joined(head, self._header.name))):
                reported = node(hop)
                if reported is None:
                    break
                address, walked = reported, walked + 1
                if not self.trusts(address):
                    break
        return address, walked


class ForwardedLog:
    """An access log that names the client, not the trusted proxy that forwarded the request."""

    def __init__(self, log: AnswerLog, proxies: Proxies) -> None:
        self._log = log
        self._proxies = proxies

    def write(self, answered: Answered) -> None:
        """Log one answer; see `AnswerLog`."""
        self._log.write(replace(answered, address=self._proxies.client(answered.address, answered.head)))


def node(text: str) -> tuple[str, int] | None:
    """Parse `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711` (RFC 7239, 6); None for anything else.

    The port is 0 if there is none.
    """
    host, port = text.strip(), "0"
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or "0"
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    found = parse_ip(host)
    if found is None:
        return None
    return str(found), int(port) if is_port(port) else 0


def _joined(head: Head, header: str) -> str:
    """Return all values of a header as one list (RFC 9110, 5.3)."""
    return ",".join(text for name, text in head.headers if name == header)


def _plain_hops(value: str) -> list[str]:
    return value.split(",")


def _forwarded(parameter: str, value: str) -> list[str]:
    """Return one parameter of each element, "" if it has none; a malformed header counts as empty."""
    hops = [""]
    at = 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None:
            return []
        name, quoted, bare, end = pair.groups()
        if name.lower() == parameter:
            hops[-1] = _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare
        if end == ",":
            hops.append("")
        at = pair.end()
    return hops


class _Header(NamedTuple):
    """Where proxies report addresses and schemes: names of headers, and functions that split each into hops, first hop first."""

    name: str
    hops: Callable[[str], list[str]]
    scheme_name: str
    schemes: Callable[[str], list[str]]


HEADERS = {
    "x-forwarded-for": _Header("x-forwarded-for", _plain_hops, "x-forwarded-proto", _plain_hops),
    "forwarded": _Header("forwarded", partial(_forwarded, "for"), "forwarded", partial(_forwarded, "proto")),
}
"""The headers that this module can read, by their names."""


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"--trusted-proxies {text!r}: expected an address (10.0.0.5), a network (10.0.0.0/8, fd00::/8) or {LOCAL!r}: {error}"
        ) from error


assert host_of("") == LOCAL  # noqa: S101  the access log has the same word
