"""A schema in a few words."""

import pytest

from gjrpc.tools.wording import in_words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (True, "anything"),
        (False, "nothing"),
        ({}, "anything"),
        ({"type": "integer"}, "integer"),
        ({"type": ["integer", "null"]}, "integer | null"),
        ({"type": "integer", "minimum": 1, "multipleOf": 2}, "integer (minimum 1, multipleOf 2)"),
        ({"type": "string", "format": "date", "title": "Day"}, 'string (format "date")'),
        ({"$ref": "#/components/schemas/Node"}, "Node"),
        ({"anyOf": [{"$ref": "#/a/Node"}, {"type": "null"}]}, "Node | null"),
        ({"enum": ["a", 1, None]}, '"a" | 1 | null'),
        ({"enum": []}, "nothing"),
        ({"const": {"b": 1, "a": 2}}, '{"a":2,"b":1}'),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 2}, "array of string (maxItems 2)"),
        ({"type": "array", "prefixItems": [{"type": "string"}, True], "items": False}, "[string, anything]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
        ({"type": "object", "additionalProperties": False}, "object"),
        ({"type": 3}, '{"type":3}'),
        ({"enum": ["x" * 100]}, '"' + "x" * 79 + "…"),
    ],
    ids=str,
)
def test_in_words(schema, words):
    """A schema is described in few words."""
    assert in_words(schema) == words
