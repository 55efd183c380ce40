"""JSON schemas as Python annotations, for a stub.

Owns the annotation of each schema, the definitions of a document's named schemas, and that no name in the stub means two things.
It knows no method.

An annotation describes the JSON that a client sends and receives: arrays are lists; objects are dicts, or a TypedDict if a named
schema lists the properties; dates and other formats are text. Annotations leave out limits.
"""

import keyword
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from gjrpc.texts import printable
from gjrpc.tools.openrpc_document import Document
from gjrpc.tools.schemas import ALTERNATIVES, Keywords, Levels, Schema, constant, constants, fault, options

_HOMES = {
    "builtins": ("bool", "dict", "float", "int", "list", "object", "property", "str", "type"),
    "gjrpc.client.batch": ("Batch", "Notifications"),
    "typing": ("Any", "Literal", "Protocol", "TypeVar", "overload"),
    "typing_extensions": ("Never", "NotRequired", "Self", "TypeAlias", "TypedDict", "deprecated"),
}
"""The modules that a stub imports its names from; type checkers bring their own `typing_extensions`."""

_KNOWN = frozenset(name for names in _HOMES.values() for name in names)
_PLAIN = {"boolean": "bool", "integer": "int", "number": "float", "string": "str"}
_MAX_LEVELS = 100


def is_name(word: str) -> bool:
    """Whether a word is a valid name in Python that stays the same: Python normalizes names to NFKC (PEP 3131)."""
    return word.isidentifier() and not keyword.iskeyword(word) and normalize("NFKC", word) == word


class Annotations:
    """The annotations of one stub, with the imports and definitions that they need.

    Args:
        document: resolves references.
        members: names of members of the stub's classes; nothing else in the stub may have these names.
        used: names that the stub defines itself.

    Attributes:
        definitions: those of the named schemas in use, each as lines of text.
    """

    def __init__(self, document: Document, members: Iterable[str], used: Iterable[str]) -> None:
        self.definitions: list[list[str]] = []
        self._document = document
        self._used = {*members, *used, *_keys(document.resolve("#"))}
        self._known: dict[str, str] = {}
        self._levels = Levels(_MAX_LEVELS)
        self._counts: dict[str, int] = {}
        self._named: dict[str, str] = {}

    def imports(self) -> list[str]:
        """The lines that import the names in use."""
        lines = []
        for home, names in _HOMES.items():
            words = {name: self._known[name] for name in names if name in self._known}
            written = [
                name if name == word else f"{name} as {word}"
                for name, word in words.items()
                if (name, home) != (word, "builtins")
            ]
            if written:
                lines.append(f"from {home} import {', '.join(written)}")
        return lines

    def known(self, name: str) -> str:
        """The name in the stub for a name of `builtins`, `typing` and so on."""
        if name not in self._known:
            self._known[name] = self._free(name)
        return self._known[name]

    def unique(self, wanted: str) -> str:
        """A new name for a definition, as close to the wanted one as possible."""
        word = "".join(each if f"_{each}".isidentifier() else "_" for each in normalize("NFKC", wanted))
        return self._free(word if is_name(word) and word not in _KNOWN else f"{word}_" if is_name(f"{word}_") else f"_{word}")

    def of(self, schema: Schema) -> str:
        """The annotation of a schema; `Any` if there is nothing more precise.

        Raises:
            SettingsError: the schema is nested too deep.
        """
        with self._levels:
            return self._of(schema)

    def _of(self, schema: Schema) -> str:
        if schema is False:
            return self.known("Never")
        if schema is True or fault(schema):
            return self.known("Any")
        values = constants(schema)
        if values is not None:
            return self._values(values)
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        if alternatives := options(schema):
            return self._union(map(self.of, alternatives))
        if "allOf" in schema:
            return self.known("Any")
        kinds = schema.get("type", ())
        return self._union(self._kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))

    def _kind(self, kind: str, schema: Keywords) -> str:
        if kind == "null":
            return "None"
        if kind == "array":
            return f"{self.known('list')}[{self._items(schema)}]"
        if kind == "object":
            listed = "properties" in schema or "patternProperties" in schema
            further = True if listed else schema.get("additionalProperties", True)
            return f"{self.known('dict')}[{self.known('str')}, {self.of(further)}]"
        return self.known(_PLAIN[kind])

    def _items(self, schema: Keywords) -> str:
        """The annotation of an array's items: a list has one for all, even if the schema has a type for each place."""
        first = schema.get("prefixItems", [])
        closed = schema.get("items") is False or schema.get("maxItems", len(first) + 1) <= len(first)
        rest = [] if first and closed else [schema.get("items", True)]
        return self._union(map(self.of, [*first, *rest]))

    def _union(self, annotations: Iterable[str]) -> str:
        """Join annotations; without any, values can be anything."""
        parts = list(dict.fromkeys(annotations))
        anything = self.known("Any")
        return anything if not parts or anything in parts else " | ".join(parts)

    def _values(self, values: list[Any]) -> str:
        literal = [repr(value) for value in values if value is None or isinstance(value, (str, int))]
        others = [self._kind(constant(value)["type"], {}) for value in values if isinstance(value, (float, list, dict))]
        named = [f"{self.known('Literal')}[{', '.join(dict.fromkeys(literal))}]"] if literal else []
        return self._union([*named, *others])

    def _reference(self, reference: str) -> str:
        """The name of a named schema, which is defined when it is first used; inside its own alias it is `Any`."""
        if reference in self._named:
            return self._named[reference]
        try:
            schema = self._document.resolve(reference)
        except LookupError:  # the document does not restrict it
            return self.known("Any")
        self._named[reference] = self.known("Any")
        name = self.unique(unquote(reference).rpartition("/")[2])
        if _is_record(schema):
            self._named[reference] = name
            self._define_record(name, schema)
        else:
            annotation = self.of(schema) if isinstance(schema, (bool, dict)) else self.known("Any")
            self.definitions.append([f"{name}: {self.known('TypeAlias')} = {annotation}"])
            self._named[reference] = name
        return name

    def _define_record(self, name: str, schema: Keywords) -> None:
        required = set(schema.get("required", ()))
        fields = {key: self.of(inner) for key, inner in schema["properties"].items()}
        fields |= {key: note if key in required else f"{self.known('NotRequired')}[{note}]" for key, note in fields.items()}
        base = self.known("TypedDict")
        if all(is_name(key) and not key.startswith("__") for key in fields):
            body = [f"    {key}: {note}" for key, note in fields.items()] or ["    pass"]
            self.definitions.append([f"class {name}({base}):", *docstring(schema.get("description"), "    "), *body])
        else:
            self.definitions.append(
                [f'{name} = {base}("{name}", {{', *(f"    {k!r}: {note}," for k, note in fields.items()), "})"]
            )

    def _free(self, word: str) -> str:
        free, count = word, self._counts.get(word, 0)
        while free in self._used:  # the count continues from the last such name: there may be many
            count += 1
            free = f"{word}_" if count == 1 else f"{word}_{count}"
        self._counts[word] = count
        self._used.add(free)
        return free


def docstring(words: Any, indent: str) -> list[str]:
    """The first line of a text as a docstring; no lines without text."""
    first = words.strip().partition("\n")[0].strip() if isinstance(words, str) else ""
    escaped = printable(first).replace("\\", "\\\\").replace('"', '\\"')
    return [f'{indent}"""{escaped}"""'] if first else []


def _is_record(schema: Any) -> bool:
    """Whether a schema describes objects and lists their properties."""
    if not isinstance(schema, dict) or fault(schema) or schema.get("type") != "object":
        return False
    return "properties" in schema and schema.keys().isdisjoint({"$ref", "enum", "const", *ALTERNATIVES})


def _keys(value: Any) -> set[str]:
    """The names of all properties in the schemas of a document: in a class with such a member, the name means the member."""
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    if not isinstance(value, dict):
        return set()
    listed = value.get("properties")
    return set(listed if isinstance(listed, dict) else ()).union(*map(_keys, value.values()))
