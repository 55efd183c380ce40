"""Which request goes where."""

import pytest

from gjrpc import Application, Registry
from gjrpc.app.jsonrpc import JSONRPCDialect
from gjrpc.app.native import NativeDialect
from gjrpc.app.pages import Page, Pages
from gjrpc.app.router import CONTINUE, Router
from gjrpc.calls.dispatch import Dispatcher
from gjrpc.errors import CallError, InvalidRequest, MethodNotFound, UnsupportedCoding, VerbNotAllowed
from gjrpc.http.messages import Head, Request, Response
from gjrpc.values.codec import decode

GZIP = [("content-encoding", "gzip")]
IDENTITY = [("content-encoding", "identity")]


@pytest.fixture
def registry():
    """Two methods."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")

    @registry.method
    def add(a: int, b: int = 10, /) -> int:
        return a + b

    return registry


@pytest.fixture
def router(registry):
    """A router with a page to read and a page to post to."""
    dispatcher = Dispatcher(registry)
    pages = {"/-/read": Page(lambda _: Response(200)), "/-/post": Page(lambda _: Response(200), verbs=("POST",))}
    jsonrpc = JSONRPCDialect(dispatcher.run, dispatcher.each)
    return Router(dispatcher, decode, NativeDialect(dispatcher, decode), jsonrpc, (), Pages(pages, {}))


SHORT = {
    "GET": ("GET", "/ping", (), b"", b'{"ping":"pong"}'),
    "HEAD": ("HEAD", "/add;1", (), b"", None),
    "a message": ("POST", "/", (), b'{"add":[1]}', b'{"add":11}'),
    "JSON-RPC": ("POST", "/", (), b'{"jsonrpc":"2.0","id":1,"method":"ping"}', b'{"jsonrpc":"2.0","result":"pong","id":1}'),
    "a named call": ("POST", "/add", (), b"[1,2]", b'{"add":3}'),
}


@pytest.mark.parametrize(("verb", "target", "headers", "body", "answer"), SHORT.values(), ids=SHORT)
def test_the_short_way_leads_to_the_same_answer(router, verb, target, headers, body, answer):
    """A head that names a call, or where a message goes, has a short way to the answer that it has by its verb and target."""
    request = Request(Head(verb, target, headers), body)
    routed = router.route(request, None)
    short = router.short_way(request.head)(request, None)
    assert (routed.status, routed.body, routed.headers) == (short.status, short.body, short.headers)
    assert answer is None or short.body == answer


@pytest.mark.parametrize(
    ("verb", "target", "headers"),
    [
        ("GET", "/-/read", ()),
        ("POST", "/-/post", ()),
        ("OPTIONS", "/ping", ()),
        ("DELETE", "/ping", ()),
        ("POST", "/?a=1", ()),
        ("POST", "/", GZIP),
        ("POST", "/add", IDENTITY),
        ("GET", "/add;" + "1" * 600, ()),
    ],
)
def test_no_short_way(router, verb, target, headers):
    """Pages, other verbs, coded bodies and long targets are looked at each time."""
    assert router.short_way(Head(verb, target, headers)) is None


@pytest.mark.parametrize(("verb", "target"), [("GET", "/"), ("GET", "/?a=1"), ("POST", "/;1"), ("POST", "/add?a=1")])
def test_a_head_that_names_no_call(router, verb, target):
    """A head that names no method has no short way."""
    with pytest.raises(InvalidRequest):
        router.short_way(Head(verb, target))


REFUSED = {
    "a page that is only read": ("POST", "/-/read", (), VerbNotAllowed),
    "no page": ("POST", "/-/nope", (), MethodNotFound),
    "a query on /": ("POST", "/?a=1", (), InvalidRequest),
    "a coding": ("POST", "/", GZIP, UnsupportedCoding),
    "a verb": ("PUT", "/ping", (), VerbNotAllowed),
}


@pytest.mark.parametrize(("verb", "target", "headers", "kind"), REFUSED.values(), ids=REFUSED)
def test_a_body_that_need_not_come(router, verb, target, headers, kind):
    """What the head alone is enough to refuse is refused alike before and after its body has come."""
    request = Request(Head(verb, target, headers))
    for check in (router.await_body, router.route):
        with pytest.raises(CallError) as caught:
            check(request, None)
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("verb", "target", "headers"), [("POST", "/", ()), ("POST", "/-/post", ()), ("POST", "/add", IDENTITY), ("GET", "/ping", ())]
)
def test_a_body_that_may_come(router, verb, target, headers):
    """Any other head is no reason to refuse a body."""
    assert router.await_body(Request(Head(verb, target, headers)), None).status == CONTINUE


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"[1", b"[1]", b'{"add":[1]}', b""])
@pytest.mark.parametrize("target", ["/add", "/ping", "/add;1", "/", "/-/healthy", "/nope", "/add?a=1"])
def test_a_memory_changes_nothing(registry, verb, target, body):
    """A head that comes again is answered as it was the first time, with any body."""
    application, head = Application(registry), Head(verb, target)
    for content in (body, b"[2]", body):
        again = application.respond(Request(head, content))
        new = application.respond(Request(Head(verb, target), content))
        assert (again.status, again.body, again.headers) == (new.status, new.body, new.headers)
