"""The states of a connection."""

from gjrpc.server.state import BUSY, READABLE, State


def test_each_open_state_is_readable_or_busy():
    """In each state but the last one, either the next request may be read or a greenlet works on the connection, never both."""
    assert {State.CLOSED} | READABLE | BUSY == set(State)
    assert not READABLE & BUSY
    assert State.CLOSED not in READABLE | BUSY
