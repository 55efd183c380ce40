"""Which request goes to which dialect or page, by its verb and target.

Owns this choice, and what each target allows. It does not know who may send a request: `admission` has checked that.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from gjrpc import errors
from gjrpc.app.admission import Handle
from gjrpc.app.dialect import Dialect
from gjrpc.app.native import NativeDialect, read_name, read_target
from gjrpc.app.pages import ROOT, Pages
from gjrpc.app.responses import checked
from gjrpc.calls import exact
from gjrpc.calls.call import Call
from gjrpc.calls.dispatch import Dispatcher
from gjrpc.errors import CallError
from gjrpc.http.messages import Head, Request, Response
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal
from gjrpc.texts import excerpt, quoted

CONTINUE = 100
"""The status if the head gives no reason to refuse the request (RFC 9110, 15.2.1)."""

_METHOD_VERBS = "GET, HEAD, POST, OPTIONS"
_ROOT_VERBS = "POST, OPTIONS"
_SHORT = 512  # characters of a target whose call is kept beside its head; keeping a longer one costs more than it saves


class Router:
    """Answers admitted requests.

    Args:
        dispatcher: runs the calls.
        decode: decodes a body.
        native: answers native calls.
        jsonrpc: answers JSON-RPC 2.0 messages.
        further: dialects that answer before those two.
        pages: what lies under `/-/`.
    """

    __slots__ = ("_decode", "_dispatcher", "_further", "_jsonrpc", "_native", "_pages", "_registry", "_verbs")

    def __init__(
        self,
        dispatcher: Dispatcher,
        decode: Callable[[bytes], Any],
        native: NativeDialect,
        jsonrpc: Dialect,
        further: tuple[Dialect, ...],
        pages: Pages,
    ) -> None:
        self._dispatcher = dispatcher
        self._registry = dispatcher.registry
        self._native = native
        self._jsonrpc = jsonrpc
        self._further = further
        self._pages = pages
        self._verbs: dict[str, Handle] = {
            "GET": self._get,
            "HEAD": self._get,
            "POST": self._post,
            "OPTIONS": self._answer_options,
        }
        self._decode = decode
        self._registry.when_exact(self._keep_digits)

    def short_way(self, head: Head) -> Handle | None:
        """Return the function that `route` chooses for this head, and note the call in the head; None if there is none to keep.

        Raises:
            InvalidRequest: it names no method.
        """
        verb, target = head.verb, head.target
        if target.startswith(ROOT) or len(target) > _SHORT:
            return None
        if verb in ("GET", "HEAD"):
            head.notes.call = read_target(target)
            return self._answer_spelled
        if verb != "POST" or target.startswith("/?") or head.coding is not None:
            return None
        if target == "/":
            return self._answer_message
        head.notes.call = read_name(target)
        return self._answer_named

    def route(self, request: Request, peer: Peer | None) -> Response:
        """Answer a request.

        Raises:
            CallError: it names no method or page, or is otherwise malformed.
        """
        return self._verbs.get(request.head.verb, self._refuse_verb)(request, peer)

    def await_body(self, request: Request, peer: Peer | None) -> Response:
        """Answer `CONTINUE` if the body may be read.

        Raises:
            CallError: the head is reason enough to refuse the request.
        """
        head = request.head
        if head.verb not in self._verbs:
            return self._refuse_verb(request, peer)
        if head.verb == "POST":
            self._check_posted(head)
        return Response(CONTINUE)

    def _refuse_verb(self, request: Request, _: Peer | None) -> Response:
        head = request.head
        raise errors.VerbNotAllowed(f"{excerpt(head.verb)} is not supported here", allow=self._allowed(head.target))

    def _get(self, request: Request, peer: Peer | None) -> Response:
        target = request.head.target
        if target.startswith(ROOT):
            return self._pages.answer(request, peer, self._dispatcher)
        return self._answer_spelled(request, peer, read_target(target))

    def _answer_spelled(self, request: Request, _: Peer | None, call: Call | None = None) -> Response:
        """Answer the call that a path names; by default the one that is noted beside the head."""
        if request.body:
            error = errors.InvalidRequest("a GET can't have a body: put the arguments into the path, or send a POST")
            response = refusal(error)
        else:
            response = self._native.run(request.head.notes.call if call is None else call)
        if response.status == 400 and (allow := self._allowed(request.head.target)) == _ROOT_VERBS:
            path = excerpt(request.head.target.partition("?")[0])
            raise errors.VerbNotAllowed(
                f"the method takes its arguments by position: POST them, or GET {path};VALUE", allow=allow
            )
        return response

    def _post(self, request: Request, peer: Peer | None) -> Response:
        self._check_posted(request.head)
        target = request.head.target
        if target == "/":
            return self._answer_message(request, peer)
        if target.startswith(ROOT):
            return self._pages.answer(request, peer, self._dispatcher)
        return self._answer_named(request, peer, read_name(target))

    def _answer_named(self, request: Request, _: Peer | None, call: Call | None = None) -> Response:
        """Answer a POST whose path names the method and whose body is the arguments; see `_answer_spelled`."""
        return self._native.answer_named((request.head.notes.call if call is None else call).name, request.body)

    def _answer_message(self, request: Request, _: Peer | None) -> Response:
        """Answer a `POST /` in the dialect of its message."""
        decode = self._decode  # a call of an attribute is slower than one of a variable
        try:
            message = decode(request.body)
        except (errors.ParseError, errors.TooLarge) as error:
            return self._answer_malformed(request, error)
        if self._further:
            for dialect in self._further:
                if (response := dialect.answer(message, request)) is not None:
                    return checked(response, _source(dialect))
        response = self._jsonrpc.answer(message, request)
        return self._native.answer(message, request) if response is None else response

    def _answer_malformed(self, request: Request, error: CallError) -> Response:
        for dialect in self._further:
            if (response := dialect.answer_malformed(request, error)) is not None:
                return checked(response, _source(dialect))
        response = self._jsonrpc.answer_malformed(request, error)
        return self._native.answer_malformed(request, error) if response is None else response

    def _keep_digits(self) -> None:
        self._decode = exact.keeping_digits(self._decode, self._registry.find)

    def _answer_options(self, request: Request, _: Peer | None) -> Response:
        return Response(204, headers=(("Allow", self._allowed(request.head.target)),))

    def _allowed(self, target: str) -> str:
        """Return the verbs that a target allows, for an `Allow` header (RFC 9110, 10.2.1)."""
        path = target.partition("?")[0]
        if path in ("/", "*"):
            return _ROOT_VERBS
        if path.startswith(ROOT):
            return self._pages.allow(target)
        method = self._registry.find(unquote(path[1:]))
        if method is None or not self._dispatcher.may_call(method):  # a caller who may not call it learns nothing of it
            return _METHOD_VERBS
        return _METHOD_VERBS if method.binding.takes_names else _ROOT_VERBS

    def _check_posted(self, head: Head) -> None:
        """Refuse a POST to a path that nothing answers, and a body that can't be read.

        Raises:
            VerbNotAllowed, InvalidRequest, UnsupportedCoding
        """
        if head.coding is not None:
            codings = ", ".join(value for name, value in head.headers if name == "content-encoding")
            if set(codings.lower().replace(" ", "").split(",")) - {"identity", ""}:
                raise errors.UnsupportedCoding(
                    f"the body's Content-Encoding {quoted(codings)} is not supported: send the body without one"
                )
        if head.target.startswith("/?"):
            raise errors.InvalidRequest("POST / accepts no query: put the method and its arguments into the body")
        if head.target.startswith(ROOT):
            self._pages.check(head)


def _source(dialect: Dialect) -> str:
    return f"the dialect {type(dialect).__name__}"
