"""Host names, IP addresses and ports as text.

Owns how they are read and compared, and which of them are loopback. It opens no socket and resolves no name.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""The hosts that a server on a loopback address answers for by default."""


def hostname(host: str) -> str:
    """Return a host without its port and final dot, in lower case; an IPv6 address keeps its brackets."""
    name = host.lower()
    if not name.endswith("]"):
        before, colon, port = name.rpartition(":")
        if colon and port.isdigit():
            name = before
    return name.rstrip(".")


def hostnames(hosts: Iterable[str]) -> frozenset[str]:
    """Return the names in a list of hosts; empty if `*`, which means any host, is one of them."""
    found = frozenset(map(hostname, hosts))
    return frozenset() if "*" in found else found


def is_loopback(host: str) -> bool:
    """Return whether a name or an IP address, without brackets, is a loopback one."""
    address = parse_ip(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address without its zone; return None for anything else.

    An IPv4 address that a socket of both families shows as IPv6 (`::ffff:192.0.2.1`) becomes an IPv4 address.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:  # a name, or nonsense: the caller decides what that means
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def is_port(text: str) -> bool:
    """Return whether a text is a port number, 0 to 65535."""
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535
