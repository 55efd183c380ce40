"""The lines of a head, one after the other; `test_head.py` has whole messages at each limit."""

import pytest
from conftest import read_every_way
from http_messages import GET, HOST, SMALL, head

from gjrpc.errors import BadMessage
from gjrpc.http.lines import FIELD_LINE, Lines
from gjrpc.limits import Limits


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"bad\r\n" + b"X: y\r\n" * 9 + b"\r\n", 400),
        (head(b"bad", *[b"X: y"] * 9), 400),
        (head(*[b"X: y"] * 9, b"bad"), 431),
        (head(b"X: " + b"y" * 500, b"bad"), 431),
        (b"bad" * 50 + b"\r\n\r\n", 414),
    ],
)
def test_the_first_fault_decides(data, status):
    """Of several faults in a head the first one is reported, however the bytes are split."""
    assert [told[0] for told in read_every_way(data, SMALL)] == [status]


def test_what_was_found_good_is_not_looked_at_again():
    """A head may arrive in pieces: each line is checked once, when it is complete, and a valid start stays valid."""
    lines, buffer = Lines(Limits()), bytearray(b"rest of before")
    start = len(buffer)
    for piece, at in [(GET[:5], 0), (GET[5:], len(GET)), (HOST, len(GET + HOST)), (b"X: y", len(GET + HOST))]:
        buffer += piece
        lines.check(buffer, start)
        assert lines.at == at
    buffer += b"\n"
    with pytest.raises(BadMessage, match="malformed header line"):
        lines.check(buffer, start)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"Name:value", (b"Name", b"value")),
        (b"a!#$%&'*+-.^_`|~9: b c ", (b"a!#$%&'*+-.^_`|~9", b" b c ")),
        (b"X:", (b"X", b"")),
        (b"X:\xff\t", (b"X", b"\xff\t")),
        (b"X :y", None),
        (b":y", None),
        (b" X:y", None),
        (b"X:\x00", None),
        (b"X:a\rb", None),
        (b"X(:y", None),
    ],
)
def test_a_header_line(line, parts):
    """A header line is a token, a colon, and visible characters, blanks or bytes above ASCII (RFC 9112, 5)."""
    found = FIELD_LINE.fullmatch(line)
    assert (found["name"], found["value"]) == parts if parts else found is None
