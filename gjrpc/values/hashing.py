"""Limits how many values with the same hash a stranger can put into one set or dict.

Python's sets and dicts compare a new entry with each one that has the same hash, so n of them take n² / 2 comparisons, in C and
with the interpreter's lock held: 50,000 chosen integers take 14 s. The hashes of strings and bytes depend on a secret of the
process. The hashes of numbers, and of values made of numbers, do not: integers that differ by a multiple of 2^61 - 1 share one.
JSON's objects have strings as keys, and so are safe.

Owns the search of a type for such sets and dicts, and the check of values before they enter one. It knows no parameter and no
request.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import msgspec
from msgspec import inspect

from gjrpc.values.conversion import Type, alternatives, every_type
from gjrpc.values.type_builder import rebuild_type

LIMIT = 16
"""Different values with the same hash that one set or dict may contain."""

FEW = 64
"""Entries of a set or dict that are not checked, as so few can't take long."""

_UNSEASONED = (inspect.IntType, inspect.FloatType, inspect.DecimalType, inspect.UUIDType, inspect.AnyType)
_SETS = (inspect.SetType, inspect.FrozenSetType)


class Hashing:
    """Checks values of one type before they are converted.

    Args:
        root: the type.
        holding: the types in it that are, or contain, sets or dicts whose hashes a stranger can choose.
    """

    def __init__(self, root: Type, holding: Iterable[Type]) -> None:
        self._root = root
        self._holding = {id(info): info for info in holding}
        keys = {id(info): key for info in holding if (key := _key_of(info)) is not None}
        self._lists = {place: list[rebuild_type(key, _hashable)] for place, key in keys.items()}  # type: ignore[misc]  # computed

    def check(self, value: Any, *, strict: bool = True) -> None:
        """Check decoded JSON before it is converted to the type; not `strict` if strings may spell numbers.

        Raises:
            msgspec.ValidationError: too many values have the same hash, or a value does not fit.
        """
        stack = [(self._root, value)]
        while stack:
            info, value = stack.pop()
            for member in alternatives(info):
                if id(member) in self._holding:
                    entries = self._lists.get(id(member))
                    if entries is not None and isinstance(value, (list, dict)) and len(value) > FEW:
                        _check_crowds(value, entries, strict=strict and isinstance(value, list))
                    stack.extend(_typed_parts(member, value))


def as_validation_error(error: TypeError) -> Exception:
    """Return the error for a value that can't be in a set, for which a conversion raises a TypeError."""
    if not str(error).startswith("unhashable type"):
        return error
    return msgspec.ValidationError("Expected values that can be in a set")


def hashing_of(types: Sequence[Type]) -> Hashing | None:
    """Return the check for values of the first type, which contains the others; None if none is needed."""
    holding = [info for info in types if any(_key_of(inner) is not None for inner in every_type(info))]
    return Hashing(types[0], holding) if holding else None


def _key_of(info: Any) -> Type | None:
    """Return the type that a set or dict hashes, if a stranger can choose its hash; else None."""
    key = info.item_type if isinstance(info, _SETS) else getattr(info, "key_type", None)
    if key is None or (isinstance(key, inspect.AnyType) and not isinstance(info, _SETS)):  # without a type, a key is a string
        return None
    return key if any(isinstance(inner, _UNSEASONED) for inner in every_type(key)) else None


def _hashable(info: Any) -> Any:
    """Replace a set inside a set by a frozenset, and a class by itself, as hashes need the real values."""
    if isinstance(info, _SETS):
        return frozenset[rebuild_type(info.item_type, _hashable)]  # type: ignore[misc]  # computed
    return getattr(info, "cls", Any)


def _check_crowds(value: list[Any] | dict[str, Any], entries: Any, *, strict: bool) -> None:
    values = list(value)
    try:
        hashes = list(map(hash, msgspec.convert(values, entries, strict=strict)))
    except TypeError:
        return  # values without a hash are rejected at once
    crowded = {each for each, count in Counter(hashes).items() if count > LIMIT}
    if not crowded:
        return
    different = Counter(each for each, _ in {(each, repr(v)) for each, v in zip(hashes, values, strict=True) if each in crowded})
    if different and max(different.values()) > LIMIT:
        raise msgspec.ValidationError(f"Expected at most {LIMIT} values with the same hash, got {max(different.values())}")


def _typed_parts(info: Any, value: Any) -> Iterator[tuple[Type, Any]]:
    """Yield the parts of a value with their types, as far as the value fits this type."""
    fields = {field.encode_name: field.type for field in getattr(info, "fields", ())}
    if isinstance(value, list) and fields:
        untagged = value if getattr(info, "tag", None) is None else value[1:]
        yield from zip(fields.values(), untagged, strict=False)
    elif isinstance(value, list):
        yield from zip(_places(info), value, strict=False)
    elif isinstance(value, dict) and fields:
        yield from ((fields[name], value[name]) for name in fields.keys() & value.keys())
    elif isinstance(value, dict) and hasattr(info, "value_type"):
        yield from ((info.value_type, item) for item in value.values())


def _places(info: Any) -> Iterable[Type]:
    """Yield the types of an array's items, in order."""
    return repeat(info.item_type) if hasattr(info, "item_type") else getattr(info, "item_types", ())
