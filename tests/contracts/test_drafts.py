"""Drafts 7 and 2020-12 of JSON Schema: what is written otherwise, and that each way undoes the other."""

import pytest

from gjrpc.contracts.drafts import draft_7, draft_2020_12

PAIR = {"prefixItems": [{"type": "integer"}], "items": False}
OLD_PAIR = {"items": [{"type": "integer"}], "additionalItems": False}


def test_draft_7():
    """Tuples are `items` in draft 7, inside other schemas too, and a reference has no neighbours."""
    assert draft_7({"properties": {"items": PAIR}}) == {"properties": {"items": OLD_PAIR}}
    assert draft_7({"$ref": "#/a", "default": 1}) == {"default": 1, "allOf": [{"$ref": "#/a"}]}
    assert draft_7({"anyOf": [True, {"$ref": "#/a"}]}) == {"anyOf": [True, {"$ref": "#/a"}]}


@pytest.mark.parametrize(
    "around", [lambda inner: inner, lambda inner: {"anyOf": [inner]}, lambda inner: {"$defs": {"items": inner}}]
)
def test_there_and_back(around):
    """A tuple that is written in draft 7 and back is the same, wherever it is."""
    assert draft_2020_12(draft_7(around(PAIR))) == around(PAIR)
    assert draft_2020_12(around(OLD_PAIR)) == around(PAIR)


@pytest.mark.parametrize(
    "schema", [True, {}, {"type": "array", "items": {"type": "null"}}, {"enum": [{"items": [1]}]}, {"anyOf": 5}]
)
def test_what_stays(schema):
    """What both drafts write alike, or what is not a schema, stays as it is."""
    assert draft_7(schema) == draft_2020_12(schema) == schema
