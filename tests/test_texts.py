"""Text that is fit to be shown."""

import pytest

from gjrpc.texts import printable, printable_lines


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
    """Control characters, what turns the direction of writing or can't be seen, and lone surrogates become escapes."""
    assert printable(words) == shown


def test_lines():
    """Several lines stay several, and tabs become blanks."""
    assert printable_lines("a\tb\n\x1bc\n\nd\n") == "a       b\n\\x1bc\n\nd"
