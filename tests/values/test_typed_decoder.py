"""Decoding well-formed JSON text to a type."""

from decimal import Decimal
from typing import Annotated

import msgspec
import pytest

from gjrpc.values.typed_decoder import decoder_for, items, members


def test_a_decimal_gets_every_digit():
    """A number is decoded to a Decimal with every digit, also inside other types."""
    digits = "0.1000000000000000055511151231257827"
    assert decoder_for(Decimal)(digits) == Decimal(digits)
    assert decoder_for(dict[str, list[Decimal]])(f'{{"a":[{digits}]}}') == {"a": [Decimal(digits)]}


def test_decoders_are_remembered():
    """The decoder of a type is made once; a type that has no hash gets a decoder each time."""
    assert decoder_for(list[int]) is decoder_for(list[int])
    unhashable = Annotated[int, []]
    with pytest.raises(TypeError):
        hash(unhashable)
    assert decoder_for(unhashable)("5") == 5


def test_a_value_that_does_not_fit_is_an_error():
    """Text that does not fit the type is msgspec's error, also for a value that can't be in a set."""
    with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
        decoder_for(int)('"a"')
    with pytest.raises(msgspec.ValidationError, match="values that can be in a set"):
        decoder_for(set)("[[1]]")


def test_parts_stay_text():
    """The members of an object and the items of an array are split and stay JSON text."""
    assert {name: bytes(text) for name, text in members(b'{"a": 1.50, "b":[ ]}').items()} == {"a": b"1.50", "b": b"[ ]"}
    assert list(map(bytes, items(b'[1.50, {"a":1}]'))) == [b"1.50", b'{"a":1}']
