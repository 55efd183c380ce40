"""OpenRPC documents from other programs.

Owns what of OpenRPC 1.3 the tools read, with its references resolved (https://spec.open-rpc.org); the classes have the names of
the specification's objects. It knows neither where a document comes from nor what the tools do with it.
"""

import re
from collections import Counter
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from gjrpc.contracts.drafts import draft_2020_12
from gjrpc.errors import SettingsError
from gjrpc.texts import quoted
from gjrpc.tools.schemas import Schema

_MAX_REFERENCES = 10  # in a chain of references; a longer chain counts as a circle
_MOST_SHOWN = 200  # characters of a reference in an error
_INDEX = re.compile("0|[1-9][0-9]{0,9}")


class ContentDescriptor(msgspec.Struct, frozen=True):
    """A parameter or a result."""

    name: str
    schema: Schema
    required: bool = False
    summary: str = ""
    description: str = ""
    deprecated: bool = False


class ErrorObject(msgspec.Struct, frozen=True):
    """A declared error."""

    code: int
    message: str


class MethodObject(msgspec.Struct, frozen=True, rename="camel"):
    """A method; one without a result is only ever notified.

    Attributes:
        args, kwargs: what each further argument by position or by name (`*args`, `**kwargs`) may be, or None; these are
            extensions of `gjrpc.contracts.openrpc`, since OpenRPC has no such thing.
    """

    name: str
    params: list[ContentDescriptor]
    result: ContentDescriptor | None = None
    errors: list[ErrorObject] = []
    param_structure: Literal["by-name", "by-position", "either"] = "either"
    summary: str = ""
    description: str = ""
    deprecated: bool = False
    args: ContentDescriptor | None = msgspec.field(name="x-args", default=None)
    kwargs: ContentDescriptor | None = msgspec.field(name="x-kwargs", default=None)


class InfoObject(msgspec.Struct, frozen=True):
    """The title and version of the document."""

    title: str
    version: str


class Document:
    """An OpenRPC document.

    Attributes:
        info: its title and version.
        methods: its methods by name, in its order.

    Raises:
        SettingsError: the value is not an OpenRPC document; the error names `source`.
    """

    def __init__(self, tree: Any, source: str) -> None:
        self._tree = tree
        self._schemas: dict[str, Any] = {}
        try:
            read = msgspec.convert(tree, _Outline)
            methods = [msgspec.convert(self._method(method), MethodObject) for method in read.methods]
        except (msgspec.ValidationError, LookupError) as error:
            raise SettingsError(f"{source}: not an OpenRPC document: {error}") from error
        if not read.openrpc.startswith("1."):
            raise SettingsError(f"{source}: OpenRPC {read.openrpc!r}; expected a version 1")
        self.info = read.info
        self.methods = {method.name: method for method in methods}
        if len(self.methods) < len(methods):
            twice = Counter(method.name for method in methods).most_common(1)[0][0]
            raise SettingsError(f"{source}: not an OpenRPC document: it has two methods {twice!r}")

    def resolve(self, reference: str) -> Any:
        """Return the schema that a `$ref` points to, by a JSON pointer into this document (RFC 6901, section 6).

        Raises:
            LookupError: it points to nothing in this document.
        """
        pointer = unquote(reference)  # one spelling for each place
        if pointer not in self._schemas:
            self._schemas[pointer] = draft_2020_12(self._find(pointer))
        return self._schemas[pointer]

    def _find(self, pointer: str) -> Any:
        if pointer != "#" and not pointer.startswith("#/"):
            raise LookupError(f"{quoted(pointer, _MOST_SHOWN)} points out of the document")
        value = self._tree
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            inner = value.get(key) if isinstance(value, dict) else _item(value, key)
            if inner is None:
                raise LookupError(f"{quoted(pointer, _MOST_SHOWN)} points to nothing in the document")
            value = inner
        return value

    def _method(self, method: Any) -> Any:
        """Replace the Reference Objects in a method by what they refer to; schemas keep theirs."""
        method = self._direct(method)
        if not isinstance(method, dict):
            return method  # the conversion reports it
        method = dict(method)
        for key in ("params", "errors"):
            if isinstance(method.get(key), list):
                method[key] = [self._direct(each) for each in method[key]]
        if "result" in method:
            method["result"] = self._direct(method["result"])
        return method

    def _direct(self, value: Any) -> Any:
        reference = None
        for _ in range(_MAX_REFERENCES):
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                return value
            reference = unquote(value["$ref"])
            value = self._find(reference)
        raise LookupError(
            f"{quoted(str(reference), _MOST_SHOWN)} points to itself, or through more than {_MAX_REFERENCES} others"
        )


class _Outline(msgspec.Struct):
    openrpc: str
    info: InfoObject
    methods: list[dict[str, Any]]


def _item(value: Any, key: str) -> Any:
    """The item at an index, which has no leading zeros (RFC 6901, section 4), so that each place has one pointer."""
    if isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
        return value[int(key)]
    return None
