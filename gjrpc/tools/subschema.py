"""Whether each value of one JSON schema (the part) is a value of another (the whole).

Owns the comparison of two schemas (JSON Schema, draft 2020-12) by the keywords that `msgspec.json.schema_components` writes. It
knows no method and no OpenRPC. The comparison is sound, not complete: it answers yes only if it has a proof; a keyword that it
does not know, or a proof that it does not find, is a doubt.

It makes one assumption. A schema that lists some properties of an object, or the first items of an array, allows any others
unless it forbids them. So a value of the part could, strictly, contain anything in a place that only the whole lists. The
comparison assumes that it contains nothing there.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from gjrpc.tools.bounds import LIMITS, most_items, others
from gjrpc.tools.likeness import Cached, Likeness, Resolver
from gjrpc.tools.schemas import TYPES, Keywords, Levels, Schema, constants, fault, flat, identity, options, text
from gjrpc.tools.wording import in_words, shortened

# Keywords that have no effect on which values are valid, like all that begin with `x-`.
_ABOUT = frozenset({"$comment", "$defs", "$schema", "definitions", "default", "deprecated", "description", "discriminator"})
_FOR_PEOPLE = frozenset({"example", "examples", "externalDocs", "readOnly", "title", "writeOnly", "xml"})
_IGNORED = _ABOUT | _FOR_PEOPLE
# Keywords of a part from which it is clear which of its values does not fit.
_TELLING = {"type", "enum", "const", "anyOf", "oneOf"}

_MAX_STEPS = 20_000
"""Pairs of schemas compared before a comparison gives up: alternatives inside alternatives multiply."""

_MAX_LEVELS = 120

_MAX_ALL_STEPS = 25 * _MAX_STEPS
"""The same for all comparisons of two documents."""


class _Doubt(Exception):
    """The reason why there is no proof that the values fit, and the place inside the value."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.place: list[str] = []

    def __str__(self) -> str:
        return f"at {''.join(self.place)}: {self.sentence}" if self.place else self.sentence


class _OtherKind(_Doubt):
    """The values are of another type."""


class _TooLarge(Exception):
    """The comparison took too many steps."""


_Pair: TypeAlias = tuple[str, str]


class _Assumed(NamedTuple):
    """Pairs of schemas, as texts, whose comparison is in progress.

    If a pair recurs for a smaller value, inside the one that its comparison began with, it holds by induction on the size of the
    value. If it recurs for the same value, the references form a circle and prove nothing.
    """

    smaller: frozenset[_Pair] = frozenset()
    same: frozenset[_Pair] = frozenset()


class _Comparison:
    """The rules. `_check` and all that it calls return nothing, or raise a `_Doubt`."""

    def __init__(self, part_document: Resolver, whole_document: Resolver) -> None:
        self._part_document = part_document
        self._whole_document = whole_document
        self._likeness = Likeness(part_document, whole_document)
        self._text, self._in_words, self._fault = self._likeness.text, Cached(in_words), Cached(fault)
        self._identities, self._flat = Cached(_identities), Cached(_flat)
        self._results: dict[_Pair, str | None] = {}
        self._levels = Levels(_MAX_LEVELS)
        self._steps = self._all_steps = 0

    def _check(self, part: Schema, whole: Schema, assumed: _Assumed) -> None:
        """Check that each value of `part` is one of `whole`."""
        self._steps += 1
        self._all_steps += 1
        if self._steps > _MAX_STEPS or self._all_steps > _MAX_ALL_STEPS:
            raise _TooLarge
        if part is False or whole is True or self._likeness.alike(part, whole):
            return
        if whole is False:
            raise _Doubt(f"{self._in_words(part)} is not allowed")
        with self._levels:
            self._check_keywords({} if isinstance(part, bool) else part, whole, assumed)

    def _check_keywords(self, part: Keywords, whole: Keywords, assumed: _Assumed) -> None:
        for schema in (part, whole):
            reason = "its $id changes what its references mean" if "$id" in schema else self._fault(schema)
            if reason:
                raise _Doubt(f"{self._in_words(schema)} can't be compared: {reason}")
        if "$ref" in part:
            self._follow(part, whole, assumed, part)
        else:
            self._check_values(part, whole, assumed)

    def _check_values(self, part: Keywords, whole: Keywords, assumed: _Assumed) -> None:
        """Check a part that is not a reference: all its options, or the values of all its types, fit."""
        alternatives = options(part)
        try:
            for option in alternatives:
                self._check(option, whole, assumed)
            for each in () if alternatives else self._flat(part):
                self._check_flat(each, whole, assumed)
        except _Doubt as doubt:
            if not doubt.place and part.keys().isdisjoint(_TELLING):
                raise _OtherKind(f"{self._in_words(part)} does not fit {self._in_words(whole)}") from None
            raise

    def _check_flat(self, part: Keywords, whole: Keywords, assumed: _Assumed) -> None:
        """Check a part of one type: it fits each keyword of the whole that applies to this type."""
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
                raise _Doubt(f"{self._in_words(part)} does not fit {keyword} {text(value)}")

    def _inside(self, part: Schema, whole: Schema, assumed: _Assumed, place: str) -> None:
        """Check what is inside a value."""
        try:
            self._check(part, whole, _Assumed(assumed.smaller | assumed.same))
        except _Doubt as doubt:
            doubt.place.insert(0, place)
            raise

    def _follow(self, part: Keywords, whole: Keywords, assumed: _Assumed, which: Keywords) -> None:
        """Continue with what the reference in `which` points to; `which` is the part or the whole."""
        pair = self._text(part), self._text(whole)
        if pair in assumed.smaller:
            return
        if pair in assumed.same:
            raise _Doubt(f"{self._in_words(which)} refers to itself without end")
        assumed = _Assumed(assumed.smaller, assumed.same | {pair})
        if which is part:
            self._check(_target(self._part_document, part["$ref"]), whole, assumed)
        else:
            self._check(part, _target(self._whole_document, whole["$ref"]), assumed)

    def refer(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        self._follow(part, whole, assumed, whole)

    def any_of(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        doubts = []
        for option in whole[keyword]:
            try:
                return self._check(part, option, assumed)
            except _Doubt as doubt:
                doubts.append(doubt)
        # If just one option has the part's own type, its doubt is the best explanation.
        own = [doubt for doubt in doubts if doubt.place or not isinstance(doubt, _OtherKind)]
        if len(own) == 1:
            raise own[0]
        expected = shortened(" | ".join(map(self._in_words, whole[keyword])))
        raise _OtherKind(f"{self._in_words(part)} does not fit {expected}")

    def one_of(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        if len(whole[keyword]) > 1:  # it would need a proof that no value fits two options
            raise _Doubt("the keyword 'oneOf' can't be compared")
        self._check(part, whole[keyword][0], assumed)

    def all_of(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        for each in whole[keyword]:
            self._check(part, each, assumed)

    def kind(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        kinds = [whole["type"]] if isinstance(whole["type"], str) else whole["type"]
        if part["type"] not in kinds and not (part["type"] == "integer" and "number" in kinds):
            raise _OtherKind(f"{self._in_words(part)} does not fit {self._in_words(whole)}")

    def value(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        if "const" not in part or identity(part["const"]) not in self._identities(whole):
            raise _Doubt(f"{self._in_words(part)} does not fit {self._in_words(whole)}")

    def elements(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        """Check `prefixItems` and `items` together."""
        if keyword == "items" and "prefixItems" in whole:
            return
        first, rest, most = part.get("prefixItems", []), part.get("items", True), most_items(part)
        expected, further = whole.get("prefixItems", []), whole.get("items", True)
        restricts_rest = "items" in part or "prefixItems" not in part
        certain = max(len(first), part.get("minItems", 0))
        for index in range(max(len(first), len(expected))):
            if index < most and (index < certain or restricts_rest):
                element = first[index] if index < len(first) else rest
                self._inside(element, expected[index] if index < len(expected) else further, assumed, f"[{index}]")
        if most > max(len(first), len(expected)):
            self._inside(rest, further, assumed, "[]")

    def members(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        """Check `properties` and `additionalProperties` together."""
        if keyword == "additionalProperties" and "properties" in whole:
            return
        declared, certain, rest = part.get("properties", {}), dict.fromkeys(part.get("required", ())), others(part)
        expected, further = whole.get("properties", {}), whole.get("additionalProperties", True)
        restricts_rest = "properties" not in part or not part.keys().isdisjoint({"additionalProperties", "patternProperties"})
        for name in dict.fromkeys([*declared, *certain, *expected]):
            if name in declared or name in certain or restricts_rest:
                self._inside(declared.get(name, rest), expected.get(name, further), assumed, f".{name}")
        self._inside(rest, further, assumed, ".*")

    def names(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        """Check `propertyNames`, also against the names of declared properties."""
        for name in dict.fromkeys([*part.get("properties", ()), *part.get("required", ())]):
            self._inside({"const": name}, whole[keyword], assumed, f".{name}")
        if others(part) is not False:
            limits = part.get("propertyNames", True)
            name = {"type": "string"} if isinstance(limits, bool) else {"type": "string", **limits}
            self._inside(name, whole[keyword], assumed, ".*")

    def certain(self, part: Keywords, whole: Keywords, keyword: str, assumed: _Assumed) -> None:
        required = set(part.get("required", ()))
        for name in whole[keyword]:
            if name not in required:
                raise _Doubt(f"the property {name!r} may be missing")


class Comparer(_Comparison):
    """Compares schemas of one document, the parts, with those of another, the wholes.

    Args:
        part_document: resolves the references in the parts.
        whole_document: resolves those in the wholes.
    """

    def alike(self, part: Schema, whole: Schema) -> bool:
        """Whether two schemas are identical, including everything they refer to."""
        return self._likeness.alike(part, whole)

    def misfit(self, part: Schema, whole: Schema) -> str | None:
        """Why some value of `part` may not be one of `whole`, in a sentence; None if each is.

        Raises:
            SettingsError: the schemas are nested too deep.
        """
        pair = self._text(part), self._text(whole)
        if pair not in self._results:
            self._steps = 0
            try:
                self._check(part, whole, _Assumed())
                self._results[pair] = None
            except _Doubt as doubt:
                self._results[pair] = str(doubt)
            except _TooLarge:
                self._results[pair] = "the schemas are too large to compare"
        return self._results[pair]


_Rule: TypeAlias = Callable[[_Comparison, Keywords, Keywords, str, _Assumed], None]

_RULES: dict[str, tuple[tuple[str, ...], _Rule]] = {
    "$ref": (TYPES, _Comparison.refer),
    "anyOf": (TYPES, _Comparison.any_of),
    "oneOf": (TYPES, _Comparison.one_of),
    "allOf": (TYPES, _Comparison.all_of),
    "type": (TYPES, _Comparison.kind),
    "enum": (TYPES, _Comparison.value),
    "const": (TYPES, _Comparison.value),
    "prefixItems": (("array",), _Comparison.elements),
    "items": (("array",), _Comparison.elements),
    "properties": (("object",), _Comparison.members),
    "additionalProperties": (("object",), _Comparison.members),
    "propertyNames": (("object",), _Comparison.names),
    "required": (("object",), _Comparison.certain),
}
"""By keyword of the whole: the types that it applies to, and how a part of such a type is checked."""


def _flat(schema: Keywords) -> list[Keywords]:
    return list(flat(schema))


def _identities(schema: Keywords) -> frozenset[str]:
    return frozenset(map(identity, constants(schema) or ()))


def _target(document: Resolver, reference: str) -> Schema:
    try:
        target = document.resolve(reference)
    except LookupError as error:
        raise _Doubt(str(error.args[0])) from error
    if not isinstance(target, (dict, bool)):
        raise _Doubt(f"{reference!r} does not point to a schema")
    return target
