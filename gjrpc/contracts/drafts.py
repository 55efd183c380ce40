"""JSON Schema's drafts 7 and 2020-12: a schema of one, written in the other.

Owns which keywords hold schemas, and what the two drafts call tuples. msgspec writes draft 2020-12; OpenRPC documents have
draft 7. It knows no document.
"""

from collections.abc import Callable
from typing import Any

# The keywords that hold schemas: one, several, or several by name.
_ONE = frozenset({"items", "additionalItems", "additionalProperties", "propertyNames", "not", "contains"})
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_BY_NAME = frozenset({"properties", "patternProperties", "definitions", "$defs"})


def draft_7(schema: Any) -> Any:
    """Write a schema of draft 2020-12 in draft 7, where tuples are `items` and nothing may stand beside a `$ref`."""
    if not isinstance(schema, dict):
        return schema
    written = {key: _inside(draft_7, key, value) for key, value in schema.items()}
    if "prefixItems" in written:
        if "items" in written:
            written["additionalItems"] = written.pop("items")
        written["items"] = written.pop("prefixItems")
    if "$ref" in written and len(written) > 1:
        written["allOf"] = [{"$ref": written.pop("$ref")}]
    return written


def draft_2020_12(schema: Any) -> Any:
    """Write a schema of draft 7 in draft 2020-12, where tuples are `prefixItems`, and further elements `items`."""
    if not isinstance(schema, dict):
        return schema
    written = {key: _inside(draft_2020_12, key, value) for key, value in schema.items()}
    further = written.pop("additionalItems", True)
    if isinstance(written.get("items"), list):
        written["prefixItems"] = written.pop("items")
        if further is not True:
            written["items"] = further
    return written


def _inside(convert: Callable[[Any], Any], key: str, value: Any) -> Any:
    """Convert the schemas that a keyword holds."""
    if key in _SEVERAL and isinstance(value, list):
        return [convert(each) for each in value]
    if key in _BY_NAME and isinstance(value, dict):
        return {name: convert(each) for name, each in value.items()}
    return convert(value) if key in _ONE else value
