"""Adds the form of objects' keys to schemas.

Owns the form of the keys of dicts whose keys are not strings: JSON Schema's `propertyNames` (draft 2020-12, section 10.3.2.4),
which msgspec does not write. It walks a type and the schema that msgspec made of it side by side.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from gjrpc.values.conversion import alternatives

Schema: TypeAlias = dict[str, Any]
"""A JSON schema that this project writes: an object of keywords."""

BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
"""RFC 4648, section 4, with its padding."""

DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""The finite numbers that `decimal.Decimal` reads."""

_INTEGER = "^(?:0|-?[1-9][0-9]*)$"
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"  # RFC 8259, section 6
_CLASSES = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)
_ARRAYS = (inspect.CollectionType, inspect.TupleType)

# The schema of a key of each type.
_KEYS: dict[type, Callable[[Any], Schema]] = {
    inspect.IntType: lambda info: {"pattern": _INTEGER},
    inspect.FloatType: lambda info: {"pattern": _NUMBER},
    inspect.DecimalType: lambda info: {"format": "decimal", "pattern": DECIMAL},
    inspect.UUIDType: lambda info: {"format": "uuid"},
    inspect.DateType: lambda info: {"format": "date"},
    inspect.DateTimeType: lambda info: {"format": "date-time"} if info.tz else {},
    inspect.TimeType: lambda info: {"format": "time"} if info.tz else {},
    inspect.TimeDeltaType: lambda info: {"format": "duration"},
    inspect.BytesType: lambda info: {"contentEncoding": "base64", "pattern": BASE64},
    inspect.EnumType: lambda info: {"enum": _texts(member.value for member in info.cls)},
    inspect.LiteralType: lambda info: {"enum": _texts(info.values)},
}


def add_key_schemas(
    types: Iterable[Any],
    schemas: Iterable[Any],
    components: dict[str, Schema],
    prefix: str,
    unset: Mapping[Any, Iterable[str]] = MappingProxyType({}),
) -> None:
    """Add `propertyNames` to schemas and to the components that they refer to; both are changed.

    Args:
        types: annotations.
        schemas: the schema that msgspec made of each.
        components: the schemas of classes by name; a reference is `prefix` and the name.
        prefix: the start of each reference.
        unset: fields by class that no object has as a key; they are removed.
    """
    _Walk(components, prefix, unset).all(zip(inspect.multi_type_info(types), schemas, strict=True))


class _Walk:
    def __init__(self, components: dict[str, Schema], prefix: str, unset: Mapping[Any, Iterable[str]]) -> None:
        self._unset = unset
        self._components = components
        self._prefix = prefix
        self._seen: set[str] = set()

    def all(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        for info, schema in pairs:
            for member in alternatives(info):
                for option in _options(schema):
                    self._look(member, option)

    def _look(self, info: Any, schema: Schema) -> None:
        if isinstance(info, inspect.DictType) and schema.get("type") == "object":
            names = _names(info.key_type)
            if names:
                schema["propertyNames"] = names
            self.all([(info.value_type, schema.get("additionalProperties"))])
        elif isinstance(info, _ARRAYS) and schema.get("type") == "array":
            places = getattr(info, "item_types", ())
            self.all(zip(places, schema.get("prefixItems", []), strict=False))
            self.all([(item, schema.get("items")) for item in _item_type(info)])
        elif isinstance(info, _CLASSES):
            self._enter(info, schema.get("$ref", "").removeprefix(self._prefix))

    def _enter(self, info: Any, name: str) -> None:
        component = self._components.get(name)
        if component is None or name in self._seen or not _is_of(component, info.cls):
            return
        self._seen.add(name)
        for left_out in self._unset.get(info.cls, ()):
            component["properties"].pop(left_out, None)
            component["required"] = [each for each in component["required"] if each != left_out]
        listed = component.get("properties")
        if listed is not None:
            self.all((field.type, listed.get(field.encode_name)) for field in info.fields)
        else:
            places = component.get("prefixItems", [])
            tagged = len(places) - len(info.fields)  # a tag comes first
            self.all(zip((field.type for field in info.fields), places[tagged:], strict=True))


def _item_type(info: Any) -> list[Any]:
    return [info.item_type] if hasattr(info, "item_type") else []


def _is_of(component: Schema, cls: Any) -> bool:
    """Return whether a component is of this class: of several in one union, msgspec titles each with its class's name."""
    return bool(component.get("title", "").partition("[")[0] == getattr(cls, "__origin__", cls).__name__)


def _options(schema: Any) -> Iterator[Schema]:
    """Yield a schema and the alternatives in its `anyOf`."""
    if isinstance(schema, dict):
        yield schema
        for option in schema.get("anyOf", ()):
            yield from _options(option)


def _names(key: Any) -> Schema:
    """Return the schema of an object's keys; empty if any string is a key, and for strings, which msgspec describes."""
    members = alternatives(key)
    known = [_KEYS[type(member)](member) for member in members if type(member) in _KEYS]
    free = any(isinstance(member, (inspect.StrType, inspect.AnyType)) for member in members)
    if free or not all(known):
        return {}
    return known[0] if len(known) == 1 else {"anyOf": known}


def _texts(values: Iterable[Any]) -> list[str]:
    return [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values]
