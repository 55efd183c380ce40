"""Whether each value of one JSON schema is a value of another.

Owns the comparison of two schemas (JSON Schema, draft 2020-12) by the keywords that `msgspec.json.schema_components` writes. It
knows no method and no OpenRPC. It is sound, not complete: it says that the values fit only where that is proven; a keyword that
it does not know, or a proof that it does not find, is a doubt.

One thing is taken on trust. A schema that lists an object's properties, or an array's first items, and says nothing of others
lets any others through, so that what a newer schema adds could, strictly, have come before with any value. It is taken as not
having come.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

from gjrpc.bounds import LIMITS, most_items, others
from gjrpc.schemas import KINDS, Keywords, Schema, constants, fault, flat, identity, options, spelled, text

# Keywords that say nothing of which values are valid; those that begin with `x-` neither.
_ABOUT = frozenset({"$comment", "$defs", "$schema", "definitions", "default", "deprecated", "description", "discriminator"})
_FOR_PEOPLE = frozenset({"example", "examples", "externalDocs", "readOnly", "title", "writeOnly", "xml"})
_IGNORED = _ABOUT | _FOR_PEOPLE
# Keywords of a part that tell which of its values it was that did not fit.
_TELLING = {"type", "enum", "const", "anyOf", "oneOf"}

_MAX_STEPS = 20_000
"""Pairs of schemas that are looked at before a comparison is given up: alternatives inside alternatives multiply."""


class Resolver(Protocol):
    """What knows where a `$ref` points to."""

    def resolve(self, reference: str) -> Any:
        """What it points to; raises LookupError where that is nothing."""


def misfit(part: Schema, part_document: Resolver, whole: Schema, whole_document: Resolver) -> str | None:
    """Why some value of `part` may be none of `whole`, in a sentence; None where each is.

    Args:
        part, whole: the schemas.
        part_document, whole_document: where their references point to.
    """
    try:
        _Comparison(part_document, whole_document).check(part, whole, _Assumed())
    except _Doubt as doubt:
        return str(doubt)
    except _TooLarge:
        return "the schemas are too large to compare"
    except RecursionError:  # references that lead ever further inside
        return "the schemas are nested too deep to compare"
    return None


def alike(one: Schema, one_document: Resolver, other: Schema, other_document: Resolver) -> bool:
    """Whether two schemas are written alike, with all that they refer to."""
    if text(one) != text(other):
        return False
    pending, seen = [one], set[str]()
    while pending:
        for reference in set(_references(pending.pop())) - seen:
            try:
                target = one_document.resolve(reference)
                if text(target) != text(other_document.resolve(reference)):
                    return False
            except LookupError:
                return False
            seen.add(reference)
            pending.append(target)
    return True


class _Doubt(Exception):
    """Why it is not proven that the values fit, and the place inside the value."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.place: list[str] = []

    def __str__(self) -> str:
        return f"at {''.join(self.place)}: {self.sentence}" if self.place else self.sentence


class _OtherKind(_Doubt):
    """The values are of another kind altogether."""


class _TooLarge(Exception):
    """The comparison took too many steps."""


_Pair: TypeAlias = tuple[str, str]


class _Assumed(NamedTuple):
    """Pairs of schemas, as texts, whose comparison is under way.

    One that comes again for a smaller value, inside the one that it began with, holds by induction on the value's size. One that
    comes again for the same value goes round in a circle and proves nothing.
    """

    smaller: frozenset[_Pair] = frozenset()
    same: frozenset[_Pair] = frozenset()


class _Comparison:
    """One comparison. `check` and all that it calls raise a `_Doubt`, or return nothing."""

    def __init__(self, part_document: Resolver, whole_document: Resolver) -> None:
        self._part_document = part_document
        self._whole_document = whole_document
        self._steps = 0

    def check(self, part: Schema, whole: Schema, assumed: _Assumed) -> None:
        """Each value of `part` is one of `whole`."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise _TooLarge
        if part is False or whole is True or alike(part, self._part_document, whole, self._whole_document):
            return
        if whole is False:
            raise _Doubt(f"{spelled(part)} is not allowed")
        part = {} if isinstance(part, bool) else part
        for schema in (part, whole):
            reason = "it moves its references, by $id" if "$id" in schema else fault(schema)
            if reason:
                raise _Doubt(f"{spelled(schema)} can't be compared: {reason}")
        if "$ref" in part:
            self._follow(part, whole, assumed, part)
        else:
            self._check_values(part, whole, assumed)

    def _check_values(self, part: Keywords, whole: Keywords, assumed: _Assumed) -> None:
        """Check a part that is no reference: all its options, or all its kinds of values, fit."""
        alternatives = options(part)
        try:
            for option in alternatives:
                self.check(option, whole, assumed)
            for each in () if alternatives else flat(part):
                self._check_flat(each, whole, assumed)
        except _Doubt as doubt:
            if not doubt.place and part.keys().isdisjoint(_TELLING):
                raise _OtherKind(f"{spelled(part)} does not fit {spelled(whole)}") from None
            raise

    def _check_flat(self, part: Keywords, whole: Keywords, assumed: _Assumed) -> None:
        """Check a part of one kind: it fits each keyword of the whole that is about its kind."""
        for keyword, value in whole.items():
            if keyword in _IGNORED or keyword.startswith("x-"):
                continue
            if keyword not in _RULES and keyword not in LIMITS:
                raise _Doubt(f"the keyword {keyword!r} can't be compared")
            kinds = (_RULES.get(keyword) or LIMITS[keyword])[0]
            if part["type"] not in kinds:
                continue
            if keyword in _RULES:
                _RULES[keyword][1](self, part, whole, keyword, assumed)
            elif not LIMITS[keyword][1](part, keyword, value):
                raise _Doubt(f"{spelled(part)} does not fit {keyword} {text(value)}")

    def _inside(self, part: Schema, whole: Schema, assumed: _Assumed, place: str) -> None:
        """Check what lies inside a value."""
        try:
            self.check(part, whole, _Assumed(assumed.smaller | assumed.same))
        except _Doubt as doubt:
            doubt.place.insert(0, place)
            raise

    def _follow(self, part: Keywords, whole: Keywords, assumed: _Assumed, which: Keywords) -> None:
        """Go on with what the reference of `which`, one of both, points to."""
        pair = text(part), text(whole)
        if pair in assumed.smaller:
            return
        if pair in assumed.same:
            raise _Doubt(f"{spelled(which)} refers to itself without end")
        assumed = _Assumed(assumed.smaller, assumed.same | {pair})
        if which is part:
            self.check(_target(self._part_document, part["$ref"]), whole, assumed)
        else:
            self.check(part, _target(self._whole_document, whole["$ref"]), assumed)

    def refer(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        self._follow(part, whole, assumed, whole)

    def any_of(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        doubts = []
        for option in whole[keyword]:
            try:
                return self.check(part, option, assumed)
            except _Doubt as doubt:
                doubts.append(doubt)
        # If one option is of the part's own kind, it says best what is wrong.
        own = [doubt for doubt in doubts if doubt.place or not isinstance(doubt, _OtherKind)]
        raise own[0] if len(own) == 1 else _OtherKind(f"{spelled(part)} does not fit {spelled({'anyOf': whole[keyword]})}")

    def one_of(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        if len(whole[keyword]) > 1:  # that no two options hold would have to be shown
            raise _Doubt("the keyword 'oneOf' can't be compared")
        self.check(part, whole[keyword][0], assumed)

    def all_of(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        for each in whole[keyword]:
            self.check(part, each, assumed)

    def kind(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        kinds = [whole["type"]] if isinstance(whole["type"], str) else whole["type"]
        if part["type"] not in kinds and not (part["type"] == "integer" and "number" in kinds):
            raise _OtherKind(f"{spelled(part)} does not fit {spelled(whole)}")

    def value(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        if "const" not in part or identity(part["const"]) not in map(identity, constants(whole) or ()):
            raise _Doubt(f"{spelled(part)} does not fit {spelled(whole)}")

    def elements(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        """`prefixItems` and `items`, which belong together."""
        if keyword == "items" and "prefixItems" in whole:
            return
        first, rest, most = part.get("prefixItems", []), part.get("items", True), most_items(part)
        expected, further = whole.get("prefixItems", []), whole.get("items", True)
        says_more = "items" in part or "prefixItems" not in part
        certain = max(len(first), part.get("minItems", 0))
        for index in range(max(len(first), len(expected))):
            if index < most and (index < certain or says_more):
                element = first[index] if index < len(first) else rest
                self._inside(element, expected[index] if index < len(expected) else further, assumed, f"[{index}]")
        if most > max(len(first), len(expected)):
            self._inside(rest, further, assumed, "[]")

    def members(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        """`properties` and `additionalProperties`, which belong together."""
        if keyword == "additionalProperties" and "properties" in whole:
            return
        declared, certain, rest = part.get("properties", {}), part.get("required", []), others(part)
        expected, further = whole.get("properties", {}), whole.get("additionalProperties", True)
        says_more = "properties" not in part or not part.keys().isdisjoint({"additionalProperties", "patternProperties"})
        for name in dict.fromkeys([*declared, *certain, *expected]):
            if name in declared or name in certain or says_more:
                self._inside(declared.get(name, rest), expected.get(name, further), assumed, f".{name}")
        self._inside(rest, further, assumed, ".*")

    def names(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        """`propertyNames`; what is declared has a name too."""
        for name in dict.fromkeys([*part.get("properties", ()), *part.get("required", ())]):
            self._inside({"const": name}, whole[keyword], assumed, f".{name}")
        if others(part) is not False:
            limits = part.get("propertyNames", True)
            name = {"type": "string"} if isinstance(limits, bool) else {"type": "string", **limits}
            self._inside(name, whole[keyword], assumed, ".*")

    def certain(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        for name in whole[keyword]:
            if name not in part.get("required", ()):
                raise _Doubt(f"the property {name!r} may be missing")


_Rule: TypeAlias = Callable[[_Comparison, Keywords, Keywords, str, _Assumed], None]
_ANY = (*KINDS, "integer")

_RULES: dict[str, tuple[tuple[str, ...], _Rule]] = {
    "$ref": (_ANY, _Comparison.refer),
    "anyOf": (_ANY, _Comparison.any_of),
    "oneOf": (_ANY, _Comparison.one_of),
    "allOf": (_ANY, _Comparison.all_of),
    "type": (_ANY, _Comparison.kind),
    "enum": (_ANY, _Comparison.value),
    "const": (_ANY, _Comparison.value),
    "prefixItems": (("array",), _Comparison.elements),
    "items": (("array",), _Comparison.elements),
    "properties": (("object",), _Comparison.members),
    "additionalProperties": (("object",), _Comparison.members),
    "propertyNames": (("object",), _Comparison.names),
    "required": (("object",), _Comparison.certain),
}
"""The kinds of values that a keyword of the whole is about, and how a part of such a kind is checked."""


def _target(document: Resolver, reference: str) -> Schema:
    try:
        target = document.resolve(reference)
    except LookupError as error:
        raise _Doubt(str(error.args[0])) from error
    if not isinstance(target, (dict, bool)):
        raise _Doubt(f"{reference!r} is no schema")
    return target


def _references(value: Any) -> Iterator[str]:
    """Each `$ref` in a schema."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
