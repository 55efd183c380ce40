"""Dialects that are handed to an application."""

import json

import pytest

from gjrpc import Application, Registry
from gjrpc.calls.call import Call
from gjrpc.errors import CallError, SettingsError
from gjrpc.http.messages import Head, Request, Response


class Tuples:
    """A dialect of messages such as `["call", NAME, ARGUMENTS]`."""

    def __init__(self, dispatcher):
        self.dispatcher = dispatcher

    def answer(self, message, request):
        """Answer a message that begins with the word `call`."""
        if type(message) is not list or message[:1] != ["call"]:
            return None
        outcome = self.dispatcher.run(Call(message[1], message[2]))
        body = b"error" if isinstance(outcome, CallError) else outcome
        return Response(200, body, (("Content-Type", request.head.get("accept") or "application/json"),))

    def answer_malformed(self, request, error):
        """Answer a body that begins with the word `call`."""
        return Response(400, b"malformed") if request.body.startswith(b'["call"') else None


@pytest.fixture
def application():
    """An application that speaks this dialect too."""
    registry = Registry()
    registry.register(lambda a, b=10: a + b, "add")
    return Application(registry, dialects=[Tuples])


def post(application, body, headers=()):
    """The response to a `POST /`."""
    return application.respond(Request(Head("POST", "/", headers), body))


def test_a_dialect_answers_its_messages(application):
    """A message that a given dialect recognizes is answered by it, with its own headers."""
    for _ in range(2):
        response = post(application, b'["call","add",[1,2]]', [("accept", "text/x")])
        assert (response.status, response.body, response.headers) == (200, b"3", (("Content-Type", "text/x"),))
    assert post(application, b'["call","nope",[]]').body == b"error"


def test_the_other_dialects_answer_theirs(application):
    """What a given dialect does not recognize is JSON-RPC 2.0 or native, as without it."""
    assert post(application, b'{"add":[1]}').body == b'{"add":11}'
    assert json.loads(post(application, b'{"jsonrpc":"2.0","method":"add","params":[1],"id":1}').body)["result"] == 11
    assert json.loads(post(application, b'[{"jsonrpc":"2.0","method":"add","params":[1],"id":1}]').body)[0]["result"] == 11
    assert post(application, b"1").status == 400


def test_a_malformed_message_is_answered_in_its_dialect(application):
    """A body that is not JSON is answered by the first dialect that it was meant for."""
    assert post(application, b'["call",').body == b"malformed"
    assert json.loads(post(application, b"[1,").body)["error"]["code"] == -32700
    response = post(application, b"{")
    assert (response.status, json.loads(response.body)["status"]) == (400, 400)


def test_a_dialect_s_calls_are_guarded():
    """A given dialect runs its calls as the caller of the request, and scopes hold."""
    registry = Registry()
    registry.register(lambda: 1, "secret", scope="admin")
    assert post(Application(registry, dialects=[Tuples]), b'["call","secret",[]]').body == b"error"
    assert post(Application(registry, dialects=[Tuples], open_to_all=True), b'["call","secret",[]]').body == b"1"


@pytest.mark.parametrize("make", [5, lambda dispatcher: None, lambda dispatcher: object()])
def test_what_makes_no_dialect_is_refused(make):
    """An application refuses a dialect that can't be made, and says what it expected."""
    with pytest.raises(SettingsError, match=r"^dialects: .*; expected "):
        Application(Registry(), dialects=[make])
