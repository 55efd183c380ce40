"""What lies under `/-/`, where no method is (CONVENTION, section 6).

Owns which pages there are and what each of them says. `gjrpc.contracts` writes the documents, and `application` checks who may
ask.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from gjrpc import errors
from gjrpc._version import __version__
from gjrpc.calls.disclosure import DETAILS, internal_error
from gjrpc.calls.registry import Registry
from gjrpc.contracts.documents import Contracts
from gjrpc.http.messages import JSON, Response
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal
from gjrpc.texts import quoted
from gjrpc.values import codec


class Pages:
    """The pages of one application.

    Args:
        registry: the methods, which the index lists.
        contracts: the documents.
        guards_hosts: whether the requests of a peer are refused if they are for another host.
    """

    def __init__(self, registry: Registry, contracts: Contracts, guards_hosts: Callable[[Peer | None], bool]) -> None:
        self._registry = registry
        self._pages: dict[str, Callable[[Peer | None], Response]] = {
            "/-/": self._index,
            "/-/healthy": lambda _: _json({"healthy": True}),
            "/-/ready": _readiness,
            "/-/openrpc.json": lambda _: _document(contracts.openrpc),
            "/-/openapi.json": lambda peer: _document(partial(contracts.openapi, guards_hosts(peer))),
        }

    def answer(self, target: str, peer: Peer | None = None) -> Response:
        """Answer a GET; a query means nothing.

        Raises:
            MethodNotFound: there is no such page.
            Overloaded: the server that received the request is stopping, and this is the page that reports it.
        """
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            raise errors.MethodNotFound(f"no page {quoted(target)}; there are {', '.join(self._pages)}")
        return page(peer)

    def _index(self, _: Peer | None) -> Response:
        return _json({"gjrpc": __version__, "pages": sorted(self._pages), "methods": self._registry.list_methods()})


def _readiness(peer: Peer | None) -> Response:
    if peer is not None and not peer.server_ready:
        raise errors.Overloaded("shutting down", retry_after=1)
    return _json({"ready": True})


def _document(write: Callable[[], Any]) -> Response:
    try:
        return _json(write())
    except Exception as error:  # noqa: BLE001  an annotation is an application's own code, and may raise anything
        return refusal(internal_error("the document can't be written", error, pointer=DETAILS))


def _json(value: Any) -> Response:
    return Response(200, codec.encode(value), JSON)
