"""The rules for a request's syntax, each with messages that obey and break it; every message is read every way."""

import httptools
import pytest
from conftest import read_every_way, read_pieces
from http_messages import BAD, GET, GOOD, HOST, NEXT, SMALL, chunked, head
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gjrpc.errors import BadMessage
from gjrpc.http.head import LineMemory, parse_head
from gjrpc.http.lines import Lines
from gjrpc.http.reader import Memory, Reader
from gjrpc.limits import Limits


def only(told):
    """Return the only request that was read, as a dict."""
    assert len(told) == 1, told
    return dict(zip(("verb", "target", "headers", "version", "body", "keep_alive", "expects"), told[0], strict=True))


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=GOOD)
def test_good_messages(data, expected):
    """A valid message is read as intended, alone, after another one and before others."""
    told = read_every_way(data)
    assert {name: only(told)[name] for name in expected} == expected
    (following,) = read_every_way(NEXT)
    assert read_every_way(NEXT + data) == [following, *told]
    assert read_every_way(data + NEXT * 2) == [*told, following, following]


@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
def test_bad_messages(data, status):
    """A message that breaks a rule is refused with the rule's status, whatever precedes or follows it."""
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
    """A trailer field for framing, routing, decoding or authentication is refused."""
    for name in names.split():
        assert [told[0] for told in read_every_way(chunked(b"0\r\n%b: 1\r\n\r\n" % name.title()))] == [400], name


def test_harmless_trailers():
    """Any other trailer field is ignored: the request is read as if it were absent, and the next request follows."""
    (without, after) = read_every_way(chunked(b"1\r\na\r\n0\r\n\r\n") + NEXT)
    for name in HARMLESS.split():
        assert read_every_way(chunked(b"1\r\na\r\n0\r\n%b: close\r\n\r\n" % name.title()) + NEXT) == [without, after], name


class Searched(bytearray):
    """A buffer that counts how many of its bytes are searched."""

    steps = 0

    def find(self, what, start=0, end=None):
        """Search, and count the bytes of the searched range."""
        found = super().find(what, start, len(self) if end is None else end)
        Searched.steps += max((len(self) if found < 0 else found) - start, 0)
        return found

    def __getitem__(self, at):
        """Return a slice that counts too."""
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
    """If a head arrives byte by byte, each byte is searched a few times at most, however long the line is."""
    monkeypatch.setattr("gjrpc.http.reader.bytearray", Searched, raising=False)
    reader, Searched.steps = Reader(Limits(), Memory()), 0
    for byte in data:
        reader.receive(bytes([byte]))
    assert Searched.steps < 8 * len(data)


@pytest.mark.parametrize(
    "data",
    [b"GET /\r\n", b"\x16\x03\x01", b"GET / HTTP/1.1\n", GET + HOST + b"X : y\r\n", GET + b"X: y\r\n z\r\n", GET + HOST + b"\n"],
)
def test_a_bad_line_is_refused_at_once(data):
    """A head that can't become valid is refused before its end has arrived."""
    with pytest.raises(BadMessage):
        Lines(Limits()).check(data, 0)


def line_of(size):
    """Return a head whose request line has this many bytes."""
    return b"GET /%b HTTP/1.1\r\n" % (b"a" * (size - 14)) + HOST + b"\r\n"


def head_of(size):
    """Return a head of this many bytes."""
    return head(b"X: %b" % (b"y" * (size - len(head(b"X: ")))))


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
    """A message at a limit is read; one more byte, line or chunk is refused with the limit's status."""
    told = read_every_way(data, limits)
    assert len(told) == 1
    if status is not None:
        assert told[0][0] == status
    else:
        assert only(told)["keep_alive"] is True


def test_a_head_without_a_bad_line_is_refused_all_the_same(monkeypatch):
    """A head that the full grammar refuses is not read, even if each of its lines was valid."""
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
    """Any bytes that end like a head give a parsed head, or a BadMessage with a documented status."""
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
    """Return the header lines that llhttp finds."""

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
    """Node's parser reads each head that this one reads, with the same header lines."""
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
    """A head that differs from known ones in one line is parsed with that line's own meaning, whatever it is."""
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
    """The value of the one line that differs must obey the same rules as any other."""
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
    """A head that begins and ends like a known one, but is shorter than both parts together, is parsed in full."""
    pieces = [head(b"A: b", b"X: %d" % number, b"A: b") for number in range(4)]
    (told,) = read_pieces([*pieces, head(b"A: b")], Limits(), Memory())[4:]
    assert told[2] == (("host", "a"), ("a", "b"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(LINE_PARTS, max_size=2).map(b"".join)), min_size=1, max_size=12))
def test_a_memory_changes_nothing(changes):
    """Successive heads that each change a line are read as if nothing were remembered."""
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
