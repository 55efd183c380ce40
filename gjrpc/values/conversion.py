"""Prepares types so that msgspec can convert JSON to them.

Owns the walk through all types inside a type, the list of types that JSON can't be converted to, and the support for non-ASCII
names. It knows no parameter and no request.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from gjrpc.values.class_fields import constructor_fields_only

Type: TypeAlias = inspect.Type

KEYS = (
    inspect.StrType,
    inspect.AnyType,
    inspect.IntType,
    inspect.FloatType,
    inspect.DecimalType,
    inspect.UUIDType,
    inspect.DateType,
    inspect.DateTimeType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.BytesType,
    inspect.EnumType,
    inspect.LiteralType,
)
"""Types that an object's key, which is always a string, can be converted to."""


_SETS = (inspect.SetType, inspect.FrozenSetType)
_WITHOUT_HASH = (inspect.ListType, inspect.DictType, inspect.SetType, inspect.ByteArrayType, inspect.TypedDictType)


class Unconvertible(TypeError):
    """JSON can't be converted to a type; the text names it and says what to do."""


_PARTS = ("item_type", "key_type", "value_type", "type")


def every_type(*roots: Type) -> list[Type]:
    """Return types and all types inside them, once each: items, members of unions, fields of classes, at any depth."""
    found: dict[int, Type] = {}
    stack = list(roots)
    while stack:
        info = stack.pop()
        if id(info) not in found:
            found[id(info)] = info
            stack.extend(_inner(info))
    return list(found.values())


def _inner(info: Any) -> Iterator[Type]:
    yield from _parts(info)
    yield from (field.type for field in getattr(info, "fields", ()))


def _parts(info: Any) -> Iterator[Type]:
    """Yield the types that a type consists of, without the fields of classes."""
    yield from getattr(info, "types", ())
    yield from getattr(info, "item_types", ())
    yield from (getattr(info, part) for part in _PARTS if hasattr(info, part))


def alternatives(info: Any) -> list[Type]:
    """Return the members of a union, or the type itself, without metadata."""
    if isinstance(info, inspect.Metadata):
        return alternatives(info.type)
    return [member for part in info.types for member in alternatives(part)] if isinstance(info, inspect.UnionType) else [info]


def without_fields(info: Type) -> list[Type]:
    """Return a type and all types inside it (items, members of unions), without the fields of classes."""
    return [info] + [inner for part in _parts(info) for inner in without_fields(part)]


def prepare(annotation: Any) -> list[Type]:
    """Prepare a type for conversions; return it, then all types inside it.

    Raises:
        Unconvertible: JSON can't be converted to it.
        TypeError, ValueError, …: msgspec does not accept it as a type.
    """
    root = inspect.type_info(annotation)
    unknown = next((info for info in without_fields(root) if isinstance(info, inspect.CustomType)), None)
    if unknown is not None:
        raise Unconvertible(f"{unknown.cls.__name__} can't be made from JSON; use a dataclass, a msgspec.Struct or a JSON type")
    types = every_type(root)
    for info in types:
        _cache_names(info)
        _check_entries(info)
    with constructor_fields_only(types) as classes:
        for cls in classes:  # what msgspec has learned about them before
            if "__msgspec_cache__" in vars(cls):
                delattr(cls, "__msgspec_cache__")
        msgspec.json.Decoder(annotation)
    return types


def _check_entries(info: Type) -> None:
    """Raise Unconvertible for a dict whose keys strings can't become, or a set of values without a hash."""
    if isinstance(info, inspect.DictType) and not _has_key(info.key_type):
        kind = _kind(info.key_type)
        raise Unconvertible(f"keys in JSON are strings, which can't become a {kind}; use str, a number or an enum for keys")
    if isinstance(info, _SETS) and not _has_hash(info.item_type):
        raise Unconvertible(f"a set can't hold a {_kind(info.item_type)}, which has no hash; use a list")


def _has_key(info: Type) -> bool:
    return any(isinstance(member, KEYS) for member in alternatives(info))


def _has_hash(info: Any) -> bool:
    """Whether values of a type can be in a set, as far as the type shows."""
    return all(map(_is_hashed, alternatives(info)))


def _is_hashed(info: Any) -> bool:
    if isinstance(info, (inspect.TupleType, inspect.VarTupleType)):
        return all(map(_has_hash, _parts(info)))
    cls = getattr(info, "cls", object)
    config = getattr(cls, "__struct_config__", None)  # each Struct has a __hash__, even if it only raises
    own = config is None or config.frozen or not config.eq or cls.__hash__ is not msgspec.Struct.__hash__
    return own and cls.__hash__ is not None and not isinstance(info, _WITHOUT_HASH)


def _kind(info: Type) -> str:
    return " or ".join(type(member).__name__.removesuffix("Type").lower() for member in alternatives(info))


def _cache_names(info: Any) -> None:
    """Make Python cache the UTF-8 of the names that msgspec compares; otherwise msgspec does not find non-ASCII names."""
    names = [getattr(info, "tag_field", None), getattr(info, "tag", None)]
    names += [name for field in getattr(info, "fields", ()) for name in (field.name, field.encode_name)]
    for name in names:
        if isinstance(name, str):
            msgspec.json.encode(name)
