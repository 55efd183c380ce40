"""The description of a method: words from its docstring, schemas from its annotations."""

from inspect import Parameter

import contract_app
import pytest

from gjrpc.calls.registry import Registry
from gjrpc.contracts.describe import describe

GOOGLE = """Add two numbers.

    Of any size.

    Args:
        a: The first.
        b: The second.

    Returns:
        The sum.
    """
NUMPY = """Add two numbers.

    Of any size.

    Parameters
    ----------
    a : int
        The first.
    b : int
        The second.

    Returns
    -------
    int
        The sum.
    """
REST = """Add two numbers.

    Of any size.

    :param a: The first.
    :param b: The second.
    :returns: The sum.
    """


def described(function, **options):
    """The description of a function."""
    registry = Registry()
    registry.register(function, "f", **options)
    return next(each for each in describe(registry).methods if each.method.name == "f")


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["Google", "NumPy", "reST"])
def test_docstring_styles(text):
    """Summary, description, parameters and result are read from a docstring in each of the three styles."""

    def add(a, b):
        return a + b

    add.__doc__ = text
    found = described(add)
    assert (found.summary, found.description) == ("Add two numbers.", "Of any size.")
    assert [value.description for value in found.parameters] == ["The first.", "The second."]
    assert found.result.description == "The sum."


def test_unannotated_is_any_value():
    """A parameter or a result without an annotation is described as any value."""
    found = described(lambda x, y=None: x)
    assert [(value.name, value.schema, value.required) for value in found.parameters] == [
        ("x", {}, True),
        ("y", {"default": None}, False),
    ]
    assert found.result.schema == {}


def test_a_type_without_schema_is_said_to_be_one():
    """A result type that no schema can express is described as any value, and the description names the type."""

    class Odd:
        pass

    def make() -> Odd: ...

    found = described(make)
    assert found.result.schema == {}
    assert "Odd, has no JSON schema" in found.result.description


def test_defaults_that_json_can_not_hold_are_left_out():
    """A default that JSON can't hold, or that is not of its parameter's type, is left out."""

    def f(a: int = None, b=object(), c: int = 3): ...  # noqa: B008, RUF013  what people write

    assert ["default" in value.schema for value in described(f).parameters] == [False, False, True]


def test_stars_stand_apart():
    """Further arguments by position and by name are described beside the parameters."""

    def f(a, *rest: int, **more: str): ...

    found = described(f)
    assert [value.name for value in found.parameters] == ["a"]
    assert (found.star.schema, found.star.kind) == ({"type": "integer"}, Parameter.VAR_POSITIONAL)
    assert (found.double_star.schema, found.double_star.kind) == ({"type": "string"}, Parameter.VAR_KEYWORD)


def test_classes_are_described_once():
    """A class that several methods use has one schema, which refers to itself if the class contains itself."""
    contract = describe(contract_app.registry)
    assert contract.components["Node"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/components/schemas/Node"}
    assert [each.method.name for each in contract.methods] == contract_app.registry.list_methods()


@pytest.mark.parametrize(("options", "text"), [({"deprecated": "use g"}, "Deprecated: use g"), ({"deprecated": True}, "")])
def test_deprecation(options, text):
    """A deprecated method is marked, and its description says what to do instead."""
    found = described(lambda: None, **options)
    assert found.deprecated
    assert found.description == text
