"""What a method can learn of the call that it answers: `from gjrpc import context; context.caller`.

Owns the caller of the current call, and its connection. The caller holds in whatever runs for the call: the entries of a batch,
and a method in a thread. Where no credentials are asked for, nothing is set. It knows neither requests nor credentials.
"""

from contextvars import ContextVar
from typing import Any

from gjrpc.calls.method import Method
from gjrpc.calls.rights import Caller

caller: str | None
"""The name of who calls, or None where nobody was asked."""

_current: ContextVar[Caller | None] = ContextVar("gjrpc.caller", default=None)

current = _current.get
"""The caller of this call, or None where nobody was asked."""

enter = _current.set
"""Begin a request of this caller; `leave` takes what comes back."""

leave = _current.reset
"""End a request: a thread or greenlet may be the next caller's."""

_peer: ContextVar[Any] = ContextVar("gjrpc.peer", default=None)

peer = _peer.get
"""The peer on the connection, a `gjrpc.http.peer.Peer`: set in blocking methods on gjrpc's own server; None elsewhere."""

set_peer = _peer.set
"""Set the peer, in a context that belongs to one call."""


def permits(method: Method) -> bool:
    """Whether who asks may call this method; all of them where nobody was asked."""
    asking = current()
    return asking is None or (asking.rights.allows_name(method.name) and asking.rights.has_scope(method.options.scope))


def __getattr__(name: str) -> Any:
    if name != "caller":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    asking = current()
    return None if asking is None else asking.name
