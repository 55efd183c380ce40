"""Names and passwords from an htpasswd file (HTTP Basic, RFC 7617).

Owns the file, whose hashes must be bcrypt's (`htpasswd -B`), and the memory of correct passwords. bcrypt is slow on purpose, 50
to 250 ms: passwords are checked off the event loop, a few at a time, and a keyed hash of a correct one is kept for a while.
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
from gjrpc.auth.guard import Offload
from gjrpc.auth.permissions import Permissions, text_lines
from gjrpc.calls.rights import Caller
from gjrpc.errors import SettingsError

REMEMBERED = 300
"""Seconds for which a correct password is not checked again."""

# A salt's 128 bits leave only two for its last character.
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|1[0-9]|2[0-4])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_MOST = 72  # bytes of a password that bcrypt uses; htpasswd hashes no more either
_ENTRIES = 1000


class PasswordFile:
    """The users in an htpasswd file.

    Args:
        path: the file.
        permissions: the rights of the users.
        clock: seconds since any moment.

    Raises:
        SettingsError: the file can't be read, a line is not valid, or a hash is not bcrypt's.
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
                    raise SettingsError(f"{where}: {name!r} already has a line; keep one of them")
                self._hashes[name] = hashed
                self._callers[name] = Caller(name, permissions.of(name))
        exposure.warn("htpasswd file", path)
        self._dearest = max(map(_cost, self._hashes.values()), default=None)

    def find(self, credentials: str, blocked: Callable[[], bool], offload: Offload) -> Caller | None:
        """Return the user with this name and password; None if there is none or the client's address is blocked.

        Args:
            credentials: name and password in Base64 (RFC 7617, section 2).
            blocked: returns whether the client's address has failed too often.
            offload: runs the slow check.
        """
        try:
            name, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):  # not valid credentials: the guard rejects them as wrong ones
            return None
        if not colon or blocked():
            return None
        hashed = self._hashes.get(name)
        key = hashlib.blake2b(f"{name}:{password}".encode(), key=self._key, digest_size=32).digest()
        if hashed is not None and self._remembers(key):
            return self._callers[name]

        def check() -> bool:
            # While this check waited, another one may have found the same password correct, or blocked this address.
            return self._remembers(key) or (not blocked() and self._is_right(password.encode()[:_MOST], hashed))

        if not offload(check) or hashed is None:
            return None
        self._remember(key)
        return self._callers[name]

    def _is_right(self, password: bytes, hashed: bytes | None) -> bool:
        """Return whether a password is correct.

        Checking a wrong one takes as long as the costliest hash in the file, for any name, so the time reveals neither which
        names exist nor which of them have cheaper hashes. A cost of n means 2^n rounds, and 2^n + 2^n + 2^(n+1) + … + 2^(m-1)
        is 2^m.
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
        if self._remembers(key):  # another check remembered it meanwhile: keep the earlier expiry
            return
        if len(self._right) >= _ENTRIES:
            self._right = {}
        self._right[key] = self._clock() + REMEMBERED


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _decoy(cost: int) -> bytes:
    """Return a hash that practically no password has."""
    return bcrypt.gensalt(cost) + b"." * 31


def _read(where: str, line: str) -> tuple[str, bytes]:
    name, colon, hashed = line.partition(":")
    if not colon or not name:
        raise SettingsError(f"{where}: expected NAME:HASH, as `htpasswd -B` writes it")
    if not _HASH.fullmatch(hashed):
        raise SettingsError(f"{where}: the hash of {name!r} is not bcrypt's, the only safe kind; make it with `htpasswd -B`")
    return name, hashed.encode()
