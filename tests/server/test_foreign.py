"""Foreign WSGI applications that break PEP 3333, over a real socket; those that don't are tested with the connection."""

import sys

import pytest

TEXT = ("Content-Type", "text/plain")
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


def answering(status="200 OK", headers=(TEXT,), pieces=(b"hello",)):
    """An application that answers so; a list is given as it is, anything else is iterated over."""

    def app(environ, start_response):
        start_response(status, list(headers))
        return pieces if isinstance(pieces, list) else iter(pieces)

    return app


def twice(environ, start_response):
    """An application that begins its answer twice."""
    start_response("200 OK", [TEXT])
    start_response("200 OK", [TEXT])
    return [b"hello"]


def length(count):
    """Headers that announce so many bytes."""
    return [TEXT, ("Content-Length", str(count))]


BROKEN = {
    "a transfer coding": (answering(headers=[("Transfer-Encoding", "chunked")]), "Transfer-Encoding is hop-by-hop"),
    "an upgrade": (answering("101 Switching Protocols", [("Upgrade", "x")]), "its status is '101 Switching Protocols'"),
    "two lengths": (answering(headers=[*length(5), *length(5)]), "Content-Length is '5' and '5'"),
    "a length with a sign": (answering(headers=length("+5")), "Content-Length is '+5'"),
    "NUL in a value": (answering(headers=[("X", "a\0")]), r"the value 'a\x00'"),
    "a line in a value": (answering(headers=[("X", "a\r\nSet-Cookie: a=b")]), r"the value 'a\r\n"),
    "a blank in a name": (answering(headers=[("X Y", "1")]), "header name 'X Y'"),
    "a line in the status": (answering("200 OK\r\nX-Evil: 1"), r"its status is '200 OK\r\n"),
    "a number as status": (answering(200), "its status is 200"),
    "too few bytes": (answering(headers=length(6), pieces=[b"hello"]), "it returned 5 bytes, but its Content-Length says 6"),
    "too many bytes": (
        answering(headers=length(4), pieces=[b"he", b"llo"]),
        "it returned 5 bytes, but its Content-Length says 4",
    ),
    "too many bytes at once": (answering(headers=length(4)), "it returned 5 bytes, but its Content-Length says 4"),
    "no bytes": (answering(headers=length(4), pieces=[]), "it returned 0 bytes, but its Content-Length says 4"),
    "no pieces": (answering(headers=length(4), pieces=()), "it returned 0 bytes, but its Content-Length says 4"),
    "two beginnings": (twice, "called start_response a second time"),
    "no beginning": (lambda environ, start_response: [b"hello"], "did not call start_response"),
    "a body that must not be": (answering("204 No Content", []), "The 204 response must have no body"),
}


@pytest.mark.parametrize(("app", "words"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_the_rules(serve, caplog, app, words):
    """Where nothing was sent yet, the client gets a clear 500 and no byte of the faulty answer, and the log says what it was."""
    with serve(app).wire() as wire:
        answer = wire.ask(PING)
        assert (answer.status, answer.headers["connection"], wire.rest()) == (500, "close", b"")
    problem = answer.json()
    assert problem["detail"] == "the application failed; the server's log has the details under this ref"
    assert problem["ref"] in caplog.text
    assert words in caplog.text
    assert b"hello" not in answer.raw
    assert not {"x", "transfer-encoding", "x-evil", "set-cookie"} & set(answer.headers)


@pytest.mark.parametrize(
    ("pieces", "announced", "body", "words"),
    [
        ((b"he", b"llo"), 4, b"hell", "it returned 5 bytes, but its Content-Length says 4"),
        ((b"he", b"l"), 4, b"hel", "it returned 3 bytes, but its Content-Length says 4"),
    ],
)
def test_an_answer_that_turns_out_wrong(serve, caplog, pieces, announced, body, words):
    """Where the answer has begun, no byte beyond its length goes out, the connection ends, and the log says why."""
    with serve(answering(headers=length(announced), pieces=pieces)).wire() as wire:
        wire.send(PING + PING)
        told = wire.rest()
    assert told.count(b"HTTP/1.1 ") == 1
    assert told.partition(b"\r\n\r\n")[2] == body
    assert words in caplog.text


@pytest.mark.parametrize(("value", "told"), [("close", "close"), ("keep-alive", None)])
def test_an_application_that_speaks_of_the_connection(serve, value, told):
    """An application may ask for the end of the connection; to keep it is the server's choice."""
    with serve(answering(headers=[*length(5), ("Connection", value)], pieces=[b"hello"])).wire() as wire:
        answer = wire.ask(PING)
        assert (answer.status, answer.body, answer.headers.get("connection")) == (200, b"hello", told)
        if told:
            assert wire.rest() == b""
        else:
            assert wire.ask(PING).status == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_length_beside_a_status_without_a_body(serve, status):
    """A Content-Length of a 204 or 304 is left out, and the connection is kept."""
    with serve(answering(status, length(5) if status[0] == "3" else length(0), [])).wire() as wire:
        for _ in range(2):
            answer = wire.ask(PING)
            assert (answer.status, answer.headers.get("content-length")) == (int(status[:3]), None)


def test_the_head_of_an_answer_may_announce_what_does_not_follow(serve):
    """An answer to HEAD has the length of what a GET would get, whether the application gives it or nothing."""
    for pieces in ([], [b"hello"], (), (b"he", b"llo")):
        with serve(answering(headers=length(5), pieces=pieces)).wire() as wire:
            for _ in range(2):
                answer = wire.ask(PING.replace(b"GET", b"HEAD"), verb="HEAD")
                assert (answer.status, answer.headers["content-length"]) == (200, "5")


def test_an_application_that_mends_its_answer(serve):
    """An application whose headers were refused can give others."""

    def app(environ, start_response):
        try:
            start_response("200 OK", [("X", "\n")])
        except Exception:  # noqa: BLE001  as frameworks do
            start_response("503 Mended", [TEXT], sys.exc_info())
        return [b"sorry"]

    with serve(app).wire() as wire:
        answer = wire.ask(PING)
        assert (answer.status, answer.body) == (503, b"sorry")
