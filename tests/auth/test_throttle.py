"""Failed logins, counted by address."""

import itertools
import logging
import subprocess
import sys

import pytest

from gjrpc.auth import throttle
from gjrpc.auth.throttle import WINDOW, LoginThrottle, network

ERAS = itertools.count(1)


class Clock:
    """A clock that the test sets. Each starts at its own time, because all counts of this process share their memory."""

    def __init__(self):
        self.now = next(ERAS) * 1000.0 * WINDOW + 40

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that the test sets."""
    return Clock()


def fail(counted, address, times):
    """Record a number of failures."""
    for _ in range(times):
        counted.note(address, "wrong")


def test_an_address_is_blocked_at_the_limit(clock):
    """An address is blocked once its failures reach the limit, and no other address is."""
    counted = LoginThrottle(3, clock)
    fail(counted, "192.0.2.1", 2)
    assert not counted.blocked("192.0.2.1")
    fail(counted, "192.0.2.1", 1)
    assert counted.blocked("192.0.2.1")
    assert not counted.blocked("192.0.2.2")


@pytest.mark.parametrize(("after", "blocked"), [(0, True), (WINDOW, True), (2 * WINDOW, False), (100 * WINDOW, False)])
def test_failures_are_forgotten(clock, after, blocked):
    """A failure counts for at least one window and at most two."""
    counted = LoginThrottle(3, clock)
    fail(counted, "192.0.2.1", 3)
    clock.now += after
    assert counted.blocked("192.0.2.1") == blocked


def test_failures_across_windows_add_up(clock):
    """Failures in one window and the next are counted together."""
    counted = LoginThrottle(3, clock)
    fail(counted, "192.0.2.1", 2)
    clock.now += WINDOW
    fail(counted, "192.0.2.1", 1)
    assert counted.blocked("192.0.2.1")


def test_memory_is_bounded(clock):
    """Memory is bounded for any number of addresses, and one that failed often is not displaced by those that failed seldom."""
    counted = LoginThrottle(3, clock)
    size = len(throttle._CELLS)
    fail(counted, "198.51.100.1", 3)
    for number in range(40_000):
        counted.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "wrong")
    assert counted.blocked("198.51.100.1")
    assert len(throttle._CELLS) == size <= 65536
    for _ in range(200):  # those of before are old by now, and can be
        clock.now += WINDOW
        counted.note("10.0.0.1", "wrong")
    assert not counted.blocked("198.51.100.1")


def test_each_guard_counts_for_itself(clock):
    """Two guards in one process count separately."""
    one, other = LoginThrottle(1, clock), LoginThrottle(1, clock)
    fail(one, "192.0.2.1", 1)
    assert (one.blocked("192.0.2.1"), other.blocked("192.0.2.1")) == (True, False)


def test_processes_count_together():
    """Processes that were forked before or after a failure count it too."""
    program = """
import os
from gjrpc.auth.throttle import LoginThrottle
counted = LoginThrottle(10)
for worker in range(5):
    if os.fork() == 0:
        for _ in range(2):
            counted.note("192.0.2.1", "wrong")
        os._exit(counted.blocked("192.0.2.1"))
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    # A process of its own, since a fork of one with threads may hang.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0", "0", "0", "0", "1"]


def test_a_count_does_not_run_over(clock):
    """A count stays at its maximum, however many failures there are."""
    counted = LoginThrottle(3, clock)
    key, cells = counted._place("192.0.2.1")
    throttle._CELLS[cells[0]] = key
    throttle._CELLS[cells[0] + 1] = throttle._packed(counted._generation(), throttle._MOST, throttle._MOST)
    counted.note("192.0.2.1", "wrong")
    assert counted.blocked("192.0.2.1")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        ("x" * 100, "x" * 64),
    ],
)
def test_an_address_counts_for_its_network(address, key):
    """All addresses of an IPv6 /64 count as one client, and an IPv4-mapped address counts as the IPv4 address."""
    assert network(address) == key


def test_the_log_is_not_flooded(clock, caplog):
    """However many failures there are, the log gets a bounded number of lines, and later the number of omitted ones."""
    caplog.set_level(logging.WARNING)
    counted = LoginThrottle(3, clock)
    for number in range(1000):
        counted.note(f"192.0.2.{number % 256}", "wrong")
    assert len(caplog.records) == 20
    assert caplog.messages[0] == "192.0.2.0: wrong"
    clock.now += WINDOW
    counted.note("192.0.2.1", "wrong")
    assert caplog.messages[20:] == [
        "980 more failed logins were not logged",
        "192.0.2.1: wrong; too many failed logins: this address now gets 429 for 60 to 120 s",
    ]
