"""Suggestions for misspelt names."""

import pytest

from gjrpc.calls import hints
from gjrpc.calls.hints import Hints

KNOWN = ["list_methods", "method_help", "ping", "add", "stats.cpu", "stats.memory", "get_user_info", "größe"]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("pong", ["ping"]),
        ("pnig", ["ping"]),
        ("pingg", ["ping"]),
        ("pin", ["ping"]),
        ("PING", ["ping"]),
        ("listmethods", ["list_methods"]),
        ("große", ["größe"]),
        ("stats", ["stats.cpu", "stats.memory"]),
        ("get_user_information", ["get_user_info"]),
        ("xyz", []),
        ("", []),
        ("a", []),
        ("p" * 41, []),
    ],
)
def test_close_names(text, near):
    """Names with one wrong, missing or extra letter, swapped letters, other case or the same beginning are suggested."""
    assert Hints(KNOWN).near(text) == near


class Counted(dict):
    """A dictionary that counts look-ups."""

    asked = 0

    def get(self, key, default=None):
        """Count, and look up."""
        Counted.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("count", [10, 1000, 5000])
def test_a_look_costs_the_same_among_many_names(count):
    """However many and however similar the names are, a suggestion takes one look-up for each character of the text."""
    found = Hints(["m" * (number % 40) + str(number) for number in range(count)])
    found._filed = Counted(found._filed)
    for text in ("m" * 40, "mmm1", "m" * 5_000_000):
        Counted.asked = 0
        assert len(found.near(text)) <= hints._CROWD * 50
        assert Counted.asked <= 41
    assert max(map(len, found._filed.values())) <= hints._CROWD
