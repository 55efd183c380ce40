"""How the client writes a call and reads its answer, in either dialect.

Owns both forms as a client sees them, and every sentence about an answer that is none. It knows no connection: bytes go out, a
response of requests comes in. `gjrpc.app` is the server's side.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import requests

from gjrpc.client.urls import redirected, without_query
from gjrpc.errors import ClientError, MisuseError, ParseError, RemoteError, WireError
from gjrpc.values import codec
from gjrpc.values.typed_decoder import members

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""What a method is called with, by position and by name."""


class Written(NamedTuple):
    """A call, ready to be sent.

    Attributes:
        body: its bytes.
        id: the id that its answer must have, or None if answers have none.
    """

    body: bytes
    id: int | None = None


class Dialect(Protocol):
    """A way to write calls and to read answers."""

    def write(self, name: str, arguments: Arguments) -> Written:
        """Write a call.

        Raises:
            MisuseError: the name or the arguments can't be sent.
        """
        ...

    def read(self, name: str, response: requests.Response, request_id: int | None) -> Any:
        """Return the result from the answer to the call with this id.

        Raises:
            RemoteError: it is an error.
            WireError: it is not an answer to the call.
        """
        ...

    def result_text(self, name: str, response: requests.Response) -> bytes:
        """Return the result of a checked answer as JSON text, with all digits of its numbers."""
        ...


class Native:
    """`{"NAME": ARGS}`, with the HTTP status as the error's kind."""

    def write(self, name: str, arguments: Arguments) -> Written:
        """Write a call; no arguments are `[]`, which can't be mistaken for a value."""
        return Written(_encode(name, {name: _params(name, arguments)}))

    def read(self, name: str, response: requests.Response, request_id: int | None = None) -> Any:
        """The result in an answer."""
        expected = f'HTTP 200 with {{"{name}": RESULT}}'
        message = _message(name, response, expected)
        if response.status_code == 200 and type(message) is dict and len(message) == 1 and name in message:
            return message[name]
        raise WireError(f"{name}: expected {expected}, got {_shown(response)}")

    def result_text(self, name: str, response: requests.Response) -> bytes:
        """The result as JSON text."""
        return bytes(members(response.content)[name])


class JSONRPC:
    """JSON-RPC 2.0 (https://www.jsonrpc.org/specification); "section N" below is there."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def write(self, name: str, arguments: Arguments) -> Written:
        """Write a call."""
        entry = self.entry(name, arguments)
        return Written(_encode(name, entry), entry["id"])

    def read(self, name: str, response: requests.Response, request_id: int | None) -> Any:
        """The result in an answer."""
        return self.result(name, _message(name, response, request_id=request_id), request_id, response.status_code)

    def result_text(self, name: str, response: requests.Response) -> bytes:
        """The result as JSON text."""
        return bytes(members(response.content)["result"])

    def entry(self, name: str, arguments: Arguments, *, notification: bool = False) -> dict[str, Any]:
        """A request object (section 4), for a batch too; a notification has no id."""
        entry: dict[str, Any] = {"jsonrpc": "2.0", "method": name, "params": _params(name, arguments)}
        return entry if notification else {**entry, "id": next(self._ids)}

    def result(self, name: str, answer: Any, request_id: int | None, status: int = 200) -> Any:
        """The result in a response object (section 5).

        Args:
            request_id: the id of the call; None for a notification.

        Raises:
            RemoteError: it has an error.
            WireError: it is not a response object, or not the one to this call.
        """
        if type(answer) is dict and answer.get("jsonrpc") == "2.0":
            error = _error(answer)
            if error is not None and _is_error_of(answer, request_id):
                raise _told(name, error, status)
            if "result" in answer and answer.get("error") is None and _same_id(answer.get("id"), request_id):
                return answer["result"]
        raise _stray(name, answer, request_id)

    def write_notification(self, name: str, arguments: Arguments) -> bytes:
        """The body of a call that wants no answer."""
        return _encode(name, self.entry(name, arguments, notification=True))

    def read_nothing(self, name: str, response: requests.Response) -> None:
        """Look that a notification was taken; what became of it is not told (section 4.1).

        Raises:
            RemoteError: it was refused.
        """
        if response.status_code >= 300 or response.content:
            self.result(name, _message(name, response), None, response.status_code)

    def write_batch(self, entries: Sequence[dict[str, Any]]) -> bytes:
        """The body of a batch (section 6)."""
        return _encode("batch", entries)

    def read_batch(self, response: requests.Response, request_ids: Collection[int]) -> dict[Any, Any]:
        """Return the response objects of a batch by id, in whatever order they came; some may be missing.

        Raises:
            RemoteError: the batch was refused as a whole.
            WireError: it is not an answer to this batch: it holds something else, an id that was not sent, or an id twice.
        """
        if 200 <= response.status_code < 300 and not response.content:
            return {}
        answers = _message("batch", response)
        if type(answers) is not list:
            self.result("batch", answers, None, response.status_code)
            raise WireError(f"batch: expected an array of response objects, got {_shown(response)}")
        found: dict[Any, Any] = {}
        for answer in answers:
            told = answer.get("id") if type(answer) is dict else answer
            if type(answer) is dict and told is None and _error(answer) is not None:
                continue  # of an entry whose id the server could not read (section 5)
            if not _is_id(told) or told not in request_ids or told in found:
                raise WireError(f"batch: expected exactly one answer to each call, by its id, got {answer!r:.200}")
            found[told] = answer
        return found


def _params(name: str, arguments: Arguments) -> Any:
    args, kwargs = arguments
    if not isinstance(name, str) or not name:
        raise MisuseError(f"method name {name!r}: expected a text that is not empty")
    if args and kwargs:
        raise MisuseError(f"{name}: arguments by position and by name in one call have no form in JSON: name them all")
    return kwargs or args


def _encode(name: str, message: Any) -> bytes:
    try:
        return codec.encode(message)
    except codec.NotJSON as error:
        raise MisuseError(f"{name}: an argument can't be sent: {error}") from error


def _message(
    name: str, response: requests.Response, expected: str = "a JSON-RPC 2.0 response", request_id: int | None = None
) -> Any:
    """The JSON of an answer that is not an error by its status."""
    status = response.status_code
    if status >= 400:
        raise _remote_error(name, status, response.reason, without_query(response), request_id)
    if 300 <= status < 400:
        where = redirected(response)
        raise WireError(f"{name}: HTTP {status} redirects to {where!r}; they are not followed: give the Client the final URL")
    try:
        return codec.decode_unlimited(response.content)  # the caller chose the server
    except ParseError as error:
        raise WireError(f"{name}: expected {expected}, got {_shown(response)} ({error})") from error


def _shown(response: requests.Response) -> str:
    return f"HTTP {response.status_code} with {_excerpt(without_query(response))}"


def _excerpt(body: bytes) -> str:
    text = body[:200].decode(errors="replace")
    return f"{text!r}{'…' if len(body) > 200 else ''}" if body else "an empty body"


def _is_id(value: Any) -> bool:
    """Whether a value can be an id of this client's: an integer, or the same number as some servers write it, with a fraction."""
    return type(value) is int or type(value) is float


def _same_id(told: Any, sent: int | None) -> bool:
    return told is None if sent is None else _is_id(told) and told == sent


def _is_error_of(answer: dict[str, Any], sent: int | None) -> bool:
    """Whether an error is of the call with this id: its id is the same, or null, as where the server found none (section 5)."""
    told = answer.get("id")
    return told is None or _same_id(told, sent)


def _stray(name: str, answer: Any, request_id: int | None) -> WireError:
    wanted = "" if request_id is None else f" with the id {request_id}"
    return WireError(f"{name}: expected a JSON-RPC 2.0 response object{wanted}, got {answer!r:.200}")


def _error(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The error object in a response object (section 5.1)."""
    error = answer.get("error")
    return error if type(error) is dict and type(error.get("code")) is int else None


def _told(name: str, error: dict[str, Any], status: int) -> RemoteError:
    """An error object (section 5.1) as an exception."""
    data = error.get("data")
    ref = data.get("ref") if type(data) is dict else None
    known = ref if isinstance(ref, str) else None
    return RemoteError(str(error.get("message")), status=status, method=name, ref=known, data=data, code=error["code"])


def _remote_error(name: str, status: int, reason: str | None, body: bytes, request_id: int | None) -> ClientError:
    """Read an error's body: a problem (RFC 9457, section 3), or whatever a proxy on the way had to say."""
    try:
        problem = codec.decode_unlimited(body)
    except ParseError:  # no problem then: the excerpt tells what it is
        problem = None
    told = problem if isinstance(problem, dict) else {}
    error = _error(told)
    if error is not None and told.get("jsonrpc") == "2.0":  # as other servers of JSON-RPC do it
        return _told(name, error, status) if _is_error_of(told, request_id) else _stray(name, told, request_id)
    detail, method, ref = told.get("detail", told.get("title")), told.get("method"), told.get("ref")
    if not isinstance(detail, str):
        return RemoteError(f"{reason or 'no reason given'}, with {_excerpt(body)}", status=status, method=name)
    return RemoteError(
        detail,
        status=status,
        method=method if isinstance(method, str) else name,
        ref=ref if isinstance(ref, str) else None,
        data=told.get("data"),
    )
