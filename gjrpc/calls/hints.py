"""Suggestions for misspelt names.

Owns which known names are close to a text. A stranger can misspell as many names as it likes, so a look-up costs no more than a
call: the cost grows neither with the number of names nor with the length of the text.
"""

from bisect import bisect_left
from collections.abc import Iterable

_LONGEST = 40
"""Characters of a name or text; longer ones get no hints."""

_MOST_NAMES = 2000
"""Names that are indexed; so many take some 10 MB."""

_CROWD = 8  # so many equally close names help nobody
_SHORTEST_BEGINNING = 3
_SHORTEST_VARIANT = 2


class Hints:
    """Finds names that are at most two edits from a text, or that share its beginning; case makes no difference.

    A name is close to a text if both are the same after removing one letter from either or from both: then one letter was too
    many, missing or wrong, or two neighbours were swapped. Names are filed under themselves and under each of these shorter
    variants, and a text is looked up under its own variants.

    Args:
        names: the known names; only the first 2,000 are indexed.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(name for name in names if len(name) <= _LONGEST)[:_MOST_NAMES]
        self._filed: dict[str, list[str]] = {}
        for name in self._names:
            for variant in _variants(name):
                crowd = self._filed.setdefault(variant, [])
                if len(crowd) < _CROWD:
                    crowd.append(name)

    def near(self, text: str) -> list[str]:
        """Return the names that are close to a text, the closest first."""
        if not text or len(text) > _LONGEST:
            return []
        return list(dict.fromkeys(self._misspelt(text) + self._sharing_beginning(text)))

    def _misspelt(self, text: str) -> list[str]:
        found = {name for variant in _variants(text) for name in self._filed.get(variant, ())}
        return sorted(found, key=lambda name: (abs(len(name) - len(text)), name[:1] != text[:1], name))

    def _sharing_beginning(self, text: str) -> list[str]:
        """Return names that begin with the text or that the text begins with, among its neighbours in the alphabet."""
        at = bisect_left(self._names, text)
        around = self._names[max(at - _CROWD, 0) : at + _CROWD]
        return [name for name in around if min(len(name), len(text)) >= _SHORTEST_BEGINNING and _begins(name, text)]


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _variants(text: str) -> set[str]:
    """Return a text, and what is left of it without one of its characters, unless that is shorter than two characters."""
    text = text.lower()
    return {text, *(text[:at] + text[at + 1 :] for at in range(len(text) if len(text) > _SHORTEST_VARIANT else 0))}
