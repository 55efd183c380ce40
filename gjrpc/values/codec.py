"""Decodes and encodes JSON: what is accepted, what is malformed, what can be sent.

Owns the decoder, the encoder and their limits; all JSON is read and written here. It is stricter than RFC 8259 where the contract
says so (section 5), and exact: an integer of any accepted size keeps every digit. It knows no request and no method.
"""

import math
import re
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import msgspec

from gjrpc.errors import GjrpcError, ParseError, TooLarge
from gjrpc.limits import MAX_DEPTH, MAX_VALUES
from gjrpc.values.finite import ALWAYS_FINITE, find_non_finite, may_be_written, spelled

MAX_DIGITS = 4300
"""Digits of an integer; a sign counts as one."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise msgspec.ValidationError("Number out of range")
    return number


# Decodes to the same values. For a number near either end of a double's range msgspec takes up to 10 µs, and Python's `float`
# less than 1 µs; but for an ordinary number `float` takes 0.2 µs, and msgspec a tenth of that.
_decode_extremes = msgspec.json.Decoder(float_hook=_finite_float).decode

_SMALLEST = 100  # a text of so few bytes is too small to delay other calls
_EXTREME = 3  # a number near an end of a double's range counts as so many values, as it takes as long
_FEW = 16  # such numbers that msgspec may read
_SEARCHED = 64 * 1024  # bytes of a text in which the place of an error is looked for
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_NUMBER = re.compile(rb"-?\d+(?P<fraction>(?:\.\d+)?(?:[eE][+-]?\d+)?)")
# Keeps the marks of a text, and the digits and exponents of its numbers: `-1.5E-308` and `22e+300` both become `…0e000`.
_CLASSES = bytes.maketrans(b"0123456789E", b"0000000000e")
_NO_CLASS = bytes(set(range(256)) - set(b'[]{},"0123456789eE'))
_NUMBERS = b"0e"
_MANY_DIGITS = b"0" * 128  # so many digits are as large as an exponent of three digits
_PASSES = 4
_STEP = [0] * 256
_STEP[ord("[")] = _STEP[ord("{")] = 1
_STEP[ord("]")] = _STEP[ord("}")] = -1

# What the encoder itself says, not a class of the application.
_REASON = re.compile(
    r"Encoding objects of type [\w.<>]+ is unsupported"
    r"|Only dicts with [\w` -]+ keys are supported|Exceeds the limit .*|can't serialize .*"
)


class NotJSON(GjrpcError):
    """JSON can't represent a value; the text names its type."""


class Decoder:
    """Decodes JSON texts (RFC 8259, UTF-8), within limits that bound the cost of each, as decoding blocks the event loop.

    Args:
        max_depth: levels of arrays and objects.
        max_values: arrays, objects, and all their elements and members together; a number with an exponent of three digits, or
            with more than a hundred digits, counts as three.
    """

    __slots__ = ("_max_depth", "_max_values", "_small")

    def __init__(self, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> None:
        self._max_depth = max_depth
        self._max_values = max_values
        self._small = min(max_depth, max_values // _EXTREME, _SMALLEST)  # so few bytes can't exceed a limit

    def decode(self, body: bytes) -> Any:
        """Decode one text.

        Raises:
            ParseError: the text is malformed (the error says where), nested too deep, or has a number out of range.
            TooLarge: it has more values than the limit.
        """
        try:
            return _decode(body) if len(body) <= self._small else self._chosen(body)(body)
        except msgspec.ValidationError:
            # An untyped decoder raises this only for a number that Python can't represent.
            raise ParseError(
                f"malformed JSON: a number out of range; an integer may have {MAX_DIGITS:,} digits, its sign included, "
                f"and any other number must fit a double ({_place(_large_byte(body[:_SEARCHED]))})"
            ) from None
        except msgspec.DecodeError as error:
            raise ParseError(_sentence(body, str(error))) from None
        except UnicodeDecodeError as error:
            # msgspec counts from the start of the string; decoding the whole body finds the byte.
            raise ParseError(f"malformed JSON: invalid UTF-8 (byte {_bad_byte(body, error)})") from None
        except RecursionError:
            raise ParseError("malformed JSON: nested too deep") from None

    def _chosen(self, body: bytes) -> Callable[[bytes], Any]:
        """Return the decoder for a text, after checking that the text is within the limits.

        The first count includes the characters in strings; usually it is within the limits too, which saves a closer look.
        """
        classes = body.translate(_CLASSES, _NO_CLASS)
        extremes = _extremes(classes)
        marks = classes.translate(None, _NUMBERS)
        opened = marks.count(b"[") + marks.count(b"{")
        if opened > self._max_depth or opened + marks.count(b",") + (_EXTREME - 1) * extremes > self._max_values:
            self._look_closer(body, classes if extremes else marks)
        return _decode_extremes if extremes > _FEW else _decode

    def _look_closer(self, body: bytes, classes: bytes) -> None:
        if b"\\" in body:
            classes = _without_escapes(body, b"").translate(_CLASSES, _NO_CLASS)
        classes = _outside_strings(classes)
        marks = classes.translate(None, _NUMBERS)
        self._check_depth(body, marks)
        self._check_values(marks, _extremes(classes))

    def _check_depth(self, body: bytes, marks: bytes) -> None:
        limit = self._max_depth
        brackets = marks.translate(None, b",")[: 2 * self._max_values]  # more brackets than that are too many values
        if not _is_shallow(brackets, limit) and limit + 1 in _depths(brackets):
            place = _place(_deep_byte(body[:_SEARCHED], limit))
            raise ParseError(f"malformed JSON: nested deeper than {limit} levels ({place})")

    def _check_values(self, marks: bytes, extremes: int) -> None:
        values = len(marks) - marks.count(b"]") - marks.count(b"}") + (_EXTREME - 1) * extremes
        if values > self._max_values:
            raise TooLarge(
                f"the JSON has more values in its arrays and objects than the limit, {self._max_values} "
                "(a number with an exponent of three digits counts as three)"
            )


decode = Decoder().decode
"""Decode one JSON text within the default limits, as `Decoder.decode`."""

decode_unlimited = Decoder(max_depth=sys.maxsize, max_values=sys.maxsize).decode
"""Decode one JSON text with no limits but Python's, for a server that the user chose."""


def encode(value: Any) -> bytes:
    """Encode a value as one line of JSON.

    Raises:
        NotJSON: the value, or something in it, has a type that JSON can't represent, is NaN or infinite, or contains itself.
    """
    try:
        encoded = _encode(value)
    except RecursionError:
        raise NotJSON(f"a {type(value).__name__} that contains itself or is nested too deep") from None
    except Exception as error:
        raise NotJSON(_unwritable(value, error)) from error
    if type(value) in ALWAYS_FINITE or not may_be_written(encoded):
        return encoded
    number = find_non_finite(value)
    if number is not None:
        raise NotJSON(f"a {type(number).__name__} that is {spelled(number)}: JSON has no such number")
    return encoded


def _unwritable(value: Any, error: Exception) -> str:
    """Say why a value can't be encoded, without what code of its classes raised: that is not for a client."""
    foreign = error.__traceback__ is None or error.__traceback__.tb_next is not None
    if not foreign and type(error) is UnicodeEncodeError:
        return "a str with a lone surrogate"
    if not foreign and _REASON.fullmatch(str(error)):
        return str(error)
    return f"a {type(value).__name__} that can't be read"


def _without_escapes(body: bytes, instead: bytes) -> bytes:
    """Return a text in which each quote begins or ends a string: backslashes are paired from the first of a row."""
    return body.replace(b"\\\\", instead).replace(b'\\"', instead)


def _outside_strings(classes: bytes) -> bytes:
    """Return the text outside of strings, in linear time, as each check of a text: every step is a single pass.

    It is exact up to the first malformed place, and no decoder reads beyond that.
    """
    # Two strings are never adjacent: there is a mark between them.
    return b"".join(classes.replace(b'""', b"").split(b'"')[::2])


def _extremes(classes: bytes) -> int:
    """Count the numbers with an exponent of three digits or more than a hundred digits."""
    return classes.count(b"0e000") + classes.count(_MANY_DIGITS)


def _is_shallow(brackets: bytes, limit: int) -> bool:
    """Whether a quick look proves that nothing nests deeper than the limit, as in long but flat texts such as a batch.

    Each pass removes empty pairs, and so at most one level of each kind of bracket.
    """
    for _ in range(_PASSES):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return brackets.count(b"[") + brackets.count(b"{") + 2 * _PASSES <= limit


def _depths(text: bytes) -> Iterator[int]:
    return accumulate(map(_STEP.__getitem__, text))


def _blanked(body: bytes) -> bytes:
    """Return the text with its strings blanked; each byte keeps its place."""
    parts = _without_escapes(body, b"  ").split(b'"')
    parts[1::2] = map(bytes, map(len, parts[1::2]))
    return b'"'.join(parts)


def _place(byte: int | None) -> str:
    return f"after byte {_SEARCHED}" if byte is None else f"byte {byte}"


def _deep_byte(body: bytes, limit: int) -> int | None:
    depths = _depths(_blanked(body))
    return next((byte for byte, depth in enumerate(depths) if depth > limit), None)


def _large_byte(body: bytes) -> int | None:
    """Return the byte at which the first number out of range begins; all before it is well-formed."""
    return next((n.start() for n in _NUMBER.finditer(_blanked(body)) if _is_out_of_range(n)), None)


def _is_out_of_range(number: re.Match[bytes]) -> bool:
    return math.isinf(float(number[0])) if number["fraction"] else len(number[0]) > MAX_DIGITS


def _sentence(body: bytes, reason: str) -> str:
    if not body:
        return "malformed JSON: the body is empty"
    if reason == "Input data was truncated":
        return f"malformed JSON: it ends too early, or in half a surrogate pair (byte {len(body)})"
    trailing = _TRAILING.search(reason)
    if trailing is not None:  # here msgspec reports the byte after the one that it means
        return f"malformed JSON: trailing characters (byte {int(trailing[1]) - 1})"
    return "malformed JSON: " + reason.removeprefix("JSON is malformed: ")


def _bad_byte(body: bytes, error: UnicodeDecodeError) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as whole:
        error = whole
    return error.start
