"""Decodes well-formed JSON text to a type.

Owns how text becomes a value of a type, with every digit of its numbers, and how text is split into parts that stay text. It
knows no limits: `codec` has checked the text.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from gjrpc.values.conversion import prepare
from gjrpc.values.hashing import as_validation_error, hashing_of


@lru_cache(maxsize=256)
def _known_decoder(wanted: Any) -> Callable[[Any], Any]:
    return uncached_decoder_for(wanted)


def uncached_decoder_for(wanted: Any) -> Callable[[Any], Any]:
    """Return a decoder as `decoder_for` does, without its cache."""
    hashing = hashing_of(prepare(wanted))
    decode: Callable[[Any], Any] = msgspec.json.Decoder(wanted).decode
    if hashing is None:
        return decode

    def decode_checked(text: Any) -> Any:
        hashing.check(msgspec.json.decode(text))
        try:
            return decode(text)
        except TypeError as error:
            raise as_validation_error(error) from None

    return decode_checked


def decoder_for(wanted: Any) -> Callable[[Any], Any]:
    """Return the decoder of well-formed JSON text to a type; a Decimal gets every digit.

    Raises:
        TypeError, ValueError, …: as `prepare`.
    """
    try:
        hash(wanted)
    except TypeError:
        return uncached_decoder_for(wanted)
    return _known_decoder(wanted)


def members(text: bytes | Raw) -> dict[str, Raw]:
    """Return the members of a well-formed JSON object, each as text."""
    return msgspec.json.decode(text, type=dict[str, Raw])


def items(text: bytes | Raw) -> list[Raw]:
    """Return the items of a well-formed JSON array, each as text."""
    return msgspec.json.decode(text, type=list[Raw])
