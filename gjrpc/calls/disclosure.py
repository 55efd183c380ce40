"""What a client learns about an error, and what only the log gets.

Owns the check of an error before it is sent: an application can have put anything into it, so each part is read once and checked
here, and an error that can't be sent becomes an internal error. Owns also the reference that connects an answer with the log. It
knows no dialect and no table of statuses.
"""

import logging
import secrets
import sys
from typing import Any, NamedTuple

import msgspec

from gjrpc.calls.method import Method
from gjrpc.errors import CallError, InternalError
from gjrpc.texts import excerpt
from gjrpc.values import codec

log = logging.getLogger("gjrpc.calls")

DETAILS = "; the server's log has the details under this ref"
"""The end of a sentence that tells the client nothing about the cause."""

MORE = "; the server's log has more under this ref"
"""The end of a sentence that names the cause already."""

SERVER_FAILED = "the server failed"
"""The sentence for a fault that is neither in a method nor in an application."""


class ErrorParts(NamedTuple):
    """The parts of an error, each of which can be sent.

    Attributes:
        code: the JSON-RPC 2.0 code.
        message: one sentence.
        data: as JSON; None without any.
        ref: the reference in the log.
        status: the HTTP status, 400 to 599; None for the status of the error's class.
    """

    code: int
    message: str
    data: msgspec.Raw | None
    ref: str | None
    status: int | None


def error_parts(error: CallError) -> ErrorParts:
    """Read each part of an error once, and check that it can be sent.

    Raises:
        gjrpc.values.codec.NotJSON: the message or data can't be written as JSON.
        TypeError, ValueError: the code, status or ref is invalid; or whatever an attribute raises.
    """
    code, message, data, ref, status = error.code, error.message, error.data, error.ref, error.status
    _check_type("code", isinstance(code, int) and not isinstance(code, bool), code)
    _check_type("message", isinstance(message, str), message)
    _check_type("ref", ref is None or isinstance(ref, str), ref)
    _check_type("status", status is None or (isinstance(status, int) and not isinstance(status, bool)), status)
    if status is not None and not 400 <= status <= 599:
        raise ValueError(f"status={int(status)}: an error's HTTP status must be between 400 and 599")
    codec.encode((message, ref))
    encoded = None if data is None else msgspec.Raw(codec.encode(data))
    return ErrorParts(int(code), message, encoded, ref, None if status is None else int(status))


def sendable_parts(error: CallError) -> ErrorParts:
    """Return the parts of an error, or of the internal error that replaces it if it can't be sent. It raises nothing."""
    try:
        return error_parts(error)
    except BaseException as cause:  # noqa: BLE001  an attribute can run the application's code, and the client must get an answer
        return error_parts(unsendable_error(cause))


def unsendable_error(cause: BaseException, method: Method | None = None) -> InternalError:
    """Log why an error can't be sent, and return the one that replaces it."""
    return internal_error("the error can't be sent", cause, method, pointer=DETAILS)


def internal_error(sentence: str, error: BaseException, method: Method | None = None, *, pointer: str = "") -> InternalError:
    """Log an exception under a new reference, and return the error for the client, which has only the reference.

    Args:
        sentence: for the client and the log; it must not give anything away.
        error: the exception, logged with its traceback.
        method: the method that raised it, if any.
        pointer: a further part of the sentence for the client only: what the log has, `DETAILS` or `MORE`.
    """
    ref = secrets.token_hex(6)
    log.error("ref %s: %s%s%s", ref, _prefix(method), sentence, _remedy(error), exc_info=error)
    return InternalError(sentence + pointer, ref=ref)


def log_cause(error: CallError, cause: BaseException, method: Method) -> None:
    """Log the cause of an error under a new reference, and set the reference on the error."""
    error.ref = secrets.token_hex(6)
    log.warning("ref %s: %s%s", error.ref, _prefix(method), error.message, exc_info=cause)


def _prefix(method: Method | None) -> str:
    return f"method {excerpt(method.name)}: " if method else ""


def _check_type(name: str, fits: bool, value: Any) -> None:
    if not fits:
        raise TypeError(f"the {name} of a CallError is a {type(value).__name__}")


def _remedy(error: BaseException) -> str:
    """Return what the log adds if the exception does not say what to do.

    asyncio allows one running loop per thread, and methods that are not blocking share a thread.
    """
    asyncio = sys.modules.get("asyncio")
    if isinstance(error, RuntimeError) and asyncio is not None and asyncio._get_running_loop() is not None:
        return " (another call runs an asyncio event loop in this thread: register methods that use asyncio with blocking=True)"
    return ""
