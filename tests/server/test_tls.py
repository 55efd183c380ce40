"""TLS contexts: real handshakes on loopback, sslyze's judgement, every bad file, reload, throw-away certificates."""

import hashlib
import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from conftest import ROOT
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gjrpc.errors import SettingsError
from gjrpc.server import tls

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
KINDS = [trustme.KeyType.ECDSA, trustme.KeyType.RSA]
PATIENCE = 20
"""Seconds after which anything that waits gives up."""

REFUSED = r"(?i)alert|closed|reset|broken pipe|eof occurred"
"""How a client sees a refusal: TLS 1.3 reports it only at its first read, and the connection may break before that."""

DEVIATIONS = {
    "tls_curves": "ssl before Python 3.15 can't choose groups: P-521 and X448 stay beside the profile's",
    "certificate_path_validation": "trustme marks subjectAltName critical, which sslyze's verifier refuses; OpenSSL doesn't",
}
"""What sslyze may find against the "intermediate" profile, and why; anything else fails."""


class Handler(BaseHTTPRequestHandler):
    """Answers with what the server knows about the connection."""

    timeout = PATIENCE

    def do_GET(self) -> None:
        connection: ssl.SSLSocket = self.connection
        told = {
            "version": connection.version(),
            "alpn": connection.selected_alpn_protocol(),
            "resumed": connection.session_reused,
            "client": bool(connection.getpeercert()),
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Keeps what went wrong instead of printing it."""

    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.troubles: queue.Queue[BaseException] = queue.Queue()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        assert error is not None
        self.troubles.put(error)

    def reason(self) -> str | None:
        return getattr(self.troubles.get(timeout=PATIENCE), "reason", None)


@pytest.fixture
def serve() -> Iterator[Callable[[ssl.SSLContext], Server]]:
    """Start servers that end with the test."""
    servers: list[Server] = []

    def start(context: ssl.SSLContext) -> Server:
        server = Server(context)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@dataclass
class Pair:
    """A certificate and its key, in files and together in one."""

    cert: Path
    key: Path
    both: Path

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.cert.read_text())


class Authority:
    """A CA of the test's own that writes what it issues into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str, kind: trustme.KeyType = trustme.KeyType.ECDSA, **dates: datetime) -> Pair:
        dates = {"not_after": datetime.now(timezone.utc) + timedelta(days=30)} | dates
        dates = {"not_before": dates["not_after"] - timedelta(days=60)} | dates
        leaf = self.ca.issue_cert("localhost", "127.0.0.1", key_type=kind, **dates)
        pair = Pair(*(self.folder / f"{name}{end}.pem" for end in ("", "-key", "-both")))
        leaf.cert_chain_pems[0].write_to_path(pair.cert)
        leaf.private_key_pem.write_to_path(pair.key)
        leaf.private_key_and_cert_chain_pem.write_to_path(pair.both)
        return pair

    def client(self, pair: Pair | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Trust this CA, show `pair`, and speak just `version`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        if pair:
            context.load_cert_chain(pair.both)
        if version:
            context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Make a CA that writes into the test's folder."""
    return Authority(tmp_path)


@dataclass
class Talk:
    """What both ends saw of one connection."""

    server: dict[str, Any]
    der: bytes
    session: ssl.SSLSession


@contextmanager
def connected(port: int, client: ssl.SSLContext, host: str = "localhost", session: Any = None) -> Iterator[ssl.SSLSocket]:
    """Open a connection and shake hands."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw,
        client.wrap_socket(raw, server_hostname=host, session=session) as connection,
    ):
        yield connection


def ask(connection: ssl.SSLSocket) -> Talk:
    """Send one request and tell what both ends saw."""
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = HTTPResponse(connection)
    answer.begin()
    body = answer.read()
    der, session = connection.getpeercert(binary_form=True), connection.session
    assert der is not None
    assert session is not None
    return Talk(json.loads(body), der, session)


def talk(port: int, client: ssl.SSLContext, host: str = "localhost", session: Any = None) -> Talk:
    """Connect and ask once."""
    with connected(port, client, host, session) as connection:
        return ask(connection)


def run(*command: str, **options: Any) -> str:
    """Run a program to its good end and return what it printed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Handshakes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_versions(authority: Authority, serve: Any, version: ssl.TLSVersion, kind: trustme.KeyType) -> None:
    """A client of TLS 1.2 or 1.3 gets the certificate and HTTP/1.1."""
    pair = authority.issue("server", kind)
    client = authority.client(version=version)
    client.set_alpn_protocols(["h2", "http/1.1"])
    seen = talk(serve(tls.server_context(pair.cert, pair.key)).port, client)
    assert seen.server == {
        "version": version.name.replace("_", "."),
        "alpn": "http/1.1",
        "resumed": False,
        "client": False,
    }
    assert seen.der == pair.der


def test_key_in_the_certificate_file(authority: Authority, serve: Any) -> None:
    """Without a key file the key is taken from the certificate's file, which may be a str."""
    pair = authority.issue("server")
    assert talk(serve(tls.server_context(str(pair.both))).port, authority.client()).der == pair.der


def test_tls_1_1_is_refused(authority: Authority, serve: Any) -> None:
    """A client that speaks at most TLS 1.1 is refused by the server."""
    server = serve(tls.server_context(authority.issue("server").both))
    client = authority.client()
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the old versions are what this is about
        client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)alert protocol version"):
        talk(server.port, client)
    assert server.reason() == "UNSUPPORTED_PROTOCOL"


def test_old_cipher_is_refused(authority: Authority, serve: Any) -> None:
    """A client of TLS 1.2 that knows no AEAD suite is refused by the server."""
    server = serve(tls.server_context(authority.issue("server").both))
    client = authority.client(version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA")
    with pytest.raises(OSError, match=r"(?i)handshake failure"):
        talk(server.port, client)
    assert server.reason() == "NO_SHARED_CIPHER"


def test_ciphers(authority: Authority) -> None:
    """A context offers the listed suites and the three of TLS 1.3, and no other."""
    names = {cipher["name"] for cipher in tls.server_context(authority.issue("server").both).get_ciphers()}
    assert names == {*tls.CIPHERS, "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


def test_options(authority: Authority) -> None:
    """Compression and renegotiation are off in the context itself, whatever the defaults of the OpenSSL at hand."""
    options = tls.server_context(authority.issue("server").both).options
    assert options & ssl.OP_NO_COMPRESSION
    assert options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mutual", [False, True])
def test_resumption(authority: Authority, serve: Any, version: ssl.TLSVersion, mutual: bool) -> None:
    """A client resumes its session, also with mutual TLS, where the server still knows its certificate."""
    context = tls.server_context(authority.issue("server").both, client_ca=authority.file if mutual else None)
    server, client = serve(context), authority.client(authority.issue("client"), version)
    first = talk(server.port, client)
    again = talk(server.port, client, session=first.session)
    assert (first.server["resumed"], again.server["resumed"]) == (False, True)
    assert first.server["client"] == again.server["client"] == mutual


@pytest.mark.parametrize("version", VERSIONS)
def test_mutual(authority: Authority, serve: Any, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """With a client CA, only a client with a certificate that this CA signed gets an answer."""
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").issue("stranger")
    server = serve(tls.server_context(authority.issue("server").both, client_ca=authority.file))
    assert talk(server.port, authority.client(authority.issue("client"), version)).server["client"]
    for pair, reason in (None, "PEER_DID_NOT_RETURN_A_CERTIFICATE"), (stranger, "CERTIFICATE_VERIFY_FAILED"):
        with pytest.raises(OSError, match=REFUSED):
            talk(server.port, authority.client(pair, version))
        assert server.reason() == reason


def test_sslyze(authority: Authority, serve: Any) -> None:
    """By sslyze, servers with an ECDSA or RSA certificate keep Mozilla's profile, but for the listed deviations."""
    sslyze = pytest.importorskip("sslyze", reason="sslyze needs nassl, which has wheels only for common machines")
    from sslyze.mozilla_tls_profile import tls_config_checker as mozilla

    profile = mozilla.MozillaTlsConfiguration.get(mozilla.TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
    scans = []
    for context in tls.self_signed().context, tls.server_context(authority.issue("server", trustme.KeyType.RSA).both):
        place = sslyze.ServerNetworkLocation("localhost", serve(context).port, "127.0.0.1")
        commands = mozilla.SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER | {sslyze.ScanCommand.SESSION_RESUMPTION}
        scans.append(sslyze.ServerScanRequest(place, scan_commands=commands))
    scanner = sslyze.Scanner()
    scanner.queue_scans(scans)
    results = list(scanner.get_results())
    assert len(results) == 2
    for result in results:
        with pytest.raises(mozilla.ServerNotCompliantWithTlsConfiguration) as found:
            mozilla.check_server_against_tls_configuration(result, profile)
        assert found.value.issues.keys() <= DEVIATIONS.keys(), found.value.issues
        scan = result.scan_result
        curves = {curve.name for curve in scan.elliptic_curves.result.supported_curves}
        assert curves - profile.tls_curves <= {"secp521r1", "X448"}
        assert scan.session_renegotiation.result.client_renegotiations_success_count == 0
        assert scan.session_resumption.result.tls_ticket_resumption_result.name == "FULLY_SUPPORTED"


# Files that can't be used


def encrypted(key: Path, format_: PrivateFormat) -> bytes:
    """Encrypt a key's file with a passphrase."""
    private = load_pem_private_key(key.read_bytes(), None)
    return private.private_bytes(Encoding.PEM, format_, BestAvailableEncryption(b"secret"))


def weak() -> bytes:
    """Make a certificate with a key that is too small, and its key."""
    private = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1, now, now + timedelta(days=1))
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> dict[str, Any]:
    """Write good and bad files, by name."""
    good, other = authority.issue("good"), authority.issue("other", trustme.KeyType.RSA)
    cert, key = good.cert.read_bytes(), good.key.read_bytes()
    made = {
        "empty": b"",
        "garbage": b"\x00\xff" * 50,
        "der": good.der,
        "cut": cert[:200],
        "chain": cert + cert[:200],
        "damaged-key": key.replace(b"\nM", b"\n!"),
        "pkcs8": encrypted(good.key, PrivateFormat.PKCS8),
        "traditional": encrypted(good.key, PrivateFormat.TraditionalOpenSSL),
        "together": cert + encrypted(good.key, PrivateFormat.PKCS8),
        "wrong-order": key + authority.file.read_bytes() + cert,
        "weak": weak(),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    named = {name: tmp_path / name for name in [*made, "absent"]}
    named |= {"cert": good.cert, "key": good.key, "ca": authority.file}
    return named | {"same-kind": authority.issue("third").key, "other-kind": other.key, "folder": tmp_path, "nul": "a\0b"}


BAD = [
    # cert, key, client_ca; the file that is named, what is wrong, what to do
    (("absent", None, None), "certificate", "absent", "No such file", "check the path"),
    (("cert", "absent", None), "key", "absent", "No such file", "check the path"),
    (("cert", "key", "absent"), "client CA", "absent", "No such file", "check the path"),
    (("nul", "key", None), "certificate", "nul", "null", "check the path"),
    (("folder", "key", None), "certificate", "folder", "is a directory", "name a PEM file"),
    (("cert", "folder", None), "key", "folder", "is a directory", "name a PEM file"),
    (("cert", "key", "folder"), "client CA", "folder", "is a directory", "name a PEM file"),
    (("empty", "key", None), "certificate", "empty", "holds no PEM certificate", "name the right file"),
    (("garbage", "key", None), "certificate", "garbage", "holds no PEM certificate", "name the right file"),
    (("der", "key", None), "certificate", "der", "holds no PEM certificate", "convert it"),
    (("key", "cert", None), "certificate", "key", "holds no PEM certificate", "name the right file"),
    (("cut", "key", None), "certificate", "cut", "damaged", "get it again"),
    (("chain", "key", None), "certificate", "chain", "damaged", "get it again"),
    (("weak", None, None), "certificate", "weak", "key is too small", "2048 bits"),
    (("cert", None, None), "key", "cert", "holds no PEM private key", "name the key's file"),
    (("cert", "empty", None), "key", "empty", "holds no PEM private key", "name the key's file"),
    (("cert", "garbage", None), "key", "garbage", "holds no PEM private key", "convert it"),
    (("cert", "damaged-key", None), "key", "damaged-key", "damaged", "make a new key"),
    (("cert", "pkcs8", None), "key", "pkcs8", "encrypted with a passphrase", "decrypt it"),
    (("cert", "traditional", None), "key", "traditional", "encrypted with a passphrase", "decrypt it"),
    (("together", None, None), "key", "together", "encrypted with a passphrase", "decrypt it"),
    (("cert", "same-kind", None), "key", "same-kind", "does not match", "name the key it was made with"),
    (("cert", "other-kind", None), "key", "other-kind", "does not match", "name the key it was made with"),
    (("wrong-order", None, None), "key", "wrong-order", "does not match", "certificate first"),
    (("cert", "key", "empty"), "client CA", "empty", "holds no PEM certificate", "name the right file"),
    (("cert", "key", "key"), "client CA", "key", "holds no PEM certificate", "name the right file"),
    (("cert", "key", "chain"), "client CA", "chain", "damaged", "get it again"),
]


@pytest.mark.parametrize(("given", "role", "named", "wrong", "advice"), BAD)
def test_bad_files(files: dict[str, Any], given: tuple[str | None, ...], role: str, named: str, wrong: str, advice: str) -> None:
    """An unusable file is one line that names the file, what is wrong and what to do."""
    with pytest.raises(SettingsError) as caught:
        tls.server_context(*(files[name] if name else None for name in given))
    text = str(caught.value)
    assert text.startswith(f"{role} file {os.fspath(files[named])!r} ")
    assert wrong in text
    assert advice in text
    assert "\n" not in text


def test_unreadable(files: dict[str, Any]) -> None:
    """The error for a file that this user may not read says so."""
    files["key"].chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may read everything
        with pytest.raises(SettingsError, match=r"can't be read .Permission denied.; check"):
            tls.server_context(files["cert"], files["key"])
    finally:
        os.seteuid(user)


LOAD = """
import sys
from gjrpc.server import tls
try:
    tls.server_context(*sys.argv[1:])
except tls.SettingsError as error:
    print(error)
"""


def test_pipe(tmp_path: Path) -> None:
    """A named pipe is refused, not waited for."""
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file; name a PEM file" in run(sys.executable, "-c", LOAD, str(tmp_path / "pipe"))


@pytest.mark.parametrize("key", ["pkcs8", "traditional"])
def test_no_prompt(files: dict[str, Any], key: str) -> None:
    """With a terminal at hand, an encrypted key is refused without asking for its passphrase."""
    spawn = "import pty, sys; pty.spawn([sys.executable, '-c', *sys.argv[1:]])"
    told = run(sys.executable, "-c", spawn, LOAD, str(files["cert"]), str(files[key]), stdin=subprocess.DEVNULL)
    assert "encrypted with a passphrase" in told
    assert "pass phrase" not in told


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("not_before", "not_after", "said"),
    [(-2 * DAY, -DAY, "expired on"), (DAY, 2 * DAY, "valid only from"), (-DAY, DAY, None)],
)
def test_dates(
    authority: Authority, caplog: pytest.LogCaptureFixture, not_before: timedelta, not_after: timedelta, said: str | None
) -> None:
    """A certificate outside its dates is loaded with one warning, one inside them without."""
    now = datetime.now(timezone.utc)
    pair = authority.issue("server", not_before=now + not_before, not_after=now + not_after)
    tls.server_context(pair.cert, pair.key)
    records = [record for record in caplog.records if record.name == "gjrpc.server"]
    assert len(records) == (1 if said else 0)
    if said:
        assert records[0].levelname == "WARNING"
        assert said in records[0].getMessage()
        assert str(pair.cert) in records[0].getMessage()


# Reload


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kinds", [KINDS[:1] * 2, KINDS, KINDS[::-1]])
def test_reload(authority: Authority, serve: Any, version: ssl.TLSVersion, kinds: list[trustme.KeyType]) -> None:
    """After a reload each new handshake gets the new certificate, of any key type, and an open connection stays open."""
    pair, client = authority.issue("server", kinds[0]), authority.client(version=version)
    context = tls.server_context(pair.cert, pair.key)
    port = serve(context).port
    with connected(port, client) as standing:
        old = pair.der
        authority.issue("server", kinds[1])
        tls.reload(context, pair.cert, pair.key)
        assert pair.der != old
        for host in "localhost", "127.0.0.1":  # by an address no name is sent
            assert talk(port, client, host).der == pair.der
        assert ask(standing).server["resumed"] is False


def test_reload_twice(authority: Authority, serve: Any) -> None:
    """The last of several reloads holds, also for a client that resumes a session from before."""
    pair, client = authority.issue("server"), authority.client()
    context = tls.server_context(pair.both)
    port = serve(context).port
    session = talk(port, client).session
    for _ in range(2):
        authority.issue("server")
        tls.reload(context, pair.both)
    assert talk(port, client).der == pair.der
    assert talk(port, client, session=session).server["resumed"]


@pytest.mark.parametrize("broken", [("absent", None), ("cert", "same-kind"), ("cert", "pkcs8"), ("cut", "key")])
def test_reload_broken(authority: Authority, files: dict[str, Any], serve: Any, broken: tuple[str, str | None]) -> None:
    """A reload from broken files is an error, and the old certificate serves on."""
    context = tls.server_context(files["cert"], files["key"])
    server = serve(context)
    with pytest.raises(SettingsError):
        tls.reload(context, *(files[name] if name else None for name in broken))
    assert talk(server.port, authority.client()).der == ssl.PEM_cert_to_DER_cert(files["cert"].read_text())


def test_reload_mutual(authority: Authority, serve: Any, tmp_path: Path) -> None:
    """A reload exchanges the client CA: the old CA's clients are refused, the new one's get in."""
    (tmp_path / "next").mkdir()
    successor = Authority(tmp_path / "next")
    pair, old, new = authority.issue("server"), authority.issue("client"), successor.issue("client")
    context = tls.server_context(pair.both, client_ca=authority.file)
    server = serve(context)
    assert talk(server.port, authority.client(old)).server["client"]
    tls.reload(context, pair.both, client_ca=successor.file)
    assert talk(server.port, authority.client(new)).server["client"]
    with pytest.raises(OSError, match=REFUSED):
        talk(server.port, authority.client(old))
    assert server.reason() == "CERTIFICATE_VERIFY_FAILED"


@pytest.mark.parametrize("mutual", [False, True])
def test_reload_keeps_the_mode(authority: Authority, mutual: bool) -> None:
    """A reload that would turn mutual TLS on or off is an error, as it could not take effect."""
    pair = authority.issue("server")
    context = tls.server_context(pair.both, client_ca=authority.file if mutual else None)
    with pytest.raises(SettingsError, match="restart"):
        tls.reload(context, pair.both, client_ca=None if mutual else authority.file)
    assert context.sni_callback is None


# Throw-away certificates


def test_self_signed_requests(serve: Any) -> None:
    """With the CA's file, requests trusts the throw-away certificate by name and by address; without, it does not."""
    made = tls.self_signed()
    port, ca_file = serve(made.context).port, made.ca_file()
    with requests.Session() as session:
        session.trust_env = False
        for host in "localhost", "127.0.0.1":
            answer = session.get(f"https://{host}:{port}/", verify=ca_file, timeout=PATIENCE)
            assert answer.json()["version"] == "TLSv1.3"
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"https://localhost:{port}/", timeout=PATIENCE)


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_self_signed_curl(serve: Any, version: str) -> None:
    """The curl line that trusts the throw-away certificate works."""
    made = tls.self_signed()
    url = f"https://localhost:{serve(made.context).port}/ping"
    told = run("curl", "-sS", f"--tlsv{version}", "--tls-max", version, "--noproxy", "*", "--cacert", made.ca_file(), url)
    assert json.loads(told)["version"] == f"TLSv{version}"


def test_self_signed_fingerprint(serve: Any) -> None:
    """The fingerprint is that of the certificate on the wire, colon separated in upper case."""
    made = tls.self_signed()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=made.ca_pem.decode())
    der = talk(serve(made.context).port, client).der
    digest = hashlib.sha256(der).digest()
    assert made.fingerprint == digest.hex(":").upper()
    assert digest == x509.load_der_x509_certificate(der).fingerprint(hashes.SHA256())


@pytest.mark.needs("openssl")
def test_self_signed_fingerprint_openssl(serve: Any) -> None:
    """The fingerprint reads as `openssl x509 -fingerprint -sha256` prints it."""
    made = tls.self_signed()
    pem = ssl.get_server_certificate(("127.0.0.1", serve(made.context).port), timeout=PATIENCE)
    told = run("openssl", "x509", "-noout", "-fingerprint", "-sha256", input=pem)
    assert told.strip().partition("=")[2] == made.fingerprint


@pytest.mark.parametrize("hosts", ["example.org", ("example.org",), ["*.example.org", "192.0.2.1"]])
def test_self_signed_hosts(serve: Any, hosts: Any) -> None:
    """The certificate names just the hosts that were given, one of which may come as a str."""
    pem = ssl.get_server_certificate(("127.0.0.1", serve(tls.self_signed(hosts).context).port), timeout=PATIENCE)
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(name.value) for name in names.value] == ([hosts] if isinstance(hosts, str) else list(hosts))


@pytest.mark.parametrize("hosts", [(), ("",), ("a b",), ("192.0.2.1:9999",)])
def test_self_signed_bad_hosts(hosts: tuple[str, ...]) -> None:
    """Hosts that can't stand in a certificate are a clear error."""
    with pytest.raises(SettingsError, match=r"self-signed certificate for .*; name hosts or addresses"):
        tls.self_signed(hosts)


def test_self_signed_without_a_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no temporary file can be written, the error names TMPDIR."""
    made = tls.self_signed()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    for attempt in tls.self_signed, made.ca_file:
        with pytest.raises(SettingsError, match="set TMPDIR"):
            attempt()


CA_FILE = """
import os, stat, sys
from pathlib import Path
from gjrpc.server.tls import self_signed
made = self_signed()
path = Path(made.ca_file())
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
left = list(path.parent.iterdir())
print(oct(stat.S_IMODE(path.stat().st_mode)), left == [path], path.read_bytes() == made.ca_pem)
"""


def test_ca_file(tmp_path: Path) -> None:
    """The CA's file is private, the only one left, outlives a forked worker, and is gone after exit."""
    told = run(sys.executable, "-c", CA_FILE, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert told.split() == ["0o600", "True", "True"]
    assert list(tmp_path.iterdir()) == []


# gevent

PATCHED = """
from gevent import monkey
monkey.patch_all()
import socket, ssl, sys
from gevent import Timeout
from gevent.server import StreamServer
from gjrpc.server import tls

def certificate():
    with socket.create_connection(server.address[:2]) as raw, client.wrap_socket(raw, server_hostname="localhost") as s:
        assert s.recv(1) == b"x"
        return s.getpeercert(binary_form=True)

made = tls.self_signed()
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.load_verify_locations(cadata=made.ca_pem.decode())
client.load_verify_locations(cafile=sys.argv[2])
server = StreamServer(("127.0.0.1", 0), lambda s, _: s.sendall(b"x"), ssl_context=made.context)
with Timeout(20):
    server.start()
    before = certificate()
    tls.reload(made.context, sys.argv[1])
    after = certificate()
expected = ssl.PEM_cert_to_DER_cert(open(sys.argv[3]).read())
print(type(made.context).__module__.partition(".")[0], before != expected, after == expected)
"""


def test_under_gevent(authority: Authority) -> None:
    """After gevent has patched, contexts are gevent's, serve and reload."""
    pytest.importorskip("gevent")
    pair = authority.issue("server", trustme.KeyType.RSA)
    told = run(sys.executable, "-c", PATCHED, str(pair.both), str(authority.file), str(pair.cert))
    assert told.split() == ["gevent", "True", "True"]


def test_imports_no_gevent() -> None:
    """The module can be imported where gevent can't."""
    # None in sys.modules makes an import fail, also where coverage has imported gevent before.
    run(sys.executable, "-c", "import sys; sys.modules['gevent'] = None; import gjrpc.server.tls")
