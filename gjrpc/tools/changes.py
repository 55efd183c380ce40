"""What changed between two contracts, and whether it breaks a caller.

Owns which changes of an OpenRPC document there are, and which of them break. It knows no socket (`fetch` reads) and no keyword
of a schema (`subschema` compares).

A change breaks callers if a call that the old contract allows can fail under the new one, or return what the old one rules out:
a new version may accept more arguments and return fewer results, but not the other way round. Without a proof that all values
still fit, the change counts as breaking, and its line has the reason for the doubt. Declared errors, new or removed, break
nothing: a call can fail with any code at any time, and it does no harm to handle one that never occurs.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from gjrpc.errors import SettingsError
from gjrpc.texts import printable, printable_json
from gjrpc.tools.openrpc_document import ContentDescriptor, Document, MethodObject
from gjrpc.tools.schemas import Schema, text
from gjrpc.tools.subschema import Comparer
from gjrpc.tools.wording import in_words

KINDS = {
    "method-removed": True,
    "call-form-removed": True,
    "parameter-removed": True,
    "parameter-added-required": True,
    "parameter-required": True,
    "parameter-moved": True,
    "parameter-narrowed": True,
    "result-removed": True,
    "result-widened": True,
    "method-added": False,
    "call-form-added": False,
    "parameter-added": False,
    "parameter-optional": False,
    "parameter-renamed": False,
    "parameter-widened": False,
    "parameter-rewritten": False,
    "default-changed": False,
    "result-added": False,
    "result-narrowed": False,
    "result-rewritten": False,
    "error-added": False,
    "error-removed": False,
    "deprecation": False,
    "texts": False,
}
"""The kinds of changes, and whether each breaks callers."""

_FORMS = {"by position": ("by-position", "either"), "by name": ("by-name", "either")}
"""The two forms of arguments, and each `paramStructure` that allows them."""


class Change(NamedTuple):
    """One thing that changed.

    Attributes:
        kind: one of `KINDS`.
        method: the method's name; None for the document itself.
        what: a sentence that describes it.
    """

    kind: str
    method: str | None
    what: str

    @property
    def breaking(self) -> bool:
        """Whether it breaks a caller that relies on the old contract."""
        return KINDS[self.kind]

    def __str__(self) -> str:
        line = f"{'breaking' if self.breaking else 'compatible':<11} {f'{self.method}: ' if self.method else ''}{self.what}"
        return printable(line)

    def as_json(self) -> str:
        """The change as a line of JSON."""
        return printable_json(text({"breaking": self.breaking, "kind": self.kind, "method": self.method, "what": self.what}))


def changes(old: Document, new: Document) -> list[Change]:
    """List what changed from one document to the other, breaking changes first."""
    return sorted(_Difference(old, new).all(), key=lambda change: not change.breaking)


class _Difference:
    """The difference between two documents."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._forward, self._backward = Comparer(old, new), Comparer(new, old)

    def all(self) -> Iterator[Change]:
        for attribute in ("title", "version"):
            was, now = getattr(self._old.info, attribute), getattr(self._new.info, attribute)
            if was != now:
                yield Change("texts", None, f"the document's {attribute} is {now!r}, was {was!r}")
        for name, method in self._old.methods.items():
            if name not in self._new.methods:
                yield Change("method-removed", name, "the method was removed")
            else:
                yield from (Change(kind, name, what) for kind, what in self._changes(method, self._new.methods[name]))
        for name in self._new.methods:
            if name not in self._old.methods:
                yield Change("method-added", name, "the method is new")

    def _changes(self, old: MethodObject, new: MethodObject) -> list[tuple[str, str]]:
        try:
            return list(self._method(old, new))
        except SettingsError as error:
            raise SettingsError(f"method {old.name!r} can't be compared: {error}") from error

    def _method(self, old: MethodObject, new: MethodObject) -> Iterator[tuple[str, str]]:
        for form, structures in _FORMS.items():
            was, now = old.param_structure in structures, new.param_structure in structures
            if was and not now and old.params:
                yield "call-form-removed", f"arguments can no longer be given {form}"
            elif now and not was and new.params:
                yield "call-form-added", f"arguments can also be given {form}"
        yield from self._parameters(old, new)
        yield from self._result(old.result, new.result)
        yield from _errors(old, new)
        yield from _texts(old, new, "the method")

    def _parameters(self, old: MethodObject, new: MethodObject) -> Iterator[tuple[str, str]]:
        by_position = "by position" in _common_forms(old, new)
        pairs = dict(_paired(old, new))
        kept = set(pairs.values())
        for index, parameter in enumerate(old.params):
            place = pairs.get(index)
            if place is None:
                yield "parameter-removed", f"parameter {parameter.name!r} was removed"
                continue
            if by_position and place != index:
                yield "parameter-moved", f"parameter {parameter.name!r} is at position {place + 1}, was at {index + 1}"
            yield from self._parameter(parameter, new.params[place])
        for index, parameter in enumerate(new.params):
            if index not in kept:
                kind = "parameter-added-required" if parameter.required else "parameter-added"
                yield kind, f"parameter {parameter.name!r} is new and {'required' if parameter.required else 'optional'}"

    def _parameter(self, old: ContentDescriptor, new: ContentDescriptor) -> Iterator[tuple[str, str]]:
        shown = f"parameter {new.name!r}"
        if old.name != new.name:
            yield "parameter-renamed", f"{shown} was named {old.name!r}; callers give it by position"
        if new.required and not old.required:
            yield "parameter-required", f"{shown} is required, was optional"
        if old.required and not new.required:
            yield "parameter-optional", f"{shown} is optional, was required"
        was, now = _default(old), _default(new)
        if not old.required and not new.required and was != now:
            yield "default-changed", f"the default of {shown} is {now}, was {was}"
        yield from self._schema("parameter", old, new, shown)
        yield from _texts(old, new, shown)

    def _result(self, old: ContentDescriptor | None, new: ContentDescriptor | None) -> Iterator[tuple[str, str]]:
        if old is None or new is None:
            if old is not None:
                yield "result-removed", "there is no longer a result"
            if new is not None:
                yield "result-added", "there is a result; there was none"
            return
        yield from self._schema("result", old, new, "the result")
        yield from _texts(old, new, "the result")

    def _schema(self, subject: str, old: ContentDescriptor, new: ContentDescriptor, shown: str) -> Iterator[tuple[str, str]]:
        was, now = _without_default(old.schema), _without_default(new.schema)
        if self._forward.alike(was, now):
            return
        narrower, wider = self._forward.misfit(was, now), self._backward.misfit(now, was)
        words = f"{shown} is {in_words(now)}, was {in_words(was)}"
        breaks = narrower if subject == "parameter" else wider
        if breaks:
            yield f"{subject}-{'narrowed' if subject == 'parameter' else 'widened'}", f"{words} ({breaks})"
        elif narrower or wider:
            yield f"{subject}-{'widened' if wider else 'narrowed'}", f"{words} ({wider or narrower})"
        else:
            yield f"{subject}-rewritten", f"{shown} has another schema for the same values"


def _common_forms(old: MethodObject, new: MethodObject) -> list[str]:
    return [form for form, ways in _FORMS.items() if old.param_structure in ways and new.param_structure in ways]


def _paired(old: MethodObject, new: MethodObject) -> Iterator[tuple[int, int]]:
    """The two places of each parameter that both have: by its name, or by its place if calls don't use names."""
    names = [parameter.name for parameter in new.params]
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    known = {parameter.name for parameter in old.params}
    for index, parameter in enumerate(old.params):
        if parameter.name in places:
            yield index, places[parameter.name]
        elif old.param_structure == "by-position" and index < len(names) and names[index] not in known:
            yield index, index


def _errors(old: MethodObject, new: MethodObject) -> Iterator[tuple[str, str]]:
    was, now = ({(error.code, error.message) for error in method.errors} for method in (old, new))
    for code, message in sorted(now - was):
        yield "error-added", f"error {code} ({message!r}) is declared"
    for code, message in sorted(was - now):
        yield "error-removed", f"error {code} ({message!r}) is no longer declared"


def _default(value: ContentDescriptor) -> str:
    if isinstance(value.schema, dict) and "default" in value.schema:
        return text(value.schema["default"])
    return "not stated"


def _without_default(schema: Schema) -> Schema:
    return schema if isinstance(schema, bool) else {key: value for key, value in schema.items() if key != "default"}


def _texts(old: Any, new: Any, shown: str) -> Iterator[tuple[str, str]]:
    """Changes that only matter to people, in a method or a value."""
    if new.deprecated != old.deprecated:
        yield "deprecation", f"{shown} is {'deprecated' if new.deprecated else 'no longer deprecated'}"
    changed = [attribute for attribute in ("summary", "description") if getattr(old, attribute) != getattr(new, attribute)]
    if changed:
        yield "texts", f"{shown} has another {' and '.join(changed)}"
