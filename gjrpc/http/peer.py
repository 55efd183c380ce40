"""Who is at the other end of a connection, as far as the connection itself says.

Owns what a server must know of its clients. It knows no header: what a client claims about itself is not here.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Peer(Protocol):
    """Whoever is at the other end of the wire."""

    @property
    def peer(self) -> str:
        """Its address, without port."""
        ...

    @property
    def client_address(self) -> Any:
        """Its socket address: `(host, port)`, or a text for a Unix socket."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process, if the kernel tells: on a Unix socket, on the same host."""
        ...

    @property
    def scheme(self) -> str:
        """The scheme it uses: `https` over TLS, else `http`."""
        ...

    @property
    def server_hosts(self) -> frozenset[str]:
        """The hosts that the server answers for if the application leaves that to it; empty for any."""
        ...

    @property
    def server_ready(self) -> bool:
        """Whether the server that received the request accepts new calls; False once it has begun to stop."""
        ...

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """Its certificate, as `ssl.SSLSocket.getpeercert` gives it, or None; it is known to be signed by who may."""
        ...


def peer_name(address: Any) -> str:
    """The host of a socket address; `unix` where there is none."""
    return str(address[0]) if isinstance(address, tuple) else "unix"
