"""The exception tree."""

import inspect

import pytest

from gjrpc import errors
from gjrpc.errors import CallError, InternalError, RemoteError, VerbNotAllowed

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
CALL_ERRORS = [kind for kind in CLASSES if issubclass(kind, CallError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_error_stands_in_the_tree(kind):
    """Each class is a GjrpcError, has a docstring and is named on the screen that the module's docstring draws."""
    assert issubclass(kind, errors.GjrpcError)
    assert kind.__doc__
    assert kind.__name__ in errors.__doc__


def test_codes_tell_the_errors_apart():
    """No two call errors share a JSON-RPC code, and the server's own lie in the range that the specification leaves to it."""
    codes = [kind.code for kind in CALL_ERRORS]
    assert len(set(codes)) == len(codes)
    assert {-32700, -32600, -32601, -32602, -32603} <= set(codes)
    assert all(-32099 <= code <= -32000 for code in set(codes) - {-32700, -32600, -32601, -32602, -32603})


def test_a_misregistration_is_a_value_error():
    """Code that knows nothing of this library can catch a registration's mistake as a ValueError."""
    assert issubclass(errors.RegistrationError, ValueError)


def test_a_call_error_carries_what_it_was_given():
    """Message, code, data and status of a raised error are what the method gave, and the class's own where it gave none."""
    error = CallError("no such host", code=7, data={"host": "a"}, status=404)
    assert (str(error), error.message, error.code, error.data, error.status) == (
        "no such host",
        "no such host",
        7,
        {"host": "a"},
        404,
    )
    plain = CallError("no")
    assert (plain.code, plain.data, plain.status, plain.ref) == (-32000, None, None, None)
    assert CallError.code == -32000


@pytest.mark.parametrize("status", [400, 599])
def test_an_error_status_is_taken(status):
    """An error's status may be any from 400 to 599."""
    assert CallError("no", status=status).status == status


@pytest.mark.parametrize("status", [-1, 0, 200, 399, 600])
def test_another_status_is_refused_at_once(status):
    """An error can't claim the status of a success or one that HTTP does not know."""
    with pytest.raises(ValueError, match=f"status={status}.*400 and 599"):
        CallError("no", status=status)


def test_errors_with_more_to_tell_carry_it():
    """An internal error carries its reference, a refused verb those that are allowed."""
    assert InternalError("failed", ref="abc").ref == "abc"
    assert VerbNotAllowed("no", allow="GET").allow == "GET"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"status": 500, "method": "add", "ref": "abc"}, "add: failed (HTTP 500, ref abc)"),
        ({"status": 404}, "failed (HTTP 404)"),
    ],
)
def test_a_remote_error_says_what_is_known(options, text):
    """A remote error's text holds the method and the reference where there are any, and its attributes hold all."""
    error = RemoteError("failed", data=[1], code=5, **options)
    assert str(error) == text
    known = {"method": None, "ref": None, **options, "detail": "failed", "data": [1], "code": 5}
    assert {name: getattr(error, name) for name in known} == known
