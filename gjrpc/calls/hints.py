"""Suggests names for a misspelt one.

Owns which known names are close to a text. Strangers can ask as often as they like, so a look-up costs as little as a call: the
cost grows neither with the number of names nor with the text.
"""

from bisect import bisect_left
from collections.abc import Iterable

_LONGEST = 40
"""Characters of a name or text; for longer ones there are no hints."""

_MOST_NAMES = 2000
"""How many names are indexed; so many take some 10 MB."""

_CROWD = 8  # so many equally close names are no help to anyone
_SHORTEST_BEGINNING = 3
_SHORTEST_FORM = 2


class Hints:
    """Finds names that are two edits at the most from a text, that it begins, or that begin it; capitals make no difference.

    A text and a name are close where they are the same after one letter was left out of both, or of either: so one letter was too
    many, too few or wrong, or two neighbours changed places. Names are filed under themselves and under each of these shorter
    forms, and a text is looked up under its own.

    Args:
        names: the known names, of which the first 2,000 are looked at.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(name for name in names if len(name) <= _LONGEST)[:_MOST_NAMES]
        self._filed: dict[str, list[str]] = {}
        for name in self._names:
            for form in _forms(name):
                crowd = self._filed.setdefault(form, [])
                if len(crowd) < _CROWD:
                    crowd.append(name)

    def near(self, text: str) -> list[str]:
        """The names that are close to a text, the closest first."""
        if not text or len(text) > _LONGEST:
            return []
        return list(dict.fromkeys(self._misspelt(text) + self._begun(text)))

    def _misspelt(self, text: str) -> list[str]:
        found = {name for form in _forms(text) for name in self._filed.get(form, ())}
        return sorted(found, key=lambda name: (abs(len(name) - len(text)), name[:1] != text[:1], name))

    def _begun(self, text: str) -> list[str]:
        """Names of which a text is the beginning, and some of those with which it begins: its neighbours in the alphabet."""
        at = bisect_left(self._names, text)
        around = self._names[max(at - _CROWD, 0) : at + _CROWD]
        return [name for name in around if min(len(name), len(text)) >= _SHORTEST_BEGINNING and _begins(name, text)]


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _forms(text: str) -> set[str]:
    """A text, and what is left of it without one of its characters; not less than two of them, which say little."""
    text = text.lower()
    return {text, *(text[:at] + text[at + 1 :] for at in range(len(text) if len(text) > _SHORTEST_FORM else 0))}
