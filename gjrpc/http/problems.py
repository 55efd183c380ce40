"""An error as an HTTP response: *the* table from error to status, and the one place where an error gets its headers and its body.

`told` checks what an error carries when it is written; `convention` writes the body. It knows no request.
"""

from gjrpc import convention, errors, told
from gjrpc.answers import check_fields
from gjrpc.errors import CallError
from gjrpc.guard import Refused
from gjrpc.messages import Headers, Response
from gjrpc.method import DeclaredError

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
"""The HTTP status of each class of error; a subclass inherits its nearest ancestor's, an error's own `status` overrides it."""


def status_of(error: DeclaredError) -> int:
    """The HTTP status of an error, or of a class of errors."""
    return error.status or _default_status(error if isinstance(error, type) else type(error))


def _default_status(kind: type[CallError]) -> int:
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def refusal(error: CallError, method: str | None = None) -> Response:
    """An error as a response: the one place where an error gets its status, headers and problem body."""
    try:
        parts = told.read(error)
        status = parts.status or _default_status(type(error))
        headers = check_fields(_headers(status, error))
    except BaseException as cause:  # noqa: BLE001  what an error carries is an application's to say, and it can be anything
        unsendable = told.unsendable(cause)
        parts, status, headers = told.read(unsendable), status_of(unsendable), ()
    return Response(status, convention.problem(status, parts, method), convention.PROBLEM + headers)


def _headers(status: int, error: CallError) -> Headers:
    """Return the headers that RFC 9110 asks for with a status.

    401 names a challenge (15.5.2), 405 the allowed methods (15.5.6), 415 the codings (15.5.16), 503 may say when to come back
    (15.6.4).
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
