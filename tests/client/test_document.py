"""Documents that the client reads with GET."""

import socket

import pytest

from gjrpc import Application, MisuseError, Registry, RemoteError, WireError
from gjrpc.client.document import read_document
from gjrpc.client.options import Options


@pytest.fixture
def page(serve):
    """Serve one answer at each path: `page(status, body, headers)` returns the server's URL."""

    def start(status, body=b"", headers=()):
        def application(environ, start_response):
            start_response(status, [*headers, ("X-Path", environ["PATH_INFO"])])
            return [body]

        return serve(application).url

    return start


def test_a_document_is_returned(page):
    """The body of an answer with status 200 is returned unchanged."""
    assert read_document(page("200 OK", b"{}") + "/openrpc.json") == b"{}"


def test_a_unix_socket(serve, tmp_path):
    """With a Unix socket, `path` is the path of the document."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    serve(Application(Registry()), listener=listener)
    assert b'"openrpc":' in read_document(f"unix:{tmp_path}/socket", "-/openrpc.json")


def test_headers_and_credentials_are_sent(serve):
    """The headers and credentials of the options are sent with the request."""
    seen = []

    def application(environ, start_response):
        seen.extend([environ["HTTP_X_TRACE"], environ["HTTP_AUTHORIZATION"]])
        start_response("200 OK", [])
        return [b""]

    read_document(serve(application).url, options=Options(headers={"X-Trace": "1"}, auth=("me", "secret")))
    assert seen == ["1", "Basic bWU6c2VjcmV0"]


def test_an_error_answer(page):
    """An answer with an error status raises RemoteError, with the server's sentence after the URL."""
    url = page("404 Not Found", b'{"detail":"no such page"}')
    with pytest.raises(RemoteError, match=rf"^{url}/x: no such page \(HTTP 404\)$"):
        read_document(f"{url}/x")


def test_redirects_are_not_followed(page):
    """A redirect raises WireError, which names the target without its query."""
    url = page("302 Found", headers=[("Location", "http://host/x?key=secret")])
    with pytest.raises(WireError, match=r"HTTP 302 redirects to 'http://host/x\?…'"):
        read_document(url)


def test_another_success_is_no_document(page):
    """A success with another status than 200 raises WireError."""
    with pytest.raises(WireError, match="expected HTTP 200 with a document, got HTTP 202"):
        read_document(page("202 Accepted", b"soon"))


def test_too_many_bytes(page):
    """A document with more bytes than `max_answer` raises WireError."""
    with pytest.raises(WireError, match="more than 10 bytes"):
        read_document(page("200 OK", b" " * 11), options=Options(max_answer=10))


def test_a_url_that_cannot_be_used():
    """A URL that can't be used raises MisuseError."""
    with pytest.raises(MisuseError, match="no scheme"):
        read_document("host/openrpc.json")
