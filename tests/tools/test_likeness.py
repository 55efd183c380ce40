"""Whether schemas of two documents are identical, including everything they refer to."""

import pytest

from gjrpc.tools.likeness import Cached, Likeness


class Schemas:
    """Named schemas of a document."""

    def __init__(self, **named):
        self._named = named

    def resolve(self, reference):
        """The schema of this name, or a LookupError."""
        return self._named[reference]


def ref(name):
    """A reference to a named schema."""
    return {"$ref": name}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"type": "null"}, {"type": "null"}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"type": "null"}, {"type": "string"}, False),
        (ref("same"), ref("same"), True),
        (ref("other"), ref("other"), False),
        ({"items": [ref("to_other")]}, {"items": [ref("to_other")]}, False),
        (ref("circle"), ref("circle"), True),
        (ref("circle_to_other"), ref("circle_to_other"), False),
        (ref("missing"), ref("missing"), False),
        (ref("only_one"), ref("only_one"), False),
    ],
)
def test_alike(one, other, alike):
    """Two schemas are alike if they and all that they refer to are written alike, in whatever order the keys are."""
    both = {
        "same": {"type": "null"},
        "to_other": {"anyOf": [ref("same"), ref("other")]},
        "circle": {"items": ref("circle")},
        "circle_to_other": {"items": ref("back")},
        "back": {"anyOf": [ref("circle_to_other"), ref("other")]},
    }
    likeness = Likeness(Schemas(**both, other={"type": "string"}, only_one=True), Schemas(**both, other={"type": "integer"}))
    assert likeness.alike(one, other) is alike
    assert likeness.alike(one, other) is alike


def test_cached():
    """A cached function is called once for each object, also for one that is equal to another."""
    made = []
    cached = Cached(lambda schema: made.append(schema) or len(made))
    first, second = {"a": 1}, {"a": 1}
    assert [cached(first), cached(second), cached(first)] == [1, 2, 1]
