"""How long a request may take that comes in pieces."""

from gjrpc.limits import Timeouts
from gjrpc.server.partial import Partial

TIMEOUTS = Timeouts(head=5, body=3, rate=10)


def test_the_time_of_a_head_is_not_renewed():
    """The whole head has one time, from the first piece on."""
    partial = Partial(100.0)
    assert partial.expires(TIMEOUTS) == 105.0
    assert partial.cost(200.0) is None


def test_the_bytes_of_a_body_extend_its_time():
    """A body has its own time from its begin on, which its bytes extend at the minimum rate."""
    partial = Partial(100.0)
    partial.begin_body(102.0)
    assert partial.expires(TIMEOUTS) == 105.0
    partial.add(40)
    assert partial.expires(TIMEOUTS) == 109.0


def test_a_body_costs_its_bytes_for_as_long_as_it_takes():
    """The cost of a body is its bytes times the seconds since it began."""
    partial = Partial(100.0)
    partial.begin_body(102.0)
    partial.add(40)
    assert partial.cost(104.0) == 80.0
