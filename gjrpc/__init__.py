"""gjrpc puts plain Python functions on HTTP.

Owns the public names. Each is loaded on first use, so that `import gjrpc` alone imports nothing: if `ssl` is imported (as
`requests` does) before gevent patches the standard library, TLS breaks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gjrpc._version import __version__

if TYPE_CHECKING:
    from gjrpc.app.application import Application as Application
    from gjrpc.calls import context as context
    from gjrpc.calls.registry import Registry as Registry
    from gjrpc.client.client import Client as Client
    from gjrpc.compat import HTTPError as HTTPError
    from gjrpc.compat import SimpleTCPClient as SimpleTCPClient
    from gjrpc.compat import SimpleTCPDispatcher as SimpleTCPDispatcher
    from gjrpc.compat import SimpleTCPRequestHandler as SimpleTCPRequestHandler
    from gjrpc.compat import SimpleTCPServer as SimpleTCPServer
    from gjrpc.compat import URLError as URLError
    from gjrpc.errors import CallError as CallError
    from gjrpc.errors import ClientError as ClientError
    from gjrpc.errors import GjrpcError as GjrpcError
    from gjrpc.errors import MisuseError as MisuseError
    from gjrpc.errors import RegistrationError as RegistrationError
    from gjrpc.errors import RemoteError as RemoteError
    from gjrpc.errors import WireError as WireError
    from gjrpc.server.server import Server as Server

_HOMES = {
    "errors": (
        "CallError",
        "ClientError",
        "GjrpcError",
        "MisuseError",
        "RegistrationError",
        "RemoteError",
        "WireError",
    ),
    "calls.registry": ("Registry",),
    "app.application": ("Application",),
    "server.server": ("Server",),
    "client.client": ("Client",),
    "compat": (
        "HTTPError",
        "SimpleTCPClient",
        "SimpleTCPDispatcher",
        "SimpleTCPRequestHandler",
        "SimpleTCPServer",
        "URLError",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604  the names are strings, built from the table above


def __getattr__(name: str) -> Any:
    if name == "context":  # a module, for `gjrpc.context.caller` in a method
        return import_module("gjrpc.calls.context")
    if name not in _HOME:
        raise AttributeError(f"module 'gjrpc' has no attribute {name!r}")
    value = getattr(import_module(f"gjrpc.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
