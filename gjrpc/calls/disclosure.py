"""Decides what a client learns about an error, and what only the log gets.

Owns the moment at which an error is read to be written: an application can have put anything into it since it was made, so each
part is read once and checked here, and what can't be written becomes an internal error. Also the reference that ties an answer
to the log. It knows neither dialect nor status table.
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
"""Ends the sentence of an error about which its receiver is told no more."""

MORE = "; the server's log has more under this ref"
"""The same where what went wrong has been told already."""

SERVER_FAILED = "the server failed"
"""The sentence where neither a method nor an application is to blame."""


class ErrorParts(NamedTuple):
    """The parts of an error, each checked to be writable.

    Attributes:
        code: the JSON-RPC 2.0 code.
        message: the sentence.
        data: as JSON; None without any.
        ref: the log's reference.
        status: the HTTP status, 400 to 599; None for that of the error's class.
    """

    code: int
    message: str
    data: msgspec.Raw | None
    ref: str | None
    status: int | None


def error_parts(error: CallError) -> ErrorParts:
    """Read an error once.

    Raises:
        gjrpc.values.codec.NotJSON: its message or data can't be sent.
        TypeError, ValueError: its code, status or ref is invalid; or whatever an attribute raises.
    """
    code, message, data, ref, status = error.code, error.message, error.data, error.ref, error.status
    _check("code", isinstance(code, int) and not isinstance(code, bool), code)
    _check("message", isinstance(message, str), message)
    _check("ref", ref is None or isinstance(ref, str), ref)
    _check("status", status is None or (isinstance(status, int) and not isinstance(status, bool)), status)
    if status is not None and not 400 <= status <= 599:
        raise ValueError(f"status={int(status)}: an error's HTTP status lies between 400 and 599")
    codec.encode((message, ref))
    encoded = None if data is None else msgspec.Raw(codec.encode(data))
    return ErrorParts(int(code), message, encoded, ref, None if status is None else int(status))


def sendable_parts(error: CallError) -> ErrorParts:
    """Read an error once; if that fails, return the error that replaces it. It raises nothing."""
    try:
        return error_parts(error)
    except BaseException as cause:  # noqa: BLE001  an attribute is an application's own code, and the client gets an answer always
        return error_parts(unsendable_error(cause))


def unsendable_error(cause: BaseException, method: Method | None = None) -> InternalError:
    """The error that replaces one that can't be sent."""
    return internal_error("the error can't be sent", cause, method, pointer=DETAILS)


def internal_error(sentence: str, error: BaseException, method: Method | None = None, *, pointer: str = "") -> InternalError:
    """Log an exception under a new reference, and return the error for the client, which carries only that.

    Args:
        sentence: for the client and the log; it gives nothing away.
        error: goes to the log with its traceback.
        method: the method that raised it, if one did.
        pointer: for the client alone, which can't see the log: what is found there, `DETAILS` or `MORE`.
    """
    ref = secrets.token_hex(6)
    log.error("ref %s: %s%s%s", ref, _named(method), sentence, _remedy(error), exc_info=error)
    return InternalError(sentence + pointer, ref=ref)


def log_cause(error: CallError, cause: BaseException, method: Method) -> None:
    """Give an error a reference, under which the log has its cause."""
    error.ref = secrets.token_hex(6)
    log.warning("ref %s: %s%s", error.ref, _named(method), error.message, exc_info=cause)


def _named(method: Method | None) -> str:
    return f"method {excerpt(method.name)}: " if method else ""


def _check(name: str, fits: bool, value: Any) -> None:
    if not fits:
        raise TypeError(f"the {name} of a CallError is a {type(value).__name__}")


def _remedy(error: BaseException) -> str:
    """What the log adds if the exception alone does not say what to do.

    asyncio allows one running loop in a thread, and methods that are not blocking share a thread.
    """
    asyncio = sys.modules.get("asyncio")
    if isinstance(error, RuntimeError) and asyncio is not None and asyncio._get_running_loop() is not None:
        return " (another call runs an asyncio event loop in this thread: register methods that use asyncio with blocking=True)"
    return ""
