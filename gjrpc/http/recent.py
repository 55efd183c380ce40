"""Memories of what was read lately, bounded in bytes however much comes.

Owns the caches whose keys are strangers' texts, and the rule for what to keep; it knows nothing of what is read.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

_SEEN = 4
"""Texts whose hashes are noted, for each one that may be remembered."""

_OBJECT = 200
"""Bytes of the objects made from a line of a head or an argument of a query."""


class Recent(Generic[Value]):
    """What was read lately, by its bytes: what is read is a pure function of them.

    A text is kept when it comes for the second time: a text that comes once would only push others out, of here and of the
    processor's cache, so only its hash is noted. There are two generations, each with at most `entries` texts of at most `size`
    bytes, and `room` bytes together with their values. A full young generation becomes the old one, and an old text that is
    used again moves to the young one.
    """

    __slots__ = ("_entries", "_held", "_old", "_room", "_seen", "_size", "young")

    def __init__(self, entries: int = 512, size: int = 2048, room: int = 1024 * 1024) -> None:
        self._entries = entries
        self._size = size
        self._room = room
        self._held = 0
        self._seen: set[int] = set()
        self._old: dict[bytes, Value] = {}
        self.young: dict[bytes, Value] = {}

    def find(self, text: bytes) -> Value | None:
        """What these bytes were read as, if it is remembered."""
        value = self.young.get(text)
        if value is None and (value := self._old.get(text)) is not None:
            self._keep(text, value)
        return value

    def add(self, text: bytes, value: Value) -> None:
        """Remember it, if it is not the first time."""
        if len(text) > self._size:
            return
        seen = self._seen
        if hash(text) in seen:
            self._keep(text, value)
        else:
            if len(seen) >= _SEEN * self._entries:
                seen.clear()
            seen.add(hash(text))

    def _keep(self, text: bytes, value: Value) -> None:
        cost = len(text) + _OBJECT * (1 + text.count(b"\n") + text.count(b"&"))
        if len(self.young) >= self._entries or self._held + cost > self._room:
            self._old, self.young, self._held = self.young, {}, 0
        self.young[text] = value
        self._held += cost


class Memo(dict[str, Value]):
    """Caches a pure function of texts as `memo[text]`, which costs no more than a dictionary.

    Texts longer than `size` are not kept, and the cache is emptied when it has `entries` texts.
    """

    __slots__ = ("_entries", "_function", "_size")

    def __init__(self, function: Callable[[str], Value], entries: int = 256, size: int = 256) -> None:
        super().__init__()
        self._function = function
        self._entries = entries
        self._size = size

    def __missing__(self, text: str) -> Value:
        value = self._function(text)
        if len(text) <= self._size:
            if len(self) >= self._entries:
                self.clear()
            self[text] = value
        return value
