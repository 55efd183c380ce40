"""The chunked coding without a reader; `test_head.py` and `test_reader.py` test it in whole messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gjrpc.errors import BadMessage
from gjrpc.http.chunked import Chunked
from gjrpc.limits import Limits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_chunked_bodies(pieces, data):
    """Any body in any chunks is decoded exactly, and bytes after its end are not read."""
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    reader, at = Chunked(Limits()), 0
    buffer = b""
    for byte in coded + b"rest":
        if reader.done:
            break
        buffer = buffer[at:] + bytes([byte])
        at = reader.feed(buffer, 0)
    assert (reader.done, bytes(reader.body), buffer[at:]) == (True, b"".join(pieces), b"")
    whole = Chunked(Limits())
    assert whole.feed(coded + b"rest", 0) == len(coded)
    assert whole.body == reader.body


def test_chunk_extensions_are_bounded():
    """All chunk extensions of a body together have at most 64 KiB, however small the chunks are."""
    chunked = Chunked(Limits())
    with pytest.raises(BadMessage, match="extensions"):
        chunked.feed((b"1;" + b"x" * 200 + b"\r\na\r\n") * 400, 0)
    assert len(chunked.body) < 64 * 1024 / 200
