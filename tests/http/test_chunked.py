"""The chunked coding, without a reader around it; what a message makes of it is in `test_framing.py`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gjrpc.errors import BadMessage
from gjrpc.http.chunked import Chunked
from gjrpc.limits import Limits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_chunked_bodies(pieces, data):
    """Any body in any chunks comes out as it went in, and what stands behind it is left."""
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
    """Chunk extensions may have no more than 64 KiB together, however small the chunks are."""
    chunked = Chunked(Limits())
    with pytest.raises(BadMessage, match="extensions"):
        chunked.feed((b"1;" + b"x" * 200 + b"\r\na\r\n") * 400, 0)
    assert len(chunked.body) < 64 * 1024 / 200
