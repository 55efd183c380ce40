"""The options of commands that send requests to a server: headers, a bearer token, certificate authorities.

Owns how they become the options of the client, and the sentence of every error in them. It sends nothing.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gjrpc.auth import exposure
from gjrpc.client.options import Options
from gjrpc.errors import MisuseError, SettingsError

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_HASHED = re.compile(r"\ssha256:[0-9a-f]{64}\b")


def remote_options(command: F) -> F:
    """Add the options to a command, which gets them as `header`, `token_file` and `ca`."""
    for each in (
        click.option("--ca", metavar="FILE", help="Certificate authorities that may sign the server's certificate: a PEM file."),
        click.option("--token-file", metavar="FILE", help="File that holds the bearer token to send."),
        click.option("--header", metavar="NAME:VALUE", multiple=True, help="Header to send; may be given several times."),
    ):
        command = each(command)
    return command


def client_options(header: tuple[str, ...], token_file: str | None, ca: str | None) -> Options:
    """Make the client's options.

    Args:
        header: texts of the form `NAME:VALUE`.
        token_file: path of a file with a bearer token.
        ca: path of a PEM file.

    Raises:
        SettingsError: a header or a file can't be used; the text names the option.
    """
    headers: dict[str, str] = {}
    for name, value in map(_header, header):
        if name.lower() in map(str.lower, headers):
            raise SettingsError(f"--header {name}: it is given twice; give it once, with its values separated by commas")
        headers[name] = value
    if token_file is not None:
        if "authorization" in map(str.lower, headers):
            raise SettingsError("--header Authorization and --token-file both send credentials: leave one out")
        headers["Authorization"] = f"Bearer {_token(token_file)}"
    try:
        return Options(headers=headers, verify=True if ca is None else ca)
    except MisuseError as error:
        raise SettingsError(f"--ca {ca!r}: expected a PEM file of certificate authorities: {error.__cause__}") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise SettingsError(f"--header {text!r}: expected NAME:VALUE, for example 'X-Tenant: blue'")
    if not _VALUE.fullmatch(value):
        raise SettingsError(f"--header {name}: the value has characters that a header can't carry")
    return name, value.strip()


def _token(path: str) -> str:
    """Read the token from its file, and warn if others can read it."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingsError(f"--token-file {path!r}: {error.strerror}") from error
    except ValueError:
        text = ""
    if _HASHED.search(text):
        raise SettingsError(
            f"--token-file {path!r}: this is the server's file, which has only hashes; expected a file with the token itself"
        )
    if not _TOKEN.fullmatch(text):
        raise SettingsError(f"--token-file {path!r}: expected one line with nothing but the token")
    exposure.warn("token file", path)
    return text
