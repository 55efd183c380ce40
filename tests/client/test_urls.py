"""The URLs of servers: which are accepted, and what errors and logs show of them."""

import pytest
from scripted_server import response

from gjrpc import Client, MisuseError
from gjrpc.client.urls import parse_url, redacted, redacted_body


@pytest.mark.parametrize(
    ("url", "exact", "target", "path"),
    [
        ("http://host:80", False, "http://host:80/", None),
        ("https://host/rpc", False, "https://host/rpc/", None),
        ("https://host/rpc/", False, "https://host/rpc/", None),
        ("http://host/rpc?key=1", True, "http://host/rpc?key=1", None),
        ("http://host", True, "http://host/", None),
        ("unix:/run/a b", False, "http://localhost/", "/run/a b"),
    ],
)
def test_targets(url, exact, target, path):
    """A path gets a slash at its end, unless the URL is to be used exactly as given; a Unix socket is localhost."""
    assert parse_url(url, exact) == (target, path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/a", "http://host/a"),
        ("http://me:secret@host/a?key=secret#b", "http://host/a?…"),
        ("/a?key=secret", "/a?…"),
        ("http://[::1/?secret", "http://[::1/?…"),
    ],
)
def test_redacted(url, shown):
    """Credentials, the query and the fragment of a URL are not shown."""
    assert redacted(url) == shown


def test_redacted_body():
    """The values of the query are removed from what a server repeats, encoded or decoded; short values stay."""
    made = response(b"no key=s3cr%2Ft, s3cr/t or 1")
    made.url = "http://host/?key=s3cr%2Ft&x=1"
    assert redacted_body(made) == "no key=…, … or 1".encode()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("localhost:9999", "no scheme"),
        ("127.0.0.1:9999", "no scheme"),
        ("", "no scheme"),
        ("ftp://host", "unknown scheme 'ftp'"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://host:port", "port"),
        ("http://host:99999", "[Pp]ort"),
        ("http://[::1", "Invalid IPv6"),
        ("http://host/?a=1", "query"),
        ("http://host/#a", "fragment"),
        ("http://host/?apikey=secret", "query"),
        ("http://me:secret@[::1", "auth="),
        ("http://me:sec/ret@host", "auth="),
        ("http://me:secret@host:port", "auth="),
        ("me:secret@host", "no scheme"),
        ("http://host\n/", "expected a URL"),
        ("http://ho st/", "expected a URL"),
        ("http://.host/", "can't be sent"),
        ("http://" + "ä" * 100 + "/", "can't be sent"),
        ("unix:", "no scheme"),
        (None, "expected a URL"),
        (b"http://host", "expected a URL"),
        ("http://me:secret@host", "auth="),
    ],
)
def test_bad_urls(url, text):
    """A URL that can't be used raises MisuseError, which names the valid forms and shows no password."""
    with pytest.raises(MisuseError, match=text) as raised:
        Client(url)
    assert "secret" not in str(raised.value)
    if "can't be sent" not in text and "auth" not in text:
        assert '"unix:/path/to.sock"' in str(raised.value)
