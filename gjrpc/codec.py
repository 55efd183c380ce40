"""JSON in and out: what is accepted, what counts as malformed, what can be sent.

Owns the decoder, the encoder and their limits; every way in and out of JSON goes through here. It knows no message and no method.
Stricter than RFC 8259 where the contract says so (section 5), and exact: an integer of any accepted size keeps each digit.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import accumulate
from typing import Any

import msgspec

from gjrpc.errors import GjrpcError, ParseError

MAX_DEPTH = 100
"""Levels of arrays and objects that a message may nest, unless told otherwise."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class NotJSON(GjrpcError):
    """A value that JSON can't hold; the text names its type."""


def decode(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Read one JSON text (RFC 8259, UTF-8).

    Raises:
        ParseError: malformed, and where; or beyond a limit: nesting, integers of over 4,300 digits, numbers beyond a double.
    """
    if len(body) > max_depth and depth_exceeds(body, max_depth):
        raise ParseError(f"malformed JSON: nested deeper than {max_depth} levels")
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        # An untyped decoder has one kind left: a number that Python can't hold.
        raise ParseError(f"malformed JSON: {error} (integers may have 4,300 digits, others must fit a double)") from None
    except msgspec.DecodeError as error:
        raise ParseError(_sentence(body, str(error))) from None
    except UnicodeDecodeError as error:
        # msgspec counts from the start of the string; the whole body knows the byte.
        raise ParseError(f"malformed JSON: invalid UTF-8 (byte {_bad_byte(body, error)})") from None
    except RecursionError:
        raise ParseError("malformed JSON: nested too deep") from None


def encode(value: Any) -> bytes:
    """Write one JSON text on one line.

    Raises:
        NotJSON: the value, or something in it, has a type that JSON can't hold, is NaN or infinite, or holds itself.
    """
    try:
        encoded = _encode(value)
    except RecursionError:
        raise NotJSON(f"a {type(value).__name__} that contains itself or is nested too deep") from None
    except UnicodeEncodeError as error:
        raise NotJSON(f"a str with a lone surrogate ({error.reason})") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise NotJSON(str(error)) from error
    # The encoder writes NaN and infinities as null without a word: only then need the value be walked.
    if b"null" in encoded:
        for item in _walk(value):
            if isinstance(item, float) and not math.isfinite(item):
                raise NotJSON(f"a float that is {item}: JSON has no such number")
    return encoded


def depth_exceeds(body: bytes, limit: int) -> bool:
    """Tell whether arrays and objects nest deeper than `limit`, in linear time and without recursion."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", body).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _sentence(body: bytes, reason: str) -> str:
    if not body:
        return "malformed JSON: the body is empty"
    if reason == "Input data was truncated":
        return f"malformed JSON: it ends too early, or in half a surrogate pair (byte {len(body)})"
    return "malformed JSON: " + reason.removeprefix("JSON is malformed: ")


def _bad_byte(body: bytes, error: UnicodeDecodeError) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as whole:
        return whole.start
    return error.start


def _walk(value: Any) -> Iterator[Any]:
    """Every value inside `value` that the encoder would have visited; a stack, so that depth costs no recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        yield item
        if isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        elif isinstance(item, msgspec.Struct):
            stack.extend(getattr(item, name) for name in item.__struct_fields__)
        elif is_dataclass(item):
            stack.extend(getattr(item, field.name) for field in fields(item))
        elif hasattr(item, "__attrs_attrs__"):
            stack.extend(getattr(item, field.name) for field in item.__attrs_attrs__)
