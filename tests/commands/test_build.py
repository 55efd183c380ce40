"""How options become the parts of a server; the tests of `serve` and `multiprocess` run these parts."""

import ssl

import pytest

from gjrpc import Application, Registry
from gjrpc.commands import build
from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.http.messages import Head, Request
from gjrpc.limits import MAX_BODY
from gjrpc.server.addresses import Address

HERE = Address("127.0.0.1", 0)
ANYWHERE = Address("0.0.0.0", 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"token_file": "tokens", "htpasswd": "users"}, "-H 'Authorization: Bearer TOKEN' "),
        ({"htpasswd": "users", "client_ca": "ca.pem"}, "-u NAME "),
        ({"client_ca": "ca.pem"}, "--cert CLIENT.PEM "),
    ],
)
def test_what_curl_needs(options, words):
    """The curl command has a place for the credentials that the server requires."""
    assert build.for_curl(Settings(**options), None) == words


def test_a_registry_becomes_an_application():
    """A registry becomes an application with the options; on a loopback address it answers only for loopback names."""
    registry = Registry()
    here = build.application(registry, "app:registry", Settings(max_body=10), HERE, None)
    anywhere = build.application(registry, "app:registry", Settings(), ANYWHERE, None)
    assert isinstance(here, Application)
    assert (here.max_body, anywhere.max_body) == (10, MAX_BODY)
    asked = Request(Head("GET", "/list_methods", [("host", "elsewhere.example")]))
    assert [made.respond(asked).status for made in (here, anywhere)] == [421, 200]


@pytest.mark.parametrize(
    ("options", "is_open"),
    [
        ({}, True),
        ({"allowed_hosts": ("localhost:9999", "127.0.0.1")}, True),
        ({"allowed_origins": ("https://page.example",)}, True),
        ({"allowed_hosts": ("rpc.example.org",)}, False),
        ({"allowed_hosts": ("localhost", "rpc.example.org")}, False),
        ({"allowed_hosts": ("*",)}, False),
        ({"allowed_origins": ("*",)}, False),
        ({"trusted_proxies": ("127.0.0.1",)}, False),
        ({"trusted_proxies": ("unix",)}, False),
        ({"trusted_proxies": ("127.0.0.1",), "proxy_protocol": True}, False),
        ({"trusted_proxies": ("127.0.0.1",), "forwarded_header": "off"}, False),
        ({"trusted_proxies": ("127.0.0.1",), "open": True}, True),
    ],
)
@pytest.mark.parametrize("address", [HERE, Address("::1", 0), Address(path="/run/x")])
def test_host_methods_are_open_to_this_host_only(address, options, is_open):
    """Without authentication, a local address opens the host methods, unless an option lets others call through it."""
    registry = Registry()
    registry.register(lambda: "secret", "environ", scope="host")
    made = build.application(registry, None, Settings(**options), address, None)
    host = options.get("allowed_hosts", ["localhost"])[0]
    answer = made.respond(Request(Head("GET", "/environ", [("host", host)])))
    assert answer.status == (200 if is_open else 403)
    assert (b"--token-file" in answer.body) != is_open


def test_an_application_stays_what_it_is(caplog):
    """A target that is an application stays as it is; options for an application of our own cause a warning or an error."""

    def served(environ, start_response):
        raise NotImplementedError

    assert build.application(served, "app:served", Settings(max_depth=3), HERE, None) is served
    assert "--max-depth has no effect" in caplog.text
    assert build.guard_of(served) is None
    with pytest.raises(SettingsError, match="protect a Registry"):
        build.application(served, "app:served", Settings(token_file="tokens"), HERE, None)


def test_a_proxy_tells_an_application_the_scheme():
    """Trusted proxies report the scheme to an application too, unless it has its own `scheme_of`."""

    class Peer:
        client_address, scheme, server_hosts = ("127.0.0.1", 1), "http", frozenset()

    page = [("host", "here"), ("origin", "https://here"), ("x-forwarded-proto", "https")]
    chosen = Settings(trusted_proxies=("127.0.0.1",))
    for told, status in ((None, 200), (lambda peer, head: "http", 403)):
        served = build.application(Application(Registry(), scheme_of=told), "app:served", chosen, HERE, None)
        assert served.respond(Request(Head("GET", "/list_methods", page)), Peer()).status == status


def test_options_that_contradict_each_other(certificate, tmp_path):
    """Options that exclude each other, or need another one, are refused with a hint which."""
    (tmp_path / "tokens").write_text("")
    for made, words in [
        (lambda: build.temporary_certificate(Settings(self_signed=True, cert="cert.pem"), HERE), "leave out --cert"),
        (lambda: build.context(Settings(key="key.pem")), "give --cert too"),
        (
            lambda: build.security(Settings(open=True, token_file=str(tmp_path / "tokens")), HERE),
            "leave one out",
        ),
    ]:
        with pytest.raises(SettingsError, match=words):
            made()
    assert build.context(Settings()) is None
    both = build.context(Settings(cert=certificate.cert, key=certificate.key, client_ca=certificate.ca, htpasswd="users"))
    assert both.verify_mode is ssl.CERT_OPTIONAL


@pytest.mark.parametrize(
    ("address", "options", "guarded", "secured", "words"),
    [
        (HERE, {}, False, False, ""),
        (HERE, {"allowed_hosts": ("rpc.example.org",)}, False, True, "with --allowed-hosts without authentication"),
        (HERE, {"trusted_proxies": ("127.0.0.1",)}, False, True, "use --token-file, --htpasswd or --client-ca"),
        (HERE, {"trusted_proxies": ("127.0.0.1",)}, True, False, ""),
        (ANYWHERE, {}, False, True, "on a non-loopback address without authentication"),
        (ANYWHERE, {"open": True}, False, True, "open too (--open)"),
        (ANYWHERE, {}, True, False, "without TLS"),
        (ANYWHERE, {}, True, True, ""),
    ],
)
def test_warnings_of_an_open_address(caplog, address, options, guarded, secured, words):
    """If others can reach the server, directly or through a proxy, a warning says what they could do."""
    build.warn_if_open(Settings(**options), address, guarded=guarded, secured=secured)
    assert words in caplog.text
    assert bool(words) == bool(caplog.records)
