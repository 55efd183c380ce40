"""Authentication and authorization of an application without a server."""

import base64
import json

import bcrypt
import pytest

from gjrpc import context
from gjrpc.app.application import Application
from gjrpc.auth.credentials import guard
from gjrpc.auth.tokens import make
from gjrpc.calls.registry import Registry
from gjrpc.errors import CallError, MethodNotFound
from gjrpc.http.messages import Head, Request

CERTIFICATE = {"subject": ((("commonName", "probe"),),)}


class Peer:
    """A client without TLS."""

    def __init__(self, host="192.0.2.1", certificate=None):
        self.client_host = host
        self.client_address = (host, 4711)
        self.scheme = "http"
        self.server_hosts = frozenset()
        self.server_ready = True
        self.certificate = certificate


class Shop:
    """An application with all three ways to authenticate, and what is needed to call it."""

    def __init__(self, folder):
        self.tokens = folder / "tokens"
        self.token, line = make("alice", "* @admin")
        self.narrow, other = make("bob", "ping stats.*")
        self.tokens.write_text(f"{line}\n{other}\n")
        users = folder / "htpasswd"
        users.write_text(f"carol:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
        permissions = folder / "permissions"
        permissions.write_text("carol ping who\nprobe who\n")
        self.files = {"token_file": str(self.tokens), "htpasswd": str(users), "permissions": str(permissions)}
        self.told = []
        self.open(certificates=True, max_failures=3)

    def open(self, **options):
        """Make the application with a guard of these options."""
        self.application = Application(
            registry(),
            guard=guard(**self.files, **options),
            observers=[self.told.append],
            allowed_origins=["https://page.example"],
        )

    def ask(self, target, headers=(), body=b"", verb=None, peer=None):
        """Send a request and return the answer."""
        head = Head(verb or ("POST" if body else "GET"), target, headers)
        return self.application.respond(Request(head, body), peer or Peer())

    def call(self, name, headers=(), **options):
        """Return the status and the decoded body of a call's answer."""
        response = self.ask(f"/{name}", headers, **options)
        return response.status, json.loads(response.body)


def registry():
    """Return a registry in which one method needs a scope."""
    made = Registry()
    made.register(lambda: "pong", "ping")
    made.register(lambda: context.caller, "who")
    made.register(lambda: context.caller, "apart", blocking=True)
    made.register(lambda: context.caller, "wipe", scope="admin")
    made.register(lambda: 5, "stats.cpu")

    @made.method
    def fail():
        raise CallError(f"no, {context.caller}")

    return made


@pytest.fixture
def shop(tmp_path):
    """An application with all three ways to authenticate."""
    return Shop(tmp_path)


def bearer(token, scheme="Bearer"):
    """Return a header with a token."""
    return [("authorization", f"{scheme} {token}")]


def basic(name="carol", password="secret"):
    """Return a header with a name and a password."""
    return [("authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())]


def challenges(response):
    """Return the challenges of a 401."""
    return [value for name, value in response.headers if name == "WWW-Authenticate"]


def test_any_credentials_will_do(shop):
    """A token, a name with its password or a certificate is enough, and the method gets the caller's name."""
    assert shop.call("who", bearer(shop.token)) == (200, {"who": "alice"})
    assert shop.call("who", basic()) == (200, {"who": "carol"})
    assert shop.call("who", peer=Peer(certificate=CERTIFICATE)) == (200, {"who": "probe"})
    assert context.caller is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_has_any_case(shop, scheme):
    """RFC 9110, 11.1: the scheme is case-insensitive."""
    assert shop.call("who", bearer(shop.token, scheme))[0] == 200


def test_without_credentials_the_challenges_are_told(shop):
    """Without credentials the answer is a 401 problem with a challenge for each scheme, and no method runs."""
    response = shop.ask("/ping")
    assert response.status == 401
    assert challenges(response) == ['Bearer realm="gjrpc"', 'Basic realm="gjrpc", charset="UTF-8"']
    assert json.loads(response.body)["title"] == "Unauthorized"
    assert shop.told == []


@pytest.mark.parametrize(
    "headers",
    [
        bearer("gjrpc_wrong"),
        bearer(""),
        basic("carol", "wrong"),
        basic("mallory"),
        [("authorization", "Bearer")],
        [("authorization", "Basic ???")],
    ],
)
def test_wrong_credentials_are_refused(shop, headers):
    """Wrong credentials get 401, even with a valid certificate; the challenge names an invalid token (RFC 6750, 3.1)."""
    for peer in (Peer(), Peer(certificate=CERTIFICATE)):
        response = shop.ask("/ping", headers, peer=peer)
        assert response.status == 401
        assert 'Bearer realm="gjrpc", error="invalid_token"' in challenges(response)


@pytest.mark.parametrize(
    "headers", [[("authorization", "Digest x")], [("authorization", "")], [*bearer("a"), *bearer("b")], [*basic(), *basic()]]
)
def test_what_is_no_credentials_is_none(shop, headers):
    """An unknown scheme counts as no credentials, and two Authorization headers are refused: a proxy may read the other one."""
    assert shop.ask("/ping", headers).status == 401


def test_an_unknown_scheme_leaves_the_certificate(shop):
    """With an unknown scheme the certificate still authenticates the caller."""
    assert shop.call("who", [("authorization", "Digest x")], peer=Peer(certificate=CERTIFICATE)) == (200, {"who": "probe"})


def test_a_certificate_without_a_name_is_nobodys(shop):
    """A certificate without a name authenticates no caller."""
    assert shop.ask("/who", peer=Peer(certificate={"subject": ()})).status == 401


def test_permissions(shop):
    """Each caller may call what its rights allow; anything else is a 403 that names the caller and the method."""
    assert shop.call("wipe", bearer(shop.token)) == (200, {"wipe": "alice"})
    assert shop.call("stats.cpu", bearer(shop.narrow))[0] == 200
    status, problem = shop.call("who", bearer(shop.narrow))
    assert (status, problem["detail"]) == (403, "'bob' may not call 'who'")
    assert shop.call("nope", bearer(shop.narrow))[0] == 403
    assert shop.call("nope", bearer(shop.token))[0] == 404
    assert shop.call("ping", peer=Peer(certificate=CERTIFICATE))[0] == 403
    stranger = Peer(certificate={"subject": ((("commonName", "stranger"),),)})
    assert shop.call("who", peer=stranger)[1]["detail"] == "'stranger' may not call 'who'"


def test_a_scope_is_needed_whatever_the_patterns_say(tmp_path):
    """A method with a scope does not exist for a caller whose patterns match its name but who lacks the scope."""
    shop = Shop(tmp_path)
    token, line = make("dave", "wipe")
    shop.tokens.write_text(line)
    shop.application.guard.reload()
    status, problem = shop.call("wipe", bearer(token))
    assert (status, problem["detail"]) == (403, "no method 'wipe' that 'dave' may call; list_methods lists them all")


LACKING = {"a scope": "*", "a pattern": "ping pin* stats.*", "both": "ping stats.* w*"}


@pytest.mark.parametrize(("name", "options"), [("wiper", {}), ("reset", {"blocking": True}), ("rm", {"deadline": 5})])
@pytest.mark.parametrize("rights", LACKING.values(), ids=LACKING)
@pytest.mark.parametrize("dispatches", [False, True], ids=["plain", "with _dispatch"])
def test_a_forbidden_method_is_like_none(tmp_path, name, options, rights, dispatches):
    """A caller who may not call a method gets the same answers as for a name that no method has."""

    class Rest:
        def _dispatch(self, method, params):
            raise MethodNotFound("never heard of it")

    def answers(exists):
        shop = Shop(tmp_path)
        token, line = make("dave", rights)
        shop.tokens.write_text(line)
        made = registry()
        made.register(lambda: 1, "hidden", scope="admin")
        if dispatches:
            made.register_instance(Rest())
        if exists:
            made.register(lambda a, b, /: 1, name, scope="admin", **options)
        shop.application = Application(made, guard=guard(**shop.files))
        entry = {"jsonrpc": "2.0", "method": name, "id": 1}
        told = []
        for verb, target, body in (
            ("GET", f"/{name}", b""),
            ("GET", f"/{name}?a=1", b""),
            ("GET", f"/{name};1", b""),
            ("HEAD", f"/{name}", b""),
            ("POST", f"/{name}", b"[1]"),
            ("POST", f"/{name}", b'{"x":1}'),
            ("POST", "/", json.dumps({name: [1, 2, 3]}).encode()),
            ("POST", "/", json.dumps(entry).encode()),
            ("POST", "/", json.dumps([entry, {**entry, "params": {"x": 1}}]).encode()),
            ("OPTIONS", f"/{name}", b""),
            ("DELETE", f"/{name}", b""),
            ("GET", f"/method_help;{name}", b""),
            ("GET", f"/method_signature;{name}", b""),
            ("GET", f"/{name}x", b""),
            ("GET", "/list_methods", b""),
            ("GET", "/-/", b""),
            ("GET", "/-/openrpc.json", b""),
            ("GET", "/-/openapi.json", b""),
        ):
            response = shop.ask(target, bearer(token), body, verb=verb)
            told.append((verb, target, body, response.status, response.headers, response.body))
        return told

    assert answers(True) == answers(False)


def test_whoever_may_call_everything_is_told_of_unknown_names(shop):
    """An unknown name is a 404 for a caller who may call everything, and a 403 for one who lacks a scope."""
    token, line = make("dave", "*")
    other, second = make("erin", "* @admin")
    shop.tokens.write_text(f"{line}\n{second}\n")
    shop.application.guard.reload()
    assert [shop.call("nope", bearer(each))[0] for each in (token, other)] == [403, 404]
    assert "did you mean 'ping'?" in shop.call("pingg", bearer(token))[1]["detail"]


def test_without_credentials_a_closed_method_is_like_none():
    """Without authentication, a method with a scope and an unknown name get the same answer, which names the remedy."""
    application = Application(registry())
    told = [json.loads(application.respond(Request(Head("GET", f"/{name}"))).body)["detail"] for name in ("wipe", "wipx")]
    assert told[0] == told[1].replace("wipx", "wipe")
    assert "--token-file" in told[0]


def test_each_entry_of_a_batch_is_permitted_on_its_own(shop):
    """In a batch an entry that is not allowed gets -32005, and the others get their results."""
    entries = [{"jsonrpc": "2.0", "method": name, "id": name} for name in ("ping", "who", "wipe", "stats.cpu")]
    response = shop.ask("/", bearer(shop.narrow), json.dumps(entries).encode())
    answers = {answer["id"]: answer.get("result", answer.get("error", {}).get("code")) for answer in json.loads(response.body)}
    assert (response.status, answers) == (200, {"ping": "pong", "who": -32005, "wipe": -32005, "stats.cpu": 5})


def test_json_rpc_without_credentials_is_a_401(shop):
    """A message is not parsed before its caller is authenticated: the answer is a 401, not a JSON-RPC error."""
    assert shop.ask("/", body=b'{"jsonrpc":"2.0","method":"ping","id":1}').status == 401


def test_unknown_names_are_like_permitted_ones(shop):
    """A 404 suggests only methods that the caller may call."""
    token, line = make("erin", "pin* wip*")
    shop.tokens.write_text(line)
    shop.application.guard.reload()
    assert "did you mean 'ping'?" in shop.call("pingg", bearer(token))[1]["detail"]
    assert "'wipe'" not in shop.call("wipee", bearer(token))[1]["detail"]


def test_introspection_shows_what_the_caller_may_call(shop):
    """list_methods, the index and both documents show each caller only what it may call."""
    introspection = ["list_methods", "method_help", "method_signature"]
    for headers, names in (
        (bearer(shop.narrow), ["ping", "stats.cpu"]),
        (bearer(shop.token), ["apart", "fail", "ping", "stats.cpu", "who", "wipe"]),
        (basic(), ["ping", "who"]),
    ):
        expected = sorted([*names, *introspection])
        assert shop.call("list_methods", headers)[1]["list_methods"] == expected
        assert shop.call("-/", headers)[1]["methods"] == expected
        assert [method["name"] for method in shop.call("-/openrpc.json", headers)[1]["methods"]] == expected
        paths = shop.call("-/openapi.json", headers)[1]["paths"]
        assert sorted(paths) == sorted([f"/{name}" for name in expected] + ["/-/healthy", "/-/ready"])
        message = b'{"jsonrpc":"2.0","method":"rpc.discover","id":1}'
        found = json.loads(shop.ask("/", headers, message).body)["result"]["methods"]
        assert [method["name"] for method in found] == expected


@pytest.mark.parametrize("page", ["/-/openapi.json", "/-/openrpc.json", "/-/", "/-/nope", "/list_methods"])
def test_nothing_is_told_to_who_is_not_known(shop, page):
    """The documents and lists need authentication, as calls do."""
    assert shop.ask(page).status == 401


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200), (None, 200)]
)
def test_another_site_makes_no_use_of_what_a_browser_keeps(shop, site, status):
    """A request that another site's page causes is refused unless its origin is allowed and it has a token."""
    fetched = [("sec-fetch-site", site)] if site else []
    page = [*fetched, ("origin", "https://page.example")]
    for headers in (fetched, page):
        assert shop.ask("/who", [*basic(), *headers]).status == status
        assert shop.ask("/who", headers, peer=Peer(certificate=CERTIFICATE)).status == status
    assert shop.ask("/who", [*bearer(shop.token), *fetched]).status == status
    assert shop.ask("/who", [*bearer(shop.token), *page]).status == 200


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize("page", ["/-/healthy", "/-/ready", "/-/ready?x=1"])
def test_probes_need_no_credentials(shop, page, verb):
    """The health probes need no authentication."""
    assert shop.ask(page, verb=verb).status == 200


@pytest.mark.parametrize("page", ["/-/healthy/../../ping", "/-/ready/", "//-/ready", "/ping?/-/ready"])
def test_what_looks_like_a_probe_is_none(shop, page):
    """Only the exact paths of the probes are open."""
    assert shop.ask(page).status == 401


def test_the_documents_declare_the_schemes(shop):
    """Both documents declare the ways to authenticate, and which scope a method needs."""
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "certificate": {"type": "mutualTLS"},
    }
    openapi = shop.call("-/openapi.json", bearer(shop.token))[1]
    assert openapi["components"]["securitySchemes"] == schemes
    assert openapi["paths"]["/wipe"]["post"]["security"] == [{name: ["admin"]} for name in schemes]
    assert openapi["paths"]["/ping"]["get"]["security"] == [{name: []} for name in schemes]
    assert {"401", "403", "429"} <= set(openapi["paths"]["/ping"]["get"]["responses"])
    assert "security" not in openapi["paths"]["/-/ready"]["get"]
    openrpc = shop.call("-/openrpc.json", bearer(shop.token))[1]
    assert openrpc["x-security-schemes"] == schemes
    assert {method["name"]: method.get("x-scope") for method in openrpc["methods"]}["wipe"] == "admin"


def test_the_caller_is_told_to_the_log_and_to_observers(shop):
    """The answer and the finished call have the caller's name, also if the call failed or was refused."""
    for name, status in (("who", 200), ("fail", 500), ("nope", 404)):
        response = shop.ask(f"/{name}", bearer(shop.token))
        assert (response.status, response.caller) == (status, "alice")
    assert shop.ask("/who", bearer(shop.narrow)).caller == "bob"
    assert [(told.method, told.caller) for told in shop.told] == [
        ("who", "alice"),
        ("fail", "alice"),
        ("nope", "alice"),
        ("who", "bob"),
    ]
    assert shop.ask("/ping").caller is None


def test_guessing_is_stopped(shop, caplog):
    """After too many wrong passwords an address gets 429 with Retry-After, even with the right one; others do not."""
    assert shop.call("who", basic())[0] == 200
    for number in range(5):
        response = shop.ask("/who", basic(password=f"guess-{number}"))
        assert response.status == (401 if number < 3 else 429)
    assert dict(response.headers)["Retry-After"] == "60"
    assert shop.call("who", basic())[0] == 429
    assert shop.call("who", basic(), peer=Peer("192.0.2.2"))[0] == 200
    assert "192.0.2.1: wrong name or password" in caplog.text
    assert "guess" not in caplog.text


def test_a_token_is_heard_from_a_blocked_address(shop, caplog):
    """Tokens can't be guessed, so a valid one is accepted from an address that failed too often; a wrong one gets 429."""
    statuses = [shop.ask("/who", bearer("gjrpc_wrong-one")).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert shop.call("who", bearer(shop.token))[0] == 200
    assert shop.call("who", peer=Peer(certificate=CERTIFICATE))[0] == 200
    assert "wrong-one" not in caplog.text


def test_behind_a_proxy_its_clients_are_counted(shop):
    """Behind a trusted proxy, failures are counted for the client's address and not for the proxy's."""
    shop.open(max_failures=2, client_of=lambda address, head: head.get("x-client") or address[0])
    bad, good = [("x-client", "192.0.2.66")], [("x-client", "192.0.2.7")]
    assert [shop.ask("/who", [*basic(password="wrong"), *bad]).status for _ in range(3)] == [401, 401, 429]
    assert [shop.ask("/who", [*bearer("gjrpc_wrong"), *bad]).status for _ in range(2)] == [429, 429]
    assert shop.call("who", [*basic(), *good]) == (200, {"who": "carol"})
    assert shop.call("who", basic()) == (200, {"who": "carol"})


def test_missing_credentials_are_no_failure(shop):
    """A request without credentials does not count as a failed login."""
    assert {shop.ask("/who").status for _ in range(20)} == {401}


def test_tokens_are_read_again(shop):
    """After a reload a removed token is refused at once, even on a remembered head, and a new one is accepted."""
    head = Head("GET", "/who", bearer(shop.token))

    def status():
        return shop.application.respond(Request(head), Peer()).status

    assert (status(), status()) == (200, 200)
    token, line = make("frank", "who")
    shop.tokens.write_text(line)
    assert status() == 200
    shop.application.guard.reload()
    assert status() == 401
    assert shop.call("who", bearer(token)) == (200, {"who": "frank"})


def test_a_broken_file_leaves_all_as_it_was(shop, caplog):
    """If a file is not valid, the old credentials stay in use, and the log says why."""
    shop.tokens.write_text("nonsense")
    shop.application.guard.reload()
    assert shop.call("who", bearer(shop.token))[0] == 200
    assert "could not reload the credentials; the old ones stay in use: " in caplog.text
    assert "tokens:1: expected NAME" in caplog.text


def test_only_what_is_configured_is_on_offer(shop):
    """Only configured schemes have a challenge, and no other scheme authenticates a caller."""
    del shop.files["htpasswd"]
    shop.open()
    response = shop.ask("/who", basic())
    assert challenges(response) == ['Bearer realm="gjrpc"']
    assert shop.ask("/who", peer=Peer(certificate=CERTIFICATE)).status == 401
    assert shop.application.guard.schemes.keys() == {"bearer"}


def test_there_is_always_a_challenge(shop):
    """A 401 has a challenge even if only certificates are configured (RFC 9110, 15.5.2)."""
    shop.files = {}
    shop.open(certificates=True)
    assert challenges(shop.ask("/who")) == ['Bearer realm="gjrpc"']
    assert shop.call("who", peer=Peer(certificate=CERTIFICATE)) == (200, {"who": "probe"})


def test_a_page_can_read_its_401(shop):
    """A page of an allowed origin can read why it was refused, and its preflight needs no credentials."""
    origin = [("origin", "https://page.example")]
    refused = shop.ask("/who", origin)
    assert refused.status == 401
    assert ("Access-Control-Allow-Origin", "https://page.example") in refused.headers
    asked = [*origin, ("access-control-request-method", "GET"), ("access-control-request-headers", "authorization")]
    assert shop.ask("/who", asked, verb="OPTIONS").status == 204
    assert shop.ask("/who", verb="OPTIONS").status == 401


@pytest.mark.parametrize("target", ["/wipe", "/-/openrpc.json"])
def test_another_verb_needs_credentials_too(shop, target):
    """An unsupported verb is a 405 only for an authenticated caller."""
    assert shop.ask(target, verb="DELETE").status == 401
    assert shop.ask(target, bearer(shop.token), verb="DELETE").status == 405


def test_without_credentials_a_scope_is_closed():
    """Without authentication, methods with a scope are refused and not listed, and the answer names the remedy."""
    application = Application(registry())
    refused = application.respond(Request(Head("GET", "/wipe")))
    assert refused.status == 403
    assert "--open" in json.loads(refused.body)["detail"]
    assert "wipe" not in json.loads(application.respond(Request(Head("GET", "/list_methods"))).body)["list_methods"]
    assert application.respond(Request(Head("GET", "/who"))).body == b'{"who":null}'


def test_a_scope_that_comes_later_is_closed_too():
    """A method with a scope is refused even if it was registered after the application was made."""
    made = Registry()
    application = Application(made)
    made.register(lambda: 1, "wipe", scope="admin")
    assert application.respond(Request(Head("GET", "/wipe"))).status == 403


def test_open_to_all():
    """With `open_to_all` anyone may call methods with a scope."""
    application = Application(registry(), open_to_all=True)
    assert application.respond(Request(Head("GET", "/wipe"))).status == 200
    assert application.guard is None


def test_a_blocking_method_learns_its_caller(shop):
    """A method that runs in a thread gets the caller's name."""
    assert shop.call("apart", bearer(shop.token)) == (200, {"apart": "alice"})


def test_a_request_from_nowhere(shop):
    """An application that is called directly, without a peer, works with tokens."""
    head = Head("GET", "/who", bearer(shop.token))
    assert shop.application.respond(Request(head)).body == b'{"who":"alice"}'
    assert shop.application.respond(Request(Head("GET", "/who", bearer("x")))).status == 401
