"""How much of a stranger's text is shown."""

import pytest

from gjrpc.excerpts import MOST, excerpt, quoted


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("a" * MOST, "a" * MOST), ("a" * (MOST + 1), "a" * MOST + "…")])
def test_a_long_text_is_cut(text, shown):
    """A text is shown whole up to the limit, and cut with an ellipsis beyond."""
    assert excerpt(text) == shown
    assert quoted(text) == f"'{shown}'"


def test_control_characters_are_escaped():
    """What could break a line or a terminal is escaped between the quotation marks."""
    assert quoted("a\n\x1b") == r"'a\n\x1b'"
