"""The budget of one call. No socket is needed."""

import time

import pytest

from gjrpc.client.budget import Budget, LargeError, LateError, current, within


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_time_runs_out(clock):
    """The time left shrinks, and using a budget without any raises LateError."""
    budget = Budget(None, 5, 0)
    assert budget.left() == 5
    clock[0] += 4
    assert budget.left() == 1
    clock[0] += 1
    with pytest.raises(LateError):
        budget.left()


def test_no_limit(clock):
    """Without a limit any wait is allowed."""
    budget = Budget(None, None, 0)
    assert budget.left() is None
    assert budget.to_connect() is None
    assert budget.allows(1e9)


def test_connecting(clock):
    """An attempt to connect may take its own limit, and no more than the call has left."""
    budget = Budget(2, 5, 0)
    assert budget.to_connect() == 2
    clock[0] += 4
    assert budget.to_connect() == 1


def test_waits(clock):
    """A wait is allowed if time would be left after it."""
    budget = Budget(None, 5, 0)
    assert budget.allows(4.9)
    assert not budget.allows(5)


def test_bytes():
    """An answer has its own bytes and some for its head; each answer is counted anew."""
    budget = Budget(None, None, 1000)
    budget.receive(100_000)
    budget.begin_answer()
    budget.receive(100_000)
    with pytest.raises(LargeError):
        budget.receive(100_000)


def test_the_budget_of_a_block():
    """A block's budget is the current one inside it only, and a block without time left is not entered."""
    budget = Budget(None, 5, 0)
    with within(budget):
        assert current.get() is budget
    with pytest.raises(LookupError):
        current.get()
