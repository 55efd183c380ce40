"""Who may send a request: the checks of its host, its origin and its caller.

Owns the order of these checks. `gjrpc.auth.origins` knows which hosts and origins are allowed, the guard knows the credentials.
It knows no method.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from gjrpc.app.options import Options
from gjrpc.auth.guard import AnonymousGuard, Guard, Offload
from gjrpc.auth.origins import OriginPolicy, is_probe, preflight
from gjrpc.calls import context
from gjrpc.errors import CallError
from gjrpc.http.messages import Head, Headers, Request, Response
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal

T = TypeVar("T")

Handle: TypeAlias = Callable[[Request, Peer | None], Response]
"""Answers a request that was admitted."""

_NO_HOSTS: frozenset[str] = frozenset()


class Admission:
    """Admits requests to one application.

    Args:
        options: the application's: allowed hosts and origins, and how to find the client's scheme.
        guard: authenticates the callers, or None.
        offload: runs a long computation, such as a password check, where it blocks no other request.

    Attributes:
        cors_headers: returns the CORS headers of an answer to a page of an origin, or of none.
    """

    __slots__ = ("_guard", "_offload", "_policy", "_scheme_of", "cors_headers")

    def __init__(self, options: Options, guard: Guard | AnonymousGuard | None, offload: Offload) -> None:
        self._policy = OriginPolicy(options.allowed_hosts, options.allowed_origins)
        self._guard = guard
        self._offload = offload
        self._scheme_of = options.scheme_of
        self.cors_headers: Callable[[str | None], Headers] = self._policy.cors_headers

    @property
    def server_decides_hosts(self) -> bool:
        """Whether the server decides which hosts to answer for."""
        return self._policy.server_decides_hosts

    def guards_hosts(self, peer: Peer | None) -> bool:
        """Whether requests of this peer for other hosts are refused."""
        return self._policy.guards_hosts(_server_hosts(peer))

    def trust(self, scheme_of: Callable[[Peer, Head], str]) -> None:
        """Trust the proxies in front to report a client's scheme, unless the options said how to find it."""
        self._scheme_of = self._scheme_of or scheme_of

    def answer(self, request: Request, peer: Peer | None, handle: Handle) -> Response:
        """Check a request, and answer it by `handle`, as its caller.

        Raises:
            Misdirected: it is for a host that this application does not answer for.
            Forbidden: a web page that may not call has sent it.
            Refused: its credentials are missing or wrong.
        """
        head, policy = request.head, self._policy
        policy.check_host(head, _server_hosts(peer))
        if head.origin is not None or head.site is not None:
            policy.check_page(head, self._scheme(head, peer))
            if head.origin is not None and policy.allows(head.origin) and (asked := preflight(head)):
                return Response(204, headers=asked)
        if self._guard is None or is_probe(head):
            return handle(request, peer)
        return self.answer_as_caller(self._guard, handle, request, peer)

    def answer_as_caller(self, guard: Guard | AnonymousGuard, handle: Handle, request: Request, peer: Peer | None) -> Response:
        """Authenticate the caller of a request, and answer it by `handle`.

        Raises:
            Refused: the credentials are missing or wrong.
        """
        caller = guard.authenticate(request.head, peer, self._offload)
        entered = context.enter(caller)
        try:
            response = handle(request, peer)
        except CallError as error:
            response = refusal(error)
        finally:
            context.leave(entered)
        return response.with_caller(caller.name)

    def depends_on_page(self, head: Head) -> bool:
        """Whether the answer depends on the web page that caused the request, so that each request must be checked."""
        return head.origin is not None or head.site is not None or self._policy.has_allowed_origins

    def with_cors_headers(self, response: Response, head: Head) -> Response:
        """Return the response with the headers by which a web page of a listed origin may read it."""
        return response.with_headers(self.cors_headers(head.origin)) if self._policy.has_allowed_origins else response

    def _scheme(self, head: Head, peer: Peer | None) -> str:
        """The client's scheme."""
        if peer is None:
            return "http"
        return peer.scheme if self._scheme_of is None else self._scheme_of(peer, head)


def _server_hosts(peer: Peer | None) -> frozenset[str]:
    return _NO_HOSTS if peer is None else peer.server_hosts
