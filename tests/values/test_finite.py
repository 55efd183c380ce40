"""Finding NaN and infinity in values; test_codec has each kind of container."""

import math
import sys
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gjrpc.values.finite import ALWAYS_FINITE, find_non_finite, may_be_written, spelled

VALUES = st.recursive(st.none() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def floats(value):
    """All floats in a value, found by recursion."""
    if isinstance(value, dict):
        return [number for inner in value.values() for number in floats(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in floats(inner)]
    return [value] if isinstance(value, float) else []


@settings(max_examples=100, deadline=None, database=None)
@given(VALUES)
def test_such_a_number_is_found_exactly_where_there_is_one(value):
    """NaN or infinity is found in a value exactly if there is one, and then the encoded text says that a search is needed."""
    there = not all(map(math.isfinite, floats(value)))
    assert (find_non_finite(value) is not None) == there
    assert not there or may_be_written(msgspec.json.encode(value))


@pytest.mark.parametrize("value", ["NaN", 1, True, b"NaN", None], ids=repr)
def test_a_plain_value_holds_none(value):
    """Values of plain types are never NaN or infinite."""
    assert type(value) in ALWAYS_FINITE
    assert find_non_finite(value) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("-Infinity")], ids=repr)
def test_a_number_is_spelled_as_python_does(number):
    """The very number in the value is returned, and is spelled as Python spells it."""
    assert find_non_finite([1, {"a": (number,)}]) is number
    assert spelled(number) == str(number)


def test_numbers_are_not_searched_for_fields():
    """A search among many numbers takes a few steps for each, as their classes are not searched for fields."""
    steps = 0

    def note(frame, event, arg):
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        assert find_non_finite([Decimal("1.5"), 1.5] * 1000) is None
    finally:
        sys.setprofile(None)
    assert steps <= 2000 * 12
