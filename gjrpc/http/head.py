"""Parses a request's head, and determines where its message ends.

Owns the rules of RFC 9112 and 9110 for the lines of a head together, each rule beside its sentence, and the memory of recent
lines. Pure functions of bytes: it knows no buffer and no connection. The tests compare it with llhttp, Node's parser.
"""

import re
from typing import TypeAlias

from msgspec import Struct

from gjrpc.errors import BadMessage
from gjrpc.http.lines import FIELD_LINE, REQUEST_LINE, Lines, too_large_head
from gjrpc.http.messages import OFTEN, Field, Head, Request
from gjrpc.http.recent import Memo, Recent
from gjrpc.limits import Limits
from gjrpc.texts import excerpt, quoted

# The fields that determine the framing of the message and what follows it.
_FRAMING = frozenset({"connection", "content-length", "expect", "host", "transfer-encoding"})
# The fields whose values a parsed head stores outside of its list of headers too.
_NOTED = _FRAMING | OFTEN.keys()


RequestLine: TypeAlias = tuple[str, str, tuple[int, int]]
"""A request line: verb, target and version."""


class Parsed(Struct, eq=False):
    """A parsed head, and the framing of its message.

    Attributes:
        request: the request, complete if there is no body.
        length: bytes of the body, or None if it is chunked.
        keep_alive: whether the client wants to keep the connection open.
        expects: whether the client waits for `100 Continue`.
        shape: the shape of heads that differ from this one only in the value of one line; None if none is known.
    """

    request: Request
    length: int | None
    keep_alive: bool
    expects: bool
    shape: "Shape | None" = None


class Shape:
    """What heads have in common that differ in the value of one line: a request id, for example, but never one for the framing.

    Args:
        head: one of these heads.
        lines: its header lines.
        fields: the same lines, parsed.
        at: the index of the line that differs.
        parsed: this head, parsed.
        most: bytes of the largest head that has this shape.
    """

    __slots__ = ("_after", "_before", "_begin", "_end", "_most", "_name", "_parsed")

    def __init__(self, head: bytes, lines: list[bytes], fields: list[Field], at: int, parsed: Parsed, most: int) -> None:
        self._parsed = parsed
        self._most = most
        self._name = fields[at][0]
        self._before, self._after = _without_underscores(fields[:at]), _without_underscores(fields[at + 1 :])
        self._end = b"\r\n".join([b"", *lines[at + 1 :], b"", b""])
        begin = len(head) - len(self._end) - len(lines[at])
        self._begin = head[: head.index(b":", begin) + 1]

    def read(self, head: bytes) -> Parsed | None:
        """Parse a head that has this shape; return None for any other."""
        begin, end = self._begin, self._end
        at, to = len(begin), len(head) - len(end)
        if at > to or len(head) > self._most or not (head.startswith(begin) and head.endswith(end)):
            return None
        value = head[at:to]
        if not value.isascii() or not (text := value.decode()).isprintable():  # not obviously valid: the full parser decides
            return None
        one = self._parsed
        headers = *self._before, (self._name, text.strip(" ")), *self._after
        return Parsed(Request(one.request.head.with_headers(headers)), one.length, one.keep_alive, one.expects, self)


class LineMemory:
    """The lines of recent heads: a head that is new as a whole mostly has lines that are not.

    Attributes:
        starts: request lines.
        fields: header lines.
        shapes: the shapes of heads with one unknown line, by their request line and header lines, with None for the unknown one.
    """

    __slots__ = ("fields", "shapes", "starts")

    def __init__(self) -> None:
        self.starts: Recent[RequestLine] = Recent(512, 512)
        self.fields: Recent[Field] = Recent(1024, 512)
        self.shapes: dict[tuple[bytes, tuple[Field | None, ...]], Shape] = {}


_SHAPES = 128
_LARGEST_SHAPE = 2048  # bytes of its head


def parse_head(head: bytes, limits: Limits, memory: LineMemory) -> Parsed:
    """Parse a complete head, including the empty line at its end.

    Raises:
        BadMessage: the head breaks RFC 9112 or a limit, or announces too large a body; 400, 413, 414, 417 or 431.
    """
    lines = head[:-4].split(b"\r\n")
    first = lines.pop(0)
    if len(first) > limits.target or len(head) > limits.head or len(lines) > limits.headers:
        Lines(limits).check(head, 0)  # of several faults, report the first one
        raise too_large_head(limits)
    young = memory.fields.young
    known = [young.get(line) for line in lines]
    try:
        start = memory.starts.young.get(first) or _read_start(first, memory)
        if None not in known:
            return _parse(start, known, limits)  # type: ignore[arg-type]  # checked above: none is None
        if known.count(None) > 1:
            return _parse(start, [_field(line, memory) for line in lines], limits)
        return _parse_differing(head, lines, (first, tuple(known)), limits, memory)
    except BadMessage:
        Lines(limits).check(head, 0)
        raise


def _parse(start: RequestLine, headers: list[Field], limits: Limits) -> Parsed:
    verb, target, version = start
    parsed = _frame(verb, target, headers, version)
    if not limits.keep_alive:
        parsed.keep_alive = False
    if parsed.length is not None and parsed.length > limits.body:
        raise BadMessage(f"the body has {parsed.length} bytes; the limit is {limits.body}", status=413)
    return parsed


def _parse_differing(
    head: bytes, lines: list[bytes], known: tuple[bytes, tuple[Field | None, ...]], limits: Limits, memory: LineMemory
) -> Parsed:
    """Parse a head with one unknown header line."""
    shape = memory.shapes.get(known)
    parsed = shape.read(head) if shape is not None else None
    if parsed is None:
        fields = [_field(line, memory) for line in lines]
        parsed = _parse(_read_start(known[0], memory), fields, limits)
        at = known[1].index(None)
        name = fields[at][0]
        one = parsed.request.head
        if name not in _NOTED and "_" not in name and one.origin is None and one.site is None:
            if len(memory.shapes) >= _SHAPES:
                memory.shapes.clear()
            most = min(_LARGEST_SHAPE, limits.head)
            parsed.shape = memory.shapes[known] = Shape(head, lines, fields, at, parsed, most)
    return parsed


def _read_start(line: bytes, memory: LineMemory) -> RequestLine:
    start = memory.starts.find(line)
    if start is None:
        if not REQUEST_LINE.fullmatch(line):
            raise BadMessage("malformed head")
        verb, target, version = line.decode("latin-1").split(" ")
        start = verb, target, (1, int(version[-1]))
        memory.starts.add(line, start)
    return start


def _field(line: bytes, memory: LineMemory) -> Field:
    field = memory.fields.find(line)
    if field is None:
        field = _read_field(line)
        memory.fields.add(line, field)
    return field


def _read_field(line: bytes) -> Field:
    if not FIELD_LINE.fullmatch(line):
        raise BadMessage("malformed head")
    name, _, value = line.decode("latin-1").partition(":")
    return name.lower(), value.strip(" \t")


def _frame(verb: str, target: str, headers: list[Field], version: tuple[int, int]) -> Parsed:
    framing: dict[str, list[str]] = {}
    for name, value in headers:
        if name in _FRAMING:
            framing.setdefault(name, []).append(value)
        elif "_" in name:
            headers = _without_underscores(headers)
    # RFC 9112, 3.2: "A server MUST respond with a 400 … to any HTTP/1.1 request message that lacks a Host header field and to any
    # request message that contains more than one Host header field line or a Host header field with an invalid field value."
    hosts = framing.pop("host", [])
    length = _body_length(framing, version) if framing else 0
    if len(hosts) > 1 or (not hosts and version == (1, 1)) or (hosts and not _hosts[hosts[0]]):
        raise BadMessage(f"expected one valid Host header, got {excerpt(', '.join(map(repr, hosts))) or 'none'}")
    if target[0] != "/" or "#" in target:
        target = _origin_form(verb, target, hosts)
    head = Head(verb, target, tuple(headers), version)
    if not framing:
        return Parsed(Request(head), 0, version == (1, 1), False)
    expects = "expect" in framing and _expects(framing["expect"], version) and length != 0
    return Parsed(Request(head), length, _keeps_alive(framing.get("connection"), version), expects)


def _without_underscores(fields: list[Field]) -> list[Field]:
    """Drop fields with an underscore, as pywsgi does: in a WSGI environ they would look like names with a hyphen."""
    return [field for field in fields if "_" not in field[0]]


# RFC 9110, 7.6.1: Connection = #connection-option. The two options that matter here, among any number.
_PERSISTENCE = re.compile(r"(?:^|,)[ \t]*(close|keep-alive)[ \t]*(?=,|$)", re.IGNORECASE)


def _keeps_alive(connection: list[str] | None, version: tuple[int, int]) -> bool:
    """Return whether the connection persists (RFC 9112, 9.3)."""
    if connection is None:
        return version == (1, 1)
    options = {option.lower() for value in connection for option in _PERSISTENCE.findall(value)}
    return "close" not in options and (version == (1, 1) or "keep-alive" in options)


def _expects(expect: list[str], version: tuple[int, int]) -> bool:
    """Return whether the client waits for 100 Continue.

    RFC 9110, 10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a
    417"; and "a server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
    """
    if [value.lower() for value in expect] != ["100-continue"]:
        raise BadMessage(f"the expectation {quoted(expect[0].lower())} is not supported; expected 100-continue", status=417)
    return version == (1, 1)


# RFC 3986, 3.2: host, IPv6 literals in brackets, and a port; RFC 9112 allows an empty one.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_hosts = Memo(_HOST.fullmatch)


def _body_length(framing: dict[str, list[str]], version: tuple[int, int]) -> int | None:
    """Return the number of bytes in the body; None if it is chunked (RFC 9112, 6.3)."""
    codings, lengths = framing.get("transfer-encoding"), framing.get("content-length")
    if codings:
        # RFC 9112, 6.1: both "ought to be handled as an error", and an HTTP/1.0 message with it has "faulty framing".
        if lengths or version == (1, 0) or [value.lower() for value in codings] != ["chunked"]:
            raise BadMessage("the only supported transfer coding is chunked, once, with HTTP/1.1 and without Content-Length")
        return None
    if not lengths:
        return 0
    # RFC 9110, 8.6: Content-Length = 1*DIGIT; a server MAY accept a list of equal values, and this one does not.
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()) or len(lengths[0]) > 15:
        raise BadMessage(f"expected one Content-Length header with a number, got {excerpt(', '.join(map(repr, lengths)))}")
    return int(lengths[0])


def _origin_form(verb: str, target: str, hosts: list[str]) -> str:
    """Return the target as path and query (RFC 9112, 3.2), whatever form it has in the request."""
    if "#" in target:
        raise BadMessage("a request target must not have a fragment (#)")
    if target.startswith("/") or (target == "*" and verb == "OPTIONS"):
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise BadMessage(f"the request target {quoted(target)} is neither a path nor a URL")
    authority, slash, path = rest.partition("/")
    # RFC 9112, 3.2.2: the Host must equal the host of an absolute-form target; a different one could evade checks.
    if not hosts or authority.lower() != hosts[0].lower():
        raise BadMessage("the host in the request target differs from the Host header")
    return slash + path or "/"
