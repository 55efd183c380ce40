"""What lies under `/-/`, where no method is (CONVENTION, section 6).

Owns which pages there are and what each of them says. `gjrpc.contracts` writes the documents, and `application` checks who may
ask.
"""

from collections.abc import Callable
from typing import Any

from gjrpc import errors
from gjrpc._version import __version__
from gjrpc.calls.disclosure import DETAILS, internal_error
from gjrpc.calls.registry import Registry
from gjrpc.contracts.documents import Contracts
from gjrpc.http.messages import JSON, Response
from gjrpc.http.problems import refusal
from gjrpc.texts import quoted
from gjrpc.values import codec


class Pages:
    """The pages of one application.

    Args:
        registry: the methods, which the index lists.
        contracts: the documents.
        ready: tells whether new calls are welcome.
    """

    def __init__(self, registry: Registry, contracts: Contracts, *, ready: Callable[[], bool]) -> None:
        self._registry = registry
        self._ready = ready
        self._pages: dict[str, Callable[[], Response]] = {
            "/-/": self._index,
            "/-/healthy": lambda: _json({"healthy": True}),
            "/-/ready": self._readiness,
            "/-/openrpc.json": lambda: _document(contracts.openrpc),
            "/-/openapi.json": lambda: _document(contracts.openapi),
        }

    def answer(self, target: str) -> Response:
        """Answer a GET; a query means nothing.

        Raises:
            MethodNotFound: there is no such page.
            Overloaded: no new calls are welcome, and that was asked.
        """
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            raise errors.MethodNotFound(f"no page {quoted(target)}; there are {', '.join(self._pages)}")
        return page()

    def _index(self) -> Response:
        return _json({"gjrpc": __version__, "pages": sorted(self._pages), "methods": self._registry.list_methods()})

    def _readiness(self) -> Response:
        if not self._ready():
            raise errors.Overloaded("shutting down", retry_after=1)
        return _json({"ready": True})


def _document(write: Callable[[], Any]) -> Response:
    try:
        return _json(write())
    except Exception as error:  # noqa: BLE001  an annotation is an application's own code, and may raise anything
        return refusal(internal_error("the document can't be written", error, pointer=DETAILS))


def _json(value: Any) -> Response:
    return Response(200, codec.encode(value), JSON)
