"""The responses of an application's own pages and dialects."""

import logging

import pytest

from gjrpc import Application, Registry
from gjrpc.app.responses import checked
from gjrpc.http.messages import Head, Request, Response


@pytest.mark.parametrize(
    "response",
    [
        Response(200, b"{}"),
        Response(204, headers=()),
        Response(304, headers=(("ETag", '"a"'),)),
        Response(599, b"x", (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")), "alice"),
    ],
)
def test_a_response_that_can_be_sent(response):
    """A proper response stays as it is."""
    same = checked(response, "the page")
    parts = [(each.status, each.body, each.headers, each.caller) for each in (response, same)]
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (None, "NoneType; expected a Response"),
        (Response(101, b""), "the status 101"),
        (Response(99, b""), "the status 99"),
        (Response("200", b""), "the status '200'"),
        (Response(True, b""), "the status True"),
        (Response(200, "text"), "a body of type str; expected bytes"),
        (Response(204, b"x"), "the status 204 with a body"),
        (Response(304, b"x"), "the status 304 with a body"),
        (Response(200, b"", (("X", "a\r\nSet-Cookie: b"),)), "control characters"),
        (Response(200, b"", (("X Y", "a"),)), "header name"),
        (Response(200, b"", (("X", "\u20ac"),)), "latin-1"),
        (Response(200, b"", ("X",)), "not a pair"),
        (Response(200, b"", (("Transfer-Encoding", "chunked"),)), "hop-by-hop"),
        (Response(200, b"", (("content-length", "5"),)), "content-length, which only the server may set"),
        (Response(200, b"", (("Connection", "close"),)), "Connection, which only the server may set"),
    ],
)
def test_a_response_that_cannot_be_sent(response, words):
    """A response that the client would not read as it was meant is an error that says what is wrong and who returned it."""
    with pytest.raises((TypeError, ValueError), match=f"^the page /-/x returned.*{words}"):
        checked(response, "the page /-/x")


class Splitting:
    """A dialect that puts the message into a header."""

    def __init__(self, dispatcher):
        pass

    def answer(self, message, request):
        """Answer with the message as a header."""
        return Response(200, b"", (("X", message),))

    def answer_malformed(self, request, error):
        """Answer with the body as a header."""
        return Response(400, b"", (("X", request.body.decode()),))


@pytest.mark.parametrize(
    ("verb", "target", "body"),
    [
        ("GET", "/-/page?to=a%0D%0ASet-Cookie:b", b""),
        ("POST", "/", b'"a\\r\\nSet-Cookie:b"'),
        ("POST", "/", b"a\r\nSet-Cookie:b"),
    ],
)
def test_a_line_break_in_a_header_is_refused(caplog, verb, target, body):
    """What a client put into a header of a page or a dialect does not begin another header: it gets a 500."""
    pages = {"/-/page": lambda asked: Response(302, b"", (("Location", asked.query["to"][0]),))}
    application = Application(Registry(), pages=pages, dialects=[Splitting])
    with caplog.at_level(logging.ERROR):
        response = application.respond(Request(Head(verb, target), body))
    assert response.status == 500
    assert not any("Set-Cookie" in value for _, value in response.headers)
    assert "control characters" in caplog.text
