"""Caches of recently parsed texts; `test_reader.py` tests the memory of heads."""

import pytest

from gjrpc.http.recent import Memo, Recent


def test_remembered_from_the_second_time_on():
    """A text that was seen once is not kept; one that was seen twice is."""
    recent = Recent()
    recent.add(b"a", 1)
    assert recent.find(b"a") is None
    recent.add(b"a", 1)
    assert recent.find(b"a") == 1


def test_bounded():
    """However many texts are seen twice, at most two generations are kept, the latest among them."""
    recent = Recent(entries=10)
    for number in range(1000):
        for _ in range(2):
            recent.add(b"%d" % number, number)
    kept = [number for number in range(1000) if recent.find(b"%d" % number) is not None]
    assert 10 <= len(kept) <= 20
    assert kept[-10:] == list(range(990, 1000))


def test_large_texts_are_not_remembered():
    """A text above the size limit is not kept; one at the limit is."""
    recent = Recent(size=3)
    for _ in range(3):
        recent.add(b"abc", 1)
        recent.add(b"abcd", 2)
    assert (recent.find(b"abc"), recent.find(b"abcd")) == (1, None)


def test_what_is_asked_for_stays():
    """A text that is used again and again outlives any number of others."""
    recent = Recent(entries=4)
    recent.add(b"kept", 1)
    recent.add(b"kept", 1)
    for number in range(200):
        recent.add(b"%d" % (number // 2), number)
        assert recent.find(b"kept") == 1


def test_bounded_in_bytes():
    """However large the texts and their values are, a generation stays within its limit of bytes."""
    for text in (b"%04d" + b"x" * 500, b"GET /?%04d" + b"&a" * 200, b"%04d" + b"\na: b" * 90):
        recent = Recent(entries=1000, size=600, room=50_000)
        for number in range(1000):
            for _ in range(2):
                recent.add(text % number, number)
        kept = [*recent.young, *recent._old]
        assert kept
        assert sum(len(text) + 200 * (text.count(b"&") + text.count(b"\n")) for text in kept) <= 100_000


def test_a_memo_is_a_function_with_a_memory():
    """The function is called once for a text that is kept; an error is raised each time and never kept."""
    asked = []

    def read(text):
        asked.append(text)
        return int(text)

    memo = Memo(read, entries=2, size=3)
    assert [memo[text] for text in ("1", "1", "2", "1", "1234", "1234")] == [1, 1, 2, 1, 1234, 1234]
    assert asked == ["1", "2", "1234", "1234"]
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            memo["x"]
    assert memo["3"] == 3
    assert list(memo) == ["3"]
