"""JSON schemas as values: their shape, their words, and what they fall into.

Owns what the keywords that the tools look at must look like (JSON Schema, draft 2020-12), how a schema is said in a few words,
and how its values are split into kinds. It knows no comparison and no document.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from gjrpc.errors import SettingsError
from gjrpc.texts import excerpt

Keywords: TypeAlias = dict[str, Any]
"""A schema that is an object."""

Schema: TypeAlias = Keywords | bool
"""A JSON schema (draft 2020-12, section 4.3.2): an object of keywords, or true for anything and false for nothing."""

KINDS = ("null", "boolean", "number", "string", "array", "object")
"""The kinds of values that there are; integers are numbers."""

_Kind: TypeAlias = Literal["null", "boolean", "integer", "number", "string", "array", "object"]
_Count: TypeAlias = Annotated[int, Meta(ge=0)] | UnsetType
_Number: TypeAlias = int | float | UnsetType
_Options: TypeAlias = Annotated[list[Schema], Meta(min_length=1)] | UnsetType
_Inner: TypeAlias = Schema | UnsetType
_Text: TypeAlias = str | UnsetType

# The keywords that only limit a kind, in the order in which they are said.
_NUMBER_LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
_TEXT_LIMITS = ("minLength", "maxLength", "pattern", "format", "contentEncoding")
_SIZE_LIMITS = ("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties")
_LIMITS = (*_NUMBER_LIMITS, *_TEXT_LIMITS, *_SIZE_LIMITS)
_MOST_WORDS = 80

_write = msgspec.json.Encoder(order="deterministic").encode


class _Shape(msgspec.Struct, rename="camel"):
    """The keywords that are looked at, with the types that they must have; others may stand beside them."""

    ref: _Text = field(name="$ref", default=UNSET)
    type: _Kind | list[_Kind] | UnsetType = UNSET
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


# The keywords that hold schemas: one, several, or several by name.
_ONE = frozenset({"items", "additionalItems", "additionalProperties", "propertyNames", "not", "contains"})
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_BY_NAME = frozenset({"properties", "patternProperties", "definitions", "$defs"})


def modern(schema: Any) -> Any:
    """A schema of draft 7, which OpenRPC has, as 2020-12 says it: its tuples are `items` with an array, and `additionalItems`."""
    if not isinstance(schema, dict):
        return schema
    written = {key: _modern_inside(key, value) for key, value in schema.items()}
    further = written.pop("additionalItems", True)
    if isinstance(written.get("items"), list):
        written["prefixItems"] = written.pop("items")
        if further is not True:
            written["items"] = further
    return written


def _modern_inside(key: str, value: Any) -> Any:
    if key in _SEVERAL and isinstance(value, list):
        return [modern(each) for each in value]
    if key in _BY_NAME and isinstance(value, dict):
        return {name: modern(each) for name, each in value.items()}
    return modern(value) if key in _ONE else value


class Levels:
    """Counts the levels of a walk through a schema and its references, one per with-block, as Python's stack is limited.

    Raises:
        SettingsError: there are more than `most`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def __enter__(self) -> None:
        self._count += 1
        if self._count > self._most:
            raise SettingsError(f"a schema is nested deeper than {self._most} levels, with all that it refers to")

    def __exit__(self, *_: object) -> None:
        self._count -= 1


def fault(schema: Schema) -> str | None:
    """What is wrong with the keywords of a schema, not of those inside it; None where nothing is."""
    try:
        msgspec.convert(schema, _Shape | bool)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def text(value: Any) -> str:
    """A value as JSON; the same text for the same value, whatever the order of its keys."""
    return _write(value).decode()


def identity(value: Any) -> str:
    """The same text for values that are equal in JSON: 1 and 1.0 are, 1 and true are not."""
    return text(int(value) if isinstance(value, float) and value.is_integer() else value)


def constants(schema: Keywords) -> list[Any] | None:
    """The values that `enum` or `const` name, or None where there is neither."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def spelled(schema: Schema) -> str:
    """A schema in a few words, for people: `integer | null`, `array of Node`, `"a" | "b"`, `integer (minimum 1)`."""
    return shortened(_spelled(schema))


def shortened(words: str) -> str:
    """Cut text that is too long."""
    return excerpt(words, _MOST_WORDS)


def _spelled(schema: Schema) -> str:
    if isinstance(schema, bool):
        return "anything" if schema else "nothing"
    if fault(schema):
        return text(schema)
    values = constants(schema)
    if values is not None:
        return " | ".join(map(text, values)) or "nothing"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(map(_spelled, schema[key]))
    kinds = schema.get("type", "anything")
    words = kinds if isinstance(kinds, str) else " | ".join(kinds)
    inner = schema.get({"array": "items", "object": "additionalProperties"}.get(words, ""))
    if "prefixItems" in schema:
        words = f"[{', '.join(map(_spelled, schema['prefixItems']))}]"
    elif inner:
        words += f" of {_spelled(inner)}"
    limits = [f"{key} {text(schema[key])}" for key in _LIMITS if key in schema]
    return f"{words} ({', '.join(limits)})" if limits else words


def options(schema: Keywords) -> list[Schema]:
    """The schemas of which one, at least, holds for each value; none where `flat` has to be asked."""
    if constants(schema) is not None:
        return []
    keys = ("anyOf", "oneOf", "allOf") if len(schema.get("allOf", ())) == 1 else ("anyOf", "oneOf")
    return next((schema[key] for key in keys if key in schema), [])


def flat(schema: Keywords) -> Iterator[Keywords]:
    """All values of a schema without `options` by kind: schemas of one `type`, or of one value where the values can be named."""
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
    """The schema of one value, said with all keywords that can say it."""
    schema: Keywords = {"type": _kind(value), "const": value}
    if schema["type"] in ("integer", "number"):
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
