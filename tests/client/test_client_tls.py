"""The client over TLS: which servers it trusts, its own certificate, and connections that are cut."""

import ssl
from pathlib import Path

import pytest
import trustme
from scripted_server import EMPTY_HANDED, TIMEOUT

from gjrpc import Client, MisuseError, WireError

pytestmark = pytest.mark.usefixtures("without_proxies")


def test_tls_with_an_authority(scripted, certificate, tmp_path, monkeypatch):
    """The client trusts the authority in `verify` or in the environment; with verify=False it accepts any certificate."""
    server = scripted(context=certificate.server_context())
    for verify in (certificate.ca, Path(certificate.ca)):
        with Client(server.url, verify=verify, timeout=TIMEOUT) as client:
            assert client.add(1, 2) == client.add(b=2, a=1) == 3
    assert server.connections == 2
    with pytest.warns(Warning, match="Unverified"), Client(server.url, verify=False, timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate.ca)
    with Client(server.url, timeout=TIMEOUT) as client:
        assert client.ping() == "pong"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    with pytest.raises(MisuseError, match="none"):
        Client(server.url)


def test_refused_certificates_say_what_to_do(scripted, certificate):
    """An untrusted certificate raises WireError, which says why and what to do; the call is tried once and nothing is sent."""
    server = scripted(context=certificate.server_context())
    with (
        Client(server.url, timeout=TIMEOUT) as client,
        pytest.raises(WireError, match=r'\(.*verify="ca\.pem"') as raised,
    ):
        client.ping()
    assert "may have run" not in str(raised.value)
    assert server.connections == 1
    other = scripted(context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    certificate.authority.issue_cert("example.org").configure_cert(other.context)
    with (
        Client(other.url, verify=certificate.ca) as client,
        pytest.raises(WireError, match="an address that is in the cert"),
    ):
        client.ping()
    assert not server.requests
    assert not other.requests


def test_client_certificates(scripted, certificate, tmp_path):
    """The client presents its certificate, from one file or two; without one the WireError names the option."""
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate.ca)
    server = scripted(context=context)
    leaf = certificate.authority.issue_cert("client@example.org")
    both, cert, key = (str(tmp_path / name) for name in ("both.pem", "cert.pem", "key.pem"))
    leaf.private_key_and_cert_chain_pem.write_to_path(both)
    leaf.private_key_pem.write_to_path(key)
    leaf.cert_chain_pems[0].write_to_path(cert)
    for shown in (both, (cert, key)):
        with Client(server.url, verify=certificate.ca, cert=shown, timeout=TIMEOUT) as client:
            assert client.ping() == "pong"
    with pytest.raises(MisuseError, match="cert="):
        Client(server.url, verify=certificate.ca, cert=(cert, str(_foreign_key(tmp_path))))
    with Client(server.url, verify=certificate.ca, timeout=TIMEOUT) as client, pytest.raises(WireError) as raised:
        client.ping()
    # The alert may be lost, when the server resets the connection behind it.
    assert "client certificate" in str(raised.value) or "the connection broke" in str(raised.value)


def _foreign_key(folder):
    path = folder / "foreign.pem"
    trustme.CA().issue_cert("x.org").private_key_pem.write_to_path(str(path))
    return path


def test_tls_and_plain_mistaken(scripted, certificate):
    """TLS to a plain server and plain HTTP to a TLS server raise WireError; the first says what to do."""
    plain, tls = scripted(), scripted(context=certificate.server_context())
    with Client(plain.url.replace("http:", "https:"), timeout=TIMEOUT) as client, pytest.raises(WireError, match="try http://"):
        client.ping()
    with Client(tls.url.replace("https:", "http:"), timeout=TIMEOUT) as client, pytest.raises(WireError):
        client.ping()


def test_an_idempotent_call_survives_a_tls_cut(scripted, certificate):
    """If a TLS connection is cut without an answer, an idempotent call is retried and another is not."""
    server = scripted(context=certificate.server_context())
    with Client(server.url, verify=certificate.ca, timeout=TIMEOUT, idempotent=("ping",)) as client:
        server.script = [EMPTY_HANDED]
        assert client.ping() == "pong"
        server.script = [EMPTY_HANDED]
        with pytest.raises(WireError, match="may have run"):
            client.add(1, 2)
    assert len(server.requests) == 3
