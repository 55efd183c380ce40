"""A request as a WSGI server describes it (PEP 3333).

Owns what is read from an environ: head, body and peer. It knows no method and no response.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from gjrpc import errors
from gjrpc.http.messages import Head
from gjrpc.texts import quoted

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, WSGIEnvironment

_SAFE = "/;:@!$&'()*+,=~"  # RFC 3986, 3.3: what a path may have as it is
_AUTHORITY = re.compile(r"[^/?]*")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


class EnvironPeer:
    """The client, as the WSGI server describes it; that server is always ready, and its hosts are its own to check."""

    __slots__ = ("_environ", "client_address", "client_host", "scheme")
    server_hosts: frozenset[str] = frozenset()
    server_ready = True
    pid: int | None = None

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._environ = environ
        address = environ.get("REMOTE_ADDR")
        self.client_host: str = address or "unix"
        self.client_address: Any = (address, 0) if address else ""
        self.scheme: str = environ.get("wsgi.url_scheme", "http")

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The client's certificate: from gunicorn's socket, or as mod_ssl and similar modules report one that they verified."""
        ask = getattr(self._environ.get("gunicorn.socket"), "getpeercert", None)
        if ask is not None:
            found: Mapping[str, Any] | None = ask()
            return found
        name = self._environ.get("SSL_CLIENT_S_DN_CN")
        if name is None or self._environ.get("SSL_CLIENT_VERIFY") != "SUCCESS":
            return None
        return {"subject": ((("commonName", name),),)}


def read_head(environ: "WSGIEnvironment") -> Head:
    """Return the head of the request."""
    headers = [(name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")]
    if environ.get("CONTENT_TYPE"):
        headers.append(("content-type", environ["CONTENT_TYPE"]))
    return Head(environ["REQUEST_METHOD"], _target(environ), tuple(headers))


def _target(environ: "WSGIEnvironment") -> str:
    """Return path and query below the mount, as received.

    PATH_INFO does not distinguish `;` from `%3B`, so this uses the servers' own variables for the raw text, but only if they
    decode to the same path: middleware may have changed PATH_INFO.
    """
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    suffix = f"?{query}" if query else ""
    for name in ("RAW_URI", "REQUEST_URI"):
        raw_path, question, raw_query = _origin_form(environ.get(name) or "").partition("?")
        for mount in (environ.get("SCRIPT_NAME", ""), ""):  # "": a proxy in front removed the mount
            if _decoded(raw_path) == mount + path:
                return (_below(len(mount), raw_path) or "/") + (question + raw_query if raw_query == query else suffix)
    return (quote(path.encode("latin-1"), safe=_SAFE) or "/") + suffix


def _origin_form(target: str) -> str:
    """Return a raw target without scheme and host, if it has them (RFC 9112, 3.2.2)."""
    scheme, separator, rest = target.partition("://")
    if not separator or not scheme.isalpha():
        return target
    authority = _AUTHORITY.match(rest)
    rest = rest[authority.end() :] if authority else rest
    return rest if rest.startswith("/") else "/" + rest


def _decoded(path: str) -> str:
    """Decode the percent-encoding of a path, as PATH_INFO has it."""
    return unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")


def _below(count: int, path: str) -> str:
    """Return a path after its first `count` characters, each of which may be percent-encoded."""
    at = 0
    for _ in range(count):
        at += 3 if _ENCODED.match(path, at) else 1
    return path[at:]


def may_have_body(environ: "WSGIEnvironment") -> bool:
    """Return whether the request may have a body."""
    length = environ.get("CONTENT_LENGTH")
    return (
        bool(length.strip("0")) if length else "HTTP_TRANSFER_ENCODING" in environ or bool(environ.get("wsgi.input_terminated"))
    )


def read_body(environ: "WSGIEnvironment", limit: int) -> bytes:
    """Return the request's body; read no more than the limit, whatever length the client announced.

    Raises:
        TooLarge: the body is larger than the limit.
        InvalidRequest: its length is malformed or wrong, or the server does not pass the body on.
    """
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced and not (announced.isascii() and announced.isdigit() and len(announced) < 20):
        raise errors.InvalidRequest(f"Content-Length {quoted(announced)}: expected a number of bytes")
    if announced:
        return _read(environ["wsgi.input"], int(announced), limit)
    if environ.get("wsgi.input_terminated"):
        return _read(environ["wsgi.input"], None, limit)
    if "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    if not (body := _read(environ["wsgi.input"], None, limit)):
        # RFC 9110, 15.5.12. uWSGI hands out a chunked body only through functions of its own.
        raise errors.InvalidRequest("this server does not pass on a chunked body: send a Content-Length", status=411)
    return body


def _read(stream: "InputStream", length: int | None, limit: int) -> bytes:
    if length is not None and length > limit:
        raise errors.TooLarge(f"the body has {length} bytes; the limit is {limit}")
    wanted = limit + 1 if length is None else length
    pieces: list[bytes] = []
    while wanted and (piece := stream.read(min(wanted, 65536))):
        pieces.append(piece)
        wanted -= len(piece)
    if length is None and not wanted:
        raise errors.TooLarge(f"the body has more bytes than the limit, {limit}")
    if length is not None and wanted:
        raise errors.InvalidRequest(f"the body ended {wanted} bytes before its Content-Length")
    return b"".join(pieces)
