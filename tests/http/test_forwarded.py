"""The client's address and scheme behind trusted proxies."""

import pytest

from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.http.access_log import Answered
from gjrpc.http.forwarded import ForwardedLog, Proxies, node
from gjrpc.http.messages import Head
from gjrpc.http.proxy_protocol import Unnamed

PEER = ("10.0.0.1", 5000)
INNER = Proxies(["10.0.0.0/8", "fd00::/8", "unix"])


def head(*values, name="x-forwarded-for"):
    """Return the head of a request with these header lines."""
    return Head("GET", "/ping", [("host", "x"), *((name, value) for value in values)])


@pytest.mark.parametrize(
    ("entry", "address", "trusted"),
    [
        ("10.0.0.1", PEER, True),
        ("10.0.0.2", PEER, False),
        ("10.0.0.0/8", PEER, True),
        ("10.0.0.0/8", ("::ffff:10.0.0.1", 5, 0, 0), True),
        ("fe80::/10", ("fe80::1%eth0", 5, 0, 2), True),
        ("::1", ("::1", 5, 0, 0), True),
        ("10.0.0.0/8", "", False),
        ("unix", "", True),
        ("unix", PEER, False),
    ],
)
def test_who_is_trusted(entry, address, trusted):
    """A proxy is trusted by its address, its network, or as a client of a Unix socket; no other client is."""
    assert Proxies([entry]).trusts(address) is trusted


@pytest.mark.parametrize("entry", ["nonsense", "10.0.0.1/8", "10.0.0.0/33", "proxy.example.org"])
def test_an_entry_that_is_no_network(entry):
    """An entry that is neither an address nor a network is refused, and the error says what was expected."""
    with pytest.raises(SettingsError, match=r"--trusted-proxies .*expected an address \(10\.0\.0\.5\)"):
        Proxies([entry])


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([], "10.0.0.1"),
        (["192.0.2.1"], "192.0.2.1"),
        (["203.0.113.9, 192.0.2.1"], "192.0.2.1"),  # the first is what the client claims
        (["203.0.113.9, 192.0.2.1, 10.0.0.7 ,10.0.0.8"], "192.0.2.1"),
        (["203.0.113.9", "192.0.2.1,10.0.0.7"], "192.0.2.1"),  # two lines are one list
        (["10.0.0.6, 10.0.0.7"], "10.0.0.6"),
        (["203.0.113.9, unknown, 10.0.0.7"], "10.0.0.7"),
        (["203.0.113.9, "], "10.0.0.1"),
        (["<script>"], "10.0.0.1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["192.0.2.1:4711"], "192.0.2.1"),
    ],
)
def test_forwarded_for(values, client):
    """The list is read from its end, and the first address that is not a trusted proxy's is the client's."""
    assert INNER.client(PEER, head(*values))[0] == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ("For=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        ('for=203.0.113.9, for="192.0.2.1:80" , for=10.0.0.7', "192.0.2.1"),
        ('for="192.0.2\\.1"', "192.0.2.1"),
        ('for="203.0.113.9, for=192.0.2.1"', "10.0.0.1"),  # a comma in quotation marks ends nothing
        ("for=192.0.2.1:80", "192.0.2.1"),
        ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
        ("for=203.0.113.9, proto=http", "10.0.0.1"),
        ('for=203.0.113.9, for="192.0.2.1', "10.0.0.1"),
        ("for=203.0.113.9, nonsense", "10.0.0.1"),
    ],
)
def test_forwarded(value, client):
    """RFC 7239's header is read the same way, with quoted strings and other pairs; a malformed one is ignored."""
    proxies = Proxies(["10.0.0.0/8"], "forwarded")
    assert proxies.client(PEER, head(value, name="forwarded"))[0] == client


def test_only_the_named_header_counts():
    """Only the configured header is read, because a client can send the others; with `off` none is."""
    forged = head("for=203.0.113.9", name="forwarded")
    assert INNER.client(PEER, forged) == PEER
    assert Proxies(["10.0.0.0/8"], "off").client(PEER, head("192.0.2.1")) == PEER


def test_nobody_is_trusted_unless_named():
    """For a client that is not a trusted proxy its own address counts, whatever its headers claim."""
    stranger = ("198.51.100.7", 5000)
    assert INNER.client(stranger, head("192.0.2.1")) == stranger
    assert Proxies([]).client(PEER, head("192.0.2.1")) == PEER
    assert INNER.client("", head("192.0.2.1"))[0] == "192.0.2.1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        (" 192.0.2.1:65535 ", ("192.0.2.1", 65535)),
        ("192.0.2.1:65536", ("192.0.2.1", 0)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
        ("[2001:db8::1", ("2001:db8::1", 0)),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("192.0.2", None),
        ("192.0.2.1\u0663", None),
    ],
)
def test_a_node(text, found):
    """A node is an address of either family, with or without a port, and nothing else."""
    assert node(text) == found


def test_the_settings():
    """The options make the list of proxies; the PROXY protocol without trusted proxies is refused."""
    assert Settings().proxies is None
    proxies = Settings(trusted_proxies=("10.0.0.0/8",), forwarded_header="forwarded", proxy_protocol=True).proxies
    assert proxies is not None
    assert proxies.client(PEER, head("for=192.0.2.1", name="forwarded"))[0] == "192.0.2.1"
    with pytest.raises(SettingsError, match="--proxy-protocol needs --trusted-proxies"):
        _ = Settings(proxy_protocol=True).proxies


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (("10.0.0.1", 1), "192.0.2.1"),
        ("", "192.0.2.1"),
        (("203.0.113.9", 1), "203.0.113.9"),
        (Unnamed(("10.0.0.1", 1)), "10.0.0.1"),
        (Unnamed(("unix", 0)), "unix"),
    ],
)
def test_by_name(address, name):
    """The client's name comes from the header only if the peer is trusted and its PROXY header names a client."""
    assert INNER.name(address, head("192.0.2.1")) == name


class Peer:
    """A client without TLS."""

    scheme = "http"

    def __init__(self, address):
        self.client_address = address


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({}, "http"),
        ({"x-forwarded-proto": "https"}, "https"),
        ({"x-forwarded-proto": "HTTPS "}, "https"),
        ({"x-forwarded-proto": "http"}, "http"),
        ({"x-forwarded-proto": "javascript"}, "http"),
        ({"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1, 10.0.0.7"}, "https"),  # one word for all hops
        ({"x-forwarded-proto": "https, http", "x-forwarded-for": "192.0.2.1, 10.0.0.7"}, "https"),
        ({"x-forwarded-proto": "https, http", "x-forwarded-for": "192.0.2.1"}, "http"),  # the first is what the client claims
        ({"x-forwarded-proto": "https, http"}, "http"),
        ({"forwarded": "for=192.0.2.1;proto=https"}, "http"),  # not the header that the proxy is said to set
    ],
)
def test_the_scheme(headers, scheme):
    """Only a trusted proxy can report the client's scheme."""
    asked = Head("GET", "/", headers.items())
    assert INNER.scheme(Peer(PEER), asked) == scheme
    for stranger in (("203.0.113.9", 1), Unnamed(PEER)):
        assert INNER.scheme(Peer(stranger), asked) == "http"
    assert Proxies(["10.0.0.0/8"], "off").scheme(Peer(PEER), asked) == "http"


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("for=192.0.2.1;proto=https", "https"),
        ('for=192.0.2.1;proto="HTTPS";by=10.0.0.1', "https"),
        ("for=203.0.113.9;proto=https, for=192.0.2.1;proto=http", "http"),
        ("for=192.0.2.1;proto=https, for=10.0.0.7;proto=http", "https"),
        ("for=192.0.2.1", "http"),
        ("proto=https", "https"),
        ("nonsense", "http"),
    ],
)
def test_the_scheme_in_forwarded(value, scheme):
    """In `Forwarded` the scheme comes from the same element as the client's address."""
    assert Proxies(["10.0.0.0/8"], "forwarded").scheme(Peer(PEER), head(value, name="forwarded")) == scheme


def test_the_access_log_names_the_client():
    """The access log gets the client's address in place of the trusted proxy's, and everything else unchanged."""
    noted = []

    class Log:
        def write(self, answered):
            noted.append(answered)

    asked = head("192.0.2.1")
    ForwardedLog(Log(), INNER).write(Answered(PEER, asked, 200, 17, 0.5, caller="me"))
    assert noted == [Answered(("192.0.2.1", 0), asked, 200, 17, 0.5, caller="me")]
