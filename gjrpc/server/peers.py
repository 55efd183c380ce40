"""The client at the other end of a socket, as far as the connection itself shows.

Owns the `gjrpc.http.peer.Peer` that requests of this server have. It knows no request.
"""

from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from gjrpc.http.peer import host_of
from gjrpc.server.shared import Shared
from gjrpc.server.sockets import has_left, peer_pid


class SocketPeer:
    """A client that is connected by a socket.

    Args:
        sock: the connected socket.
        address: the client's socket address.
        shared: what the connections share.

    Attributes:
        client_address: the client's socket address.
    """

    def __init__(self, sock: Any, address: Any, shared: Shared) -> None:
        self.client_address = address
        self._socket = sock
        self._shared = shared

    @property
    def client_host(self) -> str:
        """The client's address without the port, or `unix`, for logs."""
        return host_of(self.client_address)

    @property
    def pid(self) -> int | None:
        """The client's process, which the kernel reports for a Unix socket."""
        return peer_pid(self._socket)

    @property
    def scheme(self) -> str:
        """The client's scheme: `https` over TLS, else `http`."""
        return "https" if self._shared.secured else "http"

    @cached_property
    def certificate(self) -> dict[str, Any] | None:
        """The client's certificate as `ssl` returns it once it has checked it, or None."""
        return self._socket.getpeercert() or None if self._shared.secured else None

    @property
    def server_hosts(self) -> frozenset[str]:
        """The hosts that the server answers for if the application lets the server decide."""
        return self._shared.hosts

    @property
    def server_ready(self) -> bool:
        """Whether the server accepts new calls; False once it has begun to stop."""
        return not self._shared.draining

    def has_left(self) -> bool:
        """Return whether the client is gone or has shut down sending; before its call has begun, both count as gone."""
        return has_left(self._socket)

    def aside(self) -> AbstractContextManager[None]:
        """In this block, do not count its call among the calls in flight."""
        return self._shared.greenlets.aside()
