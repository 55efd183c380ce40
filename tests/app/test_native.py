"""The native dialect."""

import json

import pytest

from gjrpc.app.native import read_message, read_named_body, read_target, success
from gjrpc.calls.call import Call
from gjrpc.errors import InvalidRequest, ParseError
from gjrpc.values.codec import Decoder

TARGETS = {
    "a name": ("/ping", "ping", None),
    "a dotted name": ("/stats.cpu", "stats.cpu", None),
    "an encoded name": ("/gr%C3%B6%C3%9Fe", "größe", None),
    "a name in raw UTF-8": ("/größe".encode().decode("latin-1"), "größe", None),
    "a name with encoded marks": ("/a%2Fb%3Bc%3Fd%25", "a/b;c?d%", None),
    "a name with a slash": ("/a/b", "a/b", None),
    "a value": ("/echo;hello", "echo", "hello"),
    "an encoded value": ("/echo;a%20b%3Bc%C3%A4", "echo", "a b;cä"),
    "a value with a semicolon": ("/echo;a;b", "echo", "a;b"),
    "a value with a plus": ("/echo;a+b", "echo", "a+b"),
    "a value that looks like a query": ("/echo;a=1&b=2", "echo", "a=1&b=2"),
    "an empty value": ("/echo;", "echo", ""),
    "named values": ("/add?a=1&b=2", "add", {"a": ["1"], "b": ["2"]}),
    "repeated values": ("/sum?n=1&n=2", "sum", {"n": ["1", "2"]}),
    "empty values": ("/add?a=&b", "add", {"a": [""], "b": [""]}),
    "encoded values": ("/add?a%20b=%C3%A4+c%26d%3De", "add", {"a b": ["ä c&d=e"]}),
    "values in raw UTF-8": ("/add?ä=ö".encode().decode("latin-1"), "add", {"ä": ["ö"]}),
    "a question mark in a value": ("/add?a=b?c", "add", {"a": ["b?c"]}),
    "a semicolon in a query": ("/add?a=1;b=2", "add", {"a": ["1;b=2"]}),
    "an empty query": ("/ping?", "ping", None),
    "no percent code": ("/a%zz?b=%z", "a%zz", {"b": ["%z"]}),
}


@pytest.mark.parametrize(("target", "name", "arguments"), TARGETS.values(), ids=TARGETS)
def test_a_target_spells_a_call(target, name, arguments):
    """Path and query name the method and its texts, percent-decoded as UTF-8."""
    call = read_target(target)
    assert (call.name, call.arguments, call.text) == (name, arguments, True)


def test_a_target_is_read_once():
    """The reading of a target is remembered."""
    assert read_target("/once?a=1") is read_target("/once?a=1")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/", "no method is named"),
        ("/;x", "no method is named"),
        ("/?a=1", "no method is named"),
        ("*", "no method is named"),
        ("/a;b?c=d", "both as ;VALUE and as ?name=value"),
        ("/%FF", "the path '%FF' is not percent-encoded UTF-8"),
        ("/\xff", "the path 'ÿ' is not percent-encoded UTF-8"),
        ("/echo;%C3", "the path '%C3' is not percent-encoded UTF-8"),
        ("/add?a=%FF", "the query 'a=%FF' is not percent-encoded UTF-8"),
        ("/add?%FF=a", "is not percent-encoded UTF-8"),
        ("/add?a=\xff", "is not percent-encoded UTF-8"),
        ("/" + "a" * 1000 + "%FF", f"the path '{'a' * 100}…' is not"),
        ("/add?" + "a" * 1000 + "%FF", f"the query '{'a' * 100}…' is not"),
        ("/add?" + "a&" * 256, "more than 256 arguments: send them in the body of a POST"),
    ],
)
def test_a_target_that_spells_no_call_is_refused(target, words):
    """A target without a name, with arguments twice, or in another coding is an InvalidRequest that says so."""
    with pytest.raises(InvalidRequest) as caught:
        read_target(target)
    assert words in caught.value.message


@pytest.mark.parametrize("arguments", [[1, 2], {"a": 1}, 0, False, "", None, "text"], ids=repr)
def test_a_message_has_one_key(arguments):
    """The one key of an object is the method's name, and its value the arguments, whatever that is."""
    call = read_message({"add": arguments})
    assert (call.name, call.arguments, call.text) == ("add", arguments, False)


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ({}, "an object with 0 keys"),
        ({"a": 1, "b": 2}, "an object with 2 keys"),
        ([1], "an array"),
        ("a", "a string"),
        (1, "a number"),
        (1.5, "a number"),
        (True, "a boolean"),
        (None, "null"),
    ],
)
def test_another_message_is_refused(message, what):
    """What is not an object with one key is refused by what it is, with the way for several calls."""
    with pytest.raises(InvalidRequest) as caught:
        read_message(message)
    assert caught.value.message == (
        f'expected an object with exactly one key, {{"NAME": ARGS}}, got {what}; several calls go as a JSON-RPC 2.0 batch'
    )


@pytest.mark.parametrize(
    ("target", "body", "arguments"), [("/add", b"[1,2]", [1, 2]), ("/add", b"", []), ("/add?", b"null", None), ("/add", b"0", 0)]
)
def test_a_body_is_the_arguments(target, body, arguments):
    """The body of a POST to a name is its arguments, and an empty one means none."""
    call = read_named_body(target, body)
    assert (call.name, call.arguments, call.text) == ("add", arguments, False)


@pytest.mark.parametrize(
    ("target", "body", "kind", "words"),
    [
        ("/add?a=1", b"", InvalidRequest, "give one of them"),
        ("/add;1", b"[1]", InvalidRequest, "give one of them"),
        ("/add;", b"[1]", InvalidRequest, "give one of them"),
        ("/;1", b"[1]", InvalidRequest, "no method is named"),
        ("/add", b"[1", ParseError, "ends too early"),
        ("/add", b"[[[1]]]", ParseError, "deeper than 2 levels"),
    ],
)
def test_a_body_that_is_no_arguments_is_refused(target, body, kind, words):
    """A malformed body, one beyond the depth, and arguments in the path too are refused."""
    with pytest.raises(kind, match=words):
        read_named_body(target, body, Decoder(max_depth=2).decode)


@pytest.mark.parametrize("name", ["ping", "größe", 'a"b\\'])
def test_a_success_is_an_object_with_the_name(name):
    """A success is the method's name and its result on one line, however the name is spelled."""
    written = success(name, b"[1]")
    assert json.loads(written) == {name: [1]}
    assert b"\n" not in written
    assert success("ping", b'"pong"') == b'{"ping":"pong"}'


def test_a_call_shows_what_it_is():
    """The repr of a call shows name and arguments."""
    assert repr(Call("add", [1])) == "<Call add [1]>"
