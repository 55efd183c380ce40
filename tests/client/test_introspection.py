"""What a server says about its methods, from scripted answers. No socket is needed."""

import pytest

from gjrpc.client.introspection import Introspection, signature_of
from gjrpc.errors import WireError


class Server:
    """Answers calls from a table, and records them."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    def __call__(self, name, *args):
        self.calls.append(name)
        if name not in self.answers:
            raise WireError("no answer")
        return self.answers[name]


def test_attributes():
    """Names become attributes level by level; those that Python can't write as an attribute are left out."""
    server = Server(list_methods=["add", "odd-name", "stats.cpu", "stats.net.in", "stats._hidden", 5])
    introspection = Introspection(server)
    assert introspection.attributes() == {"add", "stats"}
    assert introspection.attributes("stats.") == {"cpu", "net"}
    assert server.calls == ["list_methods"]


def test_a_server_that_cannot_be_asked():
    """Without an answer there are no attributes, describing a method raises, and the next attempt asks again."""
    server = Server()
    introspection = Introspection(server)
    assert introspection.attributes() == set()
    with pytest.raises(WireError):
        introspection.describe("add")
    server.answers = {"list_methods": ["add"]}
    assert introspection.attributes() == {"add"}


def test_describe():
    """A method's signature and help are read once; control characters in the help are escaped."""
    server = Server(method_signature={"add": ["a", "*rest"]}, method_help="Add.\n\x1b[2J")
    introspection = Introspection(server)
    assert introspection.known_signature("add") is None
    for _ in range(2):
        signature, text = introspection.describe("add")
        assert str(signature) == "(a, *rest)"
        assert text == "Add.\n\\x1b[2J"
    assert introspection.known_signature("add") is signature
    assert server.calls == ["method_signature", "method_help"]


def test_signature():
    """Parameters after `*name` are keyword-only."""
    assert str(signature_of(["a", "*rest", "c", "**more"])) == "(a, *rest, c, **more)"


@pytest.mark.parametrize("names", [None, 5, [1, 2], ["***a"], ["a", "a"], ["a b"]])
def test_no_signature(names):
    """Anything that is not a list of parameter names gives no signature."""
    assert signature_of(names) is None
