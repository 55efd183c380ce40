"""Whether schemas of two documents are identical, including everything they refer to.

Owns that comparison, which follows each reference of a document once, however many schemas lead to it. It knows no keyword but
`$ref`.
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from gjrpc.tools.schemas import Schema, text

T = TypeVar("T")


class Resolver(Protocol):
    """Something that resolves a `$ref`."""

    def resolve(self, reference: str) -> Any:
        """Return what a reference points to, or raise LookupError if there is nothing."""


class Cached(Generic[T]):
    """A function of a schema that keeps its results, so that a schema with 20,000 values is not written out at each step."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[Any, T]] = {}

    def __call__(self, schema: Any) -> T:
        """Return the function's result; keep the schema alive, so that no other one gets its address."""
        known = self._made.get(id(schema))
        if known is None:
            known = self._made[id(schema)] = (schema, self._make(schema))
        return known[1]


class Likeness:
    """Finds the differences between two documents."""

    def __init__(self, one: Resolver, other: Resolver) -> None:
        self._documents = one, other
        self._seen: set[str] = set()
        self._unlike: set[str] = set()
        self._users: dict[str, list[str]] = {}
        self.text = Cached(text)
        self._references = Cached(_references)

    def alike(self, one: Schema, other: Schema) -> bool:
        """Whether two schemas are identical, including everything they refer to."""
        if self.text(one) != self.text(other):
            return False
        return not any(map(self._is_unlike, self._references(one)))

    def _is_unlike(self, reference: str) -> bool:
        """Whether a reference, or anything that it leads to, differs between the documents."""
        if reference not in self._seen:
            self._spread(list(self._explore(reference)))
        return reference in self._unlike

    def _explore(self, reference: str) -> Iterator[str]:
        """Follow a reference and all that it leads to; yield those that differ or lead directly to one that does."""
        pending = [reference]
        while pending:
            name = pending.pop()
            if name in self._seen:
                continue
            self._seen.add(name)
            inside = self._inside(name)
            if inside is None or not inside.isdisjoint(self._unlike):
                yield name
            for each in inside or ():
                self._users.setdefault(each, []).append(name)
                pending.append(each)

    def _inside(self, reference: str) -> frozenset[str] | None:
        """The references in what a reference points to, or None if that differs between the documents."""
        try:
            one, other = (document.resolve(reference) for document in self._documents)
        except LookupError:  # it points to nothing in one of them: a difference
            return None
        return self._references(one) if self.text(one) == self.text(other) else None

    def _spread(self, unlike: list[str]) -> None:
        """Mark references as different, and all that lead to them."""
        while unlike:
            name = unlike.pop()
            if name not in self._unlike:
                self._unlike.add(name)
                unlike += self._users.get(name, ())


def _references(value: Any) -> frozenset[str]:
    """Every `$ref` in a schema."""
    found, pending = set(), [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                found.add(each["$ref"])
            pending += each.values()
        elif isinstance(each, list):
            pending += each
    return frozenset(found)
