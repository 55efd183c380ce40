"""The application: a pure WSGI callable over a pure `respond(Request) -> Response`.

Owns the parts that an application is made of, and what is noted beside a head so that it is checked and read once. `admission`
checks who may send a request, `router` chooses what answers it. It needs no gevent and no socket. Two doors lead to `respond`:
WSGI (`wsgi`), and the project's own server.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gjrpc import errors
from gjrpc.app import wsgi
from gjrpc.app.admission import Admission, Handle
from gjrpc.app.builtin_pages import builtin_pages
from gjrpc.app.dialect import Dialect, DialectFactory
from gjrpc.app.jsonrpc import JSONRPCDialect
from gjrpc.app.native import NativeDialect
from gjrpc.app.options import Options
from gjrpc.app.pages import Pages
from gjrpc.app.router import CONTINUE, Router
from gjrpc.auth.guard import AnonymousGuard, Guard
from gjrpc.calls.disclosure import DETAILS, SERVER_FAILED, internal_error
from gjrpc.calls.dispatch import Dispatcher
from gjrpc.calls.method import Method
from gjrpc.calls.registry import Registry
from gjrpc.calls.rights import ANYONE, UNRESTRICTED
from gjrpc.contracts.documents import Contracts
from gjrpc.errors import CallError
from gjrpc.http.messages import Head, Headers, Request, Response
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal, status_of
from gjrpc.values import codec

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Application:
    """Puts a registry on HTTP, under any WSGI server.

    >>> application = Application(Registry(), max_body=1000)

    Its parts can't be assigned later: a head that was admitted once is not checked again.

    Args:
        registry: the methods.
        options: the options.
        changes: single options by name, as in `gjrpc.app.options.Options`, which documents each.

    Raises:
        SettingsError: an option can't be used.
        TypeError: there is no such option.
    """

    __slots__ = (
        "__weakref__",
        "_admission",
        "_dispatcher",
        "_guard",
        "_options",
        "_registry",
        "_router",
    )

    def __init__(self, registry: Registry, options: Options | None = None, **changes: Any) -> None:
        self._options = options = replace(options or Options(), **changes)
        self._registry = registry
        self._guard: Guard | AnonymousGuard | None = options.guard
        if options.guard is None and registry.scopes and not options.open_to_all:
            self._guard = AnonymousGuard()
        schemes = self._guard.schemes if self._guard else {}
        contracts = Contracts(registry, options.title, options.version, status_of, schemes=schemes)
        self._dispatcher = dispatcher = Dispatcher(
            registry,
            options.runtime,
            options.observers,
            own=[Method.of("rpc.discover", contracts.openrpc)],
            anyone=UNRESTRICTED if options.open_to_all else ANYONE,
            guarded=self._guard is not None,
        )
        self._admission = Admission(options, self._guard, dispatcher.apart)
        pages = Pages(builtin_pages(registry, contracts, self._admission.guards_hosts), options.pages)
        jsonrpc = JSONRPCDialect(dispatcher.run, dispatcher.each, max_batch=options.max_batch, max_answer=options.max_answer)
        decode = codec.Decoder(options.max_depth, options.max_values).decode
        further = tuple(_make_dialect(make, dispatcher) for make in options.dialects)
        self._router = Router(dispatcher, decode, NativeDialect(dispatcher, decode), jsonrpc, further, pages)

    @property
    def registry(self) -> Registry:
        """The methods."""
        return self._registry

    @property
    def options(self) -> Options:
        """The options."""
        return self._options

    @property
    def max_body(self) -> int:
        """Bytes that a request's body may have."""
        return self._options.max_body

    @property
    def guard(self) -> Guard | AnonymousGuard | None:
        """Authenticates the callers; None if everyone may call every method."""
        return self._guard

    @property
    def dispatcher(self) -> Dispatcher:
        """Runs the calls."""
        return self._dispatcher

    @property
    def server_decides_hosts(self) -> bool:
        """Whether the server decides which hosts to answer for."""
        return self._admission.server_decides_hosts

    def trust(self, scheme_of: Callable[[Peer, Head], str]) -> None:
        """Trust the proxies in front to report a client's scheme, unless the option `scheme_of` was given."""
        self._admission.trust(scheme_of)

    def cors_headers(self, origin: str | None) -> Headers:
        """Return the CORS headers of an answer to a web page of this origin, or of none."""
        return self._admission.cors_headers(origin)

    def with_cors_headers(self, response: Response, head: Head) -> Response:
        """Return a refusal with the headers by which a web page of a listed origin may read it."""
        return self._admission.with_cors_headers(response, head)

    def respond(self, request: Request, peer: Peer | None = None) -> Response:
        """Answer one request; raises nothing that the request or a method could cause.

        Args:
            peer: the client's end of the connection; it also describes the server that received the request.
        """
        notes = request.head.notes
        try:
            if notes.application is self:
                answer: Handle = notes.answer
                return answer(request, peer)
            response = self._admission.answer(request, peer, self._router.route)
            self._remember(request.head)
        except BaseException as error:  # noqa: BLE001  of a page, a guard or a check; what a method raises is caught in `dispatch`
            response = self._failed(error)
        return self._admission.with_cors_headers(response, request.head)

    def admit(self, head: Head, peer: Peer | None = None) -> Response | None:
        """Refuse a request if its head alone is reason enough; otherwise return None: its body may be read.

        Servers call this before they read a body, so that strangers' bodies take no memory.
        """
        if head.notes.application is self and self._guard is None:
            return None
        try:
            response = self._admission.answer(Request(head), peer, self._router.await_body)
        except BaseException as error:  # noqa: BLE001  a guard may be an application's own
            response = self._failed(error)
        return None if response.status == CONTINUE else self._admission.with_cors_headers(response, head)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request of an environ (PEP 3333)."""
        return wsgi.answer(self, environ, start_response)

    def _remember(self, head: Head) -> None:
        """Answer further requests with this head at once, if the checks that it has passed depend on nothing else.

        Only the guard authenticates each request: credentials can be withdrawn.
        """
        if self._admission.depends_on_page(head):
            return
        try:
            answer = self._router.short_way(head)
        except errors.InvalidRequest:  # it names no method
            return
        if answer is not None:
            notes = head.notes
            guarded = None if self._guard is None else partial(self._admission.answer_as_caller, self._guard, answer)
            notes.answer = guarded or answer
            notes.application = self

    def _failed(self, error: BaseException) -> Response:
        """Answer a request that was refused, or failed outside of a method."""
        if isinstance(error, CallError):
            return refusal(error)
        if self._dispatcher.runtime.passes(error):
            raise error
        return refusal(internal_error(SERVER_FAILED, error, pointer=DETAILS))


def _make_dialect(make: DialectFactory, dispatcher: Dispatcher) -> Dialect:
    """Make a dialect.

    Raises:
        SettingsError: it is not a function, or what it returns is not a dialect.
    """
    if not callable(make):
        raise errors.SettingsError(f"dialects: {make!r}; expected a function that makes a dialect for a dispatcher")
    dialect = make(dispatcher)
    if not isinstance(dialect, Dialect):
        raise errors.SettingsError(f"dialects: {make!r} made {dialect!r}; expected the methods `answer` and `answer_malformed`")
    return dialect
