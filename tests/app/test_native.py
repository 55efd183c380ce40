"""The native dialect."""

import json

import pytest

from gjrpc.app.native import NativeDialect, read_name, read_query, read_target
from gjrpc.calls.call import Call
from gjrpc.calls.registry import Registry
from gjrpc.errors import InvalidArguments, InvalidRequest, ParseError
from gjrpc.http.messages import Head, Request
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
    """A target is read once."""
    assert read_target("/once?a=1") is read_target("/once?a=1")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/", "the path names no method"),
        ("/;x", "the path names no method"),
        ("/?a=1", "the path names no method"),
        ("*", "the path names no method"),
        ("/a;b?c=d", "both in ;VALUE and in ?name=value"),
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
    """A target without a name, with arguments twice, or in another encoding is an InvalidRequest that says so."""
    with pytest.raises(InvalidRequest) as caught:
        read_target(target)
    assert words in caught.value.message


class Noted:
    """A dispatcher that notes the calls that it is given."""

    def __init__(self, outcome=b"1"):
        self.registry = Registry()
        self.outcome = outcome
        self.calls = []

    def run(self, call):
        """Note a call."""
        self.calls.append((call.name, call.arguments, call.text))
        return self.outcome


POST = Request(Head("POST", "/"))


@pytest.mark.parametrize("arguments", [[1, 2], {"a": 1}, 0, False, "", None, "text"], ids=repr)
def test_a_message_has_one_key(arguments):
    """The one key of an object is the method's name, and its value the arguments, whatever that is."""
    noted = Noted()
    assert NativeDialect(noted).answer({"add": arguments}, POST).body == b'{"add":1}'
    assert noted.calls == [("add", arguments, False)]


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
    """Any other message is refused with what it is, and how to send several calls."""
    with pytest.raises(InvalidRequest) as caught:
        NativeDialect(Noted()).answer(message, POST)
    assert caught.value.message == (
        f'expected an object with exactly one key, {{"NAME": ARGS}}, got {what}; send several calls as a JSON-RPC 2.0 batch'
    )


@pytest.mark.parametrize(("body", "arguments"), [(b"[1,2]", [1, 2]), (b"", []), (b"null", None), (b"0", 0)])
def test_a_body_is_the_arguments(body, arguments):
    """The body of a POST to a name is its arguments; an empty one means none."""
    noted = Noted()
    assert NativeDialect(noted).answer_named("add", body).body == b'{"add":1}'
    assert noted.calls == [("add", arguments, False)]


@pytest.mark.parametrize(("body", "words"), [(b"[1", "ends too early"), (b"[[[1]]]", "deeper than 2 levels")])
def test_a_body_that_is_no_arguments_is_refused(body, words):
    """A malformed body, and one beyond the depth, are refused."""
    with pytest.raises(ParseError, match=words):
        NativeDialect(Noted(), Decoder(max_depth=2).decode).answer_named("add", body)


@pytest.mark.parametrize("target", ["/add", "/add?", "/a%64d"])
def test_a_path_names_a_method(target):
    """The path of a POST is a name."""
    assert read_name(target).name == "add"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/add?a=1", "remove those in the path"),
        ("/add;1", "remove those in the path"),
        ("/add;", "remove those in the path"),
        ("/;1", "the path names no method"),
    ],
)
def test_a_path_with_arguments_names_no_method_to_post_to(target, words):
    """A POST whose path has arguments too, or no name, is refused."""
    with pytest.raises(InvalidRequest, match=words):
        read_name(target)


def test_a_query_is_read_by_name():
    """Each name of a query has its values, in order."""
    assert read_query("a=1&b=%C3%A4&a=&c") == {"a": ["1", ""], "b": ["ä"], "c": [""]}
    assert read_query("") == {}


@pytest.mark.parametrize("name", ["ping", "größe", 'a"b\\'])
def test_a_success_is_an_object_with_the_name(name):
    """A success is the method's name and its result on one line, however the name is spelled."""
    response = NativeDialect(Noted(b"[1]")).run(Call(name, []))
    assert (response.status, json.loads(response.body)) == (200, {name: [1]})
    assert b"\n" not in response.body


def test_an_error_is_a_problem():
    """An error is written with its own status and the method's name."""
    response = NativeDialect(Noted(InvalidArguments("no"))).run(Call("add", []))
    assert (response.status, json.loads(response.body)["method"]) == (400, "add")
    malformed = NativeDialect(Noted()).answer_malformed(POST, ParseError("malformed JSON"))
    assert (malformed.status, json.loads(malformed.body)["detail"]) == (400, "malformed JSON")


def test_a_call_shows_what_it_is():
    """The repr of a call shows name and arguments."""
    assert repr(Call("add", [1])) == "<Call add [1]>"
