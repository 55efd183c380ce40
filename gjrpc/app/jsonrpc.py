"""The JSON-RPC 2.0 dialect: message ⇄ call (CONVENTION, section 4).

Owns the specification's request and response objects and its batches; "section N" below is https://www.jsonrpc.org/specification.
Each entry of a batch is read, run and written on its own. It runs nothing itself, and of HTTP it knows two statuses: 200 with a
response object, 204 without one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from msgspec import Raw

from gjrpc.calls.call import Call
from gjrpc.calls.disclosure import sendable_parts
from gjrpc.errors import CallError, InvalidRequest, TooLarge
from gjrpc.http.messages import Request, Response
from gjrpc.limits import MAX_ANSWER, MAX_BATCH
from gjrpc.values import codec

Run: TypeAlias = Callable[[Call], bytes | CallError]
Map: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]

_NULL = b"null"
_ABSENT = object()
# Section 4: an id "MUST contain a String, Number, or NULL value"; bool is a kind of int only in Python.
_ID_TYPES = frozenset({int, str, float, type(None), type(_ABSENT)})
# Raw is JSON text that `exact` has looked at.
_PARAMS_TYPES = frozenset({list, dict, type(None), Raw})


def looks_like_message(body: bytes) -> bool:
    """Return whether a body that is not JSON was meant for this dialect."""
    return body.lstrip()[:1] == b"[" or b'"jsonrpc"' in body


class JSONRPCDialect:
    """Answers the JSON-RPC 2.0 messages of one application.

    Args:
        run: runs a call and returns its result as JSON, or its error.
        each: runs a function over the entries of a batch, perhaps concurrently, and returns the results in order.
        max_batch: entries of a batch at most.
        max_answer: bytes of all responses to a batch at most. The first response that does not fit becomes an error, although its
            call ran; all further calls get an error and do not run. Notifications still run, as they have no response.
    """

    def __init__(self, run: Run, each: Map, *, max_batch: int = MAX_BATCH, max_answer: int = MAX_ANSWER) -> None:
        self._run = run
        self._each = each
        self._max_batch = max_batch
        self._max_answer = max_answer

    def answer(self, message: Any, request: Request) -> Response | None:
        """Answer a decoded message, single or batch; None if it is neither an array nor an object with a member `jsonrpc`."""
        if type(message) is dict:
            if "jsonrpc" not in message:
                return None
            answer = self._single(message)
        elif type(message) is list:
            answer = self._batch(message)
        else:
            return None
        return Response(204, headers=()) if answer is None else Response(200, answer)

    def answer_malformed(self, request: Request, error: CallError) -> Response | None:
        """Answer a body that is not JSON, if it looks like a message of this dialect."""
        return Response(200, write_error(error)) if looks_like_message(request.body) else None

    def _single(self, entry: Any) -> bytes | None:
        if type(entry) is not dict:
            return write_error(InvalidRequest("expected a request object"))
        request_id, method, params = entry.get("id", _ABSENT), entry.get("method"), entry.get("params")
        typed = type(params) in _PARAMS_TYPES and type(request_id) in _ID_TYPES
        if not typed or type(method) is not str or entry.get("jsonrpc") != "2.0":
            return write_error(_fault(entry), _echo(entry))
        run = self._run  # a call of an attribute is slower than one of a variable
        outcome = run(Call(method, [] if params is None else params))
        if type(outcome) is bytes and type(request_id) is int:  # the shortest way, for nearly every call
            return b'{"jsonrpc":"2.0","result":%b,"id":%d}' % (outcome, request_id)
        if request_id is _ABSENT:  # section 4.1: "The Server MUST NOT reply to a Notification"
            return None
        if isinstance(outcome, CallError):
            return write_error(outcome, codec.encode(request_id))
        return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (outcome, codec.encode(request_id))

    def _batch(self, entries: list[Any]) -> bytes | None:
        if not entries:  # section 6: "not … an Array with at least one value, the response … MUST be a single Response object"
            return write_error(InvalidRequest("the batch is empty"))
        if len(entries) > self._max_batch:
            return write_error(InvalidRequest(f"the batch has {len(entries)} entries; the limit is {self._max_batch}"))
        room = self._max_answer

        def bounded(entry: Any) -> bytes | None:
            nonlocal room
            if room < 0 and type(entry) is dict and "id" in entry:
                return self._too_large("this call did not run: send it in another batch", entry)
            answer = self._single(entry)
            if answer is None:
                return None
            room -= len(answer)
            if room < 0:
                return self._too_large("this call ran", entry)
            return answer

        answers = [answer for answer in self._each(bounded, entries) if answer is not None]
        return b"[%b]" % b",".join(answers) if answers else None

    def _too_large(self, what: str, entry: Any) -> bytes:
        return write_error(TooLarge(f"the responses to this batch have more than {self._max_answer} bytes; {what}"), _echo(entry))


def write_error(error: CallError, request_id: bytes = _NULL) -> bytes:
    """Write a response object with an error (section 5.1); `request_id` is JSON already."""
    parts = sendable_parts(error)
    fields: dict[str, Any] = {"code": parts.code, "message": parts.message}
    if parts.ref is not None:
        fields["data"] = {"ref": parts.ref}
    elif parts.data is not None:
        fields["data"] = parts.data
    return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (codec.encode(fields), request_id)


def _echo(entry: Any) -> bytes:
    """Return the id as JSON; section 5: null "if there was an error in detecting the id in the Request object"."""
    request_id = entry.get("id") if type(entry) is dict else None
    return codec.encode(request_id) if type(request_id) in _ID_TYPES else _NULL


def _fault(entry: dict[str, Any]) -> InvalidRequest:
    """Return the error for an object that is no request object (section 4)."""
    if type(entry.get("id")) not in _ID_TYPES:
        return InvalidRequest("the id must be a string, a number or null")
    if entry.get("jsonrpc") != "2.0":
        return InvalidRequest('the member "jsonrpc" must be exactly "2.0"')
    if type(entry.get("method")) is not str:
        return InvalidRequest('the member "method" must be a string')
    return InvalidRequest('the member "params" must be an array or an object')
