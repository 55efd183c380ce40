"""How fast a client takes an answer: the pace without a socket, by a clock of the test's own."""

import pytest

from gjrpc.server.pace import HURRY, Pace


@pytest.fixture
def queued():
    """How many bytes are still on their way, in a list of one number that tests change."""
    return [0]


@pytest.fixture
def pace(queued):
    """The pace of a client that must take 100 bytes per second, from time 0 on."""
    return Pace(100, lambda: queued[0], 0.0)


def test_a_client_that_keeps_up_is_not_slow(pace):
    """A client that takes its answer at the minimum rate is not slow, however long that lasts."""
    for second in range(1, 5):
        pace.sent += 100
        pace.look(float(second))
        assert not pace.is_slow(float(second))


def test_a_client_that_stops_is_slow_after_a_second(pace):
    """A client that takes nothing is slow once a second has passed since it last kept up."""
    pace.sent = 1000
    pace.look(1.0)
    pace.look(2.0)
    assert not pace.is_slow(1.9)
    assert pace.is_slow(2.0)


def test_what_is_on_its_way_is_not_taken(pace, queued):
    """Bytes that the system has taken and the client has not count for nothing."""
    pace.sent = queued[0] = 1000
    assert not pace.keeps_up(1.0)
    assert pace.rate(2.0) == 0.0


def test_the_rate_is_known_after_a_second(pace):
    """The rate is the bytes taken since the answer began, over all of that time; in the first second there is none."""
    pace.sent = 300
    assert pace.rate(HURRY - 0.1) is None
    assert pace.rate(2.0) == 150.0
    assert pace.keeps_up(2.0)
    assert pace.rate(3.0) == 100.0


def test_each_check_counts_from_the_one_before(pace):
    """What was taken before the last check does not count for the next one."""
    pace.sent = 1000
    assert pace.keeps_up(1.0)
    assert not pace.keeps_up(1.0)
    pace.sent = 1100
    assert pace.keeps_up(1.0)
