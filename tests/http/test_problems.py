"""Errors as HTTP responses."""

import ast
import json
from pathlib import Path

import pytest

import gjrpc
from gjrpc import errors
from gjrpc.calls.disclosure import error_parts
from gjrpc.errors import CallError, InternalError
from gjrpc.http.problems import PROBLEM, STATUS, Throttled, Unauthenticated, body, refusal, status_of

PACKAGE = Path(gjrpc.__file__).parent


def test_a_problem_has_what_is_known():
    """A problem has type, title, status and detail, and method, reference and data if there are any."""
    bare = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no"}
    assert json.loads(body(400, error_parts(CallError("no")))) == bare
    assert json.loads(body(400, error_parts(CallError("no", data={"a": [0]})), "add")) == bare | {
        "method": "add",
        "data": {"a": [0]},
    }
    assert json.loads(body(500, error_parts(InternalError("no", ref="abc")), "")) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "no",
        "method": "",
        "ref": "abc",
    }
    assert json.loads(body(404, CallError("no"), "a" * 1000))["method"] == "a" * 100 + "…"


def test_falsy_data_is_data():
    """Data that is empty or zero is sent; only None means no data."""
    for data in (0, "", [], False):
        assert json.loads(body(400, error_parts(CallError("no", data=data))))["data"] == data
    assert "data" not in json.loads(body(400, error_parts(CallError("no", data=None))))


class NoSuchHost(CallError):
    """An application's own error."""

    code = 7
    status = 404


class Busy(errors.Overloaded):
    """A subclass without a status of its own."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CallError("no"), 500),
        (CallError("no", status=418), 418),
        (NoSuchHost("no"), 404),
        (NoSuchHost("no", status=410), 410),
        (NoSuchHost, 404),
        (Busy("no"), 503),
        (Busy, 503),
        (errors.BadMessage("no", status=431), 431),
        (Unauthenticated("no", ()), 401),
        (Throttled("no", retry_after=1), 429),
    ],
)
def test_the_status_of_an_error(error, status):
    """An error's own status counts, then its class's, then that of the nearest ancestor in the table."""
    assert status_of(error) == status
    if isinstance(error, CallError):
        assert refusal(error).status == status


def test_each_error_class_has_a_status():
    """Each class of error that the library itself raises has a status of its own or in the table."""
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CallError)}
    assert {kind for kind in kinds if kind not in STATUS and kind.status is None} == set()


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.Unauthorized("no"), (("WWW-Authenticate", 'Bearer realm="gjrpc"'),)),
        (CallError("no", status=401), (("WWW-Authenticate", 'Bearer realm="gjrpc"'),)),
        (Unauthenticated("no", ["A", "B"]), (("WWW-Authenticate", "A"), ("WWW-Authenticate", "B"))),
        (Throttled("no", retry_after=60), (("Retry-After", "60"),)),
        (errors.VerbNotAllowed("no", allow="GET, HEAD"), (("Allow", "GET, HEAD"),)),
        (errors.UnsupportedCoding("no"), (("Accept-Encoding", "identity"),)),
        (errors.Overloaded("no", retry_after=2), (("Retry-After", "2"),)),
        (errors.Overloaded("no"), ()),
        (errors.Forbidden("no"), ()),
    ],
)
def test_the_headers_that_a_status_requires(error, headers):
    """A response has its content type and the headers that RFC 9110 requires with its status."""
    assert refusal(error).headers == PROBLEM + headers


def test_a_response_names_the_method():
    """The response to a failed call names the method."""
    response = refusal(CallError("no", status=404), "add")
    assert json.loads(response.body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no",
        "method": "add",
    }


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"message": 5}, CallError("no")),
        ({"status": 200}, CallError("no")),
        ({"data": object()}, CallError("no")),
        ({"allow": "GET\r\nX: y"}, errors.VerbNotAllowed("no", allow="")),
        ({"retry_after": "soon"}, errors.Overloaded("no", retry_after=1)),
    ],
)
def test_an_error_that_can_not_be_sent(fields, error, caplog):
    """An error whose fields can't be sent becomes a 500 with a reference to the log, and nothing is raised."""
    for name, value in fields.items():
        setattr(error, name, value)
    response = refusal(error)
    assert (response.status, response.headers) == (500, PROBLEM)
    assert json.loads(response.body)["ref"] in caplog.text


def status_literals(path):
    """Yield the literal statuses of the responses that a module makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Response" and node.args:
            yield getattr(node.args[0], "value", None)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_other_module_makes_an_error_response(path):
    """No module writes the response to an error itself, with a status of 400 or above."""
    assert [status for status in status_literals(path) if isinstance(status, int) and status >= 400] == []


@pytest.mark.parametrize("name", ["server/connection", "server/foreign", "contracts/openapi", "http/problems"])
def test_errors_are_written_without_the_application(name):
    """The modules that write or describe error responses import nothing from the application."""
    assert "gjrpc.app.application" not in (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
