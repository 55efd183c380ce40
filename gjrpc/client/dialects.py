"""How the client writes a call and reads its answer, in either dialect.

Owns both forms as a client sees them: `gjrpc.app` has the server's side. What an error answer means is in `answers`. It knows no
connection: it returns the bytes of a request, and is given a `requests.Response`.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import requests

from gjrpc.client.answers import decoded, described, error_object, is_error_for, is_id, not_a_response, remote_error, same_id
from gjrpc.errors import MisuseError, WireError
from gjrpc.values import codec
from gjrpc.values.typed_decoder import members

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""The arguments of a call: positional and named."""

_RESPONSE = "a JSON-RPC 2.0 response"


class Written(NamedTuple):
    """A call, ready to be sent.

    Attributes:
        body: its bytes.
        id: the id that the answer must have, or None if answers have no id.
    """

    body: bytes
    id: int | None = None


class ClientDialect(Protocol):
    """The client's side of a dialect: it writes calls and reads answers."""

    def write(self, name: str, arguments: Arguments) -> Written:
        """Write a call.

        Raises:
            MisuseError: the name or the arguments can't be sent.
        """
        ...

    def read(self, name: str, response: requests.Response, request_id: int | None) -> Any:
        """Return the result from the answer to the call with this id.

        Raises:
            RemoteError: the answer is an error.
            WireError: it is not an answer to this call.
        """
        ...

    def result_text(self, name: str, response: requests.Response) -> bytes:
        """Return the result of an answer that `read` accepted, as JSON text with all digits of its numbers."""
        ...


class Native:
    """Native calls, `{"NAME": ARGS}`: the HTTP status says which kind of error occurred."""

    def write(self, name: str, arguments: Arguments) -> Written:
        """Write a call; `[]` stands for no arguments, since it can't be mistaken for a value."""
        return Written(_encode(name, {name: _params(name, arguments)}))

    def read(self, name: str, response: requests.Response, request_id: int | None = None) -> Any:
        """Return the result in an answer."""
        expected = f'HTTP 200 with {{"{name}": RESULT}}'
        message = decoded(name, response, expected)
        if response.status_code == 200 and type(message) is dict and len(message) == 1 and name in message:
            return message[name]
        raise WireError(f"{name}: expected {expected}, got {described(response)}")

    def result_text(self, name: str, response: requests.Response) -> bytes:
        """Return the result as JSON text."""
        return bytes(members(response.content)[name])


class JSONRPC:
    """JSON-RPC 2.0 calls (https://www.jsonrpc.org/specification); "section N" below is a section of that specification."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def write(self, name: str, arguments: Arguments) -> Written:
        """Write a call."""
        entry = self.entry(name, arguments)
        return Written(_encode(name, entry), entry["id"])

    def read(self, name: str, response: requests.Response, request_id: int | None) -> Any:
        """Return the result in an answer."""
        return self.result(name, decoded(name, response, _RESPONSE, request_id), request_id, response.status_code)

    def result_text(self, name: str, response: requests.Response) -> bytes:
        """Return the result as JSON text."""
        return bytes(members(response.content)["result"])

    def entry(self, name: str, arguments: Arguments, *, notification: bool = False) -> dict[str, Any]:
        """Return a request object (section 4), alone or for a batch; a notification has no id."""
        entry: dict[str, Any] = {"jsonrpc": "2.0", "method": name, "params": _params(name, arguments)}
        return entry if notification else {**entry, "id": next(self._ids)}

    def result(self, name: str, answer: Any, request_id: int | None, status: int = 200) -> Any:
        """Return the result in a response object (section 5).

        Args:
            request_id: the id of the call; None for a notification.

        Raises:
            RemoteError: the object has an error.
            WireError: it is not a response object, or not the response to this call.
        """
        if type(answer) is dict and answer.get("jsonrpc") == "2.0":
            error = error_object(answer)
            if error is not None and is_error_for(answer, request_id):
                raise remote_error(name, error, status)
            if "result" in answer and answer.get("error") is None and same_id(answer.get("id"), request_id):
                return answer["result"]
        raise not_a_response(name, answer, request_id)

    def write_notification(self, name: str, arguments: Arguments) -> bytes:
        """Write a notification: a call without a response (section 4.1)."""
        return _encode(name, self.entry(name, arguments, notification=True))

    def read_nothing(self, name: str, response: requests.Response) -> None:
        """Check that the server accepted a notification; it does not report how the call ended (section 4.1).

        Raises:
            RemoteError: the server refused it.
        """
        if response.status_code >= 300 or response.content:
            self.result(name, decoded(name, response, _RESPONSE), None, response.status_code)

    def write_batch(self, entries: Sequence[dict[str, Any]]) -> bytes:
        """Write a batch (section 6)."""
        return _encode("batch", entries)

    def read_batch(self, response: requests.Response, request_ids: Collection[int]) -> dict[Any, Any]:
        """Return the response objects of a batch by id; they may come in any order, and some may be missing.

        Raises:
            RemoteError: the server refused the whole batch.
            WireError: it is not an answer to this batch: it has an entry that is not an object, an id that was not sent, or an id
                twice.
        """
        if 200 <= response.status_code < 300 and not response.content:
            return {}
        answers = decoded("batch", response, _RESPONSE)
        if type(answers) is not list:
            self.result("batch", answers, None, response.status_code)
            raise WireError(f"batch: expected an array of response objects, got {described(response)}")
        return _by_id(answers, request_ids)


def _by_id(answers: list[Any], request_ids: Collection[int]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for answer in answers:
        given = answer.get("id") if type(answer) is dict else answer
        if type(answer) is dict and given is None and error_object(answer) is not None:
            continue  # it answers an entry whose id the server could not read (section 5)
        if not is_id(given) or given not in request_ids or given in found:
            raise WireError(f"batch: expected exactly one answer to each call, by its id, got {answer!r:.200}")
        found[given] = answer
    return found


def _params(name: str, arguments: Arguments) -> Any:
    args, kwargs = arguments
    if not isinstance(name, str) or not name:
        raise MisuseError(f"method name {name!r}: expected a string that is not empty")
    if args and kwargs:
        raise MisuseError(f"{name}: JSON can't hold arguments by position and by name in one call; pass all of them by name")
    return kwargs or args


def _encode(name: str, message: Any) -> bytes:
    try:
        return codec.encode(message)
    except codec.NotJSON as error:
        raise MisuseError(f"{name}: an argument can't be sent: {error}") from error
