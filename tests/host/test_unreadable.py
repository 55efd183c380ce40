"""A look at what can't be seen."""

import psutil
import pytest

from gjrpc.host.unreadable import try_read


def test_seen():
    """What was seen is given, and no error noted."""
    errors = []
    assert try_read(errors, "it", lambda: 0) == 0
    assert errors == []


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), OSError("no"), NotImplementedError("no"), RuntimeError("no\udcff")])
def test_unseen(error):
    """What can't be seen is None, and the error says of what and why, in a text that JSON can hold."""

    def look():
        raise error

    errors = []
    assert try_read(errors, "it", look) is None
    assert errors[0].startswith("it: ")
    errors[0].encode()


def test_a_fault_is_loud():
    """A fault of the look itself is raised."""
    with pytest.raises(ZeroDivisionError):
        try_read([], "it", lambda: 1 // 0)
