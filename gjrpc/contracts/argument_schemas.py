"""The forms of a method's arguments as JSON schemas: of a body, and of a query's parameters (CONVENTION, section 1).

Owns the argument convention as JSON Schema (draft 2020-12) and as OpenAPI's query parameters; both allow what `binding` accepts.
It knows neither paths nor responses.
"""

from collections.abc import Iterator
from inspect import Parameter
from typing import Any

from gjrpc.calls.signatures import NAMED, POSITIONAL
from gjrpc.contracts.describe import COMPONENTS, Described, Value
from gjrpc.contracts.keys import Schema

_SCALARS = ["string", "number", "boolean", "null"]
_TEXT: Schema = {"type": "string"}


class Forms:
    """The forms in which the arguments of one method can be sent.

    Args:
        described: the method.
        components: the schemas that its own schemas refer to, by name.
    """

    def __init__(self, described: Described, components: dict[str, Schema]) -> None:
        self._described = described
        self._components = components
        self._positional = [value for value in described.parameters if value.kind in POSITIONAL]
        self._named = [value for value in described.parameters if value.kind in NAMED]
        self._needed = sum(value.required for value in self._positional)
        self._takes_array = not any(value.required for value in described.parameters if value.kind is Parameter.KEYWORD_ONLY)
        self._takes_object = described.method.binding.takes_names

    @property
    def takes_nothing(self) -> bool:
        """Whether it can be called without arguments."""
        return self._takes_array and not self._needed

    @property
    def takes_query(self) -> bool:
        """Whether all required parameters can be given by name, in a query."""
        return self._takes_object

    def body(self) -> Schema:
        """Return the schema of a POST's body: an array, an object, or one value."""
        return {"anyOf": list(self._bodies())}

    def query(self) -> list[dict[str, Any]]:
        """Return the query parameters of a GET as OpenAPI describes them (3.1.1, section 4.8.12)."""
        parameters = [_query_parameter(value) for value in self._named]
        further = self._described.double_star
        if further is not None:
            schema = {"type": "object", "additionalProperties": _text_schema(further)}
            taken = self._described.taken.union(value.name for value in self._named)
            if taken:
                schema["propertyNames"] = {"not": {"enum": sorted(taken)}}
            parameters.append({**_words(further), "style": "form", "explode": True, "schema": schema})
        return parameters

    def _bodies(self) -> Iterator[Schema]:
        if self._takes_array:
            yield self._array()
        if self._takes_object:
            yield self._object()
        if self.takes_nothing:
            yield {"enum": [None, ""], "description": "No arguments."}
        if self._takes_array and self._needed <= 1:
            values = [*self._positional, self._described.star]
            value = self._scalar(_annotated(values[0])) if values[0] is not None else None
            if value is not None:
                yield value

    def _array(self) -> Schema:
        star = self._described.star
        written: Schema = {"type": "array"}
        if self._needed:
            written["minItems"] = self._needed
        if self._positional:
            written["prefixItems"] = [_annotated(value) for value in self._positional]
        if star is None:
            written["maxItems"] = len(self._positional)
            written |= {"items": False} if self._positional else {}
        elif star.schema or star.description:
            written["items"] = _annotated(star)
        return written

    def _object(self) -> Schema:
        further = self._described.double_star
        written: Schema = {"type": "object", "properties": {value.name: _annotated(value) for value in self._named}}
        required = [value.name for value in self._named if value.required]
        if required:
            written["required"] = required
        written["additionalProperties"] = False if further is None else _annotated(further) or True
        if self._described.taken and further is not None:
            written["propertyNames"] = {"not": {"enum": sorted(self._described.taken)}}
        return written

    def _scalar(self, schema: Schema) -> Schema | None:
        """Return the part of a schema that is neither array nor object, as those are the arguments themselves; None if empty."""
        if "anyOf" in schema:
            options = [option for option in map(self._scalar, schema["anyOf"]) if option is not None]
            return {**schema, "anyOf": options} if options else None
        if "$ref" in schema:
            named = self._components[schema["$ref"].removeprefix(COMPONENTS)]
            return None if self._scalar(named) is None else schema
        if "type" in schema:
            return None if schema["type"] in ("array", "object") else schema
        return schema if "enum" in schema else {**schema, "type": _SCALARS}


def _annotated(value: Value) -> Schema:
    return {**value.schema, "description": value.description} if value.description else value.schema


def _words(value: Value) -> dict[str, Any]:
    return {"name": value.name, "in": "query", **value.words()}


def _query_parameter(value: Value) -> dict[str, Any]:
    if value.as_json and not value.repeated:
        return {**_words(value), "content": {"application/json": {"schema": value.schema}}}
    return {**_words(value), "schema": _text_schema(value)}


def _text_schema(value: Value) -> Schema:
    """Return the schema of a parameter in a query, whose text is read as its type."""
    schema = value.schema
    if not value.typed:
        return _with_default(_TEXT, schema)
    if value.as_json:
        text: Schema = {**_TEXT, "contentMediaType": "application/json"}
        return {"type": "array", "items": text} if value.repeated else text
    return {**schema, "minItems": max(1, schema.get("minItems", 0))} if value.required and value.repeated else schema


def _with_default(schema: Schema, other: Schema) -> Schema:
    return {**schema, "default": other["default"]} if isinstance(other.get("default"), str) else schema
