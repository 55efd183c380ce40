"""The native dialect: request ⇄ call (CONVENTION, sections 1 and 3).

Owns how a path, a query and a one-key object name a method and its arguments, and how a result is written. `problems` writes the
errors. It runs nothing itself, and knows no page.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from gjrpc.calls.binding import Text
from gjrpc.calls.call import Call
from gjrpc.calls.dispatch import Dispatcher
from gjrpc.calls.exact import exact_arguments
from gjrpc.errors import CallError, InvalidRequest
from gjrpc.http.messages import Request, Response
from gjrpc.http.problems import refusal
from gjrpc.http.recent import Memo
from gjrpc.texts import quoted
from gjrpc.values import codec


def read_target(target: str) -> Call:
    """Read the call in a path and query: `/NAME`, `/NAME;VALUE` or `/NAME?p=v&q=w`.

    Short targets are cached, since clients request the same ones again and again.

    Raises:
        InvalidRequest: the target is not UTF-8, has no name, has both a value and a query, or too many arguments.
    """
    return _targets[target]


def _read_target(target: str) -> Call:
    path, question, query = target.partition("?")
    name, semicolon, value = path[1:].partition(";")
    if not name:
        raise InvalidRequest("the path names no method: GET /NAME calls one, GET /list_methods lists them")
    if semicolon and question:
        raise InvalidRequest("there are arguments both in ;VALUE and in ?name=value: use only one of them")
    arguments: Text = _percent_decoded(value) if semicolon else read_query(query) if query else None
    return Call(_percent_decoded(name), arguments, text=True)


def read_name(target: str) -> Call:
    """Read the call without arguments that a `POST /NAME` names.

    Raises:
        InvalidRequest: as `read_target`, or the path has arguments.
    """
    call = read_target(target)
    if call.arguments is not None:
        raise InvalidRequest("there are arguments both in the body and in the path: remove those in the path")
    return call


class NativeDialect:
    """Answers the native calls of one application; as a dialect it recognizes every message.

    Args:
        dispatcher: runs the calls.
        decode: decodes the body of a `POST /NAME`; it raises ParseError and TooLarge.
    """

    __slots__ = ("_decode", "_registry", "_run")

    def __init__(self, dispatcher: Dispatcher, decode: Callable[[bytes], Any] = codec.decode) -> None:
        self._run = dispatcher.run
        self._registry = dispatcher.registry
        self._decode = decode

    def answer(self, message: Any, request: Request) -> Response:
        """Answer `{"NAME": ARGS}`.

        Raises:
            InvalidRequest: it is not an object with exactly one key.
        """
        if type(message) is not dict or len(message) != 1:
            raise _not_a_call(message)
        ((name, arguments),) = message.items()
        run = self._run  # a call of an attribute is slower than one of a variable
        outcome = run(Call(name, arguments))
        if isinstance(outcome, bytes):  # as in `run`, without the cost of a further call
            return Response(200, _openings[name] + outcome + b"}")
        return refusal(outcome, name)

    def answer_malformed(self, request: Request, error: CallError) -> Response:
        """Answer a body that is not JSON."""
        return refusal(error)

    def answer_named(self, name: str, body: bytes) -> Response:
        """Answer a `POST /NAME`, whose body is the arguments; an empty one means none.

        Raises:
            ParseError, TooLarge: the body is malformed, or beyond a limit.
        """
        arguments = self._decode(body) if body else []
        if self._registry.exact:
            arguments = exact_arguments(arguments, body, name, self._registry.find)
        return self.run(Call(name, arguments))

    def run(self, call: Call) -> Response:
        """Run a call, and write its result as `{"NAME": RESULT}`, or its error as a problem."""
        run = self._run
        outcome = run(call)
        if isinstance(outcome, bytes):
            return Response(200, _openings[call.name] + outcome + b"}")
        return refusal(outcome, call.name)


def _not_a_call(message: Any) -> InvalidRequest:
    what = f"an object with {len(message)} keys" if isinstance(message, dict) else _json_type(message)
    return InvalidRequest(
        f'expected an object with exactly one key, {{"NAME": ARGS}}, got {what}; send several calls as a JSON-RPC 2.0 batch'
    )


_targets = Memo(_read_target)
_openings = Memo(lambda name: b"{" + codec.encode(name) + b":", entries=4096)


_MOST_PAIRS = 256


def _percent_decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the path {quoted(text)} is not percent-encoded UTF-8") from None


def read_query(query: str) -> dict[str, list[str]]:
    """Read the names and values of a query, in order.

    Raises:
        InvalidRequest: it is not percent-encoded UTF-8, or has too many arguments.
    """
    arguments: dict[str, list[str]] = {}
    if query.count("&") >= _MOST_PAIRS:  # urllib needs up to 10 µs for each
        raise InvalidRequest(f"the query has more than {_MOST_PAIRS} arguments: send them in the body of a POST")
    try:
        text = query.encode("latin-1").decode()
        for name, value in parse_qsl(text, keep_blank_values=True, errors="strict"):
            arguments.setdefault(name, []).append(value)
    except UnicodeDecodeError:
        raise InvalidRequest(f"the query {quoted(query)} is not percent-encoded UTF-8") from None
    return arguments


def _json_type(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
