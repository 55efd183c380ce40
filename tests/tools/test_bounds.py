"""The limits of kinds of values: those that keep within another's, and those that do not."""

import pytest

from gjrpc.tools.bounds import LIMITS, most_items, others


@pytest.mark.parametrize(
    ("part", "keyword", "value", "fits"),
    [
        ({"type": "number", "minimum": 1}, "minimum", 1, True),
        ({"type": "number", "minimum": 1}, "exclusiveMinimum", 1, False),
        ({"type": "number", "exclusiveMinimum": 1}, "exclusiveMinimum", 1, True),
        ({"type": "number", "exclusiveMinimum": 1}, "minimum", 1.5, False),
        ({"type": "integer", "exclusiveMinimum": 0.5}, "minimum", 1, True),
        ({"type": "integer", "exclusiveMaximum": 2.5}, "maximum", 2, True),
        ({"type": "integer", "exclusiveMaximum": 2}, "exclusiveMaximum", 1, False),
        ({"type": "number"}, "maximum", 1e300, False),
        ({"type": "integer", "maximum": 2**70}, "maximum", 2**70 - 1, False),
        ({"type": "number", "multipleOf": 0.5}, "multipleOf", 0.5, True),
        ({"type": "number", "multipleOf": 0.5}, "multipleOf", 0.25, False),
        ({"type": "integer", "const": 9}, "multipleOf", 3, True),
        ({"type": "number"}, "multipleOf", 1, False),
        ({"type": "string"}, "minLength", 0, True),
        ({"type": "object", "required": ["a", "b", "a"]}, "minProperties", 2, True),
        ({"type": "object", "required": ["a", "a"]}, "minProperties", 2, False),
        ({"type": "object", "properties": {"a": True}, "additionalProperties": False}, "maxProperties", 1, True),
        ({"type": "object", "properties": {"a": True}}, "maxProperties", 1, False),
        ({"type": "array", "prefixItems": [True], "items": False}, "maxItems", 1, True),
        ({"type": "array", "prefixItems": [True], "items": False}, "uniqueItems", True, True),
        ({"type": "array"}, "uniqueItems", True, False),
        ({"type": "array"}, "uniqueItems", False, True),
    ],
    ids=str,
)
def test_limit(part, keyword, value, fits):
    """Values keep within a limit only if their own limits prove it."""
    kinds, keeps = LIMITS[keyword]
    assert part["type"] in kinds
    assert keeps(part, keyword, value) is fits


def test_others():
    """The schema gives the values of unlisted properties; with patterns for some of them, they can be anything."""
    assert others({}) is True
    assert others({"additionalProperties": False}) is False
    assert others({"additionalProperties": False, "patternProperties": {"a": {}}}) is True


def test_most_items():
    """There can be as many items as are listed, if others are ruled out, and as are allowed."""
    assert most_items({"prefixItems": [True], "items": False, "maxItems": 5}) == 1
    assert most_items({"prefixItems": [True], "maxItems": 5}) == 5
    assert most_items({}) == float("inf")
