"""Which hosts are answered for, and which web pages may call."""

import pytest

from gjrpc.errors import Forbidden, Misdirected
from gjrpc.messages import Head
from gjrpc.origins import LOOPBACK, Gate


def head(host="here", origin=None, content_type="application/json", verb="POST"):
    """A request's head with what the gate looks at."""
    headers = {"host": host, "origin": origin, "content-type": content_type}
    return Head(verb, "/", [(name, value) for name, value in headers.items() if value is not None])


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (LOOPBACK, "localhost"),
        (LOOPBACK, "localhost:9999"),
        (LOOPBACK, "LocalHost."),
        (LOOPBACK, "localhost.:9999"),
        (LOOPBACK, "127.0.0.1:80"),
        (LOOPBACK, "[::1]"),
        (LOOPBACK, "[::1]:9999"),
        (["Example.ORG:80"], "example.org"),
        (["a", "b"], "b"),
        (["*"], "anything"),
        (["a", "*"], None),
        ([], "anything"),
    ],
)
def test_a_host_on_the_list_is_answered_for(hosts, host):
    """A host is known with any port, a final dot and in any case; `*` or an empty list stands for all."""
    Gate(hosts, []).check(head(host))


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "[::2]:80", "localhost:x", "", None]
)
def test_another_host_is_refused_and_told_the_option(host):
    """A host that is not on the list, or none, is misdirected, and the answer names the option."""
    gate = Gate(LOOPBACK, [])
    assert gate.guards_hosts
    with pytest.raises(Misdirected, match=f"{host!r}.*--allowed-hosts {host}".replace("[", r"\[")):
        gate.check(head(host))


@pytest.mark.parametrize(("hosts", "guards"), [(["*"], False), ([], False), (["a"], True), (["a", "*"], False)])
def test_a_gate_knows_whether_it_guards(hosts, guards):
    """A gate for any host need not look at the host of each request."""
    assert Gate(hosts, []).guards_hosts == guards


@pytest.mark.parametrize(
    ("origins", "host", "origin"),
    [
        ([], "here", "http://here"),
        ([], "here", "https://here"),
        ([], "Here", "http://hERE"),
        ([], "here:9999", "http://here:9999"),
        ([], "here", "http://here:80"),
        ([], "here:443", "https://here"),
        ([], "[::1]:9999", "http://[::1]:9999"),
        (["https://page.example"], "here", "https://page.example"),
        (["https://PAGE.example/"], "here", "https://page.EXAMPLE"),
        (["http://page.example:8080"], "here", "http://page.example:8080"),
        (["null"], "here", "null"),
        (["*"], "here", "null"),
        (["*"], None, "https://page.example"),
    ],
)
def test_an_origin_on_the_list_may_call(origins, host, origin):
    """The same origin may call, and those on the list; `*` stands for all."""
    Gate(["*"], origins).check(head(host, origin))


@pytest.mark.parametrize(
    ("origins", "host", "origin"),
    [
        ([], "here", "http://there"),
        ([], "here", "null"),
        ([], "here", ""),
        ([], "here", "here"),
        ([], "", "http://"),
        ([], None, "http://"),
        ([], "here:9999", "http://here"),
        ([], "here", "http://here:9999"),
        ([], "here:80", "https://here"),
        ([], "here", "http://here.evil.example"),
        ([], "here", "http://here@evil.example"),
        ([], "here", "http://here/"),
        (["https://page.example"], "here", "http://page.example"),
        (["https://page.example"], "here", "https://page.example:8443"),
        (["https://page.example"], "here", "https://page.example.evil"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST", "OPTIONS"])
def test_another_origin_may_not(origins, host, origin, verb):
    """An origin that is neither the same nor on the list is refused with any verb, and the answer names the option."""
    with pytest.raises(Forbidden, match="--allowed-origins"):
        Gate(["*"], origins).check(head(host, origin, verb=verb))


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
def test_a_web_page_declares_json(content_type):
    """A call with an origin goes through as application/json, with parameters and in any case."""
    Gate(["*"], []).check(head(origin="http://here", content_type=content_type))


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "text/plain; a=application/json", "application/jsonp"],
)
def test_a_web_page_that_does_not_declare_json_is_refused(content_type):
    """A POST with an origin and another content type, which a form could send without asking, is refused."""
    with pytest.raises(Forbidden, match="needs Content-Type: application/json"):
        Gate(["*"], ["*"]).check(head(origin="http://here", content_type=content_type))


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded"])
def test_without_an_origin_any_content_type_will_do(content_type):
    """What `curl -d` sends is accepted."""
    Gate(["*"], []).check(head(content_type=content_type))


def test_what_has_no_body_declares_none():
    """A GET with an origin needs no content type."""
    Gate(["*"], []).check(head(origin="http://here", content_type=None, verb="GET"))
