"""The native dialect: request ⇄ call (CONVENTION, sections 1 and 3).

Owns how a path, a query and a one-key object name a method and its arguments, and how a result and a problem are written. It
runs nothing, and it knows no HTTP status but the number that it is told to write.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from gjrpc.calls.binding import Text
from gjrpc.calls.call import Call
from gjrpc.errors import InvalidRequest
from gjrpc.http.recent import Memo
from gjrpc.texts import quoted
from gjrpc.values import codec


def read_target(target: str) -> Call:
    """Read the call that a path and query spell: `/NAME`, `/NAME;VALUE` or `/NAME?p=v&q=w`.

    A short one is remembered by its text, since a client asks for the same again and again.

    Raises:
        InvalidRequest: it is not UTF-8, has no name, has both a value and a query, or too many arguments.
    """
    return _targets[target]


def _read_target(target: str) -> Call:
    path, question, query = target.partition("?")
    name, semicolon, value = path[1:].partition(";")
    if not name:
        raise InvalidRequest("no method is named: GET /NAME calls one, GET /list_methods lists them")
    if semicolon and question:
        raise InvalidRequest("arguments came both as ;VALUE and as ?name=value: give one of them")
    arguments: Text = _percent_decoded(value) if semicolon else _read_query(query) if query else None
    return Call(_percent_decoded(name), arguments, text=True)


def read_message(message: Any) -> Call:
    """Read `{"NAME": ARGS}`, already decoded.

    Raises:
        InvalidRequest: it is not an object with exactly one key.
    """
    if type(message) is dict and len(message) == 1:
        ((name, arguments),) = message.items()
        return Call(name, arguments)
    what = f"an object with {len(message)} keys" if isinstance(message, dict) else _json_type(message)
    raise InvalidRequest(
        f'expected an object with exactly one key, {{"NAME": ARGS}}, got {what}; several calls go as a JSON-RPC 2.0 batch'
    )


def read_named_body(target: str, body: bytes, decode: Callable[[bytes], Any] = codec.decode) -> Call:
    """Read a `POST /NAME`, whose body is the arguments; an empty one means none.

    Raises:
        ParseError, TooLarge: the body is malformed, or beyond a limit.
        InvalidRequest: the path has arguments too.
    """
    spelled = read_target(target)
    if spelled.arguments is not None:
        raise InvalidRequest("a POST takes its arguments from the body, and the path has some too: give one of them")
    return Call(spelled.name, decode(body) if body else [])


_targets = Memo(_read_target)
_openings = Memo(lambda name: b"{" + codec.encode(name) + b":", entries=4096)


def success(name: str, result: bytes) -> bytes:
    """Write `{"NAME": RESULT}`; `result` is JSON already."""
    return _openings[name] + result + b"}"


_MOST_PAIRS = 256


def _percent_decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the path {quoted(text)} is not percent-encoded UTF-8") from None


def _read_query(query: str) -> dict[str, list[str]]:
    arguments: dict[str, list[str]] = {}
    if query.count("&") >= _MOST_PAIRS:  # urllib takes up to 10 µs for each
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
