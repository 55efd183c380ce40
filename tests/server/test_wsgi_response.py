"""The response of a WSGI callable, byte for byte, without a socket."""

import sys
from types import SimpleNamespace

import pytest

from gjrpc.http.messages import Head
from gjrpc.http.wsgi_answers import AnswerError
from gjrpc.server.output import Progress
from gjrpc.server.wsgi_response import WsgiResponse

GET, HEAD = Head("GET", "/"), Head("HEAD", "/")
OLD = Head("GET", "/", version=(1, 0))
TEXT = ("Content-Type", "text/plain")
TYPE = b"Content-Type: text/plain\r\n"
DATE = b"Date: now\r\n"


class Sink:
    """Takes the bytes of a response, and keeps each write."""

    def __init__(self):
        self.progress, self.writes = Progress.NONE, []

    def send(self, data, more=b""):
        self.writes.append(bytes(data) + bytes(more))


def response(head=GET, keep_alive=True, draining=False):
    """A response, and where its bytes go."""
    sink = Sink()
    shared = SimpleNamespace(draining=draining, writer=SimpleNamespace(date=DATE))
    return WsgiResponse(head, keep_alive, shared, sink), sink


def give(made, whole=None, pieces=()):
    """Give a response its body: as a whole, or in pieces."""
    if whole is not None:
        made.write_whole(whole)
    else:
        for piece in pieces:
            made.write(piece)
        made.end()


def sent(head=GET, headers=(TEXT,), whole=None, pieces=(), status="200 OK", **options):
    """The writes of a response with this body."""
    made, sink = response(head, **options)
    made.start_response(status, list(headers))
    give(made, whole, pieces)
    return sink.writes


def test_a_list_has_its_length_and_goes_out_in_one_write():
    """A body that is there whole is sent with its head in one write, and with its length."""
    expected = b"HTTP/1.1 200 OK\r\n" + TYPE + b"Content-Length: 5\r\n" + DATE + b"\r\nhello"
    assert sent(whole=[b"he", b"", bytearray(b"llo")]) == [expected]


def test_pieces_are_chunks():
    """A body of unknown length goes out in chunks, each when it comes, the first with the head."""
    head = b"HTTP/1.1 200 OK\r\n" + TYPE + b"Transfer-Encoding: chunked\r\n" + DATE + b"\r\n"
    assert sent(pieces=[b"he", b"llo"]) == [head + b"2\r\nhe\r\n", b"3\r\nllo\r\n", b"0\r\n\r\n"]


def test_pieces_to_an_old_client_end_with_the_connection():
    """HTTP/1.0 knows no chunks: the end of the connection ends the body."""
    head = b"HTTP/1.1 200 OK\r\n" + TYPE + b"Connection: close\r\n" + DATE + b"\r\n"
    assert sent(OLD, pieces=[b"he", b"llo"]) == [head + b"he", b"llo"]


@pytest.mark.parametrize(
    ("head", "options", "line"),
    [
        (GET, {}, b""),
        (OLD, {}, b"Connection: keep-alive\r\n"),
        (GET, {"keep_alive": False}, b"Connection: close\r\n"),
        (GET, {"draining": True}, b"Connection: close\r\n"),
        (GET, {"headers": [TEXT, ("Connection", "close")]}, b"Connection: close\r\n"),
    ],
)
def test_whether_the_connection_goes_on(head, options, line):
    """The head says that the connection closes, or to an old client that it stays; the usual case needs no word."""
    expected = b"HTTP/1.1 200 OK\r\n" + TYPE + b"Content-Length: 1\r\n" + line + DATE + b"\r\nx"
    assert sent(head, whole=[b"x"], **options) == [expected]


@pytest.mark.parametrize("body", [{"whole": [b"hello"]}, {"pieces": [b"he", b"llo"]}, {"whole": []}, {}])
def test_a_response_to_head_has_no_body(body):
    """A response to HEAD is its head alone, with the length that the application announced, whatever body it gives."""
    headers = [TEXT, ("Content-Length", "5")]
    expected = b"HTTP/1.1 200 OK\r\n" + TYPE + b"Content-Length: 5\r\n" + DATE + b"\r\n"
    assert b"".join(sent(HEAD, headers, **body)) == expected


def test_an_empty_response_to_head_claims_no_length():
    """An empty body for HEAD does not say that a GET would get an empty one too."""
    assert b"Content-Length" not in b"".join(sent(HEAD, whole=[]))
    assert b"Content-Length: 5" in b"".join(sent(HEAD, whole=[b"hello"]))


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body(status):
    """A 204 or 304 is a head without any framing, and a body for it is an error."""
    assert sent(status=status, headers=[("Content-Length", "0")], whole=[]) == [
        b"HTTP/1.1 %b\r\n%b\r\n" % (status.encode(), DATE)
    ]
    with pytest.raises(AnswerError, match="must have no body"):
        sent(status=status, whole=[b"x"])


def test_a_date_of_the_application_s_own_is_kept():
    """Where the application gives a Date there is no second one."""
    assert b"".join(sent(headers=[("date", "then")], whole=[b"x"])).lower().count(b"date:") == 1


@pytest.mark.parametrize("body", [{"whole": [b"hello"]}, {"pieces": [b"hello"]}, {"whole": []}, {}])
def test_a_length_that_is_wrong_from_the_start(body):
    """A body whose first bytes show that its length is wrong is an error, and nothing is sent."""
    made, sink = response()
    made.start_response("200 OK", [("Content-Length", "4")])
    with pytest.raises(AnswerError, match="Content-Length says 4"):
        give(made, **body)
    assert (sink.writes, sink.progress) == ([], Progress.NONE)


@pytest.mark.parametrize(("pieces", "body"), [((b"he", b"llo"), b"hell"), ((b"he", b"l"), b"hel")])
def test_a_length_that_turns_out_wrong(pieces, body):
    """Once the head is sent, no byte beyond the announced length follows, and too few are an error too."""
    made, sink = response()
    made.start_response("200 OK", [("Content-Length", "4")])
    with pytest.raises(AnswerError, match="Content-Length says 4"):
        give(made, pieces=pieces)
    assert b"".join(sink.writes).endswith(b"\r\n\r\n" + body)
    assert sink.progress is Progress.PARTIAL


def test_the_first_write_sends_the_head():
    """An empty write sends the head, as PEP 3333 asks of the first one."""
    made, sink = response()
    made.start_response("200 OK", [TEXT])(b"")
    assert sink.writes[0].endswith(b"\r\n\r\n")


def test_headers_are_replaced_until_the_head_is_sent():
    """With exc_info the second start_response counts while nothing is sent; after that it raises the application's own error."""
    made, sink = response()
    made.start_response("200 OK", [TEXT])
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        made.start_response("500 Oh No", [], sys.exc_info())
        made.write(b"x")
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            made.start_response("500 Oh No", [], sys.exc_info())
    assert sink.writes[0].startswith(b"HTTP/1.1 500 Oh No\r\n")
    assert (made.status, made.size) == (500, 1)


@pytest.mark.parametrize("piece", ["text", 7, None])
def test_a_piece_that_is_not_bytes(piece):
    """A piece that is not bytes is an error which names its type."""
    with pytest.raises(AnswerError, match=f"a piece of type {type(piece).__name__}; expected bytes"):
        sent(whole=[piece])


def test_nothing_was_started():
    """A body without start_response is an error, and so is no body."""
    for whole in ([b"x"], []):
        made, _ = response()
        with pytest.raises(AnswerError, match="did not call start_response"):
            made.write_whole(whole)


@pytest.mark.parametrize("headers", [[TEXT], [TEXT, ("Content-Length", "1")]])
def test_a_write_after_the_end(headers):
    """Once a response has ended, as where `close` of the iterable writes, nothing more is sent: it would be the next answer."""
    made, sink = response()
    write = made.start_response("200 OK", headers)
    give(made, pieces=[b"a"])
    before = list(sink.writes)
    with pytest.raises(AnswerError, match="after the end"):
        write(b"late")
    assert sink.writes == before
