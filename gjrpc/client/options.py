"""How the client sends requests: certificates, credentials, and limits of time, bytes, connections and retries.

Owns what each option may be, and checks it before anything is sent. It reads files and touches no network.
"""

import os
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import requests

from gjrpc.errors import MisuseError
from gjrpc.limits import CLIENT_MAX_ANSWER, CLIENT_POOL, CLIENT_RETRIES, CLIENT_TIMEOUT

Verify: TypeAlias = bool | str | os.PathLike[str]
"""True for the public certificate authorities, a PEM file or folder of authorities, or False to accept any certificate."""

Cert: TypeAlias = str | tuple[str, str] | None
"""A client certificate: a PEM file that also holds the key, or `(certificate, key)`."""

Timeout: TypeAlias = float | tuple[float | None, float | None] | None
"""Seconds for a whole call, or `(connect, call)`; None for no limit."""

Auth: TypeAlias = tuple[str, str] | Callable[[requests.PreparedRequest], requests.PreparedRequest] | None
"""`(user, password)`, or a callable that changes each prepared request."""


@dataclass(frozen=True)
class Options:
    """The options of a client's transport; `gjrpc.Client` documents each.

    Raises:
        MisuseError: a value can't be used.
    """

    verify: Verify = True
    cert: Cert = None
    timeout: Timeout = CLIENT_TIMEOUT
    retries: int = CLIENT_RETRIES
    pool: int = CLIENT_POOL
    max_answer: int = CLIENT_MAX_ANSWER
    headers: Mapping[str, str] | None = None
    auth: Auth = None

    def __post_init__(self) -> None:
        authorities(self.verify)
        _check_certificate(self.cert)
        _check_timeout(self.timeout)
        _check_count("retries", self.retries, 0)
        _check_count("pool", self.pool, 1)
        _check_count("max_answer", self.max_answer, 1)
        _check_auth(self.auth)

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Seconds for each attempt to connect, and for the whole call; None for no limit."""
        return self.timeout if isinstance(self.timeout, tuple) else (None, self.timeout)


def authorities(verify: Verify) -> bool | str:
    """Return `verify` as requests takes it.

    Raises:
        MisuseError: the file or folder can't be read, or a file holds no certificates.
    """
    if isinstance(verify, bool):
        return verify
    try:
        path: str = os.fspath(verify)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    except (OSError, ValueError, TypeError) as error:
        expected = "True, False, or a PEM file or folder of certificate authorities"
        raise MisuseError(f"verify={verify!r}: expected {expected}: {error}") from error
    return path


def _check_certificate(cert: Any) -> None:
    if cert is None:
        return
    try:
        certificate, key = cert if isinstance(cert, tuple) else (cert, None)
        # With an empty passphrase, OpenSSL fails instead of prompting for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError, TypeError) as error:
        raise MisuseError(f"cert={cert!r}: expected a PEM file or (certificate, key), without a passphrase: {error}") from error


def _check_timeout(timeout: Any) -> None:
    both = timeout if isinstance(timeout, tuple) else (None, timeout)
    if len(both) != 2 or not all(limit is None or _is_seconds(limit) for limit in both):
        raise MisuseError(f"timeout={timeout!r}: expected seconds above 0, (connect, call) or None")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= threading.TIMEOUT_MAX


def _check_count(option: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise MisuseError(f"{option}={value!r}: expected an integer, {least} or more")


def _check_auth(auth: Any) -> None:
    is_pair = isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(part, str) for part in auth)
    if auth is not None and not is_pair and not callable(auth):
        raise MisuseError(f"auth: expected (user, password) or a callable, got {type(auth).__name__}")
