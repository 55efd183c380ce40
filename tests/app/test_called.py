"""The names of the methods that a request calls, for the access log."""

import json

import pytest

from gjrpc.app.called import called
from gjrpc.http.messages import Head, Request


@pytest.mark.parametrize(
    ("verb", "target", "body", "name"),
    [
        ("GET", "/add?a=1", "", "add"),
        ("HEAD", "/stats.cpu", "", "stats.cpu"),
        ("GET", "/echo;hello", "", "echo"),
        ("GET", "/h%C3%B6he", "", "höhe"),
        ("POST", "/add", "[1, 2]", "add"),
        ("POST", "/", '{"add": [1, 2]}', "add"),
        ("POST", "/", ' {"add": {"method": "other"}}', "add"),
        ("POST", "/", '{"jsonrpc": "2.0", "params": {"method": "other"}, "method": "add", "id": 1}', "add"),
        ("POST", "/", '{"method": "x"}', "method"),
        ("POST", "/", '[{"jsonrpc": "2.0", "method": "a"}, {"jsonrpc": "2.0", "method": "b"}]', "a,b"),
        ("POST", "/", '[1, {"jsonrpc": "2.0", "method": 5}, {"jsonrpc": "2.0", "method": "b"}, 2, 3]', "-,-,b,+2"),
        ("POST", "/", "[]", None),
        ("POST", "/", '{"a": 1, "b": 2}', None),
        ("POST", "/", '{"jsonrpc": "2.0"}', None),
        ("POST", "/", "nonsense", None),
        ("POST", "/", "5", None),
        ("POST", "/", "", None),
        ("POST", "/", "{" * 100_000, None),
        ("POST", "/", '{"a":' + "[" * 100_000, None),
        ("GET", "/", "", None),
        ("GET", "/%ff", "", None),
        ("GET", "/-/healthy", "", None),
        ("OPTIONS", "/add", "", None),
        ("GET", "/" + "x" * 5000, "", "x" * 100 + "…"),
        ("POST", "/", json.dumps({"x" * 5000: 1}), "x" * 100 + "…"),
    ],
)
def test_the_name(verb, target, body, name):
    """A call is named in each dialect, and the first few of a batch; a request that is no call has no name."""
    assert called(Request(Head(verb, target), body.encode())) == name


def test_invalid_utf8():
    """A name that is not UTF-8 is no name."""
    assert called(Request(Head("POST", "/"), b'{"\xff": 1}')) is None
