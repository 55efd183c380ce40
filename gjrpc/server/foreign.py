"""Any WSGI callable that is not an `Application`: what it is given (PEP 3333), and how it is run.

Owns the environ and the run of the callable. `wsgi_response` has its response, and `http1` the order of requests.
"""

import time
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from gjrpc.calls.disclosure import DETAILS, internal_error
from gjrpc.http.access_log import Answered
from gjrpc.http.messages import Head, Headers, Request, Response
from gjrpc.http.problems import refusal
from gjrpc.server.gevent_runtime import passes
from gjrpc.server.output import GoneError, Progress
from gjrpc.server.responders import Connected
from gjrpc.server.shared import Shared
from gjrpc.server.wsgi_response import WsgiResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def run(application: "WSGIApplication", environ: dict[str, Any], response: WsgiResponse) -> None:
    """Run a WSGI callable (PEP 3333, "The Server/Gateway Side").

    Raises:
        AnswerError: its response can't be sent.
        GoneError: the client is gone.
        BaseException: whatever the callable raises.
    """
    result = application(environ, response.start_response)
    try:
        if isinstance(result, (list, tuple)):
            response.write_whole(result)
        else:
            for piece in result:
                if piece:  # "don't send headers until body appears"
                    response.write(piece)
            response.end()
    finally:
        if hasattr(result, "close"):
            result.close()


class ForeignResponder:
    """Answers through a WSGI callable.

    Args:
        application: the callable.
        shared: what the connections share.
        base: returns the part of the environ that is the same for all requests, as a new dictionary.
    """

    def __init__(self, application: "WSGIApplication", shared: Shared, base: Callable[[], dict[str, Any]]) -> None:
        self._application = application
        self._shared = shared
        self._base = base

    def answer(self, request: Request, keep_alive: bool, connection: Connected) -> bool:
        """Answer through the callable; whatever it raises or returns becomes a response."""
        start = time.perf_counter()
        head, address, output = request.head, connection.client_address, connection.output
        response = WsgiResponse(head, keep_alive, self._shared, output)
        size, status = 0, 0
        try:
            run(self._application, environ_of(request, address, self._base()), response)
            output.progress = Progress.WHOLE
        except GoneError:
            raise
        except BaseException as error:
            if passes(error):
                raise
            refused = internal_error("the application failed", error, pointer=DETAILS)
            response.keep_alive = False
            if output.progress is Progress.NONE:
                problem = refusal(refused)
                status, size = problem.status, len(problem.body)
                output.respond(problem, False, head)
        if self._shared.access_log is not None:
            answered = Answered(address, head, status or response.status, size or response.size, time.perf_counter() - start)
            self._shared.access_log.write(answered)
        if output.progress is Progress.WHOLE:
            output.progress = Progress.NONE
        return response.keep_alive

    def admit(self, head: Head, connection: Connected) -> Response | None:
        """Let every body come: what the callable accepts is its own decision."""
        return None

    def cors_headers(self, origin: str | None) -> Headers:
        """Return no header: which origins the callable trusts is its own decision."""
        return ()


def environ_of(request: Request, address: Any, environ: dict[str, Any]) -> dict[str, Any]:
    """Fill in the environ for a request (PEP 3333, "environ Variables").

    Args:
        request: the request.
        address: the client's socket address.
        environ: what is the same for all requests.
    """
    head = request.head
    path, _, query = head.target.partition("?")
    environ.update(
        REQUEST_METHOD=head.verb,
        PATH_INFO=unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        QUERY_STRING=query,
        REQUEST_URI=head.target,
        SERVER_PROTOCOL=f"HTTP/{head.version[0]}.{head.version[1]}",
    )
    if isinstance(address, tuple):
        environ.update(REMOTE_ADDR=address[0], REMOTE_PORT=str(address[1]))
    _add_headers(environ, head)
    # The body is here without its transfer coding, so its length is known whatever was announced.
    for name in ("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
        environ.pop(name, None)
    if "HTTP_CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    if request.body or head.get("content-length") is not None:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    environ["wsgi.input"] = BytesIO(request.body)
    environ["wsgi.input_terminated"] = True
    return environ


def _add_headers(environ: dict[str, Any], head: Head) -> None:
    for name, value in head.headers:
        key = "HTTP_" + name.upper().replace("-", "_")
        separator = "; " if name == "cookie" else ","
        environ[key] = environ[key] + separator + value if key in environ else value
