"""TLS settings: builds an `ssl.SSLContext` from files, reloads it, and makes throw-away certificates.

Owns which versions, cipher suites and options are offered, and every way in which a certificate, key or CA file can be unusable.
It knows no socket and no handshake (`arrivals` has those) and must not import gevent: it looks `ssl.SSLContext` up at each call,
so that it is gevent's class where gevent has patched.

The contexts follow Mozilla's "intermediate" profile, version 5.7 (https://ssl-config.mozilla.org/guidelines/5.7.json), but for
what Python's `ssl` before 3.15 can't set:

- the key exchange groups: OpenSSL's own list holds, with P-521 and X448 (and, by version, post-quantum ones) beside the profile's
  X25519, P-256 and P-384 (`set_ecdh_curve` would leave just one);
- OCSP stapling: no stapled answer is sent;
- the names of the client CAs in a request for a client certificate: the list is empty, so a client with several certificates is
  not told which to send.

The profile's three DHE suites are left out: they need a parameter file, and serve only clients that know no ECDHE with AES-GCM.
"""

import atexit
import hashlib
import logging
import os
import re
import ssl
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeAlias

import trustme
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gjrpc.auth import exposure
from gjrpc.errors import SettingsError

StrPath: TypeAlias = str | os.PathLike[str]

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""The suites for TLS 1.2, by OpenSSL's names; those of TLS 1.3 are OpenSSL's own three, which are also the profile's."""

LIFETIME = timedelta(days=365)
"""How long a throw-away certificate is valid; the profile allows 366 days, with the one before for clocks that are behind."""

_ADVICE = {
    "EE_KEY_TOO_SMALL": "the key is too small; make one of RSA with 2048 bits or more, or ECDSA with P-256",
    "CA_KEY_TOO_SMALL": "a CA's key in its chain is too small; get a chain of RSA with 2048 bits or more, or ECDSA",
    "CA_MD_TOO_WEAK": "it is signed with a weak digest (SHA-1 or MD5); get one signed with SHA-256",
}

_MISMATCH = (
    "{} does not match the first certificate in {!r}; name the key it was made with, and put the server's own certificate first"
)

_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)

_log = logging.getLogger("gjrpc.server")


def server_context(cert: StrPath, key: StrPath | None = None, client_ca: StrPath | None = None) -> ssl.SSLContext:
    """Build the server's context: TLS 1.2 and up, resumption by tickets, ALPN `http/1.1`.

    It loads an expired certificate, as the clock may be wrong, and logs a warning to `gjrpc.server`. If others can read the
    key, it logs a warning to `gjrpc.auth`.

    Args:
        cert: a PEM file with the server's certificate first, then its chain.
        key: a PEM file with the private key, without a passphrase; None if the key is in `cert`.
        client_ca: a PEM file with the CAs that sign clients' certificates; turns on mutual TLS: clients without one are rejected.

    Raises:
        SettingsError: a file can't be used; the message names the file, what is wrong and what to do. Never prompts for a
            passphrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(":".join(CIPHERS))
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, cert, cert if key is None else key)
    if client_ca is not None:
        _load_client_ca(context, client_ca)
    return context


def reload(context: ssl.SSLContext, cert: StrPath, key: StrPath | None = None, client_ca: StrPath | None = None) -> None:
    """Read the files again; from now on new handshakes on `context` use them, and open connections stay as they are.

    The new files go into a context of their own, to which `context` hands each handshake (`sni_callback`, called also where the
    client names no host). `load_cert_chain` on `context` itself would not do: a certificate of another key type is added there
    beside the old one, which stays in use, and a file that changes between check and use would break the pair that serves.

    A client that resumes a session does not present its certificate again: one that only the old `client_ca` trusts may return
    for as long as its ticket lasts, two hours in OpenSSL. Restart the server to lock it out at once.

    Args:
        context: what `server_context` built.
        cert, key, client_ca: as there.

    Raises:
        SettingsError: a file can't be used, or mutual TLS would be turned on or off; `context` stays in use as it was.
    """
    fresh = server_context(cert, key, client_ca)
    if (fresh.verify_mode is ssl.CERT_NONE) != (context.verify_mode is ssl.CERT_NONE):  # a certificate may be wanted, not needed
        raise SettingsError("client CA: a reload can't turn mutual TLS on or off; restart the server")

    def hand_over(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = fresh

    context.sni_callback = hand_over


@dataclass(frozen=True)
class SelfSigned:
    """A throw-away certificate in use, and what a client needs to trust it. No private key stays on disk.

    Attributes:
        context: serves the certificate; built by `server_context`.
        ca_pem: the certificate of the CA that signed it; the CA's key is gone, it can sign nothing else.
        fingerprint: SHA-256 of the server's certificate, as `openssl x509 -fingerprint -sha256` prints it.
    """

    context: ssl.SSLContext
    ca_pem: bytes
    fingerprint: str

    def ca_file(self) -> str:
        """Write the CA's certificate to a new file for `curl --cacert`: readable by this user only, removed at exit.

        Raises:
            SettingsError: no temporary file can be written.
        """
        try:
            descriptor, path = tempfile.mkstemp(prefix="gjrpc-ca-", suffix=".pem")
            atexit.register(_remove, path, owner=os.getpid())
            with open(descriptor, "wb") as file:
                file.write(self.ca_pem)
        except OSError as error:
            raise _no_temporary_file(error) from error
        return path


def self_signed(hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1")) -> SelfSigned:
    """Make a CA and a certificate for `hosts` (names, addresses, `*.` wildcards), for trying TLS out.

    Raises:
        SettingsError: there are no hosts, a certificate can't name one of them, or no temporary file can be written.
    """
    hosts = (hosts,) if isinstance(hosts, str) else hosts  # a str is a sequence too, of letters
    now = datetime.now(timezone.utc)
    ca = trustme.CA(organization_name="gjrpc throw-away CA")
    try:
        leaf = ca.issue_cert(
            *hosts,
            organization_name="gjrpc throw-away certificate",
            not_before=now - timedelta(days=1),
            not_after=now + LIFETIME,
        )
    except ValueError as error:
        raise SettingsError(f"self-signed certificate for {hosts!r}: {error}; name hosts or addresses") from error
    try:
        with leaf.private_key_and_cert_chain_pem.tempfile() as path:
            context = server_context(path)
    except OSError as error:
        raise _no_temporary_file(error) from error
    return SelfSigned(context, ca.cert_pem.bytes(), _fingerprint(leaf.cert_chain_pems[0].bytes()))


def _load_pair(context: ssl.SSLContext, cert: StrPath, key: StrPath) -> None:
    cert_pem, key_pem = _read("certificate", cert), _read("key", key)
    try:
        # Without a password given, OpenSSL asks for one on the terminal; an empty one fails instead.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        raise SettingsError(_trouble(cert, cert_pem, key, key_pem) or _refusal("certificate", cert, error)) from error
    exposure.warn("key file", key)
    _warn_of_dates(cert, cert_pem)


def _load_client_ca(context: ssl.SSLContext, client_ca: StrPath) -> None:
    pem = _read("client CA", client_ca)
    try:
        context.load_verify_locations(cafile=client_ca)
    except (OSError, ValueError) as error:
        raise SettingsError(_no_certificate("client CA", client_ca, pem) or _refusal("client CA", client_ca, error)) from error
    context.verify_mode = ssl.CERT_REQUIRED


def _read(role: str, path: StrPath) -> bytes:
    try:
        mode = os.stat(path).st_mode
        # A named pipe would block here, or be empty when OpenSSL reads it again.
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise SettingsError(f"{_name(role, path)} is {kind}; name a PEM file")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{_name(role, path)} can't be read ({reason}); check the path and the file's permissions") from error


def _trouble(cert: StrPath, cert_pem: bytes, key: StrPath, key_pem: bytes) -> str | None:
    """Explain why OpenSSL refused a pair: its own error often names neither the file nor the fault."""
    if missing := _no_certificate("certificate", cert, cert_pem):
        return missing
    block = _PRIVATE_KEY.search(key_pem)
    if block is None:
        return f"{_name('key', key)} holds no PEM private key; name the key's file, or convert it with openssl pkey"
    try:
        private = load_pem_private_key(block.group() + b"\n", password=None)
        matches = private.public_key() == x509.load_pem_x509_certificate(cert_pem).public_key()
    except TypeError:
        return f"{_name('key', key)} is encrypted with a passphrase; decrypt it with openssl pkey -in FILE -out NEWFILE"
    except (ValueError, UnsupportedAlgorithm):
        return f"{_name('key', key)} holds a damaged key or one of an unknown kind; make a new key and certificate"
    return None if matches else _MISMATCH.format(_name("key", key), os.fspath(cert))


def _no_certificate(role: str, path: StrPath, pem: bytes) -> str | None:
    begun = pem.count(b"-----BEGIN CERTIFICATE-----")
    try:
        read = len(x509.load_pem_x509_certificates(pem))
    except ValueError:  # reported below, with what to do
        read = 0
    if read >= max(begun, 1):
        return None
    if begun:
        return f"{_name(role, path)} holds a damaged certificate; get it again from where it was issued"
    return f"{_name(role, path)} holds no PEM certificate; name the right file, or convert it with openssl x509"


def _refusal(role: str, path: StrPath, error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error)
    return f"{_name(role, path)} can't be used by OpenSSL ({reason}): {_ADVICE.get(reason, 'make or get another one')}"


def _warn_of_dates(cert: StrPath, pem: bytes) -> None:
    try:
        leaf = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return  # OpenSSL took what this parser is stricter about, and the dates serve only a warning.
    now = datetime.now(timezone.utc)
    if now > leaf.not_valid_after_utc:
        _log.warning("%s expired on %s; clients will refuse it", _name("certificate", cert), leaf.not_valid_after_utc)
    elif now < leaf.not_valid_before_utc:
        _log.warning("%s is valid only from %s; clients will refuse it", _name("certificate", cert), leaf.not_valid_before_utc)


def _name(role: str, path: StrPath) -> str:
    return f"{role} file {os.fspath(path)!r}"


def _fingerprint(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))).digest().hex(":").upper()


def _no_temporary_file(error: OSError) -> SettingsError:
    return SettingsError(f"self-signed certificate: no temporary file can be written ({error}); set TMPDIR to a folder that can")


def _remove(path: str, owner: int) -> None:
    # A forked worker inherits the exit handler, but not the file.
    if os.getpid() == owner:
        Path(path).unlink(missing_ok=True)
