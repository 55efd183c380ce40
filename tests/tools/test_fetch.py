"""Where OpenRPC documents come from: servers, URLs and files, and each thing that can go wrong there."""

import json
import socket
from base64 import b64encode

import pytest
from openrpc_trees import method, parameter, tree

from gjrpc import Application, Registry
from gjrpc.client.options import Options
from gjrpc.errors import SettingsError
from gjrpc.server.tls import server_context
from gjrpc.tools.fetch import PAGE, read

TREE = tree(method(parameter("a")))


@pytest.fixture
def page(serve):
    """Serve one answer at every path: `page(status, body)` returns the server's URL; `page.paths` has the requested paths."""

    def start(status, body, **options):
        def application(environ, start_response):
            start.paths.append(environ["PATH_INFO"])
            start_response(status, [("Content-Type", "application/json")])
            return [body]

        return serve(application, **options).url

    start.paths = []
    return start


def test_file(tmp_path):
    """A saved document is read from its file."""
    (tmp_path / "saved").write_text(json.dumps(TREE))
    assert list(read(str(tmp_path / "saved")).methods) == ["add"]


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"{", "malformed JSON"), (b'"\xff"', "invalid UTF-8"), (b"1", "not an OpenRPC document")]
)
def test_unreadable_file(tmp_path, content, sentence):
    """A file that is not JSON, or not a document, is a SettingsError."""
    (tmp_path / "saved").write_bytes(content)
    with pytest.raises(SettingsError, match=sentence):
        read(str(tmp_path / "saved"))


@pytest.mark.parametrize(("path", "sentence"), [("nope", "No such file"), (".", "Is a directory"), ("a\0b", "null byte")])
def test_no_file(tmp_path, path, sentence):
    """A path that can't be read is a SettingsError that says what is expected."""
    with pytest.raises(SettingsError, match=f"{sentence}.*; expected a server"):
        read(str(tmp_path / path))


def test_server(page):
    """The document of a server is below the path of its URL; a URL that ends in .json is used exactly as given."""
    url = page("200 OK", json.dumps(TREE).encode())
    for asked in ("", "/", "/api/", "/some.json", "/some.json?x=1"):
        assert list(read(url + asked).methods) == ["add"]
    assert page.paths == [PAGE, PAGE, f"/api{PAGE}", "/some.json", "/some.json"]


def test_no_proxy(page, monkeypatch):
    """A request to a loopback host never goes through a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert read(page("200 OK", json.dumps(TREE).encode())).methods


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("404 Not Found", b'{"detail": "no such page"}', r"no such page \(HTTP 404\)$"),
        ("401 Unauthorized", b"", "HTTP 401.*; --token-file names the file"),
        ("200 OK", b"<html>", "malformed JSON"),
        ("200 OK", b'{"a": 1}', "not an OpenRPC document"),
    ],
)
def test_no_page(page, status, body, sentence):
    """An answer that is not a document is a SettingsError that names the server and no credentials."""
    url = page(status, body)
    with pytest.raises(SettingsError, match=sentence) as raised:
        read(url.replace("://", "://user:secret@"))
    assert str(raised.value).startswith(url)
    assert "secret" not in str(raised.value)


def test_refused():
    """A server that does not listen is a SettingsError that says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SettingsError, match=rf"^http://127.0.0.1:{port}{PAGE}: can't connect: Connection refused;"):
        read(f"http://127.0.0.1:{port}")


def test_silence():
    """A server that does not answer in time is a SettingsError that gives the time."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SettingsError, match=r"no answer within 0\.1 s$"):
        read(f"http://127.0.0.1:{listener.getsockname()[1]}", Options(timeout=0.1))


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x"])
def test_bad_url(url):
    """A URL that can't be used is a SettingsError."""
    with pytest.raises(SettingsError, match="can't be fetched"):
        read(url)


def test_trust(page, certificate, monkeypatch):
    """A certificate that is not trusted is a SettingsError that says what to do; with its authority it is trusted."""
    url = page("200 OK", json.dumps(TREE).encode(), ssl_context=server_context(certificate.cert, certificate.key, None))
    with pytest.raises(SettingsError, match=r"can't be verified .*REQUESTS_CA_BUNDLE="):
        read(url)
    assert read(url, Options(verify=certificate.ca)).methods
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate.ca)
    assert read(url).methods


def test_unix(serve, tmp_path):
    """The document of a server on a Unix socket is read; a server that does not listen there is a SettingsError."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    registry = Registry()
    registry.register(len, "size")
    serve(Application(registry), listener=listener)
    assert "size" in read(f"unix:{tmp_path}/socket").methods
    with pytest.raises(SettingsError, match="can't connect"):
        read(f"unix:{tmp_path}/nope")


def test_redirects_are_not_followed(page, serve, tmp_path, monkeypatch):
    """A redirect is a SettingsError that names its target; the target gets no request, and no host gets a password of .netrc."""
    heard = []

    def application(environ, start_response):
        heard.append((environ["HTTP_HOST"], environ.get("HTTP_AUTHORIZATION")))
        start_response("302 Found", [("Location", f"http://me:secret@{other}/x.json?key=secret")])
        return [b""]

    (tmp_path / "netrc").write_text("machine localhost login me password secret\nmachine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = serve(application).url.replace("127.0.0.1", "localhost")
    other = serve(application).url.removeprefix("http://")
    with pytest.raises(SettingsError, match=rf"HTTP 302 redirects to 'http://{other}/x.json\?…'") as raised:
        read(url)
    assert heard == [(url.removeprefix("http://"), None)]
    assert "secret" not in str(raised.value)


def test_credentials_of_the_url(page, serve):
    """Credentials in a URL are sent to its host, percent-decoded."""
    heard = []

    def application(environ, start_response):
        heard.append(environ.get("HTTP_AUTHORIZATION"))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(TREE).encode()]

    assert read(serve(application).url.replace("://", "://me:p%40ss@")).methods
    assert heard == ["Basic " + b64encode(b"me:p@ss").decode()]
