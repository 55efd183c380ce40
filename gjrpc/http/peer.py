"""The client at the other end of a connection, as the connection itself shows it.

Owns what a server must report of its clients. It knows no header, because a client can claim anything in one.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Peer(Protocol):
    """The client at the other end of a connection."""

    @property
    def client_host(self) -> str:
        """Its address without the port, or `unix` for a Unix socket."""
        ...

    @property
    def client_address(self) -> Any:
        """Its socket address: `(host, port)`, or a string for a Unix socket."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process ID, or None; the kernel reports it only on a Unix socket."""
        ...

    @property
    def scheme(self) -> str:
        """The scheme it uses: `https` over TLS, else `http`."""
        ...

    @property
    def server_hosts(self) -> frozenset[str]:
        """The hosts that the server answers for if the application lets the server decide; empty means any."""
        ...

    @property
    def server_ready(self) -> bool:
        """Whether the server that received the request accepts new calls; False once it has begun to stop."""
        ...

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """Its verified certificate, as `ssl.SSLSocket.getpeercert` returns it, or None."""
        ...


def host_of(address: Any) -> str:
    """Return the host of a socket address, or `unix` for a Unix socket's."""
    return str(address[0]) if isinstance(address, tuple) else "unix"
