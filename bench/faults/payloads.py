"""A few thousand malformed and smuggling messages: some must be refused, the others must be read as exactly one request.

Owns bytes only. Wherever some parser could see a second request in a message, that request calls `hidden` with the message's
number, which shows if it ever runs.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

HOST = b"Host: localhost\r\n"
POST = b"POST /visible HTTP/1.1\r\n"
GET = b"GET /visible HTTP/1.1\r\n"
MARK = b"@@@@@"
"""Stands for the number of the message."""
HIDDEN = b"GET /hidden?name=" + MARK + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Payload:
    """One message.

    Attributes:
        kind: what it attempts.
        data: its bytes.
        good: whether it must be answered; else it must be refused, and nothing may run.
        answers: the number of answers, the refusal included.
    """

    kind: str
    data: bytes
    good: bool = False
    answers: int = 1


def payloads() -> list[Payload]:
    """Return all messages, each with its number in place of the mark."""
    found = itertools.chain(
        lengths(), codings(), both(), lines(), folds(), characters(), versions(), targets(), hosts(), chunks(), trailers(), cut()
    )
    alone = list(found)
    behind = [
        Payload(f"{one.kind}, behind a good one", WHOLE["a GET"] + one.data, answers=one.answers + 1)
        for one in alone
        if not one.good
    ]
    return [
        Payload(one.kind, one.data.replace(MARK, b"%05d" % number), one.good, one.answers)
        for number, one in enumerate(alone + behind)
    ]


def head(*fields: bytes, first: bytes = POST, host: bytes = HOST) -> bytes:
    """Return a complete head with these fields."""
    return first + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


CODINGS = [
    b"chunked", b"Chunked", b"xchunked", b"chunkedx", b"chunked;q=1", b"chunked, chunked", b"chunked,", b",chunked",
    b"gzip, chunked", b"chunked, gzip", b"identity", b"identity, chunked", b"chunked, identity", b'"chunked"', b"'chunked'",
    b"chunke", b"hunked", b"", b"cow", b"chunked\x0b", b"\x0bchunked", b"chunked\x00", b"\x00chunked", b"chunked\x0c",
    b"\xa0chunked", b"chunked\xa0", b"chu nked", b"chunked 1", b"gzip", b"deflate", b"compress", b"trailers",
    b"x\nTransfer-Encoding: chunked", b"\rchunked", b"\nchunked", b"chunked\r", b"c\xc5\xabnked",
]  # fmt: skip
NAMES = [
    b"Transfer-Encoding:%b", b"Transfer-Encoding: %b", b"transfer-encoding:\t%b", b"TRANSFER-ENCODING:  %b ",
    b"Transfer-Encoding: %b\t", b"Transfer-Encoding : %b", b"Transfer-Encoding\t: %b", b" Transfer-Encoding: %b",
    b"\tTransfer-Encoding: %b", b"Transfer-Encoding%b", b"X: y\nTransfer-Encoding: %b", b"X: y\rTransfer-Encoding: %b",
    b"Transfer-Encoding\x00: %b", b"\x00Transfer-Encoding: %b", b"Transfer-Encoding\r\n : %b", b"Transfer-Encoding:\r\n %b",
    b"Transfer-Encoding:\n %b", b"Transfer\xadEncoding: %b", b"Transfer-Encoding;: %b", b"Transfer Encoding: %b",
    b"Transfer-Encoding\xa0: %b", b"\xefTransfer-Encoding: %b", b"Transfer-Encoding\x0b: %b",
    b": %b\r\nTransfer-Encoding: %b",
]  # fmt: skip
LENGTHS = [
    b"", b"+6", b"-6", b"-0", b"+0", b"0x6", b"6.0", b"6e0", b"6,", b",6", b"6, 6", b"6,6", b"6 6", b"6;", b"6\x00",
    b"\x006", b"6\x0b", b"\x0b6", b"0_6", b"6_", b"\xb2", b"\xd9\xa6", b"six", b"6L", b"6h", b"'6'", b'"6"', b"0x",
    b"18446744073709551622", b"4294967302", b"9" * 15, b"9" * 16, b"9" * 400, b"1e1", b"\r6", b"6\r", b"6\n", b"(6)",
    b"6 ;x", b"inf", b"NaN", b"0b110", b"0o6", b"6\xa0", b"\xa06",
]  # fmt: skip
_WELL_NAMED = {*NAMES[:5]}
_WELL_CODED = {b"chunked", b"Chunked"}


def lengths() -> Iterator[Payload]:
    """Invalid and repeated Content-Lengths."""
    for value in LENGTHS:
        for name in (b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:\t"):
            yield Payload("malformed Content-Length", head(name + value) + b'"1234"' + HIDDEN)
    good = (b"0", b"6", b"06", b"%d" % len(HIDDEN))
    for first, second in itertools.product(good, repeat=2):
        for name in (b"Content-Length", b"content-length"):
            fields = (b"Content-Length: " + first, b"X: y", name + b": " + second)
            yield Payload("two Content-Lengths", head(*fields) + b'"1234"' + HIDDEN)
    for name in (
        b"Content-Length : 6",
        b"Content-Length\t: 6",
        b" Content-Length: 6",
        b"Content-Length\x00: 6",
        b"Content-Length",
    ):
        yield Payload("a Content-Length's name", head(name) + b'"1234"' + HIDDEN)
    body = b'"' + HIDDEN.replace(b"\r\n", b"\\n") + b'"'
    yield Payload("a request as a body", head(b"Content-Length: %d" % len(body)) + body, good=True)
    yield Payload("a dropped Content_Length", head(b"Content_Length: %d" % len(HIDDEN)), good=True)
    yield Payload("a GET with a body", head(b"Content-Length: %d" % len(HIDDEN), first=GET) + HIDDEN, good=True)


def codings() -> Iterator[Payload]:
    """Transfer-Encodings in all spellings; only chunked itself is one."""
    body = b'6\r\n"1234"\r\n0\r\n\r\n'
    for name, coding in itertools.product(NAMES, CODINGS):
        field = name.replace(b"%b", coding)
        if name in _WELL_NAMED and coding in _WELL_CODED:
            yield Payload("chunked", head(field) + body, good=True)
        else:
            yield Payload("a spelling of Transfer-Encoding", head(field) + body + HIDDEN)
            yield Payload("... on HTTP/1.0", head(field, first=b"POST /visible HTTP/1.0\r\n") + body + HIDDEN)
    for first, second in itertools.product([b"chunked", b"identity", b"gzip", b""], repeat=2):
        fields = (b"Transfer-Encoding: " + first, b"Transfer-Encoding: " + second)
        yield Payload("two Transfer-Encodings", head(*fields) + body + HIDDEN)
    yield Payload("chunked on HTTP/1.0", head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0\r\n") + body + HIDDEN)


def both() -> Iterator[Payload]:
    """Content-Length together with Transfer-Encoding: one of the two hides a request."""
    chunked = b"0\r\n\r\n"
    for name, coding in itertools.product(NAMES, CODINGS):
        for size in (5, 5 + len(HIDDEN)):
            fields = [b"Content-Length: %d" % size, name.replace(b"%b", coding)]
            yield Payload("Content-Length, Transfer-Encoding", head(*fields) + chunked + HIDDEN)
        yield Payload("Transfer-Encoding, Content-Length", head(*reversed(fields)) + chunked + HIDDEN)


def lines() -> Iterator[Payload]:
    """Each line ending replaced by something other than CR LF."""
    parts = [GET[:-2], HOST[:-2], b"X: y", b"Z: w", b""]
    for at, end in itertools.product(
        range(len(parts)), [b"\n", b"\r", b"\n\r", b"\r\r\n", b"\x0b", b"\x0c", b"\x85", b"\r\n\n", b" \n", b""]
    ):
        if at == 2 and end in (b"", b"\x85"):  # no line ending: the two fields become one
            continue
        ends = [b"\r\n"] * len(parts)
        ends[at] = end
        whole = at == 4 and end == b"\r\n\n"  # the next message begins with a bare LF
        yield Payload("an end of a line", b"".join(map(bytes.__add__, parts, ends)) + HIDDEN, answers=1 + whole)
    for before in (b"\r\n" * 3, b"\n", b"\r", b"\r\r\n", b" ", b"\x00", b"\t\r\n", b"\n\n"):
        yield Payload("before the request line", before + head(first=GET) + HIDDEN)


def folds() -> Iterator[Payload]:
    """obs-fold, and whitespace where it is not allowed."""
    for blank, name in itertools.product(
        (b" ", b"\t", b"  ", b" \t"), (b"X", b"Content-Length", b"Transfer-Encoding", b"Connection")
    ):
        value = b"0" if name == b"Content-Length" else b"chunked"
        for field in (
            name + b":\r\n" + blank + value,
            name + b": " + value + b"\r\n" + blank + b"x",
            b"A: b\r\n" + blank + name + b": " + value,
            name + blank + b": " + value,
            blank + name + b": " + value,
            name + b": " + value + b"\r\n" + blank,
        ):
            yield Payload("obs-fold or a blank", head(field) + HIDDEN)


def characters() -> Iterator[Payload]:
    """Every control character, in every part of a head."""
    for code in [*range(9), *range(10, 32), 127]:
        odd = bytes([code])
        yield Payload("a control character", head(b"X: a" + odd + b"b") + HIDDEN)
        yield Payload("a control character", head(b"X" + odd + b": a") + HIDDEN)
        yield Payload("a control character", head(first=b"GET /visible" + odd + b" HTTP/1.1\r\n") + HIDDEN)
        yield Payload("a control character", head(first=b"G" + odd + b"ET /visible HTTP/1.1\r\n") + HIDDEN)
        yield Payload("a control character", head(host=b"Host: local" + odd + b"host\r\n") + HIDDEN)
    for odd in b'"(),/:;<=>?@[\\]{} \x80\xa0\xff':
        yield Payload("no token", head(b"X" + bytes([odd]) * (odd != 58) + b" : a") + HIDDEN)
        yield Payload("no token", head(first=b"GE" + bytes([odd]) + b"T /visible HTTP/1.1\r\n") + HIDDEN)


def versions() -> Iterator[Payload]:
    """Versions that do not exist or are not supported."""
    for version in (
        b"", b" ", b" HTTP/0.9", b" HTTP/1.2", b" HTTP/1.10", b" HTTP/1.", b" HTTP/1", b" HTTP/2.0", b" HTTP/2",
        b" HTTP/3.0", b" http/1.1", b" HTTP/01.1", b" HTTP/1.01", b" HTTP/+1.1", b" HTTP/1,1", b" HTTP/ 1.1", b" HTTP /1.1",
        b" HTTP/1.1 ", b"  HTTP/1.1", b"\tHTTP/1.1", b" HTTP/1.1\t", b" HTTP/1.1 x", b" HTTPS/1.1", b" ICE/1.1",
        b" RTSP/1.0", b" HTTP/\xb9.1", b" HTTP/1.1\x00", b" HTTP/9.9", b" HTTP/1.1HTTP/1.1",
    ):  # fmt: skip
        yield Payload("a version", head(first=b"GET /visible" + version + b"\r\n") + HIDDEN)
        yield Payload("a version", b"GET /visible" + version + b"\r\n\r\n" + HIDDEN)


def targets() -> Iterator[Payload]:
    """Targets that are neither a path nor this host's URL."""
    for target in (
        b"*", b"visible", b"localhost", b"localhost:80", b"http://other/visible", b"http://localhost@other/visible",
        b"http://other@localhost/visible", b"http://localhost:81/visible", b"http:///visible", b"http:/visible",
        b"http:visible", b"ftp://localhost/visible", b"file:///visible", b"//", b"?", b"#", b"/visible#x", b"/vis\xffible",
        b"/vis\xc3\xa9ble", b"\\visible", b"http://localhost#x", b"https:localhost", b"http://localhost\\@other/visible",
        b"ws://localhost/visible", b"://localhost/visible", b"http://[::1/visible",
    ):  # fmt: skip
        if target != b"//":  # a path: no method has that name
            yield Payload("a target", head(first=b"GET " + target + b" HTTP/1.1\r\n") + HIDDEN)
    yield Payload("CONNECT", head(first=b"CONNECT localhost:80 HTTP/1.1\r\n") + HIDDEN)
    yield Payload("absolute-form", head(first=b"GET http://localhost/visible HTTP/1.1\r\n"), good=True)


def hosts() -> Iterator[Payload]:
    """Host missing, repeated or invalid."""
    yield Payload("no Host", head(first=GET, host=b"") + HIDDEN)
    for second in (HOST, b"Host: other\r\n", b"host: localhost\r\n", b"HOST:\r\n"):
        yield Payload("two Hosts", head(first=GET, host=HOST + second) + HIDDEN)
        yield Payload("two Hosts", head(first=GET, host=second + b"X: y\r\n" + HOST) + HIDDEN)
        yield Payload("two Hosts on HTTP/1.0", head(first=b"GET /visible HTTP/1.0\r\n", host=HOST + second) + HIDDEN)
    for value in (
        b"a b", b"a/b", b"a?b", b"a#b", b"u@a", b"a:b", b"a:1:2", b"[::1", b"::1]", b"a,b:1:2", b"a\\b", b"a\x00", b"<a>",
        b'"a"', b"{a}", b"a^b", b"a|b", b"http://a", b"\xc3\xa9",
    ):  # fmt: skip
        yield Payload("a Host", head(first=GET, host=b"Host: " + value + b"\r\n") + HIDDEN)


def chunks() -> Iterator[Payload]:
    """Chunk sizes, extensions and line endings that some parsers accept."""
    field = b"Transfer-Encoding: chunked"
    for size in (
        b"", b" ", b"g", b"0x6", b"+6", b"-6", b"-0", b" 6", b"\t6", b"6 ", b"6\t", b"6 6", b"6,", b"6\x00", b"\x006",
        b"6_0", b"0_6", b"6.0", b"6e", b"6h", b"6\x0b", b"\xb2", b"6\r", b"6\n", b"6\rx", b"6\nx", b"6;\n", b"6;\r",
        b"6;a\nb", b"6;a\rb", b"6;a\x00b", b"6;a\x7fb", b"6 x", b"6\"", b"6=", b"6:", b"10000000000000006",
        b"fffffffffffffff6", b"80000000000000006", b"6;" + b"x" * 300, b"6;a=\"\n0\r\n\r\n\"", b"0" * 20 + b"6",
    ):  # fmt: skip
        if size not in (b"6e",):  # a valid size, of a longer chunk
            yield Payload("a chunk size", head(field) + size + b'\r\n"1234"\r\n0\r\n\r\n' + HIDDEN)
    for size in (b"f" * 15, b"7fffffffffffffff"[:15], b"ffffffff", b"a00001"):
        yield Payload("a chunk beyond the limit", head(field) + size + b'\r\n"1234"\r\n0\r\n\r\n' + HIDDEN)
    for extension in (b";", b";a", b";a=b", b' ; a="b"', b"\t;a", b";a;b;c", b";" + b"x" * 200, b";\xff", b';a="0;"'):
        yield Payload(
            "a chunk extension", head(field) + b"6" + extension + b'\r\n"1234"\r\n0' + extension + b"\r\n\r\n", good=True
        )
    for end in (b"\n", b"\r", b"", b"\n\r", b"\r\r\n", b"x\r\n", b" \r\n", b"\x00\r\n"):
        yield Payload("an end of a chunk", head(field) + b'6\r\n"1234"' + end + b"0\r\n\r\n" + HIDDEN)
        yield Payload("an end of the size line", head(field) + b"6" + end + b'"1234"\r\n0\r\n\r\n' + HIDDEN)
        if end:
            yield Payload("an end of the last chunk", head(field) + b"0" + end + b"\r\n" + HIDDEN)
    yield Payload(
        "a body in chunks that hide a request", head(field) + b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n", good=True
    )


def trailers() -> Iterator[Payload]:
    """Trailer fields that are forbidden or malformed."""
    body = head(b"Transfer-Encoding: chunked") + b'6\r\n"1234"\r\n0\r\n'
    for name in (
        b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization", b"Cookie", b"Content-Encoding", b"Trailer",
        b"Proxy-Authorization",
    ):  # fmt: skip
        for spelled in (name, name.lower(), name.upper()):
            yield Payload("a forbidden trailer", body + spelled + b": 6\r\n\r\n" + HIDDEN)
    for line in (
        b"X",
        b"X : y",
        b" X: y",
        b"X: y\r\n z",
        b"X: y\nZ: w",
        b"X: y\rZ",
        b": y",
        b"X: \x00",
        b"X\x00: y",
        b"GET / HTTP/1.1",
        b"X: " + b"y" * 33000,
    ):
        yield Payload("a malformed trailer", body + line + b"\r\n\r\n" + HIDDEN)
    ignored = (b"Connection: close", b"Content-Type: a/b", b"TE: x", b"Upgrade: x", b"Expect: 100-continue", b"Keep-Alive: 6")
    for line in (b"X: y", b"X:", b"X:y\r\nZ:w", b"X: " + b"y" * 1000, *ignored):
        yield Payload("a trailer", body + line + b"\r\n\r\n", good=True)


WHOLE = {
    "a GET": head(b"X: y", first=GET),
    "a POST": head(b"Content-Length: 6") + b'"1234"',
    "chunks": head(b"Transfer-Encoding: chunked") + b'3;x\r\n"12\r\n3\r\n34"\r\n0\r\nX: y\r\n\r\n',
}


def cut() -> Iterator[Payload]:
    """Whole messages, alone and in a row, and cut off after each byte."""
    for kind, data in WHOLE.items():
        yield Payload(kind, data, good=True)
        yield Payload(f"{kind}, three times", data * 3, good=True, answers=3)
        for at in range(1, len(data)):
            yield Payload(f"{kind}, cut off", data[:at])
            yield Payload(f"{kind}, then cut off", data + data[:at], answers=2)


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """Split the bytes into a few random pieces."""
    cuts = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(chance.randint(1, 6)))})
    return [data[begin:end] for begin, end in itertools.pairwise(cuts)]
