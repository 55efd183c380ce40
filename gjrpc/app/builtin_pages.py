"""The pages that each application has: the index, two probes, and two documents (CONVENTION, section 6).

Owns their paths and their content. `gjrpc.contracts` writes the documents.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from gjrpc._version import __version__
from gjrpc.app.pages import ROOT, Page, PageRequest
from gjrpc.calls.disclosure import DETAILS, internal_error
from gjrpc.calls.registry import Registry
from gjrpc.contracts.documents import Contracts
from gjrpc.errors import Overloaded
from gjrpc.http.messages import JSON, Response
from gjrpc.http.peer import Peer
from gjrpc.http.problems import refusal
from gjrpc.values import codec


def builtin_pages(registry: Registry, contracts: Contracts, guards_hosts: Callable[[Peer | None], bool]) -> dict[str, Page]:
    """Return the built-in pages by their paths.

    Args:
        registry: the methods, which the index lists.
        contracts: the documents.
        guards_hosts: whether the server of a peer refuses requests for other hosts.
    """

    def index(asked: PageRequest) -> Response:
        return _json({"gjrpc": __version__, "pages": asked.paths, "methods": registry.list_methods()})

    def openapi(asked: PageRequest) -> Response:
        return _document(partial(contracts.openapi, guards_hosts(asked.peer)))

    return {
        ROOT: Page(index),
        "/-/healthy": Page(lambda _: _json({"healthy": True})),
        "/-/ready": Page(_ready),
        "/-/openrpc.json": Page(lambda _: _document(contracts.openrpc)),
        "/-/openapi.json": Page(openapi),
    }


def _ready(asked: PageRequest) -> Response:
    if asked.peer is not None and not asked.peer.server_ready:
        raise Overloaded("shutting down", retry_after=1)
    return _json({"ready": True})


def _document(write: Callable[[], Any]) -> Response:
    try:
        return _json(write())
    except Exception as error:  # noqa: BLE001  an annotation is an application's own code, and may raise anything
        return refusal(internal_error("the document can't be written", error, pointer=DETAILS))


def _json(value: Any) -> Response:
    return Response(200, codec.encode(value), JSON)
