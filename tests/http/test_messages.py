"""Request and Response."""

import pytest

from gjrpc.http.messages import JSON, Head, Request, Response, reason_phrase


def test_a_head_gives_the_first_value_of_a_header():
    """A header is found by its name in lower case; of several the first counts, and a missing one is None."""
    head = Head("GET", "/ping", [("accept", "a"), ("accept", "b")])
    assert head.headers == (("accept", "a"), ("accept", "b"))
    assert head.get("accept") == "a"
    assert head.get("host") is None


def test_a_head_has_read_what_each_request_needs():
    """Host, origin and content type are read once, when the head is made, and are None if they are missing."""
    head = Head("GET", "/", [("host", "h"), ("origin", "o"), ("content-type", "t")], (1, 0))
    assert (head.host, head.origin, head.content_type, head.version) == ("h", "o", "t", (1, 0))
    bare = Head("GET", "/")
    assert (bare.host, bare.origin, bare.content_type, bare.version) == (None, None, None, (1, 1))


def test_messages_show_what_they_are():
    """The repr of a head, a request or a response identifies it without showing the body."""
    request = Request(Head("POST", "/add"), b"[1]")
    assert [repr(request.head), repr(request)] == ["<Head POST /add>", "<Request POST /add, 3 bytes>"]
    assert repr(Response(200, b"{}")) == "<Response 200, 2 bytes>"


def test_a_response_is_json_unless_told_otherwise():
    """By default a request has no body, and a response has the JSON content type."""
    assert Request(Head("GET", "/")).body == b""
    assert Response(200).headers == JSON == (("Content-Type", "application/json"),)
    assert Response(204, headers=()).headers == ()


@pytest.mark.parametrize(("status", "words"), [(404, "Not Found"), (504, "Gateway Timeout"), (599, "Error")])
def test_a_status_has_a_phrase(status, words):
    """A registered status has its phrase, and every other one still has a title."""
    assert reason_phrase(status) == words


@pytest.mark.parametrize(
    ("value", "name"),
    [(Head("GET", "/"), "target"), (Head("GET", "/"), "notes"), (Request(Head("GET", "/")), "body"), (Response(200), "headers")],
)
def test_messages_are_frozen(value, name):
    """No attribute of a head, a request or a response can be assigned."""
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, name, None)


def test_a_copy_of_a_head_with_other_headers():
    """A copy with other headers has the rest of the head and what an application noted, and never who was authenticated."""
    head = Head("HEAD", "/ping", [("host", "h"), ("x-id", "1")], (1, 0))
    head.notes.application, head.notes.answer, head.notes.call, head.notes.authenticated = "abcd"
    other = head.with_headers([("host", "h"), ("x-id", "2")])
    assert (other.verb, other.target, other.version, other.host, other.plain) == ("HEAD", "/ping", (1, 0), "h", False)
    assert (other.headers, head.headers[1]) == ((("host", "h"), ("x-id", "2")), ("x-id", "1"))
    notes = other.notes
    assert (notes.application, notes.answer, notes.call, notes.authenticated) == ("a", "b", "c", None)
    notes.call = None
    assert head.notes.call == "c"


def test_a_copy_of_a_response():
    """A response gets further headers or a caller's name as a copy, and stays as it is itself."""
    response = Response(201, b"x", (("A", "1"),), "alice")
    assert response.with_headers((("B", "2"),)) is not response
    more = response.with_headers((("B", "2"),)).with_caller("bob")
    assert (more.status, more.body, more.headers, more.caller) == (201, b"x", (("A", "1"), ("B", "2")), "bob")
    assert (response.headers, response.caller) == ((("A", "1"),), "alice")
