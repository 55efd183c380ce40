"""Pages: what lies under `/-/`, where no method is (CONVENTION, section 6).

Owns what a page gets and returns, which paths it may have, and which verbs a path allows. It knows no page by name:
`builtin_pages` has those of each application, others are given to `Application(pages=…)`. `admission` checks who may open a page.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from gjrpc.app.native import read_query
from gjrpc.app.responses import checked
from gjrpc.calls import context
from gjrpc.calls.dispatch import Dispatcher
from gjrpc.errors import MethodNotFound, SettingsError, VerbNotAllowed
from gjrpc.http.messages import Head, Request, Response
from gjrpc.http.peer import Peer
from gjrpc.texts import excerpt, quoted

ROOT = "/-/"
"""The path of the index, and the prefix of all pages."""

_PATH = re.compile(r"/-/(?:[A-Za-z0-9._~-]+/)*(?:[A-Za-z0-9._~-]+|\*)")  # RFC 3986, 2.3: unreserved characters
_VERBS = {"GET": "GET, HEAD", "POST": "POST"}  # what a page can answer, as `Allow` says it
_READ_ONLY = "GET, HEAD, OPTIONS"


class PageRequest(Struct, frozen=True, eq=False):
    """A request for a page.

    Attributes:
        request: the request: head and body.
        peer: the client's end of the connection, and the server that received the request; None in a test.
        dispatcher: runs calls, with the rights of the caller of this request.
        paths: the paths of all pages of the application, sorted.
        below: for a page whose path ends in `/*`, the rest of the path; it may be percent-encoded.
    """

    request: Request
    peer: Peer | None
    dispatcher: Dispatcher
    paths: list[str]
    below: str = ""

    @property
    def head(self) -> Head:
        """The head of the request."""
        return self.request.head

    @property
    def query(self) -> dict[str, list[str]]:
        """The values of each name in the query.

        Raises:
            InvalidRequest: it is not percent-encoded UTF-8, or has too many names.
        """
        return read_query(self.head.target.partition("?")[2])

    @property
    def caller(self) -> str | None:
        """The caller's name, or None without authentication."""
        caller = context.current()
        return None if caller is None else caller.name


Answer: TypeAlias = Callable[[PageRequest], Response]
"""Answers requests for a page. It may raise a `CallError`; any other exception is a 500 with a `ref`, and is logged."""


@dataclass(frozen=True)
class Page:
    """A page, with the verbs that it answers; a function alone is a page that answers GET.

    Attributes:
        answer: answers a request.
        verbs: `GET`, `POST` or both. HEAD goes with GET, and the application itself answers OPTIONS.

    Raises:
        SettingsError: a verb is neither.
    """

    answer: Answer
    verbs: tuple[str, ...] = ("GET",)

    def __post_init__(self) -> None:
        if not self.verbs or not _VERBS.keys() >= set(self.verbs):
            raise SettingsError(f"a page with verbs={self.verbs!r}: expected GET, POST or both")

    @property
    def allow(self) -> str:
        """The verbs for an `Allow` header (RFC 9110, 10.2.1)."""
        return ", ".join([*(_VERBS[verb] for verb in _VERBS if verb in self.verbs), "OPTIONS"])


class Pages:
    """The pages of one application.

    Args:
        builtin: the pages that each application has, by path.
        added: further pages by path. A path that ends in `/*` stands for all paths below it that no other page has. The index
            (`/-/`) may be replaced, the other built-in pages may not.

    Raises:
        SettingsError: a path or a page can't be used.
    """

    def __init__(self, builtin: Mapping[str, Page], added: Mapping[str, Page | Answer]) -> None:
        self._pages = dict(builtin)
        for path, page in added.items():
            self._add(path, page, builtin)

    def _add(self, path: str, page: Page | Answer, builtin: Mapping[str, Page]) -> None:
        if path != ROOT and (not isinstance(path, str) or not _PATH.fullmatch(path)):
            raise SettingsError(
                f"pages: {path!r} can't be the path of a page; expected '/-/NAME' of letters, digits, '.', '_', '~' and '-', or "
                "'/-/NAME/*' for all paths below it"
            )
        if path != ROOT and path in builtin:
            raise SettingsError(f"pages: {path} is a built-in page; choose another path")
        if not isinstance(page, Page) and not callable(page):
            raise SettingsError(f"pages: {path} is {page!r}; expected a function of a PageRequest, or a Page")
        self._pages[path] = page if isinstance(page, Page) else Page(page)

    def find(self, target: str) -> tuple[Page, str] | None:
        """Return the page of a target, and what is below its path if that ends in `/*`; None if there is no such page."""
        path = target.partition("?")[0]
        page = self._pages.get(path)
        if page is not None and not path.endswith("/*"):
            return page, ""
        at = len(path)
        while (at := path.rfind("/", 0, at)) > 0:
            if page := self._pages.get(f"{path[:at]}/*"):
                return page, path[at + 1 :]
        return None

    def allow(self, target: str) -> str:
        """Return the verbs that a target allows, for an `Allow` header."""
        found = self.find(target)
        return _READ_ONLY if found is None else found[0].allow

    def check(self, head: Head) -> tuple[Page, str]:
        """Return what `find` does, for the verb of a request too.

        Raises:
            MethodNotFound: no page has this path.
            VerbNotAllowed: the page does not answer this verb.
        """
        found = self.find(head.target)
        if found is None:
            raise MethodNotFound(f"no page {quoted(head.target)}; there are {', '.join(self._pages)}")
        if ("GET" if head.verb == "HEAD" else head.verb) not in found[0].verbs:
            raise VerbNotAllowed(f"the page {excerpt(head.target)} does not support {head.verb}", allow=found[0].allow)
        return found

    def answer(self, request: Request, peer: Peer | None, dispatcher: Dispatcher) -> Response:
        """Answer a request for a page.

        Raises:
            MethodNotFound, VerbNotAllowed: as `check`.
            TypeError, ValueError: the page returned no response that can be sent.
        """
        page, below = self.check(request.head)
        response = page.answer(PageRequest(request, peer, dispatcher, sorted(self._pages), below))
        return checked(response, f"the page {excerpt(request.head.target)}")
