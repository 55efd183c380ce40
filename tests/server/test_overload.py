"""How an overloaded server refuses calls."""

from gjrpc.server.overload import Overload
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.unsent import Unsent


class Sender:
    """Something that waits for its client."""


def test_the_reason_names_the_limit_that_is_reached():
    """The reason is the bytes of unread answers where there are too many of them, else the calls in flight."""
    unsent = Unsent(100, lambda full: None)
    overload = Overload(Greenlets(7), unsent)
    assert overload.reason == "the server has 7 calls in flight, which is its limit"
    unsent.note(Sender(), 101)
    assert overload.reason == "more than 100 bytes of answers wait for slow clients"


def test_each_refusal_is_counted():
    """Each refusal is an error that says when to come again, and is counted."""
    overload = Overload(Greenlets(7), Unsent(100, lambda full: None))
    errors = [overload.refuse() for _ in range(3)]
    assert overload.refused == 3
    assert {error.retry_after for error in errors} == {1}
    assert {error.message for error in errors} == {f"{overload.reason}: try again later"}
