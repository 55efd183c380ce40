"""The options of an application."""

import dataclasses

import pytest

from gjrpc import Application, Registry
from gjrpc.app.options import Options


def test_options_by_name_or_as_one_value():
    """Options are given one by one, as a value, or both; those given one by one win."""
    options = Options(max_body=5, title="shop")
    for application in (Application(Registry(), options), Application(Registry(), max_body=5, title="shop")):
        assert application.options == options
    both = Application(Registry(), options, max_body=6)
    assert (both.options, both.max_body) == (dataclasses.replace(options, max_body=6), 6)


def test_an_option_that_there_is_not():
    """An unknown option is a TypeError that names it."""
    with pytest.raises(TypeError, match="max_boddy"):
        Application(Registry(), max_boddy=5)


def test_options_are_frozen():
    """The options of an application can't be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Application(Registry()).options.max_body = 5
