"""Fetches OpenRPC documents: from a server, a URL or a file.

Owns where a document comes from. The client's transport sends the request, within its limits of time and bytes. What can't be
used is a `SettingsError` of one line.
"""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from gjrpc.client.document import read_document
from gjrpc.client.options import Options
from gjrpc.client.urls import redacted
from gjrpc.errors import ClientError, MisuseError, ParseError, RemoteError, SettingsError
from gjrpc.tools.openrpc_document import Document
from gjrpc.values import codec

PAGE = "/-/openrpc.json"
"""The path of the document on a server of this project."""

_SOURCES = "a server (http://HOST:PORT, https://…, unix:PATH), a URL that ends in .json, or a saved OpenRPC file"


def read(source: str, options: Options | None = None) -> Document:
    """Read the document of a server, at a URL, or in a file.

    Args:
        source: `http://HOST:PORT`, `https://…` or `unix:PATH` of a server, a URL that ends in `.json`, or a file's path.
        options: how to send the request; not used for a file.

    Raises:
        SettingsError: it can't be fetched, or is not an OpenRPC document.
    """
    is_file = not source.startswith(("http://", "https://", "unix:"))
    name = source if is_file else redacted(source)
    body = _load(source) if is_file else _get(source, options or Options(), name)
    try:
        return Document(codec.decode_unlimited(body), name)
    except ParseError as error:
        raise SettingsError(f"{name}: {error.message}") from error


def _load(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {getattr(error, 'strerror', None) or error}; expected {_SOURCES}") from error


def _get(url: str, options: Options, name: str) -> bytes:
    try:
        if url.startswith("unix:"):
            return read_document(url, PAGE.lstrip("/"), options)
        page, auth = _page(url)
        return read_document(page, options=options if auth is None else replace(options, auth=auth))
    except (MisuseError, ValueError) as error:
        raise SettingsError(f"{name}: can't be fetched: {error}") from error
    except RemoteError as error:
        hint = "; --token-file names the file of a bearer token" if error.status == 401 else ""
        raise SettingsError(f"{error}{hint}") from error
    except ClientError as error:
        raise SettingsError(str(error)) from error


def _page(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL of the document, and the credentials in the given URL."""
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    path = parts.path if parts.path.endswith(".json") else parts.path.rstrip("/") + PAGE
    user, _, password = credentials.partition(":")
    return urlunsplit(parts._replace(netloc=place, path=path)), (unquote(user), unquote(password)) if at else None
