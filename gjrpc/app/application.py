"""The application: a pure WSGI callable over a pure `respond(Request) -> Response`.

Owns which request goes to which dialect or page, and who may ask (hosts, origins, callers). It needs no gevent and no socket; two
doors lead to `respond`: WSGI here, and the project's own server.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from gjrpc import errors
from gjrpc.app import jsonrpc, native
from gjrpc.app.environ import EnvironPeer, may_have_body, read_body, read_head
from gjrpc.app.jsonrpc import Dialect
from gjrpc.app.pages import Pages
from gjrpc.auth.guard import AnonymousGuard, Guard
from gjrpc.auth.origins import Gate, is_probe, preflight
from gjrpc.calls import context, exact
from gjrpc.calls.call import Call
from gjrpc.calls.disclosure import DETAILS, SERVER_FAILED, internal_error
from gjrpc.calls.dispatch import Dispatcher, Observer
from gjrpc.calls.method import Method
from gjrpc.calls.registry import Registry
from gjrpc.calls.rights import ANYONE, UNRESTRICTED
from gjrpc.calls.runtime import Runtime
from gjrpc.contracts.documents import Contracts
from gjrpc.errors import CallError
from gjrpc.http.messages import Head, Request, Response, reason_phrase
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal, status_of
from gjrpc.limits import MAX_ANSWER, MAX_BATCH, MAX_BODY, MAX_DEPTH, MAX_VALUES
from gjrpc.texts import excerpt, quoted
from gjrpc.values import codec

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Handle: TypeAlias = Callable[[Request, Peer | None], Response]

_METHOD_VERBS = "GET, HEAD, POST, OPTIONS"
_ROOT_VERBS = "POST, OPTIONS"
_PAGE_VERBS = "GET, HEAD, OPTIONS"
_NO_HOSTS: frozenset[str] = frozenset()
_SHORT = 512  # the call of a target with so few characters is kept with its head
_CONTINUE = 100  # RFC 9110, 15.2.1: the head is no reason to refuse the request


class Application:
    """Puts a registry on HTTP, under any WSGI server.

    Args:
        registry: the methods.
        max_body: bytes that a request's body may have; 413 beyond.
        max_depth: levels that its JSON may nest; 400 beyond.
        max_values: values that its JSON may have in its arrays and objects, as `gjrpc.values.codec.Decoder` counts
            them; 413 beyond.
        max_batch: entries that a JSON-RPC 2.0 batch may have; one -32600 beyond.
        max_answer: bytes that a batch's answers may have together; beyond that, -32001, and its remaining calls are not run.
        allowed_hosts: the `Host` names to answer for, without port; `*` for any; 421 for others. Unless given, any; but a
            `gjrpc.Server` that listens on a loopback address answers for loopback names only.
        allowed_origins: origins (`https://example.org`) that may call besides the same one; `*` for any; 403 for others.
        scheme_of: returns a client's scheme, `http` or `https`, as trusted proxies report it; see `gjrpc.http.forwarded`.
        runtime: runs blocking methods and deadlines; by default gevent's where gevent has patched the process, else in place.
        observers: each is called with a `gjrpc.calls.dispatch.Finished` after each call.
        guard: asks who calls, see `gjrpc.auth.credentials.guard`; 401 for those who can't say it.
        open_to_all: without a guard, let anyone call methods with a scope too.
        title: the name of the whole, for the documents.
        version: the version of its methods, for the documents.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        max_body: int = MAX_BODY,
        max_depth: int = MAX_DEPTH,
        max_values: int = MAX_VALUES,
        max_batch: int = MAX_BATCH,
        max_answer: int = MAX_ANSWER,
        allowed_hosts: Iterable[str] | None = None,
        allowed_origins: Iterable[str] = (),
        scheme_of: Callable[[Peer, Head], str] | None = None,
        runtime: Runtime | None = None,
        observers: Sequence[Observer] = (),
        guard: Guard | None = None,
        open_to_all: bool = False,
        title: str = "gjrpc",
        version: str = "0",
    ) -> None:
        self.registry = registry
        self.max_body = max_body
        self._decode: Callable[[bytes], Any] = codec.Decoder(max_depth, max_values).decode
        self._decode_arguments = self._decode
        registry.when_exact(self._keep_digits)
        self.guard: Guard | AnonymousGuard | None = guard
        """Asks who calls, or None."""
        if guard is None and registry.scopes and not open_to_all:
            self.guard = AnonymousGuard()
        self._gate = Gate(allowed_hosts, allowed_origins)
        self._scheme_of = scheme_of
        self.grants = self._gate.grants
        """Returns the CORS headers of an answer to a page of this origin, or of none."""
        self._contracts = Contracts(
            registry,
            title,
            version,
            status_of,
            schemes=self.guard.schemes if self.guard else {},
        )
        discover = Method.of("rpc.discover", self._contracts.openrpc)
        rights: dict[str, Any] = {"anyone": UNRESTRICTED if open_to_all else ANYONE, "guarded": self.guard is not None}
        self.dispatcher = Dispatcher(registry, runtime, observers, own=(discover,), **rights)
        self._jsonrpc = Dialect(self.dispatcher.run, self.dispatcher.each, max_batch=max_batch, max_answer=max_answer)
        self._verbs: dict[str, Handle] = {
            "GET": self._get,
            "HEAD": self._get,
            "POST": self._post,
            "OPTIONS": self._options,
        }
        self._pages = Pages(registry, self._contracts, lambda peer: self._gate.guards_hosts(_server_hosts(peer)))

    @property
    def leaves_hosts(self) -> bool:
        """Whether it was not told which hosts to answer for."""
        return self._gate.leaves_hosts

    def trust(self, scheme_of: Callable[[Peer, Head], str]) -> None:
        """Trust the proxies in front to report a client's scheme, unless `scheme_of` was given."""
        self._scheme_of = self._scheme_of or scheme_of

    def respond(self, request: Request, peer: Peer | None = None) -> Response:
        """Answer one request; raises nothing that the request or a method could cause.

        Args:
            peer: the client's end of the connection, and what the server that received the request says of itself.
        """
        head = request.head
        notes = head.notes
        try:
            if notes.application is self:
                return notes.answer(request)  # type: ignore[no-any-return]  # noted below
            handle = self._verbs.get(head.verb, self._no_verb)
            if head.origin is not None or head.site is not None or self.guard is not None or self._gate.has_list:
                return self._let_in(request, peer, handle)
            self._gate.check_host(head, _server_hosts(peer))
            response = handle(request, peer)
            if notes.call is not None or (head.target == "/" and head.verb == "POST"):
                # From now on the shorter way: all that was looked at is a pure function of the head.
                notes.answer = self._message if notes.call is None else self._spelled
                notes.application = self
            return response
        except BaseException as error:  # noqa: BLE001  a page or a look at the host, but for what a method raises
            return self._failed(error)

    def admit(self, head: Head, peer: Peer | None = None) -> Response | None:
        """Answer a request that its head alone is enough to refuse; return None if its body may come.

        Servers call this before they read a body, so that strangers' bodies take no memory.
        """
        if head.notes.application is self:
            return None
        response = self._let_in(Request(head), peer, self._await_body)
        return None if response.status == _CONTINUE else response

    def _await_body(self, request: Request, _: Peer | None) -> Response:
        head = request.head
        if head.verb not in self._verbs:
            return self._no_verb(request, None)
        if head.verb == "POST":
            _check_posted(head)
        return Response(_CONTINUE)

    def _let_in(self, request: Request, peer: Peer | None, handle: Handle) -> Response:
        """Answer a request whose origin or caller must be looked at first."""
        head, gate = request.head, self._gate
        try:
            gate.check_host(head, _server_hosts(peer))
            if head.origin is not None or head.site is not None:
                gate.check_page(head, self._scheme(head, peer))
            if head.origin is not None and gate.lists(head.origin) and (asked := preflight(head)):
                response = Response(204, headers=asked)
            elif self.guard is None or is_probe(head):
                response = handle(request, peer)
            else:
                response = self._as_caller(self.guard, handle, request, peer)
        except BaseException as error:  # noqa: BLE001  a guard may be an application's own
            response = self._failed(error)
        if gate.has_list:
            return response.with_headers(gate.grants(head.origin))
        return response

    def _failed(self, error: BaseException) -> Response:
        """The answer to a request that was refused, or failed outside of a method."""
        if isinstance(error, CallError):
            return refusal(error)
        if self.dispatcher.runtime.passes(error):
            raise error
        return refusal(internal_error(SERVER_FAILED, error, pointer=DETAILS))

    def _scheme(self, head: Head, peer: Peer | None) -> str:
        """The client's scheme."""
        if peer is None:
            return "http"
        return peer.scheme if self._scheme_of is None else self._scheme_of(peer, head)

    def _as_caller(self, guard: Guard | AnonymousGuard, handle: Handle, request: Request, peer: Peer | None) -> Response:
        caller = guard.authenticate(request.head, peer, self.dispatcher.apart)
        entered = context.enter(caller)
        try:
            response = handle(request, peer)
        except CallError as error:
            response = refusal(error)
        finally:
            context.leave(entered)
        return response.with_caller(caller.name)

    def _no_verb(self, request: Request, _: Peer | None) -> Response:
        head = request.head
        raise errors.VerbNotAllowed(f"{excerpt(head.verb)} is not supported here", allow=self._allowed(head.target))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """The WSGI door (PEP 3333)."""
        head, peer = read_head(environ), EnvironPeer(environ)
        response = self.admit(head, peer) if may_have_body(environ) else None
        try:
            response = response or self.respond(Request(head, read_body(environ, self.max_body)), peer)
        except CallError as error:
            response = refusal(error).with_headers(self.grants(head.origin))
        headers = [*response.headers, ("Content-Length", str(len(response.body)))]
        start_response(f"{response.status} {reason_phrase(response.status)}", headers if response.status != 204 else headers[:-1])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def _get(self, request: Request, peer: Peer | None) -> Response:
        target = request.head.target
        if target.startswith("/-/"):
            return self._pages.answer(target, peer)
        call = native.read_target(target)
        if len(target) <= _SHORT:  # keeping a longer one costs more than it saves
            request.head.notes.call = call
        return self._spelled(request, call)

    def _spelled(self, request: Request, call: Call | None = None) -> Response:
        """Answer the call that a path spells; by default the one that is noted beside the head."""
        if request.body:
            error = errors.InvalidRequest("a GET takes its arguments from the path, and it came with a body: send it with POST")
            response = refusal(error)
        else:
            response = self._native(request.head.notes.call if call is None else call)
        if response.status == 400 and (allow := self._allowed(request.head.target)) == _ROOT_VERBS:
            path = excerpt(request.head.target.partition("?")[0])
            raise errors.VerbNotAllowed(f"its arguments go by position: POST them, or GET {path};VALUE", allow=allow)
        return response

    def _post(self, request: Request, _: Peer | None) -> Response:
        target = request.head.target
        if target != "/" or request.head.coding is not None:
            _check_posted(request.head)
        if target == "/":
            return self._message(request)
        call = native.read_named_body(target, request.body, self._decode_arguments)
        if self.registry.exact:
            arguments = exact.exact_arguments(call.arguments, request.body, call.name, self.registry.find)
            call = Call(call.name, arguments)
        return self._native(call)

    def _keep_digits(self) -> None:
        self._decode = exact.keeping_digits(self._decode, self.registry.find)

    def _message(self, request: Request) -> Response:
        """Answer a `POST /` in the dialect that it speaks."""
        try:
            message = self._decode(request.body)
        except (errors.ParseError, errors.TooLarge) as error:
            if not jsonrpc.looks_like_message(request.body):
                raise
            return Response(200, jsonrpc.write_error(error))
        if type(message) is list or (type(message) is dict and "jsonrpc" in message):
            answer = self._jsonrpc.answer(message)
            return Response(204, headers=()) if answer is None else Response(200, answer)
        return self._native(native.read_message(message))

    def _options(self, request: Request, _: Peer | None) -> Response:
        return Response(204, headers=(("Allow", self._allowed(request.head.target)),))

    def _allowed(self, target: str) -> str:
        """The verbs that a target knows; RFC 9110, 10.2.1."""
        path = target.partition("?")[0]
        if path in ("/", "*"):
            return _ROOT_VERBS
        if path.startswith("/-/"):
            return _PAGE_VERBS
        method = self.registry.find(unquote(path[1:]))
        if method is None or not self.dispatcher.may_call(method):  # a caller who may not call it learns nothing of it
            return _METHOD_VERBS
        return _METHOD_VERBS if method.binding.takes_names else _ROOT_VERBS

    def _native(self, call: Call) -> Response:
        outcome = self.dispatcher.run(call)
        if isinstance(outcome, bytes):
            return Response(200, native.success(call.name, outcome))
        return refusal(outcome, call.name)


def _server_hosts(peer: Peer | None) -> frozenset[str]:
    return _NO_HOSTS if peer is None else peer.server_hosts


def _check_posted(head: Head) -> None:
    """Refuse a POST to a path without a method, and a body that can't be read.

    Raises:
        VerbNotAllowed, InvalidRequest, UnsupportedCoding
    """
    target = head.target
    if head.coding is not None:
        codings = ", ".join(value for name, value in head.headers if name == "content-encoding")
        if set(codings.lower().replace(" ", "").split(",")) - {"identity", ""}:
            raise errors.UnsupportedCoding(f"the body's Content-Encoding {quoted(codings)} is not supported: send it without one")
    if target.startswith(("/-/", "/?")):
        if target[1] == "?":
            raise errors.InvalidRequest("POST / takes no query: name the method and its arguments in the body")
        raise errors.VerbNotAllowed("there is nothing to POST to under /-/", allow=_PAGE_VERBS)
