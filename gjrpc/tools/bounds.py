"""The keywords that limit values of one type: ranges of numbers, lengths of strings, sizes of arrays and objects.

Owns the table of these keywords, and whether values within one schema's limits are within another's, one keyword at a time. It
knows no references, no alternatives, and nothing about what is inside a value.
"""

import math
from collections.abc import Callable
from typing import Any

from gjrpc.tools.schemas import NUMBERS, Keywords, Schema


def _lower(part: Keywords, keyword: str, bound: float) -> bool:
    least, beyond = part.get("minimum", -math.inf), part.get("exclusiveMinimum", -math.inf)
    if part["type"] == "integer" and beyond > -math.inf:
        least = max(least, math.floor(beyond) + 1)
    return bool(least > bound or beyond >= bound or (least == bound and keyword == "minimum"))


def _upper(part: Keywords, keyword: str, bound: float) -> bool:
    most, below = part.get("maximum", math.inf), part.get("exclusiveMaximum", math.inf)
    if part["type"] == "integer" and below < math.inf:
        most = min(most, math.ceil(below) - 1)
    return bool(most < bound or below <= bound or (most == bound and keyword == "maximum"))


def _multiple(part: Keywords, keyword: str, factor: float) -> bool:
    """Only for integers: the remainder of a division of floats proves nothing."""
    step = part.get("const", part.get("multipleOf", 1 if part["type"] == "integer" else None))
    return bool(step == factor or (isinstance(step, int) and isinstance(factor, int) and step % factor == 0))


def _at_least(part: Keywords, keyword: str, bound: int) -> bool:
    certain = len(set(part.get("required", ()))) if keyword == "minProperties" else 0
    return bool(max(part.get(keyword, 0), certain) >= bound)


def _at_most(part: Keywords, keyword: str, bound: int) -> bool:
    possible = {"maxItems": most_items, "maxProperties": _most_members}.get(keyword)
    return bool(part.get(keyword, math.inf) <= bound or (possible is not None and possible(part) <= bound))


def _equal(part: Keywords, keyword: str, value: Any) -> bool:
    return bool(part.get(keyword) == value)


def _unique(part: Keywords, keyword: str, value: bool) -> bool:
    return not value or part.get("uniqueItems") is True or most_items(part) <= 1


LIMITS: dict[str, tuple[tuple[str, ...], Callable[[Keywords, str, Any], bool]]] = {
    "minimum": (NUMBERS, _lower),
    "exclusiveMinimum": (NUMBERS, _lower),
    "maximum": (NUMBERS, _upper),
    "exclusiveMaximum": (NUMBERS, _upper),
    "multipleOf": (NUMBERS, _multiple),
    "minLength": (("string",), _at_least),
    "maxLength": (("string",), _at_most),
    "pattern": (("string",), _equal),
    "format": (("string", *NUMBERS), _equal),
    "contentEncoding": (("string",), _equal),
    "minItems": (("array",), _at_least),
    "maxItems": (("array",), _at_most),
    "uniqueItems": (("array",), _unique),
    "minProperties": (("object",), _at_least),
    "maxProperties": (("object",), _at_most),
}
"""By keyword: the types that it limits, and whether a part of such a type is within the whole's limit.

`wording` lists the keywords in this order.
"""


def others(part: Keywords) -> Schema:
    """The schema of the properties that a part does not list."""
    further: Schema = part.get("additionalProperties", True)
    return True if "patternProperties" in part else further


def most_items(part: Keywords) -> float:
    """How many items there can be at most."""
    listed = len(part.get("prefixItems", ())) if part.get("items") is False else math.inf
    most: float = part.get("maxItems", math.inf)
    return min(listed, most)


def _most_members(part: Keywords) -> float:
    return len(part.get("properties", ())) if others(part) is False else math.inf
