"""A method, and the checks of its examples and errors."""

import warnings

import pytest

from gjrpc.calls.registry import Registry
from gjrpc.errors import CallError, RegistrationError


class NoSuchHost(CallError):
    """An error of an application."""

    code = 7
    status = 404
    message = "no such host"


def registered(**options):
    """A method with these options."""
    registry = Registry()
    registry.register(lambda a, b=10: a + b, "add", **options)
    return registry.find("add")


def test_what_is_declared_is_kept():
    """A method keeps its examples, errors and deprecation, also when another registry includes it."""
    registry = Registry()
    registry.register(lambda a: a, "same", examples=[([1], 1)], errors=[NoSuchHost], deprecated="use other")
    outer = Registry()
    outer.include(registry, "inner.")
    for method in (registry.find("same"), outer.find("inner.same")):
        assert (method.examples, method.errors, method.deprecated) == ((([1], 1),), (NoSuchHost,), "use other")


def test_examples_are_json():
    """An example is kept as JSON would return it: tuples become arrays."""
    assert registered(examples=[((1, 2), 3)]).examples == (([1, 2], 3),)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"examples": [([1, 2, 3], 6)]}, r"does not fit the signature: too many arguments"),
        ({"examples": [[1, 2]]}, r"expected a tuple of the arguments and the result"),
        ({"examples": 3}, r"examples=3: expected a list"),
        ({"examples": [([1], object())]}, r"is not JSON"),
        ({"deprecated": 1}, r"deprecated=1: expected True, or a text"),
        ({"errors": [ValueError]}, r"expected subclasses of gjrpc.CallError"),
        ({"errors": [CallError("no", data=object())]}, r"whose message or data is not JSON"),
    ],
)
def test_a_wrong_declaration(options, sentence):
    """A wrong option is an error at registration that says what was expected."""
    with pytest.raises(RegistrationError, match=sentence):
        registered(**options)


def test_the_decorator_for_deprecation_counts():
    """A function marked by `warnings.deprecated` is deprecated, with the text of the mark."""

    def old():
        """Do it."""

    deprecated = getattr(warnings, "deprecated", None)
    if deprecated is not None:
        old = deprecated("use new")(old)
    else:  # what the decorator of Python 3.13 leaves on a function (PEP 702)
        old.__deprecated__ = "use new"
    registry = Registry()
    registry.register(old)
    assert registry.find("old").deprecated == "use new"


def test_a_method_is_immutable():
    """A method can't be changed once it is registered; its copies under another name or in a thread share the rest."""
    method = registered(deadline=5)
    with pytest.raises(AttributeError):
        method.plain = True
    renamed, blocking = method.renamed("plus"), method.in_thread()
    assert (renamed.name, renamed.call, renamed.options) == ("plus", method.call, method.options)
    assert (blocking.name, blocking.options.blocking, blocking.options.deadline, blocking.plain) == ("add", True, 5, False)


def test_an_error_class_speaks_for_itself():
    """A subclass of CallError has its own code, status and message, and an instance can replace each of them."""
    error = NoSuchHost(data={"host": "a"})
    assert (error.code, error.status, error.message, str(error), error.data) == (
        7,
        404,
        "no such host",
        "no such host",
        {"host": "a"},
    )
    assert NoSuchHost("gone", code=8).message == "gone"


@pytest.mark.parametrize("fields", [{"code": "7"}, {"message": 7}, {"status": 200}])
def test_a_wrong_error_class(fields):
    """A subclass whose code, message or status can't be sent is an error at its definition."""
    with pytest.raises((TypeError, ValueError), match=r"expected an integer and a string|between 400 and 599"):
        type("Wrong", (CallError,), fields)
