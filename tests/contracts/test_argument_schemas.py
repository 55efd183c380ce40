"""The argument convention as schemas, held against what a binding takes."""

import jsonschema
import pytest

from gjrpc.calls.registry import Registry
from gjrpc.contracts.argument_schemas import Forms
from gjrpc.contracts.describe import describe
from gjrpc.errors import InvalidArguments


def forms(function):
    """The forms of a function's arguments."""
    registry = Registry()
    registry.register(function, "f")
    contract = describe(registry)
    return Forms(next(each for each in contract.methods if each.method.name == "f"), contract.components), registry.find(
        "f"
    ).binding


FUNCTIONS = [
    lambda: 0,
    lambda a: 0,
    lambda a, b=1: 0,
    lambda a=1, b=2: 0,
    lambda a, /, b=1: 0,
    lambda a, /: 0,
    lambda *, a, b=1: 0,
    lambda *, a=1: 0,
    lambda *a: 0,
    lambda a, *b: 0,
    lambda **a: 0,
    lambda a, **b: 0,
    lambda a, *b, c=1, **d: 0,
]
VALUES = [None, "", "x", 0, True, [], [1], [1, 2], [1, 2, 3], {}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, {"a": 1, "z": 2}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_a_body_fits_its_schema_just_if_it_is_a_call(number, value):
    """The schema of a body allows exactly what the method's binding accepts."""
    written, binding = forms(FUNCTIONS[number])
    try:
        binding.bind(value)
        taken = True
    except InvalidArguments:
        taken = False
    assert jsonschema.Draft202012Validator(written.body()).is_valid(value) == taken


def test_queries():
    """A query has each parameter that can be named, with its schema and whether it is required."""

    def f(a: int, b: list[str] | None = None, **more: str): ...

    written, _ = forms(f)
    a, b, more = written.query()
    assert (a["name"], a["required"], a["schema"]) == ("a", True, {"type": "integer"})
    assert b["name"] == "b"
    assert "required" not in b
    assert (more["explode"], more["schema"]["propertyNames"]) == (True, {"not": {"enum": ["a", "b"]}})


def test_what_can_not_be_named_has_no_query():
    """A method with a required positional-only parameter can't be called by a query."""
    assert not forms(lambda a, /: 0)[0].takes_query
    assert forms(lambda a=1, /: 0)[0].takes_query
