"""Typed stubs of servers' methods.

Owns how a server's methods are written as a class; `annotations` writes their schemas.

The stub has a protocol `Api`: the client with the server's methods, as type checkers see them; dotted names are attributes of
attributes. A program declares that its client is one, which has no effect when it runs:

    from typing import TYPE_CHECKING, cast
    from gjrpc import Client
    if TYPE_CHECKING:
        from api import Api

    client = cast("Api", Client("http://localhost:9999"))

Results have the types that the client returns without `result=`: objects are dicts, dates are text. Nothing is checked when the
program runs. A call that mixes arguments by position and by name passes the type checker, because Python has no notation to
forbid it, and raises `MisuseError`.
"""

from collections.abc import Iterator

from gjrpc.client.client import Client
from gjrpc.texts import printable
from gjrpc.tools.annotations import Annotations, docstring, is_name
from gjrpc.tools.openrpc_document import Document, MethodObject

_HEADER = """\
# The methods of {title}, version {version}. Written by python -m gjrpc.stub: don't edit. To use it:
#     if TYPE_CHECKING:
#         from api import Api
#     client = cast("Api", Client(url))
"""

_MOST_PARTS = 20  # of a dotted name for which the stub has attributes of attributes

_OWN = frozenset(name for name in vars(Client) if not name.startswith("_"))
"""The client's own attributes, which are not methods of a server."""

_CLIENT = '''\
class Api({Protocol}):
    """The client, with the methods of this server."""

    @{overload}
    def call(self, name: {str}, /, *args: {Any}, result: {type}[_T], **kwargs: {Any}) -> _T: ...
    @{overload}
    def call(self, name: {str}, /, *args: {Any}, result: {Any} = ..., **kwargs: {Any}) -> {Any}: ...
    def batch(self) -> {Batch}: ...
    @{property}
    def notify(self) -> {Notifications}: ...
    def close(self) -> None: ...
    def __enter__(self) -> {Self}: ...
    def __exit__(self, *exception: {object}) -> None: ...
'''
_CLIENT_NAMES = ("Any", "Batch", "Notifications", "Protocol", "Self", "object", "overload", "property", "str", "type")


class _Group:
    """The methods with one prefix: the method of that very name, and those below it."""

    def __init__(self) -> None:
        self.method: MethodObject | None = None
        self.below: dict[str, _Group] = {}

    def at(self, parts: list[str]) -> "_Group":
        """The group of a dotted name below this one."""
        return self.below.setdefault(parts[0], _Group()).at(parts[1:]) if parts else self


def stub(document: Document) -> str:
    """Write the stub of a document's methods, as the text of a `.pyi` file."""
    root, left_out = _Group(), []
    for method in document.methods.values():
        if _is_spellable(method):
            root.at(method.name.split(".")).method = method
        else:
            left_out.append(method.name)
    members = {part for name in document.methods for part in name.split(".")} | _OWN
    return _Stub(Annotations(document, members, ("Api", "_T"))).text(document, root, left_out)


class _Stub:
    """The pieces of one stub."""

    def __init__(self, annotations: Annotations) -> None:
        self._annotations = annotations
        self._groups: list[list[str]] = []

    def text(self, document: Document, root: _Group, left_out: list[str]) -> str:
        known = self._annotations.known
        variable = f'_T = {known("TypeVar")}("_T")'
        client = _CLIENT.format_map({name: known(name) for name in _CLIENT_NAMES}).splitlines()
        client += self._members(root, "")
        client += [f"    # not an attribute in Python: client.call({name!a}, ...)" for name in left_out]
        pieces = [[variable], *self._annotations.definitions, *self._groups, client]
        header = _HEADER.format(title=printable(document.info.title), version=printable(document.info.version))
        imports = "\n".join(self._annotations.imports())
        return header + imports + "\n\n" + "\n\n".join("\n".join(piece) for piece in pieces) + "\n"

    def _members(self, group: _Group, prefix: str) -> Iterator[str]:
        for name, inner in group.below.items():
            if inner.below:
                yield f"    @{self._annotations.known('property')}"
                yield f"    def {name}(self) -> {self._class(inner, prefix + name)}: ..."
            elif inner.method is not None:
                yield from self._method(name, inner.method)

    def _class(self, group: _Group, prefix: str) -> str:
        """Define the class of a group's attribute, and return its name."""
        name = self._annotations.unique("_" + prefix.title().replace(".", "").replace("_", ""))
        called = [] if group.method is None else list(self._method("__call__", group.method))
        lines = [f"class {name}({self._annotations.known('Protocol')}):", *called, *self._members(group, prefix + ".")]
        self._groups.append(lines)
        return name

    def _method(self, name: str, method: MethodObject) -> Iterator[str]:
        result = "None" if method.result is None else self._annotations.of(method.result.schema)
        if method.deprecated:
            yield f'    @{self._annotations.known("deprecated")}("deprecated by the server")'
        signature = f"    def {name}({', '.join(self._parameters(method))}) -> {result}:"
        lines = docstring(method.summary or method.description, "        ")
        yield from [signature, *lines] if lines else [f"{signature} ..."]

    def _parameters(self, method: MethodObject) -> Iterator[str]:
        names = {parameter.name for parameter in method.params}
        receiver = "self"
        while receiver in names:
            receiver = "_" + receiver
        yield receiver
        by_name = _first_named(method)
        last_required = max((index for index, parameter in enumerate(method.params) if parameter.required), default=-1)
        for index, parameter in enumerate(method.params):
            if index == by_name:
                yield "*"
            needed = parameter.required or (method.param_structure == "by-position" and index < last_required)
            yield f"{parameter.name}: {self._annotations.of(parameter.schema)}{'' if needed else ' = ...'}"
        if method.param_structure == "by-position" and method.params:
            yield "/"


def _first_named(method: MethodObject) -> int | None:
    """The place of the first parameter that can only be given by name: an optional one before a required one."""
    if method.param_structure == "by-position":
        return None
    if method.param_structure == "by-name":
        return 0
    required = [parameter.required for parameter in method.params]
    first = required.index(False) if False in required else len(required)
    return first if any(required[first:]) else None


def _is_spellable(method: MethodObject) -> bool:
    """Whether Python can call the method as an attribute, with its arguments by name."""
    parts = method.name.split(".")
    names = [parameter.name for parameter in method.params]
    return (
        parts[0] not in _OWN
        and len(parts) <= _MOST_PARTS
        and all(is_name(part) and not part.startswith("_") for part in parts)
        and all(map(is_name, names))
        and len(set(names)) == len(names)
    )
