"""HTTP/1.1 without a socket: bytes in any pieces, and the memory of heads."""

import random

import pytest
from conftest import read_every_way, read_pieces
from http_messages import BAD, GOOD, HOST, NEXT, chunked, head
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gjrpc.errors import BadMessage
from gjrpc.http.head import LineMemory, parse_head
from gjrpc.http.reader import Memory, Reader
from gjrpc.limits import Limits

BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = chunked(b"5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n")
MESSAGES = {"no body": NEXT, "body": BODY, "chunks": CHUNKS, "no chunk": chunked(b"0\r\n\r\n")}


def a_reader(memory=None, **limits):
    """Return a new reader."""
    return Reader(Limits(**limits), memory or Memory())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([data for data, _ in [*GOOD.values(), *BAD.values()]]), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.integers(0, 30),
)
def test_random_splits(messages, seed, cuts):
    """Several messages, valid and invalid, give the same results however they are split into pieces."""
    data = b"".join(messages)
    places = sorted(random.Random(seed).choices(range(len(data) + 1), k=cuts))
    pieces = [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]
    whole = read_pieces([data], Limits(), Memory())
    assert read_pieces(filter(None, pieces), Limits(), Memory()) == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([*MESSAGES.values(), b"\r\n", b"0\r\n"])), max_size=6))
@example([b"\x00" * 50_000])
@example([b"\r\n" * 50_000])
@example([b"\r" * 50_000])
@example([b"GET / HTTP/1.1\r\n" * 5_000])
def test_any_bytes(pieces):
    """Any bytes give requests or a BadMessage, and nothing else."""
    told = read_every_way(b"".join(pieces))
    assert all(len(request) == 7 for request in told[:-1])
    assert told == [] or len(told[-1]) == 7 or told[-1][0] in (400, 413, 414, 417, 431)


def test_any_single_byte_changed():
    """A message with any one byte replaced is read or refused, in the same way however it is split."""
    for at in range(len(CHUNKS)):
        for byte in (b"\x00", b"\n", b"\r", b" ", b":", b"0", b"\xff"):
            data = CHUNKS[:at] + byte + CHUNKS[at + 1 :]
            assert read_pieces([data], Limits(), Memory()) == read_pieces([data[:at], data[at:]], Limits(), Memory())


@pytest.mark.parametrize("data", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("before", [b"", NEXT, BODY], ids=["first", "after a request", "after a body"])
def test_an_end_inside_a_message(data, before):
    """The end of the bytes inside a message is a BadMessage; between two messages it is not."""
    expected = [7] * before.count(b"Host") if before else []
    for cut in range(len(data) + 1):
        told = read_pieces([(before + data)[: len(before) + cut]], Limits(), Memory())
        if cut == 0:
            assert [len(entry) for entry in told] == expected
        elif cut == len(data):
            assert [len(entry) for entry in told] == [*expected, 7]
        else:
            assert [len(entry) for entry in told] == [*expected, 2]
            assert told[-1] == (400, "the message was cut off before its end")


def test_state_between_and_inside():
    """A reader reports whether it is between two messages, in a head or in a body."""
    reader = a_reader()
    seen = []
    for piece in (b"", b"P", BODY[1:-6], BODY[-6:-5], b"h", b"ello", b"\r", b"\n", b"\r\n", b"G", NEXT[1:]):
        if piece:
            reader.receive(piece)
        seen.append((reader.between, reader.in_body))
    head_, body, between = (False, False), (False, True), (True, False)
    empty_line = [head_, between, between]
    assert seen == [between, head_, head_, body, body, between, *empty_line, head_, between]


def test_requests_that_came_together():
    """Requests that arrive in one piece are returned one after the other, then None."""
    reader = a_reader()
    first = reader.receive(NEXT + BODY + CHUNKS)
    assert first is not None
    bodies = [first.body]
    while not reader.between:
        request = reader.next()
        assert request is not None
        bodies.append(request.body)
    assert bodies == [b"", b"hello", b"helloabc"]
    assert reader.next() is None
    reader.end()


def test_a_refused_body_is_not_waited_for():
    """A body beyond the limit is refused by its announced length, before any of it has arrived."""
    reader = a_reader(body=10)
    with pytest.raises(BadMessage) as refused:
        reader.receive(head(b"Content-Length: 11", b"Expect: 100-continue"))
    assert (refused.value.status, "11" in refused.value.message, "10" in refused.value.message) == (413, True, True)


def buffered(reader):
    """Return how many bytes a reader keeps."""
    return len(reader.pending) + (len(reader._chunked.body) if reader._chunked else 0)


def test_a_buffer_does_not_grow_while_messages_overlap():
    """If a client is always half a message ahead, the buffer stays that small."""
    reader = a_reader()
    data = NEXT * 2_000
    reader.receive(data[:20])
    for at in range(20, len(data) - 20, len(NEXT)):
        assert reader.receive(data[at : at + len(NEXT)]) is not None
        assert reader.next() is None
        assert buffered(reader) <= 3 * len(NEXT)


def test_a_buffer_does_not_grow_by_empty_lines():
    """A client that sends only empty lines is refused soon."""
    reader = a_reader()
    reader.receive(b"\r\n")
    reader.receive(b"\r\n")
    with pytest.raises(BadMessage):
        reader.receive(b"\r\n")


def test_a_chunked_body_is_held_once():
    """Of a chunked body in pieces the reader keeps the content, not the coding."""
    reader = a_reader()
    reader.receive(chunked(b""))
    for _ in range(1000):
        assert reader.receive(b"1;extension\r\nx\r\n") is None
    assert buffered(reader) <= 1000 + 20
    request = reader.receive(b"0\r\n\r\n")
    assert request is not None
    assert request.body == b"x" * 1000


def a_parse(name):
    """Return a new head, parsed."""
    data = b"GET /%b HTTP/1.1\r\n" % name + HOST + b"\r\n"
    return data, parse_head(data, Limits(), LineMemory())


def test_a_remembered_head_is_the_same_object():
    """The same head gives the same request or head object on any connection, and is not parsed again."""
    memory = Memory()
    first, again, other = (a_reader(memory) for _ in range(3))
    assert first.receive(NEXT) is not first.receive(NEXT)  # remembered from the second time on
    assert first.receive(BODY).head is not other.receive(BODY).head
    assert first.receive(NEXT) is again.receive(NEXT) is again.receive(NEXT) is other.receive(NEXT[:9] + NEXT[9:])
    with_body = [reader.receive(BODY) for reader in (first, other)]
    assert with_body[0].head is with_body[1].head
    assert [request.body for request in with_body] == [b"hello", b"hello"]


def test_a_head_is_remembered_for_one_set_of_bytes():
    """Heads that differ in any byte are not confused, nor are a head and its beginning."""
    memory = Memory()
    reader = a_reader(memory)
    assert reader.receive(NEXT).head.target == "/next"
    assert reader.receive(NEXT.replace(b"next", b"nexT")).head.target == "/nexT"
    assert reader.receive(NEXT[:-2]) is None
    assert reader.receive(b"X: y\r\n\r\n").head.get("x") == "y"


def test_a_remembered_head_does_not_begin_a_body():
    """Bytes of a body that look like a remembered head stay part of the body."""
    reader = a_reader()
    reader.receive(NEXT)
    assert reader.receive(head(b"Content-Length: %d" % len(NEXT))) is None
    assert reader.receive(NEXT).body == NEXT


def test_the_memory_is_bounded():
    """The memory holds at most two generations of entries, the latest among them."""
    memory = Memory(entries=3)
    parses = [a_parse(b"%d" % number) for number in range(100)]
    for data, parsed in [parse for parse in parses for _ in range(2)]:
        memory.add(data, parsed)
    found = [memory.find(data) for data, _ in parses]
    assert 3 <= sum(parse is not None for parse in found) <= 6
    assert found[-3:] == [parsed for _, parsed in parses[-3:]]


def test_heads_in_use_outlive_heads_sent_once():
    """A head that is used again and again stays, however many others are seen only once."""
    memory = Memory(entries=4)
    data, parsed = a_parse(b"kept")
    memory.add(data, parsed)
    memory.add(data, parsed)
    for number in range(100):
        memory.add(*a_parse(b"%d" % number))
        memory.add(*a_parse(b"%d" % number))
        assert memory.find(data) is parsed
        assert len(memory.young) <= 4


def test_large_and_bad_heads_are_not_remembered():
    """A head above the memory's size limit is parsed each time, one at the limit is kept, and a refused one is never kept."""
    memory = Memory(size=100)
    exact = head(b"X: " + b"y" * (100 - len(head(b"X: "))))
    reader = a_reader(memory)
    larger = exact.replace(b"X", b"XX")
    first = [reader.receive(head_) for head_ in (exact, exact, larger, larger)]
    assert first[1] is reader.receive(exact)
    assert first[3] is not reader.receive(larger)
    with pytest.raises(BadMessage):
        reader.receive(b"GET / HTTP/1.1\r\n\r\n")
    assert list(memory.young) == [exact]


def test_heads_that_come_once_leave_nothing():
    """Neither a head that is seen once nor its lines are remembered, and the notes about such heads are bounded."""
    memory = Memory(entries=3)
    reader = a_reader(memory)
    for number in range(100):
        assert reader.receive(head(b"X-Request-Id: %d" % number)) is not None
    assert not memory.young
    assert list(memory.lines.fields.young) == [HOST[:-2]]
    assert len(memory._seen) <= 12
