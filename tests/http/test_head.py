"""The rules for a request's syntax, each with messages that obey and break it; every message is read in every way."""

import httptools
import pytest
from conftest import read_every_way, read_pieces
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gjrpc.errors import BadMessage
from gjrpc.framing import LineMemory, parse_head
from gjrpc.http1 import Memory, Reader
from gjrpc.lines import Limits, Lines

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
NEXT = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n"


def head(*lines, first=GET, host=HOST):
    """A head with these lines."""
    return first + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def chunked(coded, *lines):
    """A message with this chunked body."""
    return head(b"Transfer-Encoding: chunked", *lines, first=b"POST / HTTP/1.1\r\n") + coded


def only(told):
    """The one request that was told, as a dict."""
    assert len(told) == 1, told
    return dict(zip(("verb", "target", "headers", "version", "body", "keep_alive", "expects"), told[0], strict=True))


GOOD = {
    "a token for a method": (head(first=b"M-SEARCH /x HTTP/1.1\r\n"), {"verb": "M-SEARCH", "target": "/x"}),
    "every token character": (head(first=b"!#$%&'*+-.^_`|~9aZ / HTTP/1.1\r\n"), {"verb": "!#$%&'*+-.^_`|~9aZ"}),
    "a method in lower case is another one": (head(first=b"get / HTTP/1.1\r\n"), {"verb": "get"}),
    "HTTP/1.0 without Host": (head(first=b"GET /2 HTTP/1.0\r\n", host=b""), {"version": (1, 0), "keep_alive": False}),
    "HTTP/1.0 with Host": (head(first=b"GET /2 HTTP/1.0\r\n"), {"version": (1, 0), "headers": (("host", "a"),)}),
    "path and query as they came": (head(first=b"GET /a%20b;c?d=%3B&e HTTP/1.1\r\n"), {"target": "/a%20b;c?d=%3B&e"}),
    "two slashes": (head(first=b"GET //b/c HTTP/1.1\r\n"), {"target": "//b/c"}),
    "absolute-form": (head(first=b"GET http://a/x?y HTTP/1.1\r\n"), {"target": "/x?y"}),
    "absolute-form, its case": (head(first=b"GET HTTPS://A HTTP/1.1\r\n"), {"target": "/"}),
    "absolute-form, port": (head(first=b"GET http://a:8/x HTTP/1.1\r\n", host=b"Host: a:8\r\n"), {"target": "/x"}),
    "asterisk-form": (head(first=b"OPTIONS * HTTP/1.1\r\n"), {"verb": "OPTIONS", "target": "*"}),
    "header names lose their case": (head(b"X-A: B"), {"headers": (("host", "a"), ("x-a", "B"))}),
    "blanks around a value": (head(b"X: \t y z \t"), {"headers": (("host", "a"), ("x", "y z"))}),
    "no blank before a value": (head(b"X:y"), {"headers": (("host", "a"), ("x", "y"))}),
    "empty values": (head(b"X:", b"Y: ", b"Z: z"), {"headers": (("host", "a"), ("x", ""), ("y", ""), ("z", "z"))}),
    "colons in a value": (head(b"X: :y:"), {"headers": (("host", "a"), ("x", ":y:"))}),
    "latin-1 in a value": (head(b"X: \x80\xff"), {"headers": (("host", "a"), ("x", "\x80\xff"))}),
    "the same name twice": (head(b"X: 1", b"x: 2"), {"headers": (("host", "a"), ("x", "1"), ("x", "2"))}),
    "names with an underscore are dropped": (head(b"X_Y: 1", b"Content_Length: 3"), {"headers": (("host", "a"),), "body": b""}),
    "one empty line before": (b"\r\n" + head(), {"verb": "GET"}),
    "two empty lines before": (b"\r\n\r\n" + head(), {"verb": "GET"}),
    "an empty Host": (head(host=b"Host:\r\n"), {"headers": (("host", ""),)}),
    "a Host with port": (head(host=b"Host: localhost:80\r\n"), {"headers": (("host", "localhost:80"),)}),
    "an IPv6 Host": (head(host=b"Host: [::1]:80\r\n"), {"headers": (("host", "[::1]:80"),)}),
    "no body": (head(first=b"POST / HTTP/1.1\r\n"), {"body": b""}),
    "Content-Length 0": (head(b"Content-Length: 0", first=b"POST / HTTP/1.1\r\n"), {"body": b""}),
    "a body": (head(b"Content-Length: 5") + b"hello", {"body": b"hello"}),
    "Content-Length with zeros in front": (head(b"Content-Length: 005") + b"hello", {"body": b"hello"}),
    "Content-Length with blanks around": (head(b"content-length:\t5 ") + b"hello", {"body": b"hello"}),
    "a body that looks like a request": (head(b"Content-Length: 33") + NEXT[:33].ljust(33), {"body": NEXT[:33].ljust(33)}),
    "chunks": (chunked(b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"), {"body": b"helloabc"}),
    "no chunk": (chunked(b"0\r\n\r\n"), {"body": b""}),
    "a last chunk of many zeros": (chunked(b"000\r\n\r\n"), {"body": b""}),
    "chunk sizes in hex": (chunked(b"a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n"), {"body": b"0123456789" * 2}),
    "chunk extensions": (chunked(b'1;x\r\na\r\n1 ; y="z"\r\nb\r\n0;last\r\n\r\n'), {"body": b"ab"}),
    "line ends inside a chunk": (chunked(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), {"body": b"\r\n\r\n"}),
    "trailers are dropped": (chunked(b"1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n"), {"body": b"a", "keep_alive": True}),
    "the coding's case": (head(b"Transfer-Encoding: Chunked") + b"0\r\n\r\n", {"body": b""}),
    "Connection: close": (head(b"Connection: close"), {"keep_alive": False}),
    "Connection: close among others": (head(b"Connection: TE, Close"), {"keep_alive": False}),
    "Connection: close on a second line": (head(b"Connection: te", b"Connection: close"), {"keep_alive": False}),
    "HTTP/1.0 with keep-alive": (head(b"Connection: Keep-Alive", first=b"GET / HTTP/1.0\r\n"), {"keep_alive": True}),
    "an upgrade is ignored": (head(b"Connection: upgrade", b"Upgrade: h2c", b"X: y"), {"keep_alive": True}),
    "a WebSocket upgrade is ignored": (head(b"Upgrade: websocket", b"Connection: upgrade"), {"target": "/"}),
    "an expectation": (head(b"Expect: 100-Continue", b"Content-Length: 1") + b"x", {"expects": True, "body": b"x"}),
    "an expectation without a body": (head(b"Expect: 100-continue"), {"expects": False}),
    "an expectation on HTTP/1.0": (
        head(b"Expect: 100-continue", b"Content-Length: 1", first=b"POST / HTTP/1.0\r\n") + b"x",
        {"expects": False, "body": b"x"},
    ),
}

BAD = {
    # RFC 9112, 3: the request line.
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "a version above": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400),
    "a version below": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 400),
    "a version that is none": (b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", 400),
    "a version in lower case": (b"GET / http/1.1\r\n" + HOST + b"\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "no method": (b" / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a method that is no token": (b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two blanks": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a blank at the end": (b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
    "a blank in front": (b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a tab": (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a blank in the target": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a control character in the target": (b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "UTF-8 that is not percent-encoded": ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400),
    "DEL in the target": (b"GET /\x7f HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "three empty lines before": (b"\r\n\r\n\r\n" + head(), 400),
    "a TLS greeting": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "a response": (b"HTTP/1.1 200 OK\r\n\r\n", 400),
    # RFC 9112, 3.2: the forms of the target.
    "a path that is not absolute": (b"GET ping HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an asterisk for another method": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "authority-form": (b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "another scheme": (b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a fragment": (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "absolute-form of another host": (b"GET http://b/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "absolute-form with a user": (b"GET http://u@a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "absolute-form without a host": (b"GET http:/// HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    # RFC 9112, 2.2 and 5: header lines.
    "LF for all lines": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "LF after a header": (head(b"X: y\nZ: a"), 400),
    "LF for the last line": (GET + HOST + b"\n\r\n\r\n", 400),
    "CR in the request line": (b"GET /\r HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CR after the request line": (b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    "CR in a header": (head(b"X: y\rZ: a"), 400),
    "two CR at a line's end": (head(b"X: y\r"), 400),
    "NUL in a value": (head(b"X: y\x00"), 400),
    "a control character in a value": (head(b"X: \x0b"), 400),
    "DEL in a value": (head(b"X: \x7f"), 400),
    "obs-fold": (head(b"X: y", b" z"), 400),
    "obs-fold with a tab": (head(b"X: y", b"\tz"), 400),
    "a fold of the first header": (GET + b" x: y\r\n" + HOST + b"\r\n", 400),
    "a blank before the colon": (head(b"X : y"), 400),
    "a tab before the colon": (head(b"X\t: y"), 400),
    "a header without a colon": (head(b"X"), 400),
    "a header without a name": (head(b": y"), 400),
    "a name that is no token": (head(b"X(): y"), 400),
    "a name above ASCII": (head(b"\xc3\xa9: y"), 400),
    # RFC 9112, 3.2: Host.
    "no Host": (GET + b"\r\n", 400),
    "Host twice": (head(b"Host: a"), 400),
    "Host twice, once empty": (head(b"host:"), 400),
    "a Host with a path": (head(host=b"Host: a/b\r\n"), 400),
    "a Host with a blank": (head(host=b"Host: a b\r\n"), 400),
    "a Host with a user": (head(host=b"Host: u@a\r\n"), 400),
    "a Host with a bad port": (head(host=b"Host: a:b\r\n"), 400),
    "two Hosts in one": (head(host=b"Host: a,b:1:2\r\n"), 400),
    "a bad Host on HTTP/1.0": (head(first=b"GET / HTTP/1.0\r\n", host=b"Host: a/b\r\n"), 400),
    # RFC 9112, 6.1 and 6.3, RFC 9110, 8.6: the body's length.
    "Content-Length and chunked": (head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "chunked and Content-Length": (head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n", 400),
    "Content-Length twice": (head(b"Content-Length: 5", b"Content-Length: 5") + b"hello", 400),
    "a list of lengths": (head(b"Content-Length: 5, 5") + b"hello", 400),
    "an empty Content-Length": (head(b"Content-Length:"), 400),
    "a sign": (head(b"Content-Length: +5") + b"hello", 400),
    "a negative length": (head(b"Content-Length: -1"), 400),
    "a hex length": (head(b"Content-Length: 0x5") + b"hello", 400),
    "an underscore in the length": (head(b"Content-Length: 1_0") + b"hellohello", 400),
    "a fraction": (head(b"Content-Length: 5.0") + b"hello", 400),
    "digits above ASCII": (head(b"Content-Length: \xb2") + b"hello", 400),
    "a length beyond any": (head(b"Content-Length: 18446744073709551621") + b"hello", 400),
    "chunked on HTTP/1.0": (head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0\r\n") + b"0\r\n\r\n", 400),
    "another coding": (head(b"Transfer-Encoding: gzip"), 400),
    "gzip before chunked": (head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 400),
    "chunked before gzip": (head(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n", 400),
    "chunked twice": (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "chunked twice in one": (head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", 400),
    "a coding beside chunked": (head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n", 400),
    "an empty coding": (head(b"Transfer-Encoding:") + b"0\r\n\r\n", 400),
    "a quoted coding": (head(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n", 400),
    "identity": (head(b"Transfer-Encoding: identity"), 400),
    # RFC 9112, 7.1: the chunked coding.
    "no chunk size": (chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk size that is no number": (chunked(b"g\r\nhello\r\n0\r\n\r\n"), 400),
    "a signed chunk size": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk size with 0x": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "a blank before the chunk size": (chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    "a blank behind the chunk size": (chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk size beyond any": (chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    "LF after a chunk size": (chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    "LF in a chunk extension": (chunked(b"5;x\ny\r\nhello\r\n0\r\n\r\n"), 400),
    "CR in a chunk extension": (chunked(b"5;x\ry\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk extension without a semicolon": (chunked(b"5 x\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk longer than its size": (chunked(b"5\r\nhello!\r\n0\r\n\r\n"), 400),
    "LF after a chunk": (chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    "CR and no LF after a chunk": (chunked(b"5\r\nhello\rx0\r\n\r\n"), 400),
    "a trailer without a colon": (chunked(b"0\r\nX\r\n\r\n"), 400),
    "a folded trailer": (chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400),
    "LF in a trailer": (chunked(b"0\r\nX: y\nZ: a\r\n\r\n"), 400),
    "a request instead of the end": (chunked(b"0\r\n" + NEXT), 400),
    # RFC 9110, 10.1.1: expectations.
    "an unknown expectation": (head(b"Expect: a-miracle"), 417),
    "more than the known expectation": (head(b"Expect: 100-continue, x"), 417),
    "two expectations": (head(b"Expect: 100-continue", b"Expect: x"), 417),
    "an empty expectation": (head(b"Expect:"), 417),
}


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=GOOD)
def test_good_messages(data, expected):
    """A message that obeys the rules is read as it was meant, alone, behind another one and before others."""
    told = read_every_way(data)
    assert {name: only(told)[name] for name in expected} == expected
    (following,) = read_every_way(NEXT)
    assert read_every_way(NEXT + data) == [following, *told]
    assert read_every_way(data + NEXT * 2) == [*told, following, following]


@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
def test_bad_messages(data, status):
    """A message that breaks a rule is refused with its status, whatever comes before and behind."""
    told = read_every_way(data)
    assert [status] == [refusal[0] for refusal in told]
    (before,) = read_every_way(NEXT)
    assert read_every_way(NEXT + data) == [before, *told]
    for junk in (NEXT, b"\x00" * 40, b"\r\n\r\n"):
        assert read_every_way(data + junk) == told


FRAMING = b"content-length host trailer transfer-encoding content-encoding"
CREDENTIALS = b"authorization cookie proxy-authorization"
HARMLESS = b"x-checksum content-type content-range te keep-alive connection upgrade expect expires etag server-timing set-cookie"


@pytest.mark.parametrize("names", [FRAMING, CREDENTIALS], ids=["framing", "credentials"])
def test_forbidden_trailers(names):
    """A trailer field that would frame, route, decode or authenticate a message is refused."""
    for name in names.split():
        assert [told[0] for told in read_every_way(chunked(b"0\r\n%b: 1\r\n\r\n" % name.title()))] == [400], name


def test_harmless_trailers():
    """Any other trailer field is ignored: the request is read as without it, and the next one after it."""
    (without, after) = read_every_way(chunked(b"1\r\na\r\n0\r\n\r\n") + NEXT)
    for name in HARMLESS.split():
        assert read_every_way(chunked(b"1\r\na\r\n0\r\n%b: close\r\n\r\n" % name.title()) + NEXT) == [without, after], name


class Searched(bytearray):
    """A buffer that counts the bytes that are searched in it."""

    steps = 0

    def find(self, what, start=0, end=None):
        """Find, and count from where to where."""
        found = super().find(what, start, len(self) if end is None else end)
        Searched.steps += max((len(self) if found < 0 else found) - start, 0)
        return found

    def __getitem__(self, at):
        """Slices count too."""
        part = super().__getitem__(at)
        return Searched(part) if isinstance(part, bytearray) else part


DRIPPED = {
    "a request line": b"GET /" + b"a" * 8000,
    "a verb": b"A" * 8000,
    "a header": head(b"A: " + b"b" * 16_000),
    "many headers": GET + b"".join(b"A%d: %b\r\n" % (number, b"b" * 300) for number in range(50)),
    "a chunk's extension": chunked(b"1;" + b"a" * 200 + b"\r\n"),
    "a trailer": chunked(b"0\r\nA: " + b"b" * 16_000),
    "trailers": chunked(b"0\r\n" + b"A: bbb\r\n" * 2000),
}


@pytest.mark.parametrize("data", DRIPPED.values(), ids=DRIPPED)
def test_bytes_that_come_one_by_one_are_searched_once(data, monkeypatch):
    """Of what comes byte by byte each is looked at a few times at most, however long the line."""
    monkeypatch.setattr("gjrpc.http1.bytearray", Searched, raising=False)
    reader, Searched.steps = Reader(Limits(), Memory()), 0
    for byte in data:
        reader.receive(bytes([byte]))
    assert Searched.steps < 8 * len(data)


@pytest.mark.parametrize(
    "data",
    [b"GET /\r\n", b"\x16\x03\x01", b"GET / HTTP/1.1\n", GET + HOST + b"X : y\r\n", GET + b"X: y\r\n z\r\n", GET + HOST + b"\n"],
)
def test_a_bad_line_is_refused_at_once(data):
    """A head that can't become good is refused before its end has come."""
    with pytest.raises(BadMessage):
        Lines(Limits()).check(data, 0)


def line_of(size):
    """A request line of this many bytes, and the rest of a head."""
    return b"GET /%b HTTP/1.1\r\n" % (b"a" * (size - 14)) + HOST + b"\r\n"


def head_of(size):
    """A head of this many bytes."""
    return head(b"X: %b" % (b"y" * (size - len(head(b"X: ")))))


SMALL = Limits(target=40, head=200, headers=4, body=10)


@pytest.mark.parametrize(
    ("limits", "data", "status"),
    [
        (SMALL, line_of(40), None),
        (SMALL, line_of(41), 414),
        (SMALL, line_of(1000), 414),
        (SMALL, line_of(1000)[:300], 414),
        (SMALL, b"a" * 43, 414),
        (SMALL, head_of(200), None),
        (SMALL, head_of(201), 431),
        (SMALL, head_of(1000), 431),
        (SMALL, head_of(1000)[:300], 431),
        (SMALL, head(*[b"X: y"] * 3), None),
        (SMALL, head(*[b"X: y"] * 4), 431),
        (SMALL, head(*[b"X_Y: y"] * 4), 431),
        (SMALL, head(*[b"X: y"] * 4)[:-2], 431),
        (SMALL, head(b"Content-Length: 10") + b"x" * 10, None),
        (SMALL, head(b"Content-Length: 11") + b"x" * 11, 413),
        (SMALL, head(b"Content-Length: 11"), 413),
        (SMALL, head(b"Content-Length: 999999999999999"), 413),
        (SMALL, chunked(b"5\r\nxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n"), None),
        (SMALL, chunked(b"5\r\nxxxxx\r\n6\r\nxxxxxx\r\n0\r\n\r\n"), 413),
        (SMALL, chunked(b"5\r\nxxxxx\r\n6\r\n"), 413),
        (SMALL, chunked(b"fffffffffffffff\r\n"), 413),
        (SMALL, chunked(b"1;%b\r\nx\r\n0\r\n\r\n" % (b"e" * 254)), None),
        (SMALL, chunked(b"1;%b\r\nx\r\n0\r\n\r\n" % (b"e" * 255)), 400),
        (SMALL, chunked(b"1;%b" % (b"e" * 300)), 400),
        (SMALL, chunked(b"0\r\nX: %b\r\n\r\n" % (b"y" * 197)), None),
        (SMALL, chunked(b"0\r\nX: %b\r\n\r\n" % (b"y" * 198)), 400),
        (SMALL, chunked(b"0\r\n" + b"X: y\r\n" * 33 + b"\r\n"), None),
        (SMALL, chunked(b"0\r\n" + b"X: y\r\n" * 34 + b"\r\n"), 400),
        (Limits(), line_of(8 * 1024), None),
        (Limits(), line_of(8 * 1024 + 1), 414),
        (Limits(), head_of(32 * 1024), None),
        (Limits(), head_of(32 * 1024 + 1), 431),
        (Limits(), head(*[b"X: y"] * 99), None),
        (Limits(), head(*[b"X: y"] * 100), 431),
        (Limits(), head(b"Content-Length: %d" % (10 * 1024 * 1024 + 1)), 413),
        (Limits(target=1000, head=100), line_of(99), 414),
        (Limits(target=1000, head=100), line_of(900), 414),
    ],
)
def test_limits(limits, data, status):
    """A message at a limit is read, and one byte, line or chunk beyond it is refused with the limit's status."""
    told = read_every_way(data, limits)
    assert len(told) == 1
    if status is not None:
        assert told[0][0] == status
    else:
        assert only(told)["keep_alive"] is True


def test_a_head_without_a_bad_line_is_refused_all_the_same(monkeypatch):
    """A head that the whole grammar refuses is not read on, even if each of its lines were found good."""
    monkeypatch.setattr(Lines, "check", lambda *_: None)
    with pytest.raises(BadMessage) as refused:
        parse_head(head(b"X : y"), Limits(), LineMemory())
    assert refused.value.status == 400


LINES = [GET, HOST, b"X: y\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n"]
PARTS = st.one_of(st.sampled_from([*LINES, b"abc", b"0\r\n\r\n", b"\n", b"\r", b" ", b":", b"\x00"]), st.binary(max_size=4))


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=12))
@example([])
def test_any_head_is_read_or_refused(parts):
    """Of any bytes that end like a head, a parse comes or a BadMessage with a status of the contract."""
    data = b"".join(parts).replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"
    try:
        parsed = parse_head(data, Limits(), LineMemory())
    except BadMessage as error:
        refused = error
    else:
        assert parsed.request.head.target.startswith(("/", "*"))
        assert parsed.length is None or parsed.length >= 0
        return
    assert refused.status in (400, 413, 414, 417, 431)
    assert refused.message


class _Heard:
    """The header lines that llhttp found."""

    def __init__(self):
        self.headers = []

    def on_header(self, name, value):
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))


LINE_PARTS = st.one_of(
    st.sampled_from(
        [b"Host: a", b"X: y", b"x-Y:\tz ", b"Content-Length: 3", b"Connection: close, TE", b"Expect: 100-continue", b":", b" "]
    ),
    st.binary(max_size=6),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.lists(LINE_PARTS, min_size=1, max_size=3).map(b"".join), max_size=6))
def test_llhttp_reads_what_is_read_here(lines):
    """Whatever head is read, Node's parser reads too, with the same header lines."""
    data = GET + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    if b"\r\n\r\n" in data[:-4]:
        return
    try:
        parsed = parse_head(data, Limits(), LineMemory())
    except BadMessage:
        return
    heard = _Heard()
    httptools.HttpRequestParser(heard).feed_data(data)
    assert parsed.request.head.headers == tuple(field for field in heard.headers if "_" not in field[0])


@pytest.mark.parametrize(
    ("line", "other"),
    [
        (b"X-Request-Id: 1", {"target": "/"}),
        (b"Content-Length: 5", None),
        (b"Transfer-Encoding: chunked", None),
        (b"Connection: close", {"keep_alive": False}),
        (b"Host: b", None),
        (b"Expect: 100-continue", {"expects": False}),
        (b"X_Y: 1", {"headers": (("host", "a"), ("user-agent", "u"))}),
        (b"bad", None),
    ],
)
def test_heads_that_differ_in_one_line(line, other):
    """A head that differs from known ones in one line says all that this line says, whatever it is."""
    memory = Memory()
    known = [head(b"User-Agent: u", b"X_Old: 1", b"X-Request-Id: %d" % number) for number in range(6)]
    assert [told[2] for told in read_pieces(known, Limits(), memory)] == [
        (("host", "a"), ("user-agent", "u"), ("x-request-id", str(number))) for number in range(6)
    ]
    data = head(b"User-Agent: u", b"X_Old: 1", line)
    alone = read_pieces([data], Limits(), Memory())
    assert read_pieces([*known, data], Limits(), Memory())[6:] == alone
    for _ in range(3):
        assert read_pieces([data], Limits(), memory) == alone
    if other is not None:
        assert {name: only(alone)[name] for name in other} == other


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b" \t a b\t", "a b"),
        (b"\xe9", "\xe9"),
        (b"", ""),
        (b"a\r\nY: z", "a"),
        (b"a\nY: z", None),
        (b"a\x7f", None),
        (b"a\x00", None),
        (b"a" * 3000, "a" * 3000),
        (b"a" * 6000, None),
    ],
)
def test_a_value_where_heads_differ(value, read):
    """The value of the one line that differs is held against the same rules as any other."""
    limits = Limits(head=5000)
    pieces = [head(b"User-Agent: u", b"X-Id: %d" % number, b"A: b") for number in range(4)]
    data = head(b"User-Agent: u", b"X-Id:" + value, b"A: b")
    told = read_pieces([*pieces, data], limits, Memory())[4:]
    assert told == read_pieces([data], limits, Memory())
    if read is None:
        assert told[0][0] in (400, 431)
    else:
        assert dict(only(told)["headers"])["x-id"] == read


def test_a_head_shorter_than_what_is_known():
    """A head that begins and ends as a known one does, without room for both, is read for itself."""
    pieces = [head(b"A: b", b"X: %d" % number, b"A: b") for number in range(4)]
    (told,) = read_pieces([*pieces, head(b"A: b")], Limits(), Memory())[4:]
    assert told[2] == (("host", "a"), ("a", "b"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(LINE_PARTS, max_size=2).map(b"".join)), min_size=1, max_size=12))
def test_a_memory_changes_nothing(changes):
    """Heads that come one after the other, each with some line changed, are read as if nothing was known."""
    memory = Memory()
    lines = [b"User-Agent: u", b"Accept: */*", b"X-Request-Id: 0", b"Content-Length: 0"]
    read, alone = [], []
    for at, line in changes:
        data = head(*lines[:at], line, *lines[at + 1 :])
        told = read_pieces([data], Limits(), Memory())
        assert read_pieces([data], Limits(), memory) == told
        if len(told) == 1 and len(told[0]) > 2:
            read.append(data)
            alone += told
    assert read_pieces(read, Limits(), Memory()) == alone
