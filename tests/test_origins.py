"""Which hosts are answered for, and which web pages may call."""

import pytest

from gjrpc.errors import Forbidden, Misdirected
from gjrpc.messages import Head
from gjrpc.origins import LOOPBACK, Gate, preflight
from gjrpc.registry import Registry
from gjrpc.wsgi import Application


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


PAGE = "https://page.example"


@pytest.mark.parametrize(
    ("origins", "origin", "granted"),
    [
        ([PAGE], PAGE, True),
        ([PAGE], PAGE.upper(), True),
        (["*"], PAGE, True),
        (["*"], "null", True),
        ([PAGE], "https://other.example", False),
        ([PAGE], "http://here", False),
        ([], "http://here", False),
        ([PAGE], None, False),
    ],
)
def test_a_listed_origin_is_granted_to_read(origins, origin, granted):
    """A page of a listed origin is named in the answer, which depends on it; what browsers keep is never allowed along."""
    headers = Gate(["*"], origins).grants(head(origin=origin))
    assert headers == ((("Access-Control-Allow-Origin", origin), ("Vary", "Origin")) if granted else ())


def test_a_preflight_is_answered():
    """What a browser asks before a call is answered with the verbs, the headers that it asked for, and how long that holds."""
    asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization, content-type")]
    assert preflight(Head("OPTIONS", "/add", asked)) == (
        ("Access-Control-Allow-Methods", "GET, HEAD, POST"),
        ("Access-Control-Allow-Headers", "authorization, content-type"),
        ("Access-Control-Max-Age", "600"),
    )
    assert "Access-Control-Allow-Headers" not in dict(preflight(Head("OPTIONS", "/add", asked[:1])))


@pytest.mark.parametrize("request_head", [Head("OPTIONS", "/"), Head("POST", "/", [("access-control-request-method", "POST")])])
def test_what_is_no_preflight(request_head):
    """Another verb, or an OPTIONS that asks for no method, is no preflight."""
    assert preflight(request_head) == ()


@pytest.fixture
def served(serve):
    """A server with a method, which a page of one origin may call."""
    registry = Registry()
    registry.register(lambda a, b: a + b, "add")
    return serve(Application(registry, allowed_origins=[PAGE]))


def ask(served, verb, target, body=b"", **headers):
    """Send a request as a browser would, and give its answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with served.wire() as wire:
        head = f"{verb} {target} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        return wire.ask(head.encode() + body, verb=verb)


def test_a_page_calls_across_origins(served):
    """A page of an allowed origin asks first, then calls, and may read the answer."""
    asked = ask(
        served, "OPTIONS", "/", Origin=PAGE, Access_Control_Request_Method="POST", Access_Control_Request_Headers="content-type"
    )
    assert (asked.status, asked.body) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert asked.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert asked.headers["access-control-allow-headers"] == "content-type"
    assert asked.headers["vary"] == "Origin"
    answer = ask(served, "POST", "/", b'{"add":[1,2]}', Origin=PAGE, Content_Type="application/json")
    assert (answer.status, answer.json()) == (200, {"add": 3})
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (PAGE, "Origin")


@pytest.mark.parametrize(
    ("verb", "target", "body", "content_type", "status"),
    [
        ("POST", "/", b"{", "application/json", 400),
        ("POST", "/", b'{"nope":1}', "application/json", 404),
        ("POST", "/", b'{"add":[1,2]}', "text/plain", 403),
        ("GET", "/add?a=1", b"", "", 400),
        ("DELETE", "/add", b"", "", 405),
        ("OPTIONS", "/add", b"", "", 204),
        ("POST", "/", b'{"jsonrpc":"2.0","method":"add","params":[1,2]}', "application/json", 204),
    ],
)
def test_a_page_can_read_what_went_wrong(served, verb, target, body, content_type, status):
    """Errors and empty answers carry the headers too, so that the page learns what happened."""
    answer = ask(served, verb, target, body, Origin=PAGE, Content_Type=content_type)
    assert answer.status == status
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (PAGE, "Origin")


@pytest.mark.parametrize("headers", [{"Origin": "https://other.example"}, {"Origin": "null"}])
def test_another_page_can_not(served, headers):
    """A page of another origin gets a 403 without those headers, to its preflight as to its call."""
    for verb, more in (("OPTIONS", {"Access_Control_Request_Method": "POST"}), ("GET", {})):
        answer = ask(served, verb, "/add?a=1&b=2", **headers, **more)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_an_origin_nothing_is_added(served):
    """An answer to whoever is no web page, or one of the same origin, has none of these headers."""
    for headers in ({}, {"Origin": "http://here"}):
        answer = ask(served, "GET", "/list_methods", **headers)
        assert answer.status == 200
        assert not {"access-control-allow-origin", "vary"} & set(answer.headers)
