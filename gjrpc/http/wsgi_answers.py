"""Checks the status, headers and length of a foreign WSGI application's answer against PEP 3333.

Owns which answers can't be sent, and the message that tells the application's author why. It sends nothing.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from wsgiref.util import is_hop_by_hop

from gjrpc.errors import GjrpcError
from gjrpc.http.messages import Field
from gjrpc.texts import excerpt

# "The status argument is a string of the form '999 Message here'"; RFC 9112, 4, has the characters. A status below 200 is
# not final: the client would wait for the final one, and take the next answer for it.
_STATUS = re.compile(r"[2-9][0-9]{2} [\t\x20-\x7e\x80-\xff]*")
# RFC 9110, 5.1 and 5.5: a name is a token, a value has no control characters.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,18}")  # RFC 9110, 8.6: Content-Length = 1*DIGIT
_OTHER_HOPS = frozenset({"trailer", "proxy-connection"})  # missing or misspelt in wsgiref's list


class AnswerError(GjrpcError):
    """An application's answer can't be sent; the message says what the application did and what PEP 3333 requires."""


class Start(NamedTuple):
    """The checked arguments of `start_response`.

    Attributes:
        headers: without `Connection`, which the server decides.
        closes: whether the application asked to close the connection.
    """

    headers: list[Field]
    closes: bool


def read_start(status: Any, headers: Any) -> Start:
    """Check a status and headers.

    `Connection` is hop-by-hop too, but many applications send `close` or `keep-alive`, which do not change the framing. The
    server obeys `close` and ignores `keep-alive`.

    Raises:
        AnswerError: they break PEP 3333.
    """
    if not isinstance(status, str) or not _STATUS.fullmatch(status):
        raise AnswerError(f"its status is {_shown(status)}; expected a string like '200 OK', without control characters")
    fields = [_field(field) for field in headers]
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise AnswerError(f"its Content-Length is {' and '.join(map(_shown, lengths))}; expected one number of bytes")
    options = {value.strip().lower() for name, value in fields if name.lower() == "connection"}
    if not options <= {"close", "keep-alive"}:
        raise AnswerError(f"its header Connection is {_shown(', '.join(sorted(options)))}; only the server may set it")
    # RFC 9110, 5.5: "a field value does not include leading or trailing whitespace".
    kept = [(name, value.strip(" \t")) for name, value in fields if name.lower() != "connection"]
    return Start(kept, "close" in options)


def check_fields(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Check headers.

    Raises:
        AnswerError: one of them breaks PEP 3333.
    """
    return tuple(map(_field, fields))


def check_length(announced: int, returned: int) -> None:
    """Compare the size of a whole answer with its Content-Length, both in bytes.

    Raises:
        AnswerError: they differ.
    """
    if returned != announced:
        raise AnswerError(f"it returned {returned} bytes, but its Content-Length says {announced}")


def _field(field: Any) -> Field:
    try:
        name, value = field
    except (TypeError, ValueError):
        raise AnswerError(f"its header {_shown(field)} is not a pair of name and value") from None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AnswerError(f"its header name {_shown(name)} is not valid; expected letters, digits and hyphens")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise AnswerError(f"its header {name} has the value {_shown(value)}; expected latin-1 text without control characters")
    lower = name.lower()
    # "attempting to … use hop-by-hop headers is a fatal error": the server decides how the answer is framed.
    if lower != "connection" and (is_hop_by_hop(name) or lower in _OTHER_HOPS):
        raise AnswerError(f"its header {name} is hop-by-hop, which PEP 3333 forbids")
    return name, value


def _shown(value: Any) -> str:
    return excerpt(repr(value))
