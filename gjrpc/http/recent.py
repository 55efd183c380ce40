"""Caches of recently parsed texts, bounded in bytes whatever clients send.

Owns the caches whose keys clients choose, and the rule for what to keep. It does not know what is parsed.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

_SEEN = 4
"""How many hashes are noted for each text that may be kept."""

_OBJECT = 200
"""Estimated bytes of the objects that one line of a head, or one argument of a query, becomes."""


class Recent(Generic[Value]):
    """Caches a pure function of bytes: the values of recent texts.

    A text is kept the second time that it is seen. The first time only its hash is noted, because a text that is never seen again
    would only displace others, here and in the processor's cache. There are two generations, each with at most `entries` texts of
    at most `size` bytes, and at most `room` bytes with their values. A full young generation becomes the old one, and an old text
    that is used again moves to the young one.
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
        """Return the value of a text, if it is cached."""
        value = self.young.get(text)
        if value is None and (value := self._old.get(text)) is not None:
            self._keep(text, value)
        return value

    def add(self, text: bytes, value: Value) -> None:
        """Cache the value of a text, unless the text is seen for the first time."""
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
    """Caches a pure function of strings: `memo[text]` costs no more than a dictionary lookup.

    It does not keep strings longer than `size`, and empties itself when it has `entries` of them.
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
