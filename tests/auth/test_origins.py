"""Which hosts an application answers for, and which web pages may call it."""

import ssl

import pytest
from conftest import Wire

from gjrpc.app.application import Application
from gjrpc.auth.origins import OriginPolicy, preflight
from gjrpc.calls.registry import Registry
from gjrpc.errors import Forbidden, Misdirected
from gjrpc.http.hosts import LOOPBACK
from gjrpc.http.messages import Head


def head(host="here", origin=None, content_type="application/json", verb="POST", site=None, target="/"):
    """Return a head with the headers that the policy checks."""
    headers = {"host": host, "origin": origin, "content-type": content_type, "sec-fetch-site": site}
    return Head(verb, target, [(name, value) for name, value in headers.items() if value is not None])


def refusal(check, *arguments):
    """Return the class of the error that a policy's check raises; None if it accepts the request."""
    try:
        check(*arguments)
    except (Forbidden, Misdirected) as error:
        return type(error)
    return None


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
    """A host is accepted with any port, a final dot and in any case; `*` or an empty list accepts any."""
    assert refusal(OriginPolicy(hosts, []).check_host, head(host)) is None
    assert refusal(OriginPolicy(["other.example"], []).check_host, head(host)) is Misdirected


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "[::2]:80", "localhost:x"])
def test_another_host_is_refused_and_told_the_option(host):
    """A host that is not allowed is misdirected, and the error names the option."""
    policy = OriginPolicy(LOOPBACK, [])
    assert policy.guards_hosts(frozenset())
    with pytest.raises(Misdirected, match=f"{host!r}.*--allowed-hosts {host}".replace("[", r"\[")):
        policy.check_host(head(host))


@pytest.mark.parametrize("host", ["", None])
def test_no_host_is_told_plainly(host):
    """The error for a request without a host says so, and what to send."""
    with pytest.raises(Misdirected, match=r"^the request names no host, .*: send a Host header$"):
        OriginPolicy(LOOPBACK, []).check_host(head(host))


@pytest.mark.parametrize("target", ["/-/healthy", "/-/ready", "/-/ready?verbose"])
def test_a_probe_needs_neither_host_nor_origin(target):
    """The health probes accept any host and origin; nothing else does."""
    policy = OriginPolicy(LOOPBACK, [])
    for path, *refused in ((target, None, None), ("/ping", Misdirected, Forbidden)):
        other = head("evil.example", "http://evil.example", target=path, site="cross-site", verb="GET")
        assert refusal(policy.check_host, head(None, target=path, verb="GET")) is refused[0]
        assert refusal(policy.check_page, other, "http") is refused[1]


@pytest.mark.parametrize(("hosts", "guards"), [(["*"], False), ([], False), (["a"], True), (["a", "*"], False)])
def test_a_gate_knows_whether_it_guards(hosts, guards):
    """A policy with its own hosts ignores the server's; a policy without any uses them."""
    for server_hosts in (frozenset(), frozenset({"b"})):
        assert OriginPolicy(hosts, []).guards_hosts(server_hosts) == guards
        assert OriginPolicy(None, []).guards_hosts(server_hosts) == bool(server_hosts)


@pytest.mark.parametrize(
    ("origins", "host", "origin"),
    [
        ([], "here", "http://here"),
        ([], "Here", "http://hERE"),
        ([], "here:9999", "http://here:9999"),
        ([], "here", "http://here:80"),
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
    """Pages of the same origin and of allowed ones may call; `*` allows any."""
    assert refusal(OriginPolicy(["*"], origins).check_page, head(host, origin), "http") is None
    assert refusal(OriginPolicy(["*"], ["http://other.example"]).check_page, head("here.example", origin), "http") is Forbidden


@pytest.mark.parametrize(
    ("host", "origin"), [("here", "https://here"), ("here:443", "https://here"), ("here", "https://here:443")]
)
def test_the_same_origin_has_the_same_scheme(host, origin):
    """A page at https has the same origin only if this server is reached by https."""
    OriginPolicy(["*"], []).check_page(head(host, origin), "https")
    for other, scheme in ((origin, "http"), (origin.replace("https", "http"), "https")):
        with pytest.raises(Forbidden):
            OriginPolicy(["*"], []).check_page(head(host, other), scheme)


def test_two_origins_are_none():
    """A request with two origins is refused, because a proxy may read the other one."""
    several = Head("GET", "/", [("host", "here"), ("origin", PAGE), ("origin", "http://here")])
    with pytest.raises(Forbidden):
        OriginPolicy(["*"], [PAGE, "http://here"]).check_page(several, "http")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "none, cross-site"])
@pytest.mark.parametrize("verb", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("origin", [None, "http://here", "null", "https://other.example"])
def test_what_another_site_causes_is_refused(site, verb, origin):
    """A request that a browser marks as caused by another site needs an allowed origin, whatever else it has."""
    with pytest.raises(Forbidden, match="--allowed-origins"):
        OriginPolicy(["*"], [PAGE]).check_page(head(origin=origin, verb=verb, site=site), "http")
    OriginPolicy(["*"], [PAGE]).check_page(head(origin=PAGE, verb=verb, site=site), "http")


@pytest.mark.parametrize("site", ["none", "same-origin", "something-new", ""])
def test_what_no_other_site_causes_is_let_in(site):
    """The address bar, the server's own pages and an unknown value (fetch metadata, 2.1) are accepted."""
    assert refusal(OriginPolicy(["*"], []).check_page, head(verb="GET", site=site), "http") is None
    assert refusal(OriginPolicy(["*"], []).check_page, head(verb="GET", site="cross-site"), "http") is Forbidden


def test_a_link_to_the_console_is_no_call():
    """A link on another site can open the console's page, but a script there can't fetch it."""
    policy = OriginPolicy(["*"], [])
    policy.check_page(head(verb="GET", target="/-/", site="cross-site"), "http")
    for verb, origin, target in (("GET", "null", "/-/"), ("POST", None, "/-/"), ("GET", None, "/-/openapi.json")):
        with pytest.raises(Forbidden):
            policy.check_page(head(verb=verb, origin=origin, target=target, site="cross-site"), "http")


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
        ([], "here", "https://here"),
        ([], "here:443", "https://here"),
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
    """An origin that is neither the same nor allowed is refused with any verb, and the error names the option."""
    with pytest.raises(Forbidden, match="--allowed-origins"):
        OriginPolicy(["*"], origins).check_page(head(host, origin, verb=verb), "http")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
def test_a_web_page_declares_json(content_type):
    """A call with an origin is accepted as application/json, with parameters and in any case."""
    assert refusal(OriginPolicy(["*"], []).check_page, head(origin="http://here", content_type=content_type), "http") is None
    assert refusal(OriginPolicy(["*"], []).check_page, head(origin="http://here", content_type="text/plain"), "http") is Forbidden


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "text/plain; a=application/json", "application/jsonp"],
)
def test_a_web_page_that_does_not_declare_json_is_refused(content_type):
    """A POST with an origin and another content type, which a form could send without a preflight, is refused."""
    with pytest.raises(Forbidden, match="needs Content-Type: application/json"):
        OriginPolicy(["*"], ["*"]).check_page(head(origin="http://here", content_type=content_type), "http")


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded"])
def test_without_an_origin_any_content_type_will_do(content_type):
    """The content type that `curl -d` sends is accepted, but not from a page."""
    assert refusal(OriginPolicy(["*"], []).check_page, head(content_type=content_type), "http") is None
    assert refusal(OriginPolicy(["*"], []).check_page, head(origin="http://here", content_type=content_type), "http") is Forbidden


def test_what_has_no_body_declares_none():
    """With an origin a POST needs a content type, and a GET does not."""
    for verb, refused in (("GET", None), ("HEAD", None), ("POST", Forbidden)):
        assert (
            refusal(OriginPolicy(["*"], []).check_page, head(origin="http://here", content_type=None, verb=verb), "http")
            is refused
        )


PAGE = "https://page.example"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
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
def test_a_page_of_an_allowed_origin_may_read(origins, origin, allowed):
    """The answer names the page's origin if it is allowed, and `Vary` if any origin is; it never allows credentials."""
    vary = (("Vary", "Origin"),) if origins else ()
    readable = (("Access-Control-Allow-Origin", origin),) if allowed else ()
    assert OriginPolicy(["*"], origins).cors_headers(origin) == readable + vary


def test_a_preflight_is_answered():
    """The answer to a preflight has the verbs, the requested headers, and for how long it is valid."""
    asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization, content-type")]
    assert preflight(Head("OPTIONS", "/add", asked)) == (
        ("Access-Control-Allow-Methods", "GET, HEAD, POST"),
        ("Access-Control-Allow-Headers", "authorization, content-type"),
        ("Access-Control-Max-Age", "600"),
    )
    assert "Access-Control-Allow-Headers" not in dict(preflight(Head("OPTIONS", "/add", asked[:1])))


@pytest.mark.parametrize("request_head", [Head("OPTIONS", "/"), Head("POST", "/", [("access-control-request-method", "POST")])])
def test_what_is_no_preflight(request_head):
    """Another verb, or an OPTIONS that names no method, is not a preflight."""
    assert preflight(request_head) == ()


@pytest.fixture
def served(serve):
    """A server with a method that pages of one origin may call."""
    registry = Registry()
    registry.register(lambda a, b: a + b, "add")
    return serve(Application(registry, allowed_origins=[PAGE]))


def ask(served, verb, target, body=b"", **headers):
    """Send a request as a browser would, and return the answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with served.wire() as wire:
        head = f"{verb} {target} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        return wire.ask(head.encode() + body, verb=verb)


def test_a_page_calls_across_origins(served):
    """A page of an allowed origin sends a preflight, then calls, and can read the answer."""
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
    """Errors and empty answers have the CORS headers too, so that the page can read them."""
    answer = ask(served, verb, target, body, Origin=PAGE, Content_Type=content_type)
    assert answer.status == status
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (PAGE, "Origin")


@pytest.mark.parametrize("headers", [{"Origin": "https://other.example"}, {"Origin": "null"}])
def test_another_page_can_not(served, headers):
    """A page of another origin gets a 403 without CORS headers, for its preflight and for its call."""
    for verb, more in (("OPTIONS", {"Access_Control_Request_Method": "POST"}), ("GET", {})):
        answer = ask(served, verb, "/add?a=1&b=2", **headers, **more)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_an_origin_nothing_is_added(served):
    """An answer to the same origin, or to no page, allows no origin, but has `Vary: Origin`."""
    for headers in ({}, {"Origin": "http://here"}, {"Sec_Fetch_Site": "same-origin"}):
        for _ in range(3):
            answer = ask(served, "GET", "/list_methods", **headers)
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


def test_without_a_list_no_answer_depends_on_the_origin(serve):
    """If no origin is allowed, no answer has CORS headers, neither a success nor an error."""
    served = serve(Application(Registry()))
    for headers in ({}, {"Origin": "http://here"}, {"Origin": PAGE}):
        assert not {"access-control-allow-origin", "vary"} & set(ask(served, "GET", "/list_methods", **headers).headers)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("verb", ["GET", "POST", "HEAD"])
def test_an_image_of_another_site_runs_nothing(serve, site, verb):
    """A cross-site request is refused on an open connection too, after the same head without the mark was accepted."""
    ran = []
    registry = Registry()
    registry.register(lambda: ran.append(1), "wipe")
    served = serve(Application(registry))
    lines = "GET /wipe HTTP/1.1\r\nHost: here\r\nX-Id: {}\r\nSec-Fetch-Site: {}\r\n\r\n".replace("GET", verb)
    with served.wire() as wire:
        for number in range(3):
            assert wire.ask(lines.format(number, "none").encode(), verb=verb).status == 200
        assert wire.ask(lines.replace("Sec-Fetch-Site: {}\r\n", "").format(9).encode(), verb=verb).status == 200
        for number in range(3):
            assert wire.ask(lines.format(number, site).encode(), verb=verb).status == 403
    assert len(ran) == 4


def test_over_tls_the_plain_origin_is_another(serve, certificate):
    """Over TLS a page at https has the same origin, and one at http does not."""
    served = serve(Application(Registry()), ssl_context=certificate.server_context())
    trusting = ssl.create_default_context(cafile=certificate.ca)
    with trusting.wrap_socket(served.connect(), server_hostname="localhost") as secured:
        wire = Wire(secured)
        for scheme, status in (("https", 200), ("http", 403)):
            answer = wire.ask(f"GET /list_methods HTTP/1.1\r\nHost: here\r\nOrigin: {scheme}://here\r\n\r\n".encode())
            assert answer.status == status
