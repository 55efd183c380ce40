"""Request and Response: the values that go between HTTP and the application.

They know neither the socket or environ that they are read from, nor what a method is. Code must treat both as immutable: all
requests whose heads have the same bytes share one `Head`. What each call creates is a Struct, the cheapest kind of object.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from msgspec import Struct

Headers = tuple[tuple[str, str], ...]


OFTEN = {
    "host": "host",
    "origin": "origin",
    "sec-fetch-site": "site",
    "content-type": "content_type",
    "content-encoding": "coding",
}
"""Headers that are read so often that `Head` has an attribute for each."""


class Head:
    """The head of a request: everything before its body.

    Attributes:
        verb: the HTTP method, `GET`.
        target: path and query as received, still percent-encoded, `/add?a=1`.
        headers: names in lower case, values without surrounding blanks, in order; text as latin-1.
        version: `(1, 1)` or `(1, 0)`.
        plain: whether its answer is written the usual way: with a body, in HTTP/1.1.
        known: what a guard remembers about it, since clients send the same head again and again.
        host, origin, site, content_type, coding: the first value of each header in `OFTEN`, or None.
        reader: the application that has admitted it and parsed its call; None at first.
        call: the call that this application parsed from it.
    """

    __slots__ = (
        "call",
        "coding",
        "content_type",
        "headers",
        "host",
        "known",
        "origin",
        "plain",
        "reader",
        "site",
        "target",
        "verb",
        "version",
    )

    def __init__(
        self, verb: str, target: str, headers: Iterable[tuple[str, str]] = (), version: tuple[int, int] = (1, 1)
    ) -> None:
        self.verb = verb
        self.target = target
        self.headers: Headers = tuple(headers)
        self.version = version
        self.plain = version == (1, 1) and verb != "HEAD"
        self.host: str | None
        self.origin: str | None
        self.site: str | None
        self.content_type: str | None
        self.coding: str | None
        self.host = self.origin = self.site = self.content_type = self.coding = None
        for name, value in reversed(self.headers):
            if name in OFTEN:
                setattr(self, OFTEN[name], value)
        self.known: Any = None
        self.reader: object = None
        self.call: Any = None

    def get(self, name: str) -> str | None:
        """Return the first value of a header (name in lower case), or None."""
        return next((value for known, value in self.headers if known == name), None)

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> "Head":
        """Return a copy with other headers, except those in `OFTEN`; what the application parsed stays valid.

        Only for heads that no web page caused: `origin` and `site` are None in both.
        """
        other = Head.__new__(Head)
        other.verb, other.target, other.version, other.plain = self.verb, self.target, self.version, self.plain
        other.headers = tuple(headers)
        other.host, other.content_type, other.coding = self.host, self.content_type, self.coding
        other.origin = other.site = None
        other.known, other.reader, other.call = None, self.reader, self.call
        return other

    def __repr__(self) -> str:
        return f"<Head {self.verb} {self.target}>"


class Request(Struct, eq=False):
    """A complete request: its head, and its body without transfer coding."""

    head: Head
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Request {self.head.verb} {self.head.target}, {len(self.body)} bytes>"


JSON: Headers = (("Content-Type", "application/json"),)


class Response(Struct, eq=False):
    """An answer: status, body, the headers except those for the connection and the length, and the caller's name if known."""

    status: int
    body: bytes = b""
    headers: Headers = JSON
    caller: str | None = None

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


def reason_phrase(status: int) -> str:
    """Return the reason phrase of a status (RFC 9110, section 15)."""
    return _PHRASES.get(status, "Error")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
