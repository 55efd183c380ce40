"""Making text safe to show."""

import pytest

from gjrpc.texts import MOST, excerpt, printable, printable_lines, quoted


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("plain höhe 日本", "plain höhe 日本"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\r\x00\x7f\x9b", r"a\nb\r\x00\x7f\x9b"),
        ("\u202e\u2066\u200b\u2028", r"\u202e\u2066\u200b\u2028"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_printable(words, shown):
    """Control, direction and invisible characters and lone surrogates are escaped."""
    assert printable(words) == shown


def test_lines():
    """Lines stay lines, and tabs become spaces."""
    assert printable_lines("a\tb\n\x1bc\n\nd\n") == "a       b\n\\x1bc\n\nd"


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("a" * MOST, "a" * MOST), ("a" * (MOST + 1), "a" * MOST + "…")])
def test_a_long_text_is_cut(text, shown):
    """A text is shown whole up to the limit; a longer one is cut, with an ellipsis."""
    assert excerpt(text) == shown
    assert quoted(text) == f"'{shown}'"


def test_control_characters_are_escaped():
    """Characters that could break a line or a terminal are escaped inside the quotation marks."""
    assert quoted("a\n\x1b") == r"'a\n\x1b'"
