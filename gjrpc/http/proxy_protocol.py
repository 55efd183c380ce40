"""The PROXY protocol: a header at the start of a connection, in which a proxy names its client.

Owns the reading of such headers, versions 1 and 2; "section N" below is of HAProxy's `proxy-protocol.txt`. Bytes in, an address
out: it knows no socket, and not which proxies are trusted (`forwarded`).
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from gjrpc.errors import GjrpcError
from gjrpc.http.hosts import is_port

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""The first bytes of each PROXY protocol header of version 2 (section 2.2)."""

MAX_LINE = 107
"""Bytes of the longest header of version 1, CRLF included (section 2.1)."""

MAX_HEADER = 4096
"""Bytes of the longest header of version 2 that is accepted; the addresses have 232 at most, and the rest is ignored."""

_PREFIX = b"PROXY "
_FIXED = 16  # bytes of a version 2 header before the addresses
_LOCAL_COMMAND, _PROXY_COMMAND = 0x20, 0x21  # version and command
# By family and transport: an address's bytes and class. Datagrams can't arrive here, and a Unix socket's client has no address.
_STREAMS: dict[int, tuple[int, Callable[[bytes], IPv4Address | IPv6Address]]] = {0x11: (4, IPv4Address), 0x21: (16, IPv6Address)}
_NAMELESS = (0x00, 0x31)
_PROTOCOLS: dict[str, type[IPv4Address] | type[IPv6Address]] = {"TCP4": IPv4Address, "TCP6": IPv6Address}


class ProxyHeaderError(GjrpcError):
    """The bytes are not a PROXY protocol header, or not one that can be used; the message says why."""


class Unnamed(tuple[Any, ...]):
    """The address of a trusted proxy whose PROXY protocol header names no client, in place of the client's address.

    An unknown client wrote the request and its headers, so nothing in them is trusted.
    """

    __slots__ = ()


def header_end(data: bytes) -> int | None:
    """Return the size in bytes of the PROXY protocol header at the start of `data`; None if the header is incomplete.

    Raises:
        ProxyHeaderError: `data` does not begin with one.
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
        f"expected a PROXY protocol header, got {data[:32]!r}: make the proxy send one (HAProxy: send-proxy-v2), or start the "
        "server without --proxy-protocol"
    )


def source(header: bytes) -> tuple[Any, ...] | None:
    """Return the client's socket address from a complete header: `(host, port)`, or `(host, port, 0, 0)` for IPv6.

    None if the header names no client: for the proxy's own health check (`LOCAL`), or a family that the proxy does not know.

    Raises:
        ProxyHeaderError: the header is malformed.
    """
    return _source_v2(header) if header.startswith(SIGNATURE) else _source_v1(header)


def _source_v1(header: bytes) -> tuple[Any, ...] | None:
    """Read version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` (section 2.1)."""
    words = header.decode("latin-1").removesuffix("\r\n").split(" ")
    if words[1:2] == ["UNKNOWN"]:  # "the receiver must ignore anything presented before the CRLF"
        return None
    kind = _PROTOCOLS.get(words[1])
    # Python accepts any text as the zone after a `%`; the header has no zone (section 2.1: the address's canonical form).
    if kind is None or len(words) != 6 or b"%" in header or not all(map(is_port, words[4:])):
        raise _malformed(header)
    try:
        host, _ = kind(words[2]), kind(words[3])
    except ValueError as error:
        raise _malformed(header) from error
    return _socket_address(host, int(words[4]))


def _source_v2(header: bytes) -> tuple[Any, ...] | None:
    """Read version 2: version and command, family and transport, length, addresses (section 2.2)."""
    command, family = header[12], header[13]
    if command == _LOCAL_COMMAND:
        return None
    if command != _PROXY_COMMAND:
        raise ProxyHeaderError(f"the PROXY protocol header has version and command 0x{command:02x}; expected 0x20 or 0x21")
    if family in _NAMELESS:
        return None
    if family not in _STREAMS:
        raise ProxyHeaderError(f"the PROXY protocol header has family and transport 0x{family:02x}; expected those of a stream")
    size, kind = _STREAMS[family]
    if len(header) < _FIXED + 2 * size + 4:
        raise ProxyHeaderError(f"the PROXY protocol header has {len(header)} bytes, too few for its two addresses")
    ports = _FIXED + 2 * size
    return _socket_address(kind(header[_FIXED : _FIXED + size]), int.from_bytes(header[ports : ports + 2], "big"))


def _socket_address(host: IPv4Address | IPv6Address, port: int) -> tuple[Any, ...]:
    return (str(host), port) if host.version == 4 else (str(host), port, 0, 0)


def _malformed(header: bytes) -> ProxyHeaderError:
    return ProxyHeaderError(
        f"malformed PROXY protocol header {header!r}; expected, for example, 'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443'"
    )
