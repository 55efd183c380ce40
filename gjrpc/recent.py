"""A memory of what was read lately, bounded however much comes.

Owns the cache and its rule of what is worth to be kept; it knows nothing of what is read.
"""

from typing import Generic, TypeVar

Value = TypeVar("Value")

_SEEN = 4
"""Texts whose hashes are noted, for each one that may be remembered."""


class Recent(Generic[Value]):
    """What was read lately, by its bytes: what is read is a pure function of them.

    A text is remembered when it comes for the second time: of texts that come but once, which would only push others out, of here
    and of the processor's cache, no more than a hash is noted. Two generations, each of at most `entries` texts of at most
    `size` bytes. A full young one becomes the old one, and an old text that is asked for again is young again.
    """

    __slots__ = ("_entries", "_old", "_seen", "_size", "young")

    def __init__(self, entries: int = 512, size: int = 2048) -> None:
        self._entries = entries
        self._size = size
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
        if len(self.young) >= self._entries:
            self._old, self.young = self.young, {}
        self.young[text] = value
