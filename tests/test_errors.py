"""The exception tree."""

import inspect

import pytest

from gjrpc import errors
from gjrpc.errors import CallError, InternalError, RemoteError, VerbNotAllowed

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
CALL_ERRORS = [kind for kind in CLASSES if issubclass(kind, CallError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_error_stands_in_the_tree(kind):
    """Each class is a GjrpcError, has a docstring and is in the tree of the module's docstring."""
    assert issubclass(kind, errors.GjrpcError)
    assert kind.__doc__
    assert kind.__name__ in errors.__doc__


def test_codes_tell_the_errors_apart():
    """Each call error has its own JSON-RPC code; those of the server are in the range that the specification reserves for it."""
    codes = [kind.code for kind in CALL_ERRORS]
    assert len(set(codes)) == len(codes)
    assert {-32700, -32600, -32601, -32602, -32603} <= set(codes)
    assert all(-32099 <= code <= -32000 for code in set(codes) - {-32700, -32600, -32601, -32602, -32603})


def test_a_misregistration_is_a_value_error():
    """Code that does not know this library can catch a RegistrationError as a ValueError."""
    assert issubclass(errors.RegistrationError, ValueError)


def test_a_call_error_carries_what_it_was_given():
    """An error has the message, code, data and status that it was given, or those of its class."""
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
    """The status of an error can be any from 400 to 599."""
    assert CallError("no", status=status).status == status


@pytest.mark.parametrize("status", [-1, 0, 200, 399, 600])
def test_another_status_is_refused_at_once(status):
    """An error can't have the status of a success, or one that HTTP does not have."""
    with pytest.raises(ValueError, match=f"status={status}.*400 and 599"):
        CallError("no", status=status)


def test_errors_with_more_to_tell_carry_it():
    """An internal error has its reference, and VerbNotAllowed the verbs that are allowed."""
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
    """The text of a RemoteError has the method and the reference if there are any, and its attributes have all parts."""
    error = RemoteError("failed", data=[1], code=5, **options)
    assert str(error) == text
    known = {"method": None, "ref": None, **options, "detail": "failed", "data": [1], "code": 5}
    assert {name: getattr(error, name) for name in known} == known
