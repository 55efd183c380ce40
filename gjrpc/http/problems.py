"""Errors as HTTP responses: the only place where an error becomes a status, a title, headers and a body.

`gjrpc.calls.disclosure` checks what an error carries. This module knows no request.
"""

from collections.abc import Iterable
from typing import Any

from gjrpc import errors
from gjrpc.calls import disclosure
from gjrpc.calls.disclosure import ErrorParts
from gjrpc.calls.options import DeclaredError
from gjrpc.errors import CallError, Unauthorized
from gjrpc.http.messages import Headers, Response, reason_phrase
from gjrpc.http.wsgi_answers import check_fields
from gjrpc.texts import excerpt
from gjrpc.values import codec

MEDIA_TYPE = "application/problem+json"
"""The content type of a problem (RFC 9457, section 3)."""

PROBLEM: Headers = (("Content-Type", MEDIA_TYPE),)

BEARER = 'Bearer realm="gjrpc"'
"""The challenge for bearer tokens (RFC 6750, section 3)."""


class Unauthenticated(Unauthorized):
    """Credentials are missing or wrong.

    Args:
        message: what is wrong with them.
        challenges: the values of `WWW-Authenticate` (RFC 9110, section 11.6.1).
    """

    def __init__(self, message: str, challenges: Iterable[str]) -> None:
        super().__init__(message)
        self.challenges = challenges


class Throttled(Unauthorized):
    """Too many logins from the client's address have failed.

    Args:
        message: what happened.
        retry_after: seconds until another attempt makes sense.
    """

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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
    Throttled: 429,
    errors.InternalError: 500,
    errors.CallError: 500,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
}
"""The HTTP status of each class of error. A subclass inherits from its nearest ancestor; an error's own `status` overrides it."""


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

    401 needs a challenge (15.5.2), 405 the allowed methods (15.5.6), 415 the supported codings (15.5.16). 503 may say when to
    retry (15.6.4), and so may 429 (RFC 6585, section 4).
    """
    if isinstance(error, Unauthenticated):
        # Each challenge has its own header line: some clients can't split several in one line.
        return tuple(("WWW-Authenticate", challenge) for challenge in error.challenges)
    if isinstance(error, errors.VerbNotAllowed):
        return (("Allow", error.allow),)
    if isinstance(error, errors.UnsupportedCoding):
        return (("Accept-Encoding", "identity"),)
    if status == 401:
        return (("WWW-Authenticate", BEARER),)
    if isinstance(error, (errors.Overloaded, Throttled)) and (seconds := error.retry_after) is not None:
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
