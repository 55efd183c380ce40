"""Where a server listens: `HOST:PORT`, `[IPv6]:PORT`, `unix:PATH`.

Owns the reading of such an address and the socket made of it. It knows no application.
"""

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from gjrpc.errors import SettingsError
from gjrpc.origins import is_loopback

_FORM = "expected HOST:PORT, [IPv6]:PORT or unix:PATH"


@dataclass(frozen=True)
class Address:
    """A place to listen: either a host and port, or the path of a Unix socket.

    Attributes:
        host: a name or an IP address without brackets; "" for all addresses.
        port: 0 to 65535; 0 lets the kernel choose.
        path: of a Unix socket, instead of host and port.
    """

    host: str = ""
    port: int = 0
    path: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.path is not None or is_loopback(self.host)


def parse(text: str) -> Address:
    """Read an address.

    Raises:
        SettingsError: it has none of the three forms.
    """
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise SettingsError(f"bind {text!r}: the path is missing; {_FORM}")
        return Address(path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535 or (":" in host and not bracketed):
        raise SettingsError(f"bind {text!r}: {_FORM}")
    return Address(host[1:-1] if bracketed else host, int(port))


def listen(address: Address, backlog: int) -> socket.socket:
    """Make a listening socket.

    Raises:
        SettingsError: the address is taken, not this machine's, or not allowed; the text says what to do.
    """
    try:
        return _listen_unix(address.path, backlog) if address.path is not None else _listen_tcp(address, backlog)
    except OSError as error:
        where = f"unix:{address.path}" if address.path is not None else f"{address.host or '*'}:{address.port}"
        raise SettingsError(f"can't listen on {where}: {_reason(error)}; choose another with --bind") from error


def _listen_tcp(address: Address, backlog: int) -> socket.socket:
    # All addresses: an IPv6 socket that takes IPv4 too, where there is IPv6.
    dual = not address.host and socket.has_dualstack_ipv6()
    host = address.host or ("::" if dual else "0.0.0.0")  # noqa: S104  asked for by an empty host
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # "localhost" means 127.0.0.1 where there is a choice: that is what curl and browsers fall back to.
    family, _, _, _, place = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0]
    return socket.create_server(place[:2], family=family, backlog=backlog, dualstack_ipv6=dual)


def _listen_unix(path: str, backlog: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        listener.bind(path)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that is gone; whatever else is there stays."""
    if not os.path.exists(path) or not stat.S_ISSOCK(os.stat(path).st_mode):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) != 0:
            Path(path).unlink()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
