"""Who may send a request."""

from types import SimpleNamespace

import pytest

from gjrpc import Application, Registry
from gjrpc.app.admission import Admission
from gjrpc.app.options import Options
from gjrpc.calls import context
from gjrpc.calls.rights import Caller, Rights
from gjrpc.errors import Forbidden, InvalidArguments, Misdirected, Unauthorized
from gjrpc.http.messages import Head, Request, Response

PAGE = [("host", "a"), ("origin", "http://b")]
PREFLIGHT = [*PAGE, ("access-control-request-method", "POST")]


class Guard:
    """A guard that lets alice in until it is closed."""

    def __init__(self):
        self.schemes = {}
        self.asked = 0
        self.open = True

    def authenticate(self, head, peer, offload):
        """Return alice, or refuse."""
        self.asked += 1
        if not self.open:
            raise Unauthorized("closed")
        return Caller("alice", Rights())


def admission(guard=None, **options):
    """An admission with these options."""
    return Admission(Options(**options), guard, lambda function: function())


def handle(request, peer):
    """Say who calls."""
    caller = context.current()
    return Response(200, b"" if caller is None else caller.name.encode())


def answer(checks, headers=(), verb="GET", target="/ping", peer=None):
    """The response to a request."""
    return checks.answer(Request(Head(verb, target, headers)), peer, handle)


def test_host_then_origin_then_caller():
    """The checks run in this order, and the error is that of the first check that fails."""
    guard = Guard()
    guard.open = False
    checks = admission(guard, allowed_hosts=["a"])
    with pytest.raises(Misdirected):
        answer(checks, [("host", "x"), ("origin", "http://b")])
    with pytest.raises(Forbidden, match="the origin 'http://b' may not call"):
        answer(checks, PAGE)
    assert guard.asked == 0
    with pytest.raises(Unauthorized, match="closed"):
        answer(checks, [("host", "a")])


def test_a_caller_is_known_for_the_time_of_the_request():
    """The caller is known while the request is answered, also if that fails, and no longer."""

    def fail(request, peer):
        raise InvalidArguments(context.current().name)

    checks = admission(Guard())
    response = answer(checks)
    assert (response.body, response.caller, context.current()) == (b"alice", "alice", None)
    refused = checks.answer(Request(Head("GET", "/ping")), None, fail)
    assert (refused.status, refused.caller, b"alice" in refused.body, context.current()) == (400, "alice", True, None)


@pytest.mark.parametrize(("headers", "verb", "target"), [(PREFLIGHT, "OPTIONS", "/ping"), ([("host", "x")], "GET", "/-/ready")])
def test_what_needs_no_credentials(headers, verb, target):
    """Neither a preflight of a listed origin nor a probe needs credentials."""
    guard = Guard()
    checks = admission(guard, allowed_hosts=["a"], allowed_origins=["http://b"])
    assert answer(checks, headers, verb, target).caller is None
    assert guard.asked == 0


def test_the_hosts_of_the_server_that_received_the_request():
    """Without hosts of its own the application answers for those of each server."""
    checks = admission()
    peers = {hosts: SimpleNamespace(server_hosts=frozenset(hosts), scheme="http") for hosts in ("", "a")}
    assert [checks.guards_hosts(peer) for peer in (None, *peers.values())] == [False, False, True]
    assert answer(checks, [("host", "x")], peer=peers[""]).status == 200
    with pytest.raises(Misdirected):
        answer(checks, [("host", "x")], peer=peers["a"])


def test_the_first_scheme_counts():
    """Proxies in front are trusted unless the options say how to find the client's scheme."""
    page, peer = [("host", "a"), ("origin", "https://a")], SimpleNamespace(server_hosts=frozenset(), scheme="http")
    told, free = admission(scheme_of=lambda peer, head: "http"), admission()
    for checks in (told, free):
        with pytest.raises(Forbidden):
            answer(checks, page, peer=peer)
        checks.trust(lambda peer, head: "https")
    assert answer(free, page, peer=peer).status == 200
    with pytest.raises(Forbidden):
        answer(told, page, peer=peer)


def test_a_head_that_was_admitted_is_authenticated_each_time():
    """Of a head that comes again only the guard's check is repeated, for each of its requests."""
    guard, registry = Guard(), Registry()
    registry.register(lambda: context.caller, "who")
    application = Application(registry, guard=guard)
    for head, body in ((Head("GET", "/who"), b""), (Head("POST", "/"), b'{"who":[]}'), (Head("POST", "/who"), b"")):
        guard.open, guard.asked = True, 0
        first, second = (application.respond(Request(head, body)) for _ in range(2))
        assert (first.body, first.caller, second.body, second.caller) == (b'{"who":"alice"}', "alice") * 2
        assert head.notes.application is application
        guard.open = False
        assert application.respond(Request(head, body)).status == 401
        assert application.admit(head).status == 401
        assert guard.asked == 4
