"""What a client learns about an error, whatever an application has put into it."""

import json
from http import HTTPStatus
from pathlib import Path

import pytest

import gjrpc
from gjrpc.app.application import Application
from gjrpc.calls import disclosure
from gjrpc.calls.disclosure import error_parts, sendable_parts
from gjrpc.calls.registry import Registry
from gjrpc.errors import CallError, InternalError, Overloaded, VerbNotAllowed
from gjrpc.http.messages import Head, Request
from gjrpc.http.problems import Unauthenticated, refusal

GENERIC = "the error can't be sent; the server's log has the details under this ref"


def error(**attributes):
    """An error with attributes that are set later."""
    made = CallError("no", code=7, data=[1], status=404)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def raising(name, exception):
    """An error whose class has a property that raises."""

    def fail(self):
        raise exception

    kind = type("Failing", (CallError,), {})
    made = kind("no")
    made.__dict__.pop(name, None)
    setattr(kind, name, property(fail))
    return made


class Forgetful(CallError):
    """An error whose __init__ does not call that of its base."""

    def __init__(self):
        pass


class Once(CallError):
    """An error whose ref can be read once."""

    reads = 0

    @property
    def ref(self):
        self.reads += 1
        if self.reads > 1:
            raise RuntimeError("a secret")


BAD = {
    "a status that splits the response": lambda: error(status="200 OK\r\nX-Evil: 1"),
    "a status of a success": lambda: error(status=200),
    "a status that is a boolean": lambda: error(status=True),
    "a status below 400": lambda: error(status=99),
    "a status above 599": lambda: error(status=10**9),
    "a status with a fraction": lambda: error(status=404.0),
    "a code that is a string": lambda: error(code="7"),
    "a code that is a boolean": lambda: error(code=True),
    "no code": lambda: error(code=None),
    "no message": lambda: error(message=None),
    "a message of bytes": lambda: error(message=b"no"),
    "a message with a lone surrogate": lambda: error(message="\ud800"),
    "data that is not JSON": lambda: error(data=object()),
    "data with NaN": lambda: error(data=[float("nan")]),
    "a ref that is a number": lambda: error(ref=5),
    "a ref that is not JSON": lambda: error(ref=object()),
    "nothing set": Forgetful,
    **{
        f"a {name} that raises {kind.__name__}": lambda name=name, kind=kind: raising(name, kind("a secret"))
        for name in ("status", "code", "message", "data", "ref")
        for kind in (ValueError, KeyboardInterrupt, SystemExit, GeneratorExit)
    },
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_what_can_not_be_told(make, caplog):
    """An error with a part that can't be sent becomes an internal error, with the reference under which the log has it."""
    parts = sendable_parts(make())
    assert (parts.code, parts.message, parts.data, parts.status) == (-32603, GENERIC, None, None)
    assert parts.ref in caplog.text
    response = refusal(make(), "m")
    problem = json.loads(response.body)
    assert (response.status, problem["status"], problem["detail"], problem["method"]) == (500, 500, GENERIC, "m")
    assert problem["ref"] in caplog.text
    assert response.headers == (("Content-Type", "application/problem+json"),)


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_method_may_raise_any_error(make, caplog):
    """If the error of a method can't be sent, the answer is 500 with a ref; in a batch only its entry fails."""
    registry = Registry()

    @registry.method
    def fail():
        raise make()

    registry.register(lambda: "pong", "ping")
    application = Application(registry)
    response = application.respond(Request(Head("GET", "/fail")))
    assert (response.status, json.loads(response.body)["ref"] in caplog.text) == (500, True)
    entries = [{"jsonrpc": "2.0", "method": name, "id": name} for name in ("ping", "fail", "ping")]
    answers = json.loads(application.respond(Request(Head("POST", "/"), json.dumps(entries).encode())).body)
    assert [answer.get("result") for answer in answers] == ["pong", None, "pong"]
    assert answers[1]["error"]["code"] == -32603
    assert answers[1]["error"]["data"]["ref"] in caplog.text


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_an_observer_may_spoil_an_error(make):
    """What an observer puts into an error after the call is checked too, as the check happens when the error is written."""
    registry = Registry()

    @registry.method
    def fail():
        raise CallError("no", status=404)

    bad = make()

    def spoil(finished):
        finished.error.__class__ = type(bad)
        finished.error.__dict__.clear()
        finished.error.__dict__.update(bad.__dict__)

    application = Application(registry, observers=[spoil])
    assert application.respond(Request(Head("GET", "/fail"))).status == 500
    body = b'[{"jsonrpc":"2.0","method":"fail","id":1}]'
    assert json.loads(application.respond(Request(Head("POST", "/"), body)).body)[0]["error"]["code"] == -32603


def test_each_part_is_read_once():
    """Each part of an error is read only once, so that it can't change after its check."""
    assert refusal(Once("no", status=404)).status == 404
    assert sendable_parts(Once("no")).message == "no"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Unauthenticated("no", ["Bearer\r\nX-Evil: 1"]),
        lambda: Unauthenticated("no", [5]),
        lambda: Unauthenticated("no", None),
        lambda: VerbNotAllowed("no", allow="GET\r\nX-Evil: 1"),
        lambda: VerbNotAllowed("no", allow=None),
    ],
)
def test_headers_of_an_error_are_checked(make, caplog):
    """An error with headers that can't be sent becomes an internal error too."""
    response = refusal(make())
    assert (response.status, response.headers) == (500, (("Content-Type", "application/problem+json"),))
    assert json.loads(response.body)["ref"] in caplog.text


def test_what_can_be_told():
    """An error is sent with its own status or that of its class, and enum members as numbers."""
    assert error_parts(error())[:2] == (7, "no")
    assert bytes(error_parts(error()).data) == b"[1]"
    assert error_parts(error(data=None)).data is None
    assert error_parts(InternalError("no", ref="abc")).ref == "abc"
    assert f"{error_parts(error(status=HTTPStatus.CONFLICT)).status}" == "409"
    assert [refusal(made).status for made in (error(), error(status=599), error(status=None), Overloaded("no"))] == [
        404,
        599,
        500,
        503,
    ]


@pytest.mark.parametrize("pointer", [disclosure.DETAILS, disclosure.MORE])
def test_where_the_client_is_told_to_look(caplog, pointer):
    """The words that refer the client to the log are in one module, and the log itself leaves them out."""
    sources = Path(gjrpc.__file__).parent.rglob("*.py")
    assert [path.stem for path in sources if "under this ref" in path.read_text(encoding="utf-8")] == ["disclosure"]
    assert disclosure.internal_error("it failed", ValueError("why"), pointer=pointer).message == f"it failed{pointer}"
    assert "it failed" in caplog.text
    assert pointer not in caplog.text
