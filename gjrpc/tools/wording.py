"""A schema in a few words, for people.

Owns these words. It knows no comparison and no document.
"""

from gjrpc.texts import excerpt
from gjrpc.tools.bounds import LIMITS
from gjrpc.tools.schemas import Keywords, Schema, constants, fault, text

_MOST = 80  # characters


def in_words(schema: Schema) -> str:
    """Describe a schema: `integer | null`, `array of Node`, `"a" | "b"`, `integer (minimum 1)`."""
    return shortened(_in_words(schema))


def shortened(words: str) -> str:
    """Cut words that are too long."""
    return excerpt(words, _MOST)


def _in_words(schema: Schema) -> str:
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
            return " | ".join(map(_in_words, schema[key]))
    limits = [f"{key} {text(schema[key])}" for key in LIMITS if key in schema]
    return f"{_types(schema)} ({', '.join(limits)})" if limits else _types(schema)


def _types(schema: Keywords) -> str:
    """The types of a schema's values, and what is inside of these."""
    types = schema.get("type", "anything")
    words = types if isinstance(types, str) else " | ".join(types)
    if "prefixItems" in schema:
        return f"[{', '.join(map(_in_words, schema['prefixItems']))}]"
    inner = schema.get({"array": "items", "object": "additionalProperties"}.get(words, ""))
    return f"{words} of {_in_words(inner)}" if inner else words
