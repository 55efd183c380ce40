"""A call, as a dialect reads it."""

import pytest

from gjrpc.calls.call import Call


def test_a_call_is_immutable():
    """A call can't be changed: it is remembered with its target, for the next request."""
    with pytest.raises(AttributeError):
        Call("add", [1, 2]).arguments = []


def test_a_call_has_a_name_and_arguments():
    """A call has the name of a method and its arguments, which are JSON unless it says that they are text."""
    call = Call("add", [1, 2])
    assert (call.name, call.arguments, call.text) == ("add", [1, 2], False)
    assert Call("echo", "a", text=True).text
    assert repr(call) == "<Call add [1, 2]>"
