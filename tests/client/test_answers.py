"""Answers that are not results: errors, redirects and junk. No socket is needed."""

import json
import re

import pytest
from scripted_server import response

from gjrpc import RemoteError, WireError
from gjrpc.client.answers import check_status, decoded
from gjrpc.client.dialects import Native


def read(*answer, **headers):
    """Read an answer to the native call `ping`."""
    return Native().read("ping", response(*answer, **headers))


def test_a_problem_is_read_whole():
    """Each member of a problem (RFC 9457) reaches the RemoteError."""
    body = {"title": "Conflict", "detail": "taken", "method": "m", "ref": "r1", "data": [1]}
    with pytest.raises(RemoteError) as raised:
        read(json.dumps(body).encode(), 409)
    error = raised.value
    assert (error.status, error.detail, error.method, error.ref, error.data, error.code) == (409, "taken", "m", "r1", [1], None)


def test_odd_members_are_left_out():
    """Members of a problem with a wrong type are left out; the title replaces a missing detail."""
    with pytest.raises(RemoteError) as raised:
        read(b'{"title":"Title","method":1,"ref":2}', 400)
    assert (raised.value.status, raised.value.detail, raised.value.method, raised.value.ref) == (400, "Title", "ping", None)


@pytest.mark.parametrize(
    "body", [b"<html><h1>502 Bad Gateway</h1>" + b"x" * 1000, b"", b"\xff\xfe\x1b[31m", b"[1]", b'{"detail":1}', b"nope"]
)
def test_foreign_error_pages_are_quoted(body):
    """An error whose body is not a problem raises RemoteError with the status, the reason and a short printable excerpt."""
    with pytest.raises(RemoteError, match="Bad Gateway") as raised:
        read(body, 502, "Bad Gateway")
    assert (raised.value.status, raised.value.method) == (502, "ping")
    assert len(str(raised.value)) < 320
    assert str(raised.value).isprintable()
    if b"html" in body:
        assert "502 Bad Gateway</h1>" in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"ping":', b'{"pong":1}', b'{"ping":1,"x":2}', b"{}", b"[]", b"null", b'{"ping":NaN}', b'{"ping":"\xff"}'],
)
def test_junk(body):
    """A status 200 without `{name: result}` raises WireError, which quotes the body."""
    with pytest.raises(WireError, match="expected HTTP 200") as raised:
        read(body)
    assert (repr(body.decode(errors="replace")) if body else "an empty body") in str(raised.value)


@pytest.mark.parametrize(("status", "body"), [(204, b""), (202, b'{"ping":1}')])
def test_other_successes(status, body):
    """A success with another status than 200 raises WireError with that status."""
    with pytest.raises(WireError, match=f"got HTTP {status}"):
        read(body, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/elsewhere/", "https://example.org/", "http://[", "http://[::1]:99999/", ""])
def test_redirects(status, target):
    """A redirect raises WireError, which names the target."""
    with pytest.raises(WireError, match=re.escape(f"HTTP {status} redirects to {target!r}")):
        read(b"moved", status, Location=target)


def test_a_redirect_shows_no_key():
    """The target of a redirect is shown without credentials and query."""
    with pytest.raises(WireError) as raised:
        check_status("ping", response(b"", 302, Location="https://me:secret@host/a?key=secret"))
    assert "'https://host/a?…'" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_json_of_any_shape_is_decoded():
    """The JSON of an answer is returned whatever it is."""
    assert decoded("ping", response(b" [1] "), "anything") == [1]
