"""The limit of open files."""

import logging
import resource

import pytest

from gjrpc.process import descriptors

INFINITE = resource.RLIM_INFINITY


@pytest.fixture
def limit(monkeypatch):
    """Set a soft and a hard limit; return the limits that are set later."""

    def set_limit(soft, hard, *, refused=False):
        limits = [(soft, hard)]

        def change(_, wanted):
            if refused:
                raise OSError("not permitted")
            limits.append(wanted)

        monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
        monkeypatch.setattr(resource, "setrlimit", change)
        return limits

    return set_limit


def test_the_limit_is_raised(limit):
    """The soft limit becomes the hard one."""
    limits = limit(1024, 4096)
    descriptors.raise_limit()
    assert limits[1:] == [(4096, 4096)]


def test_a_limit_that_is_high_enough_stays(limit):
    """Nothing is set if the soft limit equals the hard one."""
    limits = limit(4096, 4096)
    descriptors.raise_limit()
    assert limits[1:] == []


def test_a_refusal_is_logged(limit, caplog):
    """If the system refuses, a warning says how many connections are possible."""
    caplog.set_level(logging.WARNING)
    limit(1024, 4096, refused=True)
    descriptors.raise_limit()
    assert caplog.messages == ["can't raise the limit of 1024 open files (not permitted), so 960 connections are possible"]


@pytest.mark.parametrize(("soft", "count"), [(1024, 960), (100, 50), (1, 1), (INFINITE, 1_000_000)])
def test_some_files_are_kept_for_other_uses(limit, soft, count):
    """Some open files are not for connections, but never more than half of them."""
    limit(soft, INFINITE)
    assert descriptors.connections() == count
