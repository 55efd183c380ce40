"""Readers of JSON text that is known to be well-formed.

Owns how text becomes values of a type, with all digits of its numbers, or is taken apart without being read.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from gjrpc.conversion import prepare
from gjrpc.hashing import hashing_of


@lru_cache(maxsize=256)
def _known_decoder(wanted: Any) -> Callable[[Any], Any]:
    return new_decoder(wanted)


def new_decoder(wanted: Any) -> Callable[[Any], Any]:
    """As `decoder`, and not remembered."""
    hashing = hashing_of(prepare(wanted))
    decode: Callable[[Any], Any] = msgspec.json.Decoder(wanted).decode
    if hashing is None:
        return decode

    def decode_checked(text: Any) -> Any:
        hashing.check(msgspec.json.decode(text))
        return decode(text)

    return decode_checked


def decoder(wanted: Any) -> Callable[[Any], Any]:
    """What reads JSON text that is known to be well-formed as a type: with all digits, where a Decimal is asked for.

    Raises:
        TypeError, ValueError, …: as `prepare`.
    """
    try:
        hash(wanted)
    except TypeError:
        return new_decoder(wanted)
    return _known_decoder(wanted)


def members(text: bytes | Raw) -> dict[str, Raw]:
    """The members of a JSON object that is known to be well-formed, each as text."""
    return msgspec.json.decode(text, type=dict[str, Raw])


def items(text: bytes | Raw) -> list[Raw]:
    """The items of a JSON array likewise."""
    return msgspec.json.decode(text, type=list[Raw])
