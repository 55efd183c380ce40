"""Which hosts the client calls without the proxy from the environment.

Owns how `no_proxy` is read, in every form that curl, Go or Python accepts, and that the client never calls a loopback host
through a proxy. (requests reads IPv4 networks only, and takes `notexample.com` for a part of `example.com`.) It knows no socket.
"""

import ipaddress
import os
import re
import socket
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
_HOST = r"\[(?P<bracketed>[^\]]*)\]|(?P<plain>[^:/]*(?::[^:/]*){2,}|[^:/]*)"
_ENTRY = re.compile(rf"(?:{_HOST})(?P<length>/\d+)?(?::(?P<port>\d+))?\Z")


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies by scheme, as requests takes them, for calls of this URL; empty if it is called directly."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # whoever calls it says so
        return {}
    return {} if is_this_machine(host) or _is_excepted(host, port) else getproxies()


def is_this_machine(host: str) -> bool:
    """Whether a host, without port and brackets, is this machine, which is never called through a proxy."""
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified  # 0.0.0.0 and :: connect to this host
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")  # RFC 6761, section 6.3


def _is_excepted(host: str, port: int) -> bool:
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if told is None:
        return bool(proxy_bypass(host))  # what the system's own settings say
    return any(excepts(entry, host, port) for entry in re.split(r"[\s,]+", told) if entry)


def excepts(entry: str, host: str, port: int) -> bool:
    """Whether one entry of `no_proxy` names a host.

    Args:
        entry: `*`; a name, which includes the names below it, with or without `.` or `*.` in front; an address; or a network
            (`10.0.0.0/8`, `fd00::/8`). An IPv6 address may have brackets, and all but `*` a port (`host:8080`).
        host: without brackets.
        port: where it would be connected to.
    """
    if entry == "*":
        return True
    found = _ENTRY.match(entry)
    if found is None or (found["port"] is not None and int(found["port"]) != port):
        return False
    named = found["plain"] if found["bracketed"] is None else found["bracketed"]
    address = _address(host)
    if address is None:
        return found["length"] is None and _is_below(_name(host), _name(named))
    return _holds(named, found["length"], address)


def _holds(named: str, length: str | None, address: _Address) -> bool:
    """Whether an address, or a network, has another address; one without a zone stands for that of each zone."""
    wanted, _, zone = named.replace("%25", "%").partition("%")
    if zone and zone != getattr(address, "scope_id", None):
        return False
    known, bare = _address(wanted), _address(str(address).partition("%")[0])
    if known is None or bare is None or known.version != bare.version:
        return False
    try:
        return bare in ipaddress.ip_network(f"{known}{length or ''}", strict=False)
    except ValueError:  # a length that there is not
        return False


def _address(host: str) -> _Address | None:
    """The address that a host spells, also as `127.1` or `0x7f.1`, which connect takes for one; None for a name."""
    try:
        address = ipaddress.ip_address(host.replace("%25", "%"))
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host)) if host.isascii() and " " not in host else None
        except (OSError, ValueError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(host: str) -> str:
    """A name as it is compared: small letters, without the dots at its ends, in the form that the DNS knows."""
    name = host.lower().removeprefix("*").strip(".")
    try:
        return name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return name


def _is_below(host: str, name: str) -> bool:
    return bool(name) and (host == name or host.endswith(f".{name}"))
