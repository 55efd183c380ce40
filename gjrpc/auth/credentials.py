"""Makes a guard from files of credentials, as the command line names them.

Owns how these options become a `Guard`, and which name a client certificate has. `tokens`, `passwords` and `permissions` read
the files.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gjrpc.auth.guard import Authenticators, Guard
from gjrpc.auth.passwords import PasswordFile
from gjrpc.auth.permissions import Permissions, read_permissions
from gjrpc.auth.throttle import LoginThrottle
from gjrpc.auth.tokens import TokenFile
from gjrpc.calls.rights import Caller
from gjrpc.errors import SettingsError
from gjrpc.http.messages import Head
from gjrpc.limits import MAX_FAILURES

T = TypeVar("T")


def guard(
    *,
    token_file: str | None = None,
    htpasswd: str | None = None,
    permissions: str | None = None,
    certificates: bool = False,
    max_failures: int = MAX_FAILURES,
    client_of: Callable[[Any, Head], str] | None = None,
) -> Guard | None:
    """Return a guard that authenticates callers by these files; None if authentication is off.

    Args:
        token_file: see `gjrpc.auth.tokens`.
        htpasswd: see `gjrpc.auth.passwords`.
        permissions: see `gjrpc.auth.permissions`.
        certificates: whether a client certificate, which TLS has verified, authenticates the caller that it names.
        max_failures: failed logins from one address before it gets 429 for one to two minutes.
        client_of: returns the client's address from the peer's socket address and the head, if there are trusted proxies.

    Raises:
        SettingsError: a file can't be used.
    """
    if token_file is None and htpasswd is None and not certificates:
        if permissions is not None:
            raise SettingsError("--permissions needs authenticated callers: add --token-file, --htpasswd or --client-ca")
        return None

    def load() -> Authenticators:
        known = _read("--permissions", read_permissions, permissions)
        return Authenticators(
            bearer=None if token_file is None else _read("--token-file", TokenFile, token_file, known),
            basic=None if htpasswd is None else _read("--htpasswd", PasswordFile, htpasswd, known),
            certificate=_Certificates(known) if certificates else None,
        )

    return Guard(load, LoginThrottle(max_failures), client_of)


def _read(option: str, read: Callable[..., T], *arguments: Any) -> T:
    """Read a file; name its option in an error."""
    try:
        return read(*arguments)
    except SettingsError as error:
        raise SettingsError(f"{option}: {error}") from error


class _Certificates:
    """Authenticates callers by client certificates."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions

    def __call__(self, certificate: Mapping[str, Any]) -> Caller | None:
        name = certificate_name(certificate)
        return None if name is None else Caller(name, self._permissions.of(name))


def certificate_name(certificate: Mapping[str, Any]) -> str | None:
    """Return the name in a certificate: its common name, or the first of its alternative names (RFC 5280, 4.1.2.6, 4.2.1.6).

    Args:
        certificate: as `ssl.SSLSocket.getpeercert` returns it.
    """
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    names = common[-1:] or [value for _, value in certificate.get("subjectAltName", ())][:1]
    return str(names[0]) if names else None
