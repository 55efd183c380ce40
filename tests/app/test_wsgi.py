"""The WSGI door, with a responder that only notes what it gets; `test_application` has the door of a whole application."""

import io
from wsgiref.util import setup_testing_defaults

import pytest

from gjrpc.app import wsgi
from gjrpc.errors import Forbidden
from gjrpc.http.messages import Response
from gjrpc.http.problems import refusal


class Responder:
    """Answers each request alike, unless its head alone is refused."""

    max_body = 10

    def __init__(self, response=None, refused=None):
        self.response = response or Response(200, b"body")
        self.refused = refused
        self.bodies = []

    def admit(self, head, peer=None):
        """Refuse a head, or not."""
        return self.refused

    def respond(self, request, peer=None):
        """Note a body."""
        self.bodies.append(request.body)
        return self.response

    def with_cors_headers(self, response, head):
        """Mark a refusal."""
        return response.with_headers((("Vary", "Origin"),))


def answer(responder, verb="POST", body=b"", **environ):
    """The status, the headers and the body that come out of the door."""
    environ = {"REQUEST_METHOD": verb, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), **environ}
    setup_testing_defaults(environ)
    started = []
    written = wsgi.answer(responder, environ, lambda status, headers: started.extend((status, dict(headers))))
    return (*started, b"".join(written))


def test_a_response_comes_out_with_its_length():
    """Status, phrase, headers and length come out, and the body for all but HEAD."""
    headers = {"Content-Type": "application/json", "Content-Length": "4"}
    assert answer(Responder()) == ("200 OK", headers, b"body")
    assert answer(Responder(), "HEAD") == ("200 OK", headers, b"")


def test_a_204_has_no_length():
    """RFC 9110, 8.6: a 204 has no Content-Length."""
    assert answer(Responder(Response(204, headers=()))) == ("204 No Content", {}, b"")


def test_a_refused_head_s_body_is_not_read():
    """If the head alone is refused, the body is not read and the request not answered."""
    responder, body = Responder(refused=refusal(Forbidden("no"))), io.BytesIO(b"12345")
    assert answer(responder, CONTENT_LENGTH="5", **{"wsgi.input": body})[0] == "403 Forbidden"
    assert (body.tell(), responder.bodies) == (0, [])


@pytest.mark.parametrize(("body", "status"), [(b"1" * 10, "200 OK"), (b"1" * 11, "413 Content Too Large")])
def test_the_limit_of_a_body_is_the_responder_s(body, status):
    """A body beyond the limit is refused, so that a web page can read the refusal."""
    responder = Responder()
    found, headers, _ = answer(responder, body=body)
    assert found.split()[0] == status.split()[0]
    assert (responder.bodies, headers.get("Vary")) == (([body], None) if len(body) == 10 else ([], "Origin"))
