"""OpenRPC documents: where they come from, what they hold, and each thing that can be wrong with one."""

import json
import socket
from base64 import b64encode

import pytest

from gjrpc.errors import SettingsError
from gjrpc.server.tls import server_context
from gjrpc.tools.fetch import PAGE, Document, Failure, Value, read

ADD = {
    "name": "add",
    "params": [{"name": "a", "required": True, "schema": {"type": "integer"}}, {"$ref": "#/components/contentDescriptors/b"}],
    "result": {"$ref": "#/components/contentDescriptors/sum"},
    "errors": [{"$ref": "#/components/errors/tooLarge"}],
    "paramStructure": "by-name",
}
COMPONENTS = {
    "contentDescriptors": {
        "b": {"name": "b", "schema": True},
        "sum": {"$ref": "#/components/contentDescriptors/number"},
        "number": {"name": "number", "schema": {"type": "number"}},
        "circle": {"$ref": "#/components/contentDescriptors/circle"},
    },
    "errors": {"tooLarge": {"code": 7, "message": "too large", "data": [1]}},
    "schemas": {"a/b~c": {"type": "null"}, "list": [True, {"type": "string"}]},
}
INFO = {"title": "Sums", "version": "2"}
TREE = {"openrpc": "1.3.2", "info": INFO, "methods": [ADD], "components": COMPONENTS}


def method(**changed):
    """The document with another method."""
    return {**TREE, "methods": [{**ADD, **changed}]}


@pytest.fixture
def page(serve):
    """Serve one answer at every path: `page(status, body)` gives the server's URL, and `page.paths` what was asked for."""

    def start(status, body, **options):
        def application(environ, start_response):
            start.paths.append(environ["PATH_INFO"])
            start_response(status, [("Content-Type", "application/json")])
            return [body]

        return serve(application, **options).url

    start.paths = []
    return start


def test_document():
    """A document gives its methods with all references but those of schemas resolved."""
    document = Document(TREE, "here")
    (add,) = document.methods.values()
    assert document.info.title == "Sums"
    assert add.params == [Value("a", {"type": "integer"}, required=True), Value("b", True)]
    assert add.result == Value("number", {"type": "number"})
    assert add.errors == [Failure(7, "too large")]
    assert add.param_structure == "by-name"


def test_resolve():
    """A reference is a JSON pointer, with its escapes, into objects and arrays."""
    document = Document(TREE, "here")
    assert document.resolve("#") == TREE
    assert document.resolve("#/components/schemas/a~1b~0c") == {"type": "null"}
    assert document.resolve("#/components/schemas/a~1b%7E0c") == {"type": "null"}
    assert document.resolve("#/components/schemas/list/0") is True


@pytest.mark.parametrize(
    "reference", ["", "x.json", "x.json#/info", "#info", "#/nope", "#/components/schemas/list/2", "#/openrpc/0"]
)
def test_resolve_to_nothing(reference):
    """A reference that points to nothing, or out of the document, is a LookupError that names it."""
    with pytest.raises(LookupError, match="points"):
        Document(TREE, "here").resolve(reference)


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ([], "Expected `object`, got `array`"),
        ({}, "missing required field `openrpc`"),
        ({**TREE, "openrpc": "2.0.0"}, "OpenRPC '2.0.0'; expected a version 1"),
        ({**TREE, "methods": [1]}, "Expected `object`, got `int`"),
        ({**TREE, "methods": [ADD, ADD]}, "two methods 'add'"),
        ({**TREE, "methods": [{"$ref": "#/nope"}]}, "'#/nope' points to nothing"),
        ({**TREE, "methods": [{"$ref": "#/components/schemas/list"}]}, "Expected `object`, got `array`"),
        (method(name=1), "Expected `str`, got `int` - at `$.name`"),
        (method(params=[{"name": "a"}]), "missing required field `schema`"),
        (method(params=[{"name": "a", "schema": 1}]), "got `int` - at `$.params[0].schema`"),
        (method(params=3), "Expected `array`, got `int`"),
        (method(paramStructure="any"), "Invalid enum value 'any'"),
        (method(result={"$ref": "#/components/contentDescriptors/circle"}), "points to itself"),
    ],
)
def test_no_document(tree, sentence):
    """What is no OpenRPC document is a SettingsError that names the source and what is wrong."""
    with pytest.raises(SettingsError, match=r"^here: ") as raised:
        Document(tree, "here")
    assert sentence in str(raised.value)


def test_file(tmp_path):
    """A saved document is read from its file."""
    (tmp_path / "saved").write_text(json.dumps(TREE))
    assert list(read(str(tmp_path / "saved")).methods) == ["add"]


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"{", "malformed JSON"), (b'"\xff"', "invalid UTF-8"), (b"1", "not an OpenRPC document")]
)
def test_unreadable_file(tmp_path, content, sentence):
    """A file that is no JSON, or no document, is a SettingsError."""
    (tmp_path / "saved").write_bytes(content)
    with pytest.raises(SettingsError, match=sentence):
        read(str(tmp_path / "saved"))


@pytest.mark.parametrize(("path", "sentence"), [("nope", "No such file"), (".", "Is a directory"), ("a\0b", "null byte")])
def test_no_file(tmp_path, path, sentence):
    """A path that can't be read is a SettingsError that also says what can be given."""
    with pytest.raises(SettingsError, match=f"{sentence}.*; expected a server"):
        read(str(tmp_path / path))


def test_server(page):
    """A server's URL is asked for the page that has the document, below its path; a URL that ends in .json is taken as it is."""
    url = page("200 OK", json.dumps(TREE).encode())
    for asked in ("", "/", "/api/", "/some.json", "/some.json?x=1"):
        assert list(read(url + asked).methods) == ["add"]
    assert page.paths == [PAGE, PAGE, f"/api{PAGE}", "/some.json", "/some.json"]


def test_no_proxy(page, monkeypatch):
    """A loopback host is never asked through a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert read(page("200 OK", json.dumps(TREE).encode())).methods


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("404 Not Found", b"{}", f"HTTP 404 Not Found from {PAGE}"),
        ("401 Unauthorized", b"", "HTTP 401"),
        ("200 OK", b"<html>", "malformed JSON"),
        ("200 OK", b'{"a": 1}', "not an OpenRPC document"),
    ],
)
def test_no_page(page, status, body, sentence):
    """An answer that is no document is a SettingsError that names the server and no credentials."""
    url = page(status, body)
    with pytest.raises(SettingsError, match=sentence) as raised:
        read(url.replace("://", "://user:secret@"))
    assert str(raised.value).startswith(f"{url}: ")


def test_refused():
    """A server that is not there is a SettingsError that says so in few words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SettingsError, match=rf"^http://127.0.0.1:{port}: can't connect: Connection refused;"):
        read(f"http://127.0.0.1:{port}")


def test_silence(monkeypatch):
    """A server that does not answer in time is a SettingsError that says how long it was waited for."""
    monkeypatch.setattr("gjrpc.tools.fetch.TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SettingsError, match=r"no answer within 0\.1 s$"):
        read(f"http://127.0.0.1:{listener.getsockname()[1]}")


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x"])
def test_bad_url(url):
    """A URL that is none is a SettingsError."""
    with pytest.raises(SettingsError, match="can't be read"):
        read(url)


def test_trust(page, certificate, monkeypatch):
    """A certificate that is not trusted is a SettingsError that tells what to do, and then it is fine."""
    url = page("200 OK", json.dumps(TREE).encode(), ssl_context=server_context(certificate.cert, certificate.key, None))
    with pytest.raises(SettingsError, match=r"can't be verified .*REQUESTS_CA_BUNDLE="):
        read(url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate.ca)
    assert read(url).methods


DISCOVERED = """
import json

def application(environ, start_response):
    call = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    answer = {"jsonrpc": "2.0", "id": call["id"]}
    if call["method"] == "rpc.discover":
        answer["result"] = TREE
    else:
        answer["error"] = {"code": -32601, "message": "no method"}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


def test_unix(launch, tmp_path):
    """A server on a unix socket is asked by rpc.discover; one that is not there is a SettingsError."""
    (tmp_path / "app.py").write_text(f"TREE = {TREE!r}\n{DISCOVERED}")
    launched = launch("-m", "gjrpc.serve", "app:application", "--bind", f"unix:{tmp_path}/socket", cwd=tmp_path)
    assert list(read(launched.wait_url()).methods) == ["add"]
    with pytest.raises(SettingsError, match="can't connect"):
        read(f"unix:{tmp_path}/nope")


def test_redirects_are_not_followed(page, serve, tmp_path, monkeypatch):
    """A redirect is a SettingsError that says where it points; the other host hears nothing, and nobody a password of .netrc."""
    heard = []

    def application(environ, start_response):
        heard.append((environ["HTTP_HOST"], environ.get("HTTP_AUTHORIZATION")))
        start_response("302 Found", [("Location", f"http://me:secret@{other}/x.json?key=secret")])
        return [b""]

    (tmp_path / "netrc").write_text("machine localhost login me password secret\nmachine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = serve(application).url.replace("127.0.0.1", "localhost")
    other = serve(application).url.removeprefix("http://")
    with pytest.raises(
        SettingsError, match=rf"HTTP 302 redirects to 'http://{other}/x.json\?…'; give that URL if you trust it"
    ) as raised:
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


def test_one_pointer_for_each_place():
    """Each spelling of a reference gives the same schema, so that what it costs is bounded; an index has no zeros in front."""
    document = Document(TREE, "here")
    assert document.resolve("#/components/schemas/list") is document.resolve("#/%63omponents/schemas/%6cist")
    with pytest.raises(LookupError):
        document.resolve("#/components/schemas/list/00")
