"""The options of commands that send requests: how they become the client's, and each thing that can be wrong with one."""

import pytest

from gjrpc.client.options import Options
from gjrpc.commands.remote import client_options
from gjrpc.errors import SettingsError


def test_none():
    """Without any of them, the client has its defaults."""
    assert client_options((), None, None) == Options(headers={})


def test_headers():
    """Each header is sent, without the blanks around its value, which may contain colons."""
    options = client_options(("X-Trace: a:b ", "x-empty:"), None, None)
    assert options.headers == {"X-Trace": "a:b", "x-empty": ""}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (["X-Trace"], "--header 'X-Trace': expected NAME:VALUE, for example"),
        ([": value"], "--header ': value': expected NAME:VALUE"),
        (["a b: c"], "--header 'a b: c': expected NAME:VALUE"),
        (["a: b\nc: d"], "--header a: the value has characters that a header can't carry"),
        (["a: 日本"], "--header a: the value has characters"),
        (["a: 1", "A: 2"], "--header A: it is given twice"),
    ],
)
def test_unusable_headers(headers, said):
    """A header that can't be sent is an error that names it."""
    with pytest.raises(SettingsError) as raised:
        client_options(tuple(headers), None, None)
    assert str(raised.value).startswith(said)


def test_a_token(tmp_path, caplog):
    """The token in a file is sent; a file that others can read is warned about."""
    path = tmp_path / "token"
    path.write_text("gjrpc_secret\n")
    path.chmod(0o600)
    assert client_options((), str(path), None).headers == {"Authorization": "Bearer gjrpc_secret"}
    assert not caplog.text
    path.chmod(0o644)
    client_options((), str(path), None)
    assert "everyone on this host can read it" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected one line with nothing but the token"),
        ("one two", "expected one line with nothing but the token"),
        ("one\ntwo", "expected one line with nothing but the token"),
        ("größe", "expected one line with nothing but the token"),
        (f"me sha256:{'0' * 64}", "this is the server's file, which has only hashes"),
    ],
)
def test_unusable_tokens(tmp_path, text, said):
    """A file that holds anything but a token is an error, which does not repeat what is in it."""
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said) as raised:
        client_options((), str(path), None)
    assert not text or text not in str(raised.value)


def test_files_that_are_missing(tmp_path):
    """A file that can't be read is an error that names its option."""
    with pytest.raises(SettingsError, match=r"--token-file '.*nope': No such file"):
        client_options((), str(tmp_path / "nope"), None)
    with pytest.raises(SettingsError, match=r"--ca '.*nope': expected a PEM file of certificate authorities: .*No such file"):
        client_options((), None, str(tmp_path / "nope"))


def test_two_credentials(tmp_path):
    """A header with credentials and a token exclude each other."""
    with pytest.raises(SettingsError, match="leave one out"):
        client_options(("authorization: Basic eA==",), str(tmp_path / "token"), None)
