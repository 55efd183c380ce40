"""The interface of a dialect: a protocol whose messages are sent to `POST /`.

Owns what a dialect must do. Protocols with a path of their own are pages (`pages`).
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from gjrpc.calls.dispatch import Dispatcher
from gjrpc.errors import CallError
from gjrpc.http.messages import Request, Response


@runtime_checkable
class Dialect(Protocol):
    """Recognizes the messages of one protocol, and answers them.

    The application tries one dialect after the other until one returns a response: first those of `Application(dialects=…)`, then
    JSON-RPC 2.0, then the native dialect, which answers every message.
    """

    def answer(self, message: Any, request: Request) -> Response | None:
        """Return the response to a message, or None if the message is not of this dialect.

        Args:
            message: the decoded body.
            request: the request that brought it, for its headers.
        """
        ...

    def answer_malformed(self, request: Request, error: CallError) -> Response | None:
        """Return the response to a body that is not JSON or beyond a limit, or None if it was not meant for this dialect.

        Args:
            request: the request that brought it.
            error: what is wrong with the body.
        """
        ...


DialectFactory: TypeAlias = Callable[[Dispatcher], Dialect]
"""Makes a dialect, given the dispatcher that runs its calls; a class with the dispatcher as its only argument will do."""
