"""Bearer tokens: the file that knows them, and `python -m gjrpc.tokens NAME`, which makes one.

Owns how a token looks, and how it is kept: as its SHA-256 only. A token is 256 random bits, so nobody can try them all and a slow
hash, which passwords need, would protect nothing more. It knows no request.

A line of the file: the caller's name, `sha256:` with 64 hexadecimal digits, and rights (see `gjrpc.auth.permissions`), as in
`watch sha256:… ping stats.* @admin`. A name may have several tokens, so that an old one can go when the new one is in use.
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
_NAMES = "letters, digits and . _ @ - are allowed in a name"
_PREFIX = 4  # bytes of a digest by which its line is found; the whole is compared in constant time


class TokenFile:
    """The tokens of a file.

    Args:
        path: the file.
        permissions: the rights of those whose line has none.

    Raises:
        SettingsError: it can't be read, or a line can't be understood.

    A warning goes to the logger `gjrpc.auth` if others can read or change it.
    """

    def __init__(self, path: str, permissions: Permissions) -> None:
        self._known: dict[bytes, list[tuple[bytes, Caller]]] = {}
        seen: dict[bytes, str] = {}
        for where, (name, *rest) in read_lines(path):
            digest = _read_digest(where, name, rest)
            if digest in seen:
                raise SettingsError(f"{where}: the same token stands at {seen[digest]}; make another for {name!r}")
            seen[digest] = where
            rights = read_rights(where, rest[1:]) if rest[1:] else permissions.of(name)
            self._known.setdefault(digest[:_PREFIX], []).append((digest, Caller(name, rights)))
        exposure.warn("token file", path)

    def find(self, token: str) -> Caller | None:
        """Whose token it is, or None."""
        digest = _digest(token)
        for known, caller in self._known.get(digest[:_PREFIX], ()):
            if hmac.compare_digest(known, digest):
                return caller
        return None


def make(name: str, rights: str = "") -> tuple[str, str]:
    """Make a token.

    Args:
        name: its caller's.
        rights: words as they stand in the file.

    Returns:
        The token, which is kept nowhere, and the line for the file.

    Raises:
        SettingsError: the name or the rights can't stand in the file.
    """
    _check_name("NAME", name)
    read_rights("RIGHTS", rights.split())
    token = "gjrpc_" + secrets.token_urlsafe(32)  # the prefix is for those who search files for secrets
    return token, " ".join([name, _KIND + _digest(token).hex(), *rights.split()])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: {name!r}: {_NAMES}")


def _read_digest(where: str, name: str, rest: list[str]) -> bytes:
    _check_name(where, name)
    if not rest or not _DIGEST.fullmatch(rest[0]):
        made = f"`python -m gjrpc.tokens {name}` makes a line"
        raise SettingsError(f"{where}: expected NAME sha256:HASH [RIGHTS], with 64 digits 0 to f; {made}")
    return bytes.fromhex(rest[0].removeprefix(_KIND))
