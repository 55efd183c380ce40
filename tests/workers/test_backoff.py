"""When the next worker may start, after others have crashed."""

from gjrpc.workers.backoff import Backoff


def test_killed_is_replaced_at_once():
    """As many crashes as there are workers cause no delay."""
    backoff = Backoff(free=2)
    assert backoff.left(0) == 0
    for _ in range(2):
        backoff.ended(lived=1, now=10)
        assert backoff.left(10) == 0


def test_crashes_in_a_row():
    """Further ends in a row double the delay, up to half a minute."""
    backoff = Backoff(free=1)
    delays = []
    for _ in range(9):
        backoff.ended(lived=1, now=10)
        delays.append(backoff.left(10))
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.left(15) == 25
    assert backoff.left(100) == 0


def test_a_long_life_ends_the_row():
    """A worker that ran for long starts a new row."""
    backoff = Backoff(free=1)
    for _ in range(5):
        backoff.ended(lived=1, now=10)
    backoff.ended(lived=60, now=100)
    assert backoff.left(100) == 0
