"""Which proxy the client uses for a URL, by the environment.

Owns how `no_proxy` is read, in every form that curl, Go or Python accepts, and the rule that this machine is never called through
a proxy. (requests reads IPv4 networks only, and treats `notexample.com` as part of `example.com`.) It opens no socket.
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
    """Return the proxies for a URL by scheme, as requests takes them; empty to connect directly."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # the request will fail with the reason
        return {}
    return {} if is_this_machine(host) or _is_excepted(host, port) else getproxies()


def is_this_machine(host: str) -> bool:
    """Return whether a host, without port and brackets, is this machine, in any form that `connect` accepts."""
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified  # 0.0.0.0 and :: connect to this host
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")  # RFC 6761, section 6.3


def _is_excepted(host: str, port: int) -> bool:
    entries = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if entries is None:
        return bool(proxy_bypass(host))  # by the system's settings, on macOS and Windows
    return any(excepts(entry, host, port) for entry in re.split(r"[\s,]+", entries) if entry)


def excepts(entry: str, host: str, port: int) -> bool:
    """Return whether one entry of `no_proxy` includes a host.

    Args:
        entry: `*` for any host; a name, which includes its subdomains, optionally after `.` or `*.`; an address; or a network
            (`10.0.0.0/8`, `fd00::/8`). An IPv6 address may have brackets. Each but `*` may have a port (`host:8080`).
        host: the host, without brackets.
        port: the port to connect to.
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
    """Return whether a network, or an address, includes another address; without a zone it includes that of each zone."""
    wanted, _, zone = named.replace("%25", "%").partition("%")
    if zone and zone != getattr(address, "scope_id", None):
        return False
    known, bare = _address(wanted), _address(str(address).partition("%")[0])
    if known is None or bare is None or known.version != bare.version:
        return False
    try:
        return bare in ipaddress.ip_network(f"{known}{length or ''}", strict=False)
    except ValueError:  # no network has this length
        return False


def _address(host: str) -> _Address | None:
    """Parse an address, also in the forms that `connect` accepts, as `127.1` or `0x7f.1`; None for a name."""
    try:
        address = ipaddress.ip_address(host.replace("%25", "%"))
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host)) if host.isascii() and " " not in host else None
        except (OSError, ValueError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(host: str) -> str:
    """Normalize a name for comparison: lower case, no dot at either end, in the DNS's own form (IDNA)."""
    name = host.lower().removeprefix("*").strip(".")
    try:
        return name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return name


def _is_below(host: str, name: str) -> bool:
    return bool(name) and (host == name or host.endswith(f".{name}"))
