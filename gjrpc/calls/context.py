"""The caller of the current call, for methods: `from gjrpc import context; context.caller`.

Owns the caller of the current call, and the peer on its connection. The caller is the same in everything that runs for the call:
the entries of a batch, and a method in a thread. Without authentication it is not set. It knows neither requests nor credentials.
"""

from contextvars import ContextVar
from typing import Any

from gjrpc.calls.method import Method
from gjrpc.calls.rights import Caller

caller: str | None
"""The name of the caller; None without authentication."""

_current: ContextVar[Caller | None] = ContextVar("gjrpc.caller", default=None)

current = _current.get
"""Return the caller of this call; None without authentication."""

enter = _current.set
"""Begin a request of this caller; pass what it returns to `leave`."""

leave = _current.reset
"""End a request: the thread or greenlet may serve another caller next."""

_peer: ContextVar[Any] = ContextVar("gjrpc.peer", default=None)

peer = _peer.get
"""Return the peer on the connection, a `gjrpc.http.peer.Peer`, in a blocking method on gjrpc's own server; else None."""

set_peer = _peer.set
"""Set the peer, in a context that belongs to one call."""


def permits(method: Method) -> bool:
    """Whether the caller may call this method; without authentication, all of them."""
    calling = current()
    return calling is None or calling.may_call(method.name, method.options.scope)


def __getattr__(name: str) -> Any:
    if name != "caller":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    calling = current()
    return None if calling is None else calling.name
