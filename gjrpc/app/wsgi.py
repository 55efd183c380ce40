"""The WSGI door (PEP 3333): an application as a callable of an environ and `start_response`.

Owns the order in which a request is checked, read and answered there; `environ` reads it. It knows no method.
"""

from typing import TYPE_CHECKING, Protocol

from gjrpc.app.environ import EnvironPeer, may_have_body, read_body, read_head
from gjrpc.errors import CallError
from gjrpc.http.messages import WITHOUT_BODY, Head, Request, Response, reason_phrase
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Responder(Protocol):
    """What answers requests: an `Application`."""

    @property
    def max_body(self) -> int:
        """Bytes that a request's body may have."""
        ...

    def admit(self, head: Head, peer: Peer | None = None) -> Response | None:
        """Refuse a request if its head alone is reason enough; otherwise return None: its body may be read."""
        ...

    def respond(self, request: Request, peer: Peer | None = None) -> Response:
        """Answer a request."""
        ...

    def with_cors_headers(self, response: Response, head: Head) -> Response:
        """Return a refusal with the headers by which a web page may read it."""
        ...


def answer(application: Responder, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """Answer the request of an environ."""
    head, peer = read_head(environ), EnvironPeer(environ)
    response = application.admit(head, peer) if may_have_body(environ) else None
    if response is None:
        try:
            body = read_body(environ, application.max_body)
        except CallError as error:
            response = application.with_cors_headers(refusal(error), head)
        else:
            response = application.respond(Request(head, body), peer)
    headers = list(response.headers)
    if response.status not in WITHOUT_BODY:
        headers.append(("Content-Length", str(len(response.body))))
    start_response(f"{response.status} {reason_phrase(response.status)}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]
