"""Builds types from msgspec's descriptions of types.

Owns the way back from msgspec's description of a type to a type that msgspec can convert to, with replacements for classes. It
knows no parameter and no value.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias, Union
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw
from msgspec import inspect as types

Replace: TypeAlias = Callable[[Any], Any]
"""Returns the replacement for a class, a set or `Any`, from msgspec's description."""

CLASSES: dict[type, Any] = {
    types.BoolType: bool,
    types.NoneType: None,
    types.IntType: int,
    types.FloatType: float,
    types.StrType: str,
    types.BytesType: bytes,
    types.ByteArrayType: bytes,
    types.MemoryViewType: bytes,
    types.DateTimeType: datetime,
    types.TimeType: time,
    types.DateType: date,
    types.TimeDeltaType: timedelta,
    types.UUIDType: UUID,
    types.DecimalType: Decimal,
}
"""The Python class for each of msgspec's simple types."""

_REPLACED = (types.AnyType, types.RawType, types.CustomType, types.SetType, types.FrozenSetType)
_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length", "tz")


def constraints(info: Any) -> dict[str, Any]:
    """Return the constraints of a type, by name."""
    return {name: value for name in _CONSTRAINTS if (value := getattr(info, name, None)) is not None}


def rebuild_type(info: Any, replace: Replace) -> Any:
    """Build the type that msgspec describes, with replacements."""
    bare = _bare(info, replace)
    limited = constraints(info)
    return Annotated[bare, msgspec.Meta(**limited)] if limited else bare


def _bare(info: Any, replace: Replace) -> Any:
    if isinstance(info, types.Metadata):
        return rebuild_type(info.type, replace)
    if isinstance(info, types.UnionType):
        choices = [rebuild_type(member, replace) for member in info.types]
        anything = [choice for choice in choices if choice is Raw or choice is Any]
        return anything[0] if anything else Union[tuple(choices)]  # noqa: UP007  the members are computed
    if isinstance(info, types.DictType):
        return dict[rebuild_type(info.key_type, replace), rebuild_type(info.value_type, replace)]  # type: ignore[misc]  # likewise
    if isinstance(info, types.TupleType):
        return tuple[tuple(rebuild_type(item, replace) for item in info.item_types)]  # type: ignore[misc]  # likewise
    if isinstance(info, _REPLACED) or hasattr(info, "fields"):
        return replace(info)
    if isinstance(info, types.VarTupleType):
        return tuple[rebuild_type(info.item_type, replace), ...]  # type: ignore[misc]  # likewise
    if isinstance(info, types.CollectionType):
        return list[rebuild_type(info.item_type, replace)]  # type: ignore[misc]  # likewise
    if isinstance(info, types.LiteralType):
        return Literal[info.values]
    if isinstance(info, types.EnumType):
        return info.cls
    return CLASSES.get(type(info), Raw)


def without_code(info: Any, within: tuple[Any, ...] = ()) -> Any:
    """Return a type with the same JSON but without the application's code: a Struct for a class, a list for a set, which hashes.

    A class inside itself is not built again.
    """
    inner = (*within, getattr(info, "cls", None))

    def replace(part: Any) -> Any:
        return without_code(part, inner)

    if isinstance(info, (types.SetType, types.FrozenSetType)):
        return list[rebuild_type(info.item_type, replace)]  # type: ignore[misc]  # likewise
    if not hasattr(info, "fields") or info.cls in within:
        return Raw
    names = {f"field_{index}": field.encode_name for index, field in enumerate(info.fields)}
    defaults = [() if field.required else (UNSET,) for field in info.fields]
    forms = [rebuild_type(field.type, replace) for field in info.fields]
    return msgspec.defstruct(
        "Rebuilt",
        [(name, form, *default) for name, form, default in zip(names, forms, defaults, strict=True)],
        rename=names,
        array_like=getattr(info, "array_like", isinstance(info, types.NamedTupleType)),
        tag_field=getattr(info, "tag_field", None),
        tag=getattr(info, "tag", None),
    )
