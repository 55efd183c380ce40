"""Finds NaN and infinity in values, as JSON can't represent them (RFC 8259, section 6).

Owns the search through a value for such a number, and the test that shows when no search is needed: the encoder writes such
numbers without an error. It knows no limits and no request.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

ALWAYS_FINITE = frozenset({str, int, bool, bytes, type(None)})
"""Types whose values neither are nor contain such a number."""

_CAPITAL_N, _CAPITAL_I = b"NI"


def may_be_written(encoded: bytes) -> bool:
    """Whether encoded JSON may contain such a number, so that the value must be searched.

    The encoder writes a float as `null`, or as text if it is a key of an object, and a Decimal as `"NaN"` or `"Infinity"`.
    """
    return (
        encoded.find(b"null") >= 0
        or encoded.find(b'nan":') >= 0
        or encoded.find(b'inf":') >= 0
        or (_CAPITAL_N in encoded and encoded.find(b"NaN") >= 0)
        or (_CAPITAL_I in encoded and encoded.find(b"Infinity") >= 0)
    )


def find_non_finite(value: Any) -> float | Decimal | None:
    """Return the first NaN or infinity in a value, or None."""
    for item in _walk(value):
        if isinstance(item, (float, Decimal)) and not _is_finite(item):
            return item
    return None


def spelled(number: float | Decimal) -> str:
    """Return such a number as Python spells it, whatever its class does."""
    return float.__repr__(number) if isinstance(number, float) else Decimal.__str__(number)


def _is_finite(number: float | Decimal) -> bool:
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)


def _walk(value: Any) -> Iterator[Any]:
    """Yield each value inside `value` that the encoder writes and that may be such a number; without recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        yield item
        if isinstance(item, dict):
            stack += _open(item)
            stack += _open(dict.values(item))
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack += _open(item)
        elif isinstance(item, Enum):
            stack.append(item.value)
        elif not isinstance(item, (float, Decimal)):  # numbers have no fields, and finding that out takes long
            stack.extend(_field_values(item))


def _open(items: Iterable[Any]) -> list[Any]:
    return [item for item in items if type(item) not in ALWAYS_FINITE]


def _field_values(item: Any) -> Iterator[Any]:
    """Yield the fields that the encoder can read; it leaves out the others."""
    for name in _field_names(item):
        with suppress(Exception):
            yield getattr(item, name)


def _field_names(item: Any) -> Iterable[str]:
    if isinstance(item, msgspec.Struct):
        return item.__struct_fields__
    attributes = fields(item) if is_dataclass(item) else getattr(item, "__attrs_attrs__", ())
    return [attribute.name for attribute in attributes]
