"""Who called, where trusted proxies stand between: their list, the headers they add, and the PROXY protocol.

Owns the reading of `X-Forwarded-For`, `X-Forwarded-Proto`, `Forwarded` (RFC 7239) and PROXY protocol headers, versions 1 and 2
(HAProxy's `proxy-protocol.txt`). Bytes and texts in, addresses out: it knows no socket. Nobody is trusted unless named: anyone
can send such a header, and it is only as trustworthy as its sender.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from msgspec.structs import replace

from gjrpc.errors import GjrpcError, SettingsError
from gjrpc.http.access_log import Answered, AnswerLog
from gjrpc.http.messages import Head
from gjrpc.http.peer import Peer, peer_name

LOCAL = "unix"
"""Stands in the list of trusted proxies for whoever comes through a Unix socket."""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""What each PROXY protocol header of version 2 begins with (section 2.2)."""

MAX_LINE = 107
"""Bytes of the longest header of version 1, CRLF included (section 2.1)."""

MAX_HEADER = 4096
"""Bytes of the longest header of version 2 that is read here; the addresses take 232 at most, the rest is not looked at."""

_PREFIX = b"PROXY "
_FIXED = 16  # bytes of a version 2 header before the addresses
_LOCAL_COMMAND, _PROXY_COMMAND = 0x20, 0x21  # version and command
# By family and transport: an address's bytes and class. Datagrams can't come here, and a Unix socket's client has no address.
_STREAMS: dict[int, tuple[int, Callable[[bytes], IPv4Address | IPv6Address]]] = {0x11: (4, IPv4Address), 0x21: (16, IPv6Address)}
_NAMELESS = (0x00, 0x31)
_PROTOCOLS: dict[str, type[IPv4Address] | type[IPv6Address]] = {"TCP4": IPv4Address, "TCP6": IPv6Address}

# RFC 7239, 4: forwarded-pair = token "=" value, value = token / quoted-string; pairs end at ";", elements at ",". Beyond the
# token's characters ":" and brackets are let in, since proxies often leave the quotation marks out where they are due.
_PAIR = re.compile(r'[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))[ \t]*(?:([;,])|$)')

_ESCAPED = re.compile(r"\\(.)")


class ProxyHeaderError(GjrpcError):
    """What came is no PROXY protocol header, or none that can be used; the text says why."""


class Unnamed(tuple[Any, ...]):
    """The address of a trusted proxy whose PROXY protocol header names no client: it stands in for the client.

    The unknown client wrote the request and its headers, so nothing in them is trusted.
    """

    __slots__ = ()


class Proxies:
    """The proxies that are believed when they say who called, and how.

    Args:
        trusted: addresses and networks, `10.0.0.5` or `10.0.0.0/8` or `fd00::/8`; `unix` for whoever comes by a Unix socket.
        header: which header they set: a name from `HEADERS`, or `off`. Only that one is read: a client can send the others.

    Raises:
        SettingsError: an entry is none of these.
    """

    def __init__(self, trusted: Iterable[str], header: str = "x-forwarded-for") -> None:
        names = tuple(trusted)
        self._networks = tuple(_network(name) for name in names if name != LOCAL)
        self._local = LOCAL in names
        self._header = HEADERS.get(header)

    def trusts(self, address: Any) -> bool:
        """Whether what comes from a socket address is believed."""
        if isinstance(address, Unnamed):
            return False
        if not isinstance(address, tuple):
            return self._local
        host = _ip(str(address[0]))
        return host is not None and any(host in network for network in self._networks)

    def client(self, address: Any, head: Head) -> Any:
        """The address of who called, `(host, port)`, by the socket's address and the request's headers.

        The hops are walked from the last to the first, each told by the one after it, for as long as that one is trusted. Where a
        trusted proxy does not tell an IP address (`unknown`, a pseudonym, nonsense), its own address is the last one known.
        """
        return self._walk(address, head)[0]

    def name(self, address: Any, head: Head) -> str:
        """Return the name of the client, as `peer_name` gives it."""
        return peer_name(self.client(address, head))

    def scheme(self, peer: Peer, head: Head) -> str:
        """Return the client's scheme to the first trusted proxy, `http` or `https`; without a trusted proxy, the peer's own.

        Proxies send it in `X-Forwarded-Proto` (a word for each proxy, or one for all) or in the `proto` of `Forwarded`.
        """
        if self._header is None or not self.trusts(peer.client_address):
            return peer.scheme
        hops = max(self._walk(peer.client_address, head)[1], 1)
        told = self._header.schemes(_joined(head, self._header.scheme_name))
        scheme = told[-min(hops, len(told))].strip().lower() if told else ""
        return scheme if scheme in ("http", "https") else peer.scheme

    def _walk(self, address: Any, head: Head) -> tuple[Any, int]:
        """Return the client's address and the number of hops to it."""
        walked = 0
        if self._header is not None and self.trusts(address):
            for hop in reversed(self._header.hops(_joined(head, self._header.name))):
                told = node(hop)
                if told is None:
                    break
                address, walked = told, walked + 1
                if not self.trusts(address):
                    break
        return address, walked


class ForwardedLog:
    """An access log that names who called, not the trusted proxy that handed the call on."""

    def __init__(self, log: AnswerLog, proxies: Proxies) -> None:
        self._log = log
        self._proxies = proxies

    def write(self, answered: Answered) -> None:
        """Note one answer, as `AnswerLog` does."""
        self._log.write(replace(answered, address=self._proxies.client(answered.address, answered.head)))


def node(text: str) -> tuple[str, int] | None:
    """Read `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711` (RFC 7239, 6); None for anything else.

    The port is 0 where none is told.
    """
    host, port = text.strip(), "0"
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or "0"
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    found = _ip(host)
    if found is None:
        return None
    return str(found), int(port) if _is_port(port) else 0


def _joined(head: Head, header: str) -> str:
    """Return all values of a header as one list (RFC 9110, 5.3)."""
    return ",".join(text for name, text in head.headers if name == header)


def _plain_hops(value: str) -> list[str]:
    return value.split(",")


def _forwarded(parameter: str, value: str) -> list[str]:
    """Return a parameter of each element, "" if it has none; a malformed header counts as empty."""
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
    """Where a proxy says who called and how: names of headers, and what takes the hops out of each, the first hop first."""

    name: str
    hops: Callable[[str], list[str]]
    scheme_name: str
    schemes: Callable[[str], list[str]]


HEADERS = {
    "x-forwarded-for": _Header("x-forwarded-for", _plain_hops, "x-forwarded-proto", _plain_hops),
    "forwarded": _Header("forwarded", partial(_forwarded, "for"), "forwarded", partial(_forwarded, "proto")),
}
"""The headers that can be read."""


def header_end(data: bytes) -> int | None:
    """How many bytes a PROXY protocol header has that data begins with; None if more of it must come.

    Raises:
        ProxyHeaderError: data does not begin with one.
    """
    if data.startswith(SIGNATURE):
        if len(data) < _FIXED:
            return None
        end = _FIXED + int.from_bytes(data[14:16], "big")
        if end > MAX_HEADER:
            raise ProxyHeaderError(f"the PROXY protocol header has {end} bytes; the limit is {MAX_HEADER}")
        return end if len(data) >= end else None
    if data.startswith(_PREFIX):
        line, ended, _ = data[:MAX_LINE].partition(b"\r\n")
        if not ended and len(data) >= MAX_LINE:
            raise ProxyHeaderError(f"no CRLF within the {MAX_LINE} bytes that a PROXY protocol header of version 1 may have")
        return len(line) + 2 if ended else None
    if SIGNATURE.startswith(data) or _PREFIX.startswith(data):
        return None
    raise ProxyHeaderError(
        f"expected a PROXY protocol header, got {data[:32]!r}: let the proxy send one (HAProxy: send-proxy-v2), or leave "
        "--proxy-protocol out"
    )


def source(header: bytes) -> tuple[Any, ...] | None:
    """The client's socket address by a whole header: `(host, port)`, or `(host, port, 0, 0)` for IPv6.

    None where the header tells none: a health check of the proxy's own (`LOCAL`), or a family that it does not know.

    Raises:
        ProxyHeaderError: the header is malformed.
    """
    return _source_v2(header) if header.startswith(SIGNATURE) else _source_v1(header)


def _source_v1(header: bytes) -> tuple[Any, ...] | None:
    """`PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` (section 2.1)."""
    words = header.decode("latin-1").removesuffix("\r\n").split(" ")
    if words[1:2] == ["UNKNOWN"]:  # "the receiver must ignore anything presented before the CRLF"
        return None
    kind = _PROTOCOLS.get(words[1])
    # Python would take any text at all as the zone behind a `%`; the header has none (section 2.1: the address's canonical form).
    if kind is None or len(words) != 6 or b"%" in header or not all(map(_is_port, words[4:])):
        raise _malformed(header)
    try:
        host, _ = kind(words[2]), kind(words[3])
    except ValueError as error:
        raise _malformed(header) from error
    return _socket_address(host, int(words[4]))


def _source_v2(header: bytes) -> tuple[Any, ...] | None:
    """Version and command, family and transport, length, addresses (section 2.2)."""
    command, family = header[12], header[13]
    if command == _LOCAL_COMMAND:
        return None
    if command != _PROXY_COMMAND:
        raise ProxyHeaderError(f"version and command 0x{command:02x} of a PROXY protocol header; expected 0x20 or 0x21")
    if family in _NAMELESS:
        return None
    if family not in _STREAMS:
        raise ProxyHeaderError(f"family and transport 0x{family:02x} of a PROXY protocol header; expected a stream's")
    size, kind = _STREAMS[family]
    if len(header) < _FIXED + 2 * size + 4:
        raise ProxyHeaderError(f"a PROXY protocol header of {len(header)} bytes, too few for its two addresses")
    ports = _FIXED + 2 * size
    return _socket_address(kind(header[_FIXED : _FIXED + size]), int.from_bytes(header[ports : ports + 2], "big"))


def _socket_address(host: IPv4Address | IPv6Address, port: int) -> tuple[Any, ...]:
    return (str(host), port) if host.version == 4 else (str(host), port, 0, 0)


def _malformed(header: bytes) -> ProxyHeaderError:
    return ProxyHeaderError(
        f"malformed PROXY protocol header {header!r}; expected as in 'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443'"
    )


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 that a socket of both families shows as IPv6 is the IPv4 one."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:  # none: whoever asks says so
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"--trusted-proxies {text!r}: expected an address (10.0.0.5), a network (10.0.0.0/8, fd00::/8) or {LOCAL!r}: {error}"
        ) from error


assert peer_name("") == LOCAL  # noqa: S101  the word is the access log's
