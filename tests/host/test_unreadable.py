"""Reads that may fail."""

import psutil
import pytest

from gjrpc.host.unreadable import try_read


def test_seen():
    """What was read is returned, without an error."""
    errors = []
    assert try_read(errors, "it", lambda: 0) == 0
    assert errors == []


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), OSError("no"), NotImplementedError("no"), RuntimeError("no\udcff")])
def test_unseen(error):
    """A failed read returns None, and the error says what could not be read and why, as text that JSON can hold."""

    def look():
        raise error

    errors = []
    assert try_read(errors, "it", look) is None
    assert errors[0].startswith("it: ")
    errors[0].encode()


def test_a_fault_is_loud():
    """A bug in the read itself is raised."""
    with pytest.raises(ZeroDivisionError):
        try_read([], "it", lambda: 1 // 0)
