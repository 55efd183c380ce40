"""JSON schemas as values: what is wrong with one, and the kinds of values that it allows."""

import pytest

from gjrpc.tools.schemas import constant, fault, flat, identity, options


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "float"},
        {"minimum": True},
        {"minLength": -1},
        {"multipleOf": 0},
        {"anyOf": []},
        {"items": [True]},
        {"properties": [1]},
        {"required": [1]},
        {"$ref": {}},
    ],
    ids=str,
)
def test_fault(schema):
    """A keyword whose value has the wrong type is a fault."""
    assert fault(schema)


@pytest.mark.parametrize("schema", [True, {}, {"x-more": 1, "format": "date", "multipleOf": 0.5, "minimum": 2**70}], ids=str)
def test_no_fault(schema):
    """Known keywords with values of the right types have no fault, nor have unknown keywords."""
    assert fault(schema) is None


def test_identity():
    """Values have the same identity if they are equal in JSON."""
    assert identity(1) == identity(1.0) != identity(True)
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1})
    assert identity("1") != identity(1)


def test_options_and_flat():
    """A schema is split into its alternatives, or into schemas of one type each, or of one value each if these are listed."""
    assert options({"anyOf": [{"type": "null"}, True]}) == [{"type": "null"}, True]
    assert options({"allOf": [True]}) == [True]
    assert options({"allOf": [True, False]}) == []
    assert options({"enum": [1], "anyOf": [True]}) == []
    assert list(flat({"type": "string", "minLength": 1})) == [{"type": "string", "minLength": 1}]
    assert [each["const"] for each in flat({"type": ["boolean", "null"]})] == [False, True, None]
    assert [each["type"] for each in flat({})] == ["null", "boolean", "boolean", "number", "string", "array", "object"]


def test_constant():
    """The schema of one value has every keyword that can express it."""
    assert constant(1.0) == {"type": "integer", "const": 1.0, "minimum": 1.0, "maximum": 1.0}
    assert constant("äb") == {"type": "string", "const": "äb", "minLength": 2, "maxLength": 2}
    assert constant({"a": 1}) == {
        "type": "object",
        "const": {"a": 1},
        "properties": {"a": {"const": 1}},
        "required": ["a"],
        "additionalProperties": False,
    }
