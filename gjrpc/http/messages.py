"""Request and Response: the values that go between HTTP and the application.

Owns these values, which are frozen, and the notes beside a head, which are not. It knows neither who reads requests from a socket
or an environ, nor what a method is. They are Structs, since no other object is as cheap to make.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from msgspec import Struct, field
from msgspec.structs import force_setattr

Field = tuple[str, str]
"""A header: its name and its value, without blanks around it."""

Headers = tuple[Field, ...]


OFTEN = {
    "host": "host",
    "origin": "origin",
    "sec-fetch-site": "site",
    "content-type": "content_type",
    "content-encoding": "coding",
}
"""Headers that are read so often that `Head` has an attribute for each."""


class Notes(Struct, eq=False):
    """What is noted beside a head, since clients send the same head again and again; never part of the head's value.

    Attributes:
        application: the application that has admitted the head; None at first. It alone reads and writes the next two.
        answer: its function that answers a request with this head, past the checks that the head has passed.
        call: the call that it read from the head, if there is one.
        authenticated: what the application's guard remembers of the head's credentials.
    """

    application: object = None
    answer: Any = None
    call: Any = None
    authenticated: Any = None


class Head(Struct, frozen=True, eq=False):
    """The head of a request: everything before its body. All requests whose heads have the same bytes share one.

    Give the first four; the others follow from them.

    Attributes:
        verb: the HTTP method, `GET`.
        target: path and query as received, still percent-encoded, `/add?a=1`.
        headers: names in lower case, values without surrounding blanks, in order; text as latin-1. A list is copied.
        version: `(1, 1)` or `(1, 0)`.
        plain: whether its answer is written the usual way: with a body, in HTTP/1.1.
        host, origin, site, content_type, coding: the first value of each header in `OFTEN`, or None.
        notes: what others note beside this head.
    """

    verb: str
    target: str
    headers: Headers = ()
    version: tuple[int, int] = (1, 1)
    plain: bool = True
    host: str | None = None
    origin: str | None = None
    site: str | None = None
    content_type: str | None = None
    coding: str | None = None
    notes: Notes = field(default_factory=Notes)

    def __post_init__(self) -> None:
        if self.version != (1, 1) or self.verb == "HEAD":
            force_setattr(self, "plain", False)
        if type(self.headers) is not tuple:
            force_setattr(self, "headers", tuple(self.headers))
        for name, value in reversed(self.headers):
            if name in OFTEN:
                force_setattr(self, OFTEN[name], value)

    def get(self, name: str) -> str | None:
        """Return the first value of a header (name in lower case), or None."""
        return next((value for known, value in self.headers if known == name), None)

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> "Head":
        """Return a copy in which headers differ that are not in `OFTEN`; what the application noted stays valid for it."""
        other: Head = self.__copy__()  # type: ignore[attr-defined]  # msgspec's types have it not
        force_setattr(other, "headers", tuple(headers))
        notes = self.notes
        force_setattr(other, "notes", Notes(notes.application, notes.answer, notes.call))
        return other

    def __repr__(self) -> str:
        return f"<Head {self.verb} {self.target}>"


class Request(Struct, frozen=True, eq=False):
    """A complete request: its head, and its body without transfer coding."""

    head: Head
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Request {self.head.verb} {self.head.target}, {len(self.body)} bytes>"


JSON: Headers = (("Content-Type", "application/json"),)


class Response(Struct, frozen=True, eq=False):
    """An answer to a request.

    Attributes:
        status: the HTTP status.
        body: the whole body.
        headers: without those that describe the connection or the length.
        caller: the caller's name for the access log, or None.
    """

    status: int
    body: bytes = b""
    headers: Headers = JSON
    caller: str | None = None

    def with_headers(self, headers: Headers) -> "Response":
        """Return a copy with further headers."""
        return Response(self.status, self.body, self.headers + headers, self.caller)

    def with_caller(self, name: str | None) -> "Response":
        """Return a copy with the caller's name."""
        return Response(self.status, self.body, self.headers, name)

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


WITHOUT_BODY = frozenset({204, 304})
"""Statuses of responses without a body and a Content-Length.

RFC 9112, 6.3: such a response "is always terminated by the first empty line".
RFC 9110, 8.6: a 204 must not have one, and in a 304 it would be the length of the response that the client already has.
"""


def reason_phrase(status: int) -> str:
    """Return the reason phrase of a status (RFC 9110, section 15)."""
    return _PHRASES.get(status, "Error")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
