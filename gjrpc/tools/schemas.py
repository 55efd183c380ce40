"""JSON schemas as values: which ones are valid, and which kinds of values they allow.

Owns the types that the keywords must have which the tools read (JSON Schema, draft 2020-12), and how a schema is split into
schemas of one kind of values each. It knows no comparison and no document.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from gjrpc.errors import SettingsError

Keywords: TypeAlias = dict[str, Any]
"""A schema that is an object."""

Schema: TypeAlias = Keywords | bool
"""A JSON schema (draft 2020-12, section 4.3.2): an object of keywords, or true for anything and false for nothing."""

_Type: TypeAlias = Literal["null", "boolean", "integer", "number", "string", "array", "object"]

TYPES: tuple[str, ...] = get_args(_Type)
"""What the keyword `type` can name (JSON Schema validation, section 6.1.1)."""

KINDS = tuple(name for name in TYPES if name != "integer")
"""The kinds of values that exist; integers are numbers."""

NUMBERS = ("integer", "number")
"""The types of numbers."""

ALTERNATIVES = ("anyOf", "oneOf", "allOf")
"""The keywords that combine schemas."""

_Count: TypeAlias = Annotated[int, Meta(ge=0)] | UnsetType
_Number: TypeAlias = int | float | UnsetType
_Options: TypeAlias = Annotated[list[Schema], Meta(min_length=1)] | UnsetType
_Inner: TypeAlias = Schema | UnsetType
_Text: TypeAlias = str | UnsetType

_write = msgspec.json.Encoder(order="deterministic").encode


class _Shape(msgspec.Struct, rename="camel"):
    """The keywords that the tools read, with the types that they must have; there may be others."""

    ref: _Text = field(name="$ref", default=UNSET)
    type: _Type | list[_Type] | UnsetType = UNSET
    enum: list[Any] | UnsetType = UNSET
    any_of: _Options = UNSET
    one_of: _Options = UNSET
    all_of: _Options = UNSET
    minimum: _Number = UNSET
    exclusive_minimum: _Number = UNSET
    maximum: _Number = UNSET
    exclusive_maximum: _Number = UNSET
    multiple_of: Annotated[int, Meta(gt=0)] | Annotated[float, Meta(gt=0)] | UnsetType = UNSET
    min_length: _Count = UNSET
    max_length: _Count = UNSET
    prefix_items: list[Schema] | UnsetType = UNSET
    items: _Inner = UNSET
    min_items: _Count = UNSET
    max_items: _Count = UNSET
    unique_items: bool | UnsetType = UNSET
    properties: dict[str, Schema] | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    additional_properties: _Inner = UNSET
    property_names: _Inner = UNSET
    min_properties: _Count = UNSET
    max_properties: _Count = UNSET


class Levels:
    """Counts the levels of a walk through a schema and its references, one per with-block, since Python's stack is limited.

    Args:
        most: how many levels there may be.

    Raises:
        SettingsError: there are more; entering the with-block raises it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def __enter__(self) -> None:
        self._count += 1
        if self._count > self._most:
            raise SettingsError(f"a schema is nested more than {self._most} levels deep, counting what it refers to")

    def __exit__(self, *_: object) -> None:
        self._count -= 1


def fault(schema: Schema) -> str | None:
    """What is wrong with the keywords of a schema, apart from schemas inside it; None if nothing is."""
    try:
        msgspec.convert(schema, _Shape | bool)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def text(value: Any) -> str:
    """Write a value as JSON; equal values give the same text, in whatever order their keys are."""
    return _write(value).decode()


def identity(value: Any) -> str:
    """Return the same text for values that are equal in JSON: 1 and 1.0 are, 1 and true are not."""
    return text(int(value) if isinstance(value, float) and value.is_integer() else value)


def constants(schema: Keywords) -> list[Any] | None:
    """The values that `enum` or `const` list, or None without either."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def options(schema: Keywords) -> list[Schema]:
    """The alternatives of a schema: each of its values is valid under at least one. Empty if only `flat` can split it."""
    if constants(schema) is not None:
        return []
    keys = [key for key in ALTERNATIVES if key != "allOf" or len(schema.get(key, ())) == 1]
    return next((schema[key] for key in keys if key in schema), [])


def flat(schema: Keywords) -> Iterator[Keywords]:
    """Split a schema without `options` into schemas of one `type` each, or of one value each if the values are listed."""
    values = constants(schema)
    if values is not None:
        yield from map(constant, values)
        return
    kinds = schema.get("type", KINDS)
    for kind in (kinds,) if isinstance(kinds, str) else kinds:
        named = {"null": (None,), "boolean": (False, True)}.get(kind)
        if named is None:
            yield {**schema, "type": kind}
        else:
            yield from map(constant, named)


def constant(value: Any) -> Keywords:
    """The schema of one value, with every keyword that can express it."""
    schema: Keywords = {"type": _kind(value), "const": value}
    if schema["type"] in NUMBERS:
        return {**schema, "minimum": value, "maximum": value}
    if isinstance(value, str):
        return {**schema, "minLength": len(value), "maxLength": len(value)}
    if isinstance(value, list):
        items = [{"const": each} for each in value]
        return {**schema, "prefixItems": items, "items": False, "minItems": len(value), "maxItems": len(value)}
    if isinstance(value, dict):
        members = {name: {"const": each} for name, each in value.items()}
        return {**schema, "properties": members, "required": [*value], "additionalProperties": False}
    return schema


def _kind(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return "integer"  # validation, section 6.1.1: "any number with a zero fractional part"
    return _KIND_OF[type(value)]


_KIND_OF = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
