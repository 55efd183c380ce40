"""Errors as HTTP responses: the only place where an error becomes a status, a title, headers and a body.

`gjrpc.calls.disclosure` checks what an error carries. This module knows no request.
"""

from typing import Any

from gjrpc import errors
from gjrpc.calls import disclosure
from gjrpc.calls.disclosure import ErrorParts
from gjrpc.calls.options import DeclaredError
from gjrpc.errors import CallError, Unauthorized
from gjrpc.http.wsgi_answers import check_fields
from gjrpc.http.messages import Headers, Response, reason_phrase
from gjrpc.texts import excerpt
from gjrpc.values import codec

PROBLEM: Headers = (("Content-Type", "application/problem+json"),)
"""RFC 9457, section 3."""

STATUS: dict[type[CallError], int] = {
    errors.ParseError: 400,
    errors.InvalidRequest: 400,
    errors.InvalidArguments: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.MethodNotFound: 404,
    errors.VerbNotAllowed: 405,
    errors.TooLarge: 413,
    errors.UnsupportedCoding: 415,
    errors.Misdirected: 421,
    errors.InternalError: 500,
    errors.CallError: 500,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
}
"""The HTTP status of each class of error. A subclass inherits from its nearest ancestor; an error's own `status` overrides it."""


class Refused(Unauthorized):
    """Credentials are missing or wrong; carries the headers of the answer."""

    def __init__(self, message: str, headers: Headers, status: int = 401) -> None:
        super().__init__(message, status=status)
        self.headers = headers


def status_of(error: DeclaredError) -> int:
    """Return the HTTP status of an error, or of a class of errors."""
    return error.status or _default_status(error if isinstance(error, type) else type(error))


def _default_status(kind: type[CallError]) -> int:
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def refusal(error: CallError, method: str | None = None) -> Response:
    """Return the response to a request that failed with this error; `method` is the called method's name, if known."""
    try:
        parts = disclosure.error_parts(error)
        status = parts.status or _default_status(type(error))
        headers = check_fields(_headers(status, error))
    except BaseException as cause:  # noqa: BLE001  an application decides what its errors carry, and that can raise anything
        unsendable = disclosure.unsendable_error(cause)
        parts, status, headers = disclosure.error_parts(unsendable), status_of(unsendable), ()
    return Response(status, body(status, parts, method), PROBLEM + headers)


def _headers(status: int, error: CallError) -> Headers:
    """Return the headers that RFC 9110 requires with a status.

    401 needs a challenge (15.5.2), 405 the allowed methods (15.5.6), 415 the supported codings (15.5.16), and 503 may say when to
    retry (15.6.4).
    """
    if isinstance(error, Refused):
        return error.headers
    if isinstance(error, errors.VerbNotAllowed):
        return (("Allow", error.allow),)
    if isinstance(error, errors.UnsupportedCoding):
        return (("Accept-Encoding", "identity"),)
    if status == 401:
        return (("WWW-Authenticate", 'Bearer realm="gjrpc"'),)
    if isinstance(error, errors.Overloaded) and (seconds := error.retry_after) is not None:
        return (("Retry-After", format(seconds, "d")),)
    return ()


def body(status: int, error: ErrorParts, method: str | None = None) -> bytes:
    """Return an error as a problem object in JSON (RFC 9457, section 3.1)."""
    fields: dict[str, Any] = {"type": "about:blank", "title": reason_phrase(status), "status": status, "detail": error.message}
    if method is not None:
        fields["method"] = excerpt(method)
    if error.ref is not None:
        fields["ref"] = error.ref
    if error.data is not None:
        fields["data"] = error.data
    return codec.encode(fields)
