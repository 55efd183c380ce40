"""Answers that are not results: error statuses, problem bodies, redirects, and bytes that are not the expected JSON.

Owns how an error answer becomes a `RemoteError`, and the sentences about an answer that can't be used. It knows no connection,
and not which call was sent beyond its name and id.
"""

from typing import Any

import requests

from gjrpc.client.urls import redacted_body, redirect_target
from gjrpc.errors import ClientError, ParseError, RemoteError, WireError
from gjrpc.values import codec

_EXCERPT = 200  # bytes of a body that an error quotes


def check_status(name: str, response: requests.Response, request_id: int | None = None) -> None:
    """Raise the error that the status of an answer means.

    Args:
        name: the method, or the URL of a document; each error begins with it.
        response: the answer.
        request_id: the id of the call, if it was JSON-RPC 2.0: an error object in the body must have the same.

    Raises:
        RemoteError: the status is 400 or higher.
        WireError: the server redirects to another URL, or sent the error of another call.
    """
    if response.status_code >= 400:
        raise _error_answer(name, response.status_code, response.reason, redacted_body(response), request_id)
    if 300 <= response.status_code < 400:
        raise WireError(
            f"{name}: HTTP {response.status_code} redirects to {redirect_target(response)!r}; the client follows no redirects: "
            "give it the final URL"
        )


def decoded(name: str, response: requests.Response, expected: str, request_id: int | None = None) -> Any:
    """Return the JSON in the body of an answer that is not an error.

    Args:
        name, request_id: as for `check_status`.
        expected: what the body should be, for the error that says it is not.

    Raises:
        RemoteError, WireError: as for `check_status`; a WireError too if the body is not JSON.
    """
    check_status(name, response, request_id)
    try:
        return codec.decode_unlimited(response.content)  # the caller chose the server
    except ParseError as error:
        raise WireError(f"{name}: expected {expected}, got {described(response)} ({error})") from error


def described(response: requests.Response) -> str:
    """Describe an answer in an error: its status, and the beginning of its body."""
    return f"HTTP {response.status_code} with {_excerpt(redacted_body(response))}"


def error_object(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error object of a JSON-RPC 2.0 response object (section 5.1 of its specification), or None."""
    error = answer.get("error")
    return error if type(error) is dict and type(error.get("code")) is int else None


def remote_error(name: str, error: dict[str, Any], status: int) -> RemoteError:
    """Turn an error object (section 5.1) into an exception."""
    data = error.get("data")
    ref = data.get("ref") if type(data) is dict else None
    known = ref if isinstance(ref, str) else None
    return RemoteError(str(error.get("message")), status=status, method=name, ref=known, data=data, code=error["code"])


def is_error_for(answer: dict[str, Any], request_id: int | None) -> bool:
    """Return whether an error is for this call: its id is the call's, or null, if the server could not read it (section 5)."""
    given = answer.get("id")
    return given is None or same_id(given, request_id)


def same_id(given: Any, request_id: int | None) -> bool:
    """Return whether an answer has the id of a call; a notification has none."""
    return given is None if request_id is None else is_id(given) and given == request_id


def is_id(value: Any) -> bool:
    """Return whether a value can be an id that this client sent: an integer, which some servers return as `1.0`."""
    return type(value) is int or type(value) is float


def not_a_response(name: str, answer: Any, request_id: int | None) -> WireError:
    """Return the error for JSON that is not the response object of this call."""
    wanted = "" if request_id is None else f" with the id {request_id}"
    return WireError(f"{name}: expected a JSON-RPC 2.0 response object{wanted}, got {answer!r:.200}")


def _excerpt(body: bytes) -> str:
    text = body[:_EXCERPT].decode(errors="replace")
    return f"{text!r}{'…' if len(body) > _EXCERPT else ''}" if body else "an empty body"


def _error_answer(name: str, status: int, reason: str | None, body: bytes, request_id: int | None) -> ClientError:
    """Read the body of an error: a problem (RFC 9457, section 3), an error object, or any page that a proxy sent."""
    problem = _object(body)
    error = error_object(problem)
    if error is not None and problem.get("jsonrpc") == "2.0":  # some servers send JSON-RPC errors with an HTTP error status
        ours = is_error_for(problem, request_id)
        return remote_error(name, error, status) if ours else not_a_response(name, problem, request_id)
    detail, method, ref = problem.get("detail", problem.get("title")), problem.get("method"), problem.get("ref")
    if not isinstance(detail, str):
        return RemoteError(f"{reason or 'no reason given'}, with {_excerpt(body)}", status=status, method=name)
    return RemoteError(
        detail,
        status=status,
        method=method if isinstance(method, str) else name,
        ref=ref if isinstance(ref, str) else None,
        data=problem.get("data"),
    )


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, or an empty one."""
    try:
        value = codec.decode_unlimited(body)
    except ParseError:
        return {}
    return value if isinstance(value, dict) else {}
