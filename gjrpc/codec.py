"""JSON in and out: what is accepted, what counts as malformed, what can be sent.

Owns the decoder, the encoder and their limits; every way in and out of JSON goes through here. It knows no message and no method.
Stricter than RFC 8259 where the contract says so (section 5), and exact: an integer of any accepted size keeps each digit.
"""

import math
import operator
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from itertools import accumulate
from typing import Any

import msgspec

from gjrpc.errors import GjrpcError, ParseError

MAX_DEPTH = 100
"""Levels of arrays and objects that a message may nest, unless told otherwise."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_NUMBER = re.compile(rb"-?\d+(?P<fraction>(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_MAX_DIGITS = 4300
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'[]{}"\\'))
_PASSES = 4
_STEP = [0] * 256
_STEP[ord("[")] = _STEP[ord("{")] = 1
_STEP[ord("]")] = _STEP[ord("}")] = -1
# What has no NaN in it and needs no look at its bytes.
_PLAIN = frozenset({str, int, bool, bytes, type(None)})
_CAPITAL_N, _CAPITAL_I = b"NI"


class NotJSON(GjrpcError):
    """A value that JSON can't hold; the text names its type."""


def decode(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Read one JSON text (RFC 8259, UTF-8).

    Raises:
        ParseError: malformed, and where; or beyond a limit: nesting, integers of over 4,300 digits, numbers beyond a double.
    """
    if len(body) > max_depth and depth_exceeds(body, max_depth):
        raise ParseError(f"malformed JSON: nested deeper than {max_depth} levels (byte {_deep_byte(body, max_depth)})")
    try:
        return _decode(body)
    except msgspec.ValidationError:
        # An untyped decoder has one kind left: a number that Python can't hold.
        raise ParseError(
            "malformed JSON: a number out of range; integers may have 4,300 digits, a sign counted as one, "
            f"and others must fit a double (byte {_large_byte(body)})"
        ) from None
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
    except Exception as error:  # a field that is not set, or whatever else an object does when it is read
        raise NotJSON(f"a {type(value).__name__} that can't be read") from error
    if type(value) in _PLAIN or not _may_hold_nan(encoded):
        return encoded
    number = not_finite(value)
    if number is not None:
        raise NotJSON(f"a {type(number).__name__} that is {number}: JSON has no such number")
    return encoded


def not_finite(value: Any) -> float | Decimal | None:
    """The first NaN or infinity in a value, or None."""
    for item in _walk(value):
        if isinstance(item, (float, Decimal)) and not _is_finite(item):
            return item
    return None


def depth_exceeds(body: bytes, limit: int) -> bool:
    """Tell whether arrays and objects nest deeper than `limit`, in linear time and without recursion."""
    marks = body.translate(None, _ALL_BUT_MARKS)
    if marks.count(b"[") + marks.count(b"{") <= limit or _is_shallow(marks, limit):
        return False
    return limit + 1 in _depths(_STRING.sub(b"", body).translate(None, _ALL_BUT_BRACKETS))


def _is_shallow(marks: bytes, limit: int) -> bool:
    """Whether a quick look is enough to know that nothing nests deeper: true of long but flat texts, such as a batch.

    Taking away empty pairs takes away one level at the most for each kind of bracket.
    """
    if b"\\" in marks or 2 * marks.count(b'""') != marks.count(b'"'):
        return False  # escapes, or brackets in a string: that wants a longer look
    text = marks.translate(None, b'"')
    for _ in range(_PASSES):
        text = text.replace(b"[]", b"").replace(b"{}", b"")
    return text.count(b"[") + text.count(b"{") + 2 * _PASSES <= limit


def _depths(text: bytes) -> Iterator[int]:
    return accumulate(map(_STEP.__getitem__, text))


def _blanked(body: bytes) -> bytes:
    """The body with its strings blanked, so that each byte keeps its place."""
    return _STRING.sub(lambda string: b" " * len(string[0]), body)


def _deep_byte(body: bytes, limit: int) -> int:
    return operator.indexOf(_depths(_blanked(body)), limit + 1)


def _large_byte(body: bytes) -> int:
    """Where the first number begins that is out of range; all before it is well-formed."""
    return next((n.start() for n in _NUMBER.finditer(_blanked(body)) if _is_out_of_range(n)), 0)


def _is_out_of_range(number: re.Match[bytes]) -> bool:
    return math.isinf(float(number[0])) if number["fraction"] else len(number[0]) > _MAX_DIGITS


def _sentence(body: bytes, reason: str) -> str:
    if not body:
        return "malformed JSON: the body is empty"
    if reason == "Input data was truncated":
        return f"malformed JSON: it ends too early, or in half a surrogate pair (byte {len(body)})"
    trailing = _TRAILING.search(reason)
    if trailing is not None:  # here msgspec gives the byte behind the one that it means
        return f"malformed JSON: trailing characters (byte {int(trailing[1]) - 1})"
    return "malformed JSON: " + reason.removeprefix("JSON is malformed: ")


def _bad_byte(body: bytes, error: UnicodeDecodeError) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as whole:
        error = whole
    return error.start


def _may_hold_nan(encoded: bytes) -> bool:
    """Whether a value must be walked to tell: the encoder writes NaN and infinities without a word.

    Floats become `null`, or text where they are an object's key; a Decimal becomes `"NaN"` or `"Infinity"`.
    """
    return (
        encoded.find(b"null") >= 0
        or encoded.find(b'nan":') >= 0
        or encoded.find(b'inf":') >= 0
        or (_CAPITAL_N in encoded and encoded.find(b"NaN") >= 0)
        or (_CAPITAL_I in encoded and encoded.find(b"Infinity") >= 0)
    )


def _is_finite(number: float | Decimal) -> bool:
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)


def _walk(value: Any) -> Iterator[Any]:
    """Every value inside `value` that the encoder would have visited; a stack, so that depth costs no recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        yield item
        if isinstance(item, dict):
            stack.extend(item)
            stack.extend(dict.values(item))
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        elif isinstance(item, Enum):
            stack.append(item.value)
        else:
            stack.extend(_field_values(item))


def _field_values(item: Any) -> Iterator[Any]:
    """The fields that the encoder could read; it leaves out the others, and so does this."""
    for name in _field_names(item):
        with suppress(Exception):
            yield getattr(item, name)


def _field_names(item: Any) -> Iterable[str]:
    if isinstance(item, msgspec.Struct):
        return item.__struct_fields__
    attributes = fields(item) if is_dataclass(item) else getattr(item, "__attrs_attrs__", ())
    return [attribute.name for attribute in attributes]
