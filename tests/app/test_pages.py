"""What lies under `/-/`."""

import json
from types import MappingProxyType, SimpleNamespace

import pytest

from gjrpc import Application, Registry, context
from gjrpc.app.pages import Page, PageRequest, Pages
from gjrpc.calls.rights import Caller, Rights
from gjrpc.errors import Forbidden, InvalidRequest, MethodNotFound, SettingsError, VerbNotAllowed
from gjrpc.http.hosts import LOOPBACK
from gjrpc.http.messages import Head, Request, Response

OK = Response(200, b"{}")


class Known:
    """A guard that knows one token."""

    schemes = MappingProxyType({})

    def authenticate(self, head, peer, offload):
        """Return alice for the token, and refuse everyone else."""
        if head.get("authorization") != "Bearer x":
            raise Forbidden("who is it?")
        return Caller("alice", Rights())


def ask(pages, verb="GET", path="/-/page", body=b"", headers=(), **options):
    """The response of an application with these pages."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    application = Application(registry, pages=pages, **options)
    head = Head(verb, path, headers)
    return application.admit(head) or application.respond(Request(head, body))


def test_a_page_gets_the_request():
    """A page gets head, query, body, peer and caller, what it can run calls with, and the paths of all pages."""
    seen = []

    def page(asked):
        seen.append((asked.head.get("accept"), asked.query, asked.request.body, asked.caller, asked.peer, asked.below))
        assert asked.dispatcher.registry.find("ping") is not None
        assert asked.paths == ["/-/", "/-/healthy", "/-/openapi.json", "/-/openrpc.json", "/-/page", "/-/ready"]
        return Response(202, b"x", (("Content-Type", "text/plain"),))

    pages = {"/-/page": Page(page, verbs=("POST",))}
    response = ask(pages, "POST", "/-/page?a=1&b=&a=2", b"body", [("accept", "text/html")])
    assert (response.status, response.body, response.headers) == (202, b"x", (("Content-Type", "text/plain"),))
    assert seen == [("text/html", {"a": ["1", "2"], "b": [""]}, b"body", None, None, "")]


def test_a_page_knows_its_caller():
    """With a guard a page is closed to strangers, before a body is read too, and knows its caller."""
    page = {"/-/page": Page(lambda asked: Response(200, f"{asked.caller} {context.caller}".encode()), verbs=("GET", "POST"))}
    for verb in ("GET", "POST"):
        assert ask(page, verb, guard=Known()).status == 403
        response = ask(page, verb, headers=[("authorization", "Bearer x")], guard=Known())
        assert (response.body, response.caller) == (b"alice alice", "alice")


@pytest.mark.parametrize(("headers", "status"), [([("host", "evil")], 421), ([("host", "a"), ("origin", "http://b")], 403)])
def test_a_page_is_guarded_as_a_method(headers, status):
    """Hosts and origins are checked for an added page as for a method."""
    assert ask({"/-/page": lambda _: OK}, headers=headers, allowed_hosts=["a"]).status == status


@pytest.mark.parametrize(
    ("verbs", "allow"),
    [(("GET",), "GET, HEAD, OPTIONS"), (("POST",), "POST, OPTIONS"), (("POST", "GET"), "GET, HEAD, POST, OPTIONS")],
)
def test_the_verbs_of_a_page(verbs, allow):
    """A page answers its verbs, HEAD as GET; another verb is a 405 that names them, and OPTIONS names them too."""
    pages = {"/-/page": Page(lambda _: OK, verbs)}
    for verb in ("GET", "HEAD", "POST"):
        response = ask(pages, verb)
        assert response.status == (200 if ("GET" if verb == "HEAD" else verb) in verbs else 405)
        assert response.status == 200 or dict(response.headers)["Allow"] == allow
    for verb, status in (("OPTIONS", 204), ("DELETE", 405)):
        response = ask(pages, verb)
        assert (response.status, dict(response.headers)["Allow"]) == (status, allow)


def test_a_page_for_all_paths_below():
    """A path that ends in `/*` matches what is below it, the longest such path first; other paths take precedence."""
    pages = {
        "/-/watch/*": lambda asked: Response(200, b"watch " + asked.below.encode()),
        "/-/watch/a/*": lambda asked: Response(200, b"a " + asked.below.encode()),
        "/-/watch/a/b": lambda _: Response(200, b"b"),
    }
    expected = {
        "/-/watch/cpu?x=1": b"watch cpu",
        "/-/watch/a%20b": b"watch a%20b",
        "/-/watch/": b"watch ",
        "/-/watch/a/b": b"b",
        "/-/watch/a/c/d": b"a c/d",
        "/-/watch/*": b"watch *",
    }
    assert {path: ask(pages, path=path).body for path in expected} == expected
    for path in ("/-/watch", "/-/other", "/-/watching/x"):
        assert ask(pages, path=path).status == 404


def test_the_index_may_be_replaced():
    """A page at `/-/` takes the place of the index."""
    assert ask({"/-/": lambda _: Response(200, b"console")}, path="/-/").body == b"console"


@pytest.mark.parametrize(
    "path",
    ["page", "/page", "/-/a b", "/-/a%20b", "/-/a?b", "/-/*/a", "/-/a/", "/-//a", "/-/a*", "/-/\xe9", "/-/a\n", "", 1, None],
)
def test_a_path_that_no_page_can_have(path):
    """A path that no page can have is refused when the application is made, with the form that a path has."""
    with pytest.raises(SettingsError, match=r"expected '/-/NAME' of letters"):
        Application(Registry(), pages={path: lambda _: OK})


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/-/openrpc.json", "/-/openapi.json"])
def test_a_built_in_page_can_not_be_replaced(path):
    """Probes and documents stay what they are."""
    with pytest.raises(SettingsError, match=f"{path} is a built-in page; choose another path"):
        Application(Registry(), pages={path: lambda _: OK})


def test_what_is_no_page():
    """What can't be called is no page, and a page has verbs that it can answer."""
    with pytest.raises(SettingsError, match="/-/page is 1; expected a function of a PageRequest, or a Page"):
        Application(Registry(), pages={"/-/page": 1})
    for verbs in ((), ("PUT",), ("GET", "DELETE")):
        with pytest.raises(SettingsError, match="expected GET, POST or both"):
            Page(lambda _: OK, verbs)


def test_a_page_that_fails(caplog):
    """A page may raise an error for the client; anything else is a 500 whose reason is in the log alone."""

    def refuse(_):
        raise Forbidden("not today")

    assert ask({"/-/page": refuse}).status == 403
    for page, reason in ((lambda _: 1 / 0, "ZeroDivisionError"), (lambda _: "text", "returned str; expected a Response")):
        caplog.clear()
        response = ask({"/-/page": page})
        problem = json.loads(response.body)
        assert (response.status, problem["ref"] in caplog.text, reason in caplog.text) == (500, True, True)
        assert reason not in problem["detail"]


def test_the_same_response_twice():
    """A page may return the same response each time: what a request adds to it is added to a copy."""
    for _ in range(2):
        response = ask({"/-/page": lambda _: OK}, headers=[("host", "a")], allowed_origins=["http://b"])
        assert response.headers == (*OK.headers, ("Vary", "Origin"))


def test_an_unknown_page_names_the_others():
    """A page that does not exist gets 404, which lists the existing pages and shows a cut form of the path."""
    pages = Pages({"/-/a": Page(lambda _: OK)}, {})
    for verb in ("GET", "POST"):
        with pytest.raises(MethodNotFound, match=r"no page '/-/x+…'; there are /-/a"):
            pages.check(Head(verb, "/-/" + "x" * 1000))
    with pytest.raises(VerbNotAllowed, match="the page /-/a does not support POST"):
        pages.check(Head("POST", "/-/a"))
    assert pages.find("/-/b") is None
    assert pages.allow("/-/b") == "GET, HEAD, OPTIONS"


def test_a_query_that_can_not_be_read():
    """A query that is not UTF-8 is an error for the client, when a page asks for it."""
    asked = PageRequest(Request(Head("GET", "/-/page?a=%FF")), None, SimpleNamespace(), [])
    with pytest.raises(InvalidRequest, match="not percent-encoded UTF-8"):
        _ = asked.query


def test_a_probe_needs_no_credentials():
    """Of all pages only the two probes are open to strangers, on any host."""
    pages = {"/-/page": lambda _: OK, "/-/healthy/more": lambda _: OK}
    found = {path: ask(pages, path=path, guard=Known()).status for path in ("/-/healthy", "/-/ready", "/-/", *pages)}
    assert found == {"/-/healthy": 200, "/-/ready": 200, "/-/": 403, "/-/page": 403, "/-/healthy/more": 403}
    assert ask(pages, path="/-/ready", headers=[("host", "evil")], allowed_hosts=LOOPBACK).status == 200
