"""Names with passwords from an htpasswd file (HTTP Basic, RFC 7617).

Owns the file, of which only bcrypt's hashes are taken (`htpasswd -B`), and the memory of passwords found right. bcrypt is slow by
intent, 50 to 250 ms: a password is checked apart from other calls, a few at a time, and then known for a while by a keyed hash.
"""

import base64
import binascii
import hashlib
import re
import secrets
import time
from collections.abc import Callable

import bcrypt

from gjrpc.auth import exposure
from gjrpc.auth.guard import Apart
from gjrpc.auth.permissions import Permissions, text_lines
from gjrpc.calls.rights import Caller
from gjrpc.errors import SettingsError

REMEMBERED = 300
"""Seconds for which a password that was right is not checked again."""

# The 128 bits of a salt leave two for its last character.
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|1[0-9]|2[0-4])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_MOST = 72  # bytes of a password that bcrypt looks at, and all that htpasswd has hashed
_ENTRIES = 1000


class PasswordFile:
    """The users of an htpasswd file.

    Args:
        path: the file.
        permissions: the rights of names.
        clock: seconds, from any begin.

    Raises:
        SettingsError: it can't be read, a line can't be understood, or a hash is not bcrypt's.
    """

    def __init__(self, path: str, permissions: Permissions, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hashes: dict[str, bytes] = {}
        self._callers: dict[str, Caller] = {}
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, float] = {}
        for where, line in text_lines(path):
            if line.strip() and not line.startswith("#"):
                name, hashed = _read(where, line.strip())
                if name in self._hashes:
                    raise SettingsError(f"{where}: {name!r} stands here a second time; leave one line of it")
                self._hashes[name] = hashed
                self._callers[name] = Caller(name, permissions.of(name))
        exposure.warn("htpasswd file", path)
        self._dearest = max(map(_cost, self._hashes.values()), default=None)

    def find(self, credentials: str, blocked: Callable[[], bool], apart: Apart) -> Caller | None:
        """Whose name and password these are, or None; nothing is found for who is blocked.

        Args:
            credentials: both in Base64, as RFC 7617, section 2 has it.
            blocked: whether the address that asks has failed too often.
            apart: runs what takes long.
        """
        try:
            name, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):  # no credentials: whoever asked refuses them
            return None
        if not colon or blocked():
            return None
        hashed = self._hashes.get(name)
        key = hashlib.blake2b(f"{name}:{password}".encode(), key=self._key, digest_size=32).digest()
        if hashed is not None and self._remembers(key):
            return self._callers[name]

        def check() -> bool:
            # Others were checked while this one waited: the same password was right, or this address has failed too often.
            return self._remembers(key) or (not blocked() and self._is_right(password.encode()[:_MOST], hashed))

        if not apart(check) or hashed is None:
            return None
        self._remember(key)
        return self._callers[name]

    def _is_right(self, password: bytes, hashed: bytes | None) -> bool:
        """Check a password; a wrong one takes as long as the costliest hash of the file, whatever the name.

        So the time reveals neither which names exist nor which of them have cheaper hashes. A cost of n is 2^n rounds, and
        2^n + 2^n + 2^(n+1) + … + 2^(m-1) is 2^m.
        """
        if self._dearest is None:
            return False
        if hashed is None:
            missing = range(self._dearest, self._dearest + 1)
        elif bcrypt.checkpw(password, hashed):
            return True
        else:
            missing = range(_cost(hashed), self._dearest)
        for cost in missing:
            bcrypt.checkpw(password, _decoy(cost))
        return False

    def _remembers(self, key: bytes) -> bool:
        return self._right.get(key, 0.0) > self._clock()

    def _remember(self, key: bytes) -> None:
        if self._remembers(key):  # from another check, whose time it keeps
            return
        if len(self._right) >= _ENTRIES:
            self._right = {}
        self._right[key] = self._clock() + REMEMBERED


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _decoy(cost: int) -> bytes:
    """A hash that practically no password has."""
    return bcrypt.gensalt(cost) + b"." * 31


def _read(where: str, line: str) -> tuple[str, bytes]:
    name, colon, hashed = line.partition(":")
    if not colon or not name:
        raise SettingsError(f"{where}: expected NAME:HASH, as `htpasswd -B` writes it")
    if not _HASH.fullmatch(hashed):
        raise SettingsError(f"{where}: the hash of {name!r} is not bcrypt's, and no other is safe; make it by `htpasswd -B`")
    return name, hashed.encode()
