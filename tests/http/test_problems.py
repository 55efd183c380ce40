"""Errors as HTTP responses."""

import json

from gjrpc.calls.disclosure import error_parts
from gjrpc.errors import CallError, InternalError
from gjrpc.http.problems import body


def test_a_problem_has_what_is_known():
    """A problem has type, title, status and detail, and method, reference and data where there are any."""
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
    """Data that is empty or zero is sent, only None is none."""
    for data in (0, "", [], False):
        assert json.loads(body(400, error_parts(CallError("no", data=data))))["data"] == data
    assert "data" not in json.loads(body(400, error_parts(CallError("no", data=None))))
