"""OpenRPC documents, read from a server, a URL or a file.

Owns where a document comes from, and what of OpenRPC 1.3 the tools look at, with its references resolved
(https://spec.open-rpc.org). It knows no comparison and no stub. What can't be used is a `SettingsError` of one line.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from gjrpc.client.client import Client
from gjrpc.client.options import Options
from gjrpc.client.transport import Transport
from gjrpc.client.urls import redacted, redirect_target
from gjrpc.errors import ClientError, MisuseError, ParseError, SettingsError, WireError
from gjrpc.texts import quoted
from gjrpc.tools.schemas import Schema, modern
from gjrpc.values import codec

PAGE = "/-/openrpc.json"
"""Where a server of this project has its document."""

TIMEOUT = 30.0
"""Seconds to get the document, from the connection to its last byte."""

# No limit on values: a long document delays nobody else.
_decode = codec.Decoder(max_values=sys.maxsize).decode

_SOURCES = "a server (http://HOST:PORT, https://…, unix:PATH), a URL that ends in .json, or a saved OpenRPC file"

_REPEATS = 2
_MAX_REFERENCES = 10  # of a chain of references; a longer one is taken as going round
_MOST_SHOWN = 200  # characters of a reference in an error
_INDEX = re.compile("0|[1-9][0-9]{0,9}")


class Value(msgspec.Struct, frozen=True):
    """A parameter or a result: OpenRPC's Content Descriptor."""

    name: str
    schema: Schema
    required: bool = False
    summary: str = ""
    description: str = ""
    deprecated: bool = False


class Failure(msgspec.Struct, frozen=True):
    """A declared error."""

    code: int
    message: str


class Method(msgspec.Struct, frozen=True, rename="camel"):
    """A method; one without a result is only ever notified.

    Attributes:
        args, kwargs: each one of further arguments by position and by name (`*args`, `**kwargs`), or None; OpenRPC has no word
            for them, so that `gjrpc.contracts.openrpc` has extensions.
    """

    name: str
    params: list[Value]
    result: Value | None = None
    errors: list[Failure] = []
    param_structure: Literal["by-name", "by-position", "either"] = "either"
    summary: str = ""
    description: str = ""
    deprecated: bool = False
    args: Value | None = msgspec.field(name="x-args", default=None)
    kwargs: Value | None = msgspec.field(name="x-kwargs", default=None)


class Info(msgspec.Struct, frozen=True):
    """What the document says of itself."""

    title: str
    version: str


class Document:
    """An OpenRPC document.

    Attributes:
        info: its title and version.
        methods: its methods by name, in its order.

    Raises:
        SettingsError: the value is no OpenRPC document; `source` is named.
    """

    def __init__(self, tree: Any, source: str) -> None:
        self._tree = tree
        self._schemas: dict[str, Any] = {}
        try:
            read = msgspec.convert(tree, _Outline)
            methods = [msgspec.convert(self._method(method), Method) for method in read.methods]
        except (msgspec.ValidationError, LookupError) as error:
            raise SettingsError(f"{source}: not an OpenRPC document: {error}") from error
        if not read.openrpc.startswith("1."):
            raise SettingsError(f"{source}: OpenRPC {read.openrpc!r}; expected a version 1")
        self.info = read.info
        self.methods = {method.name: method for method in methods}
        if len(self.methods) < len(methods):
            twice = Counter(method.name for method in methods).most_common(1)[0][0]
            raise SettingsError(f"{source}: not an OpenRPC document: there are two methods {twice!r}")

    def resolve(self, reference: str) -> Any:
        """The schema that a `$ref` points to, by a JSON pointer into this document (RFC 6901, section 6).

        Raises:
            LookupError: it points to nothing here.
        """
        pointer = unquote(reference)  # one spelling for each place
        if pointer not in self._schemas:
            self._schemas[pointer] = modern(self._find(pointer))
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
        """A method whose Reference Objects are replaced by what they stand for; schemas keep theirs."""
        method = self._direct(method)
        if not isinstance(method, dict):
            return method  # which is then told
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
    info: Info
    methods: list[dict[str, Any]]


def read(source: str) -> Document:
    """Read the document of a server, at a URL, or in a file.

    Args:
        source: `http://HOST:PORT`, `https://…` or `unix:PATH` of a server, a URL that ends in `.json`, or a file's path.

    Raises:
        SettingsError: there is none to be had, or it is none.
    """
    if source.startswith("unix:"):
        return Document(_discover(source), source)
    is_url = source.startswith(("http://", "https://"))
    name = redacted(source) if is_url else source
    body = _get(source, name) if is_url else _load(source)
    try:
        return Document(_decode(body), name)
    except ParseError as error:
        raise SettingsError(f"{name}: {error.message}") from error


def _load(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {getattr(error, 'strerror', None) or error}; expected {_SOURCES}") from error


def _get(url: str, name: str) -> bytes:
    """GET it as the client does: follow no redirect, ignore `.netrc`, and bound time and size."""
    try:
        page, auth = _page(url)
        transport = Transport(page, Options(timeout=TIMEOUT, retries=_REPEATS, pool=1, auth=auth), exact=True)
    except (MisuseError, ValueError) as error:
        raise SettingsError(f"{name}: can't be read: {error}") from error
    transport.url = name
    try:
        answer = transport.get(repeatable=True)
    except WireError as error:
        raise SettingsError(str(error)) from error
    finally:
        transport.close()
    if answer.is_redirect:
        raise SettingsError(
            f"{name}: HTTP {answer.status_code} redirects to {redirect_target(answer)!r}; give that URL if you trust it"
        )
    if answer.status_code != 200:
        raise SettingsError(f"{name}: HTTP {answer.status_code} {answer.reason} from {urlsplit(page).path}")
    return answer.content


def _page(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL of the document and the credentials in the given one."""
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    path = parts.path if parts.path.endswith(".json") else parts.path.rstrip("/") + PAGE
    user, _, password = credentials.partition(":")
    return urlunsplit(parts._replace(netloc=place, path=path)), (unquote(user), unquote(password)) if at else None


def _discover(url: str) -> Any:
    """Ask through a unix socket, which requests has no way to GET from; `rpc.discover` is OpenRPC's own."""
    try:
        with Client(url, dialect="jsonrpc", timeout=TIMEOUT, idempotent=("rpc.discover",)) as client:
            return client.call("rpc.discover")
    except ClientError as error:
        raise SettingsError(str(error)) from error


def _item(value: Any, key: str) -> Any:
    """An item by its index, as RFC 6901 writes it (section 4): no zeros in front, so that each place has one pointer."""
    if isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
        return value[int(key)]
    return None
