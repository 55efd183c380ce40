"""Bearer tokens: the token file, and the making of a token (`python -m gjrpc.tokens NAME`).

Owns the form of a token, and how it is stored: only as its SHA-256. A token is 256 random bits, too many to guess, so the slow
hash that passwords need would add nothing. It knows no request.

A line of the file has the caller's name, `sha256:` with 64 hexadecimal digits, and optionally rights (see
`gjrpc.auth.permissions`): `watch sha256:… ping stats.* @admin`. A name may have several tokens, so that you can replace one
without an interruption.
"""

import hashlib
import hmac
import re
import secrets

from gjrpc.auth import exposure
from gjrpc.auth.permissions import Permissions, read_lines, read_rights
from gjrpc.calls.rights import Caller
from gjrpc.errors import SettingsError

_KIND = "sha256:"
_DIGEST = re.compile(_KIND + "[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_NAMES = "a name has letters, digits and . _ @ -, and begins with a letter or digit"
_PREFIX = 4  # bytes of a digest that find its line; the whole digest is then compared in constant time


class TokenFile:
    """The tokens in a file. The logger `gjrpc.auth` gets a warning if other users can read or change the file.

    Args:
        path: the file.
        permissions: the rights of callers whose line has none.

    Raises:
        SettingsError: the file can't be read, or a line is not valid.
    """

    def __init__(self, path: str, permissions: Permissions) -> None:
        self._known: dict[bytes, list[tuple[bytes, Caller]]] = {}
        seen: dict[bytes, str] = {}
        for where, (name, *rest) in read_lines(path):
            digest = _read_digest(where, name, rest)
            if digest in seen:
                raise SettingsError(f"{where}: {seen[digest]} has the same token; make another one for {name!r}")
            seen[digest] = where
            rights = read_rights(where, rest[1:]) if rest[1:] else permissions.of(name)
            self._known.setdefault(digest[:_PREFIX], []).append((digest, Caller(name, rights)))
        exposure.warn("token file", path)

    def find(self, token: str) -> Caller | None:
        """Return the caller with this token, or None."""
        digest = _digest(token)
        for known, caller in self._known.get(digest[:_PREFIX], ()):
            if hmac.compare_digest(known, digest):
                return caller
        return None


def make(name: str, rights: str = "") -> tuple[str, str]:
    """Make a new token.

    Args:
        name: the caller's name.
        rights: the rights, as the file has them.

    Returns:
        The token, which is stored nowhere, and its line for the file.

    Raises:
        SettingsError: the name or the rights are not valid.
    """
    _check_name("NAME", name)
    read_rights("RIGHTS", rights.split())
    token = "gjrpc_" + secrets.token_urlsafe(32)  # the prefix helps tools that search files for secrets
    return token, " ".join([name, _KIND + _digest(token).hex(), *rights.split()])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: {name!r}: {_NAMES}")


def _read_digest(where: str, name: str, rest: list[str]) -> bytes:
    _check_name(where, name)
    if not rest or not _DIGEST.fullmatch(rest[0]):
        made = f"`python -m gjrpc.tokens {name}` makes such a line"
        raise SettingsError(f"{where}: expected NAME sha256:HASH [RIGHTS], where HASH is 64 hexadecimal digits; {made}")
    return bytes.fromhex(rest[0].removeprefix(_KIND))
