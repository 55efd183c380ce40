"""What a stranger's bytes may cost: rules over the whole tree."""

import ast
import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import gjrpc
from gjrpc.http1 import Memory, Reader
from gjrpc.lines import Limits

PACKAGE = Path(gjrpc.__file__).parent
MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.glob("*.py")}


# What is remembered.

# Each cache whose size nobody but `functools` bounds: by what it is keyed, and why no stranger chooses that.
CACHED = {
    ("connection", "cached_property"): "of a connection, gone with it",
    ("registry", "cached_property"): "only looked for",
    ("decoders", "lru_cache"): "by the types of annotations",
    ("signatures", "lru_cache"): "only looked for",
    ("misfits", "lru_cache"): "by the names of a signature",
}


def test_what_strangers_choose_is_remembered_within_bounds():
    """A cache is one of `gjrpc.recent`'s, which are bounded in bytes, or is named above with the reason."""
    found = {
        (name, word)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        for word in ("lru_cache", "cache", "cached_property")
        if (isinstance(node, ast.Name) and node.id == word) or (isinstance(node, ast.Attribute) and node.attr == word)
    }
    assert found <= CACHED.keys()


def kept_of(requests: Any) -> int:
    """The bytes that are still there when requests were read and answered twice each, on connections of their own."""
    registry = gjrpc.Registry()
    registry.register(lambda **named: 0, "f")

    class Dispatching:
        """Answers whatever it is asked."""

        def _dispatch(self, method: str, params: Any) -> int:
            return 0

    registry.register_instance(Dispatching())
    application, memory = gjrpc.Application(registry), Memory()
    gc.collect()
    tracemalloc.start()
    for data in requests:
        for _ in range(2):
            application.respond(Reader(Limits(), memory).receive(data))
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept


HEAD = b"GET /f HTTP/1.1\r\nHost: a\r\n"
KEPT = {
    "paths": lambda i: b"GET /f%04d%b HTTP/1.1\r\nHost: a\r\n\r\n" % (i, b"x" * 7900),
    "arguments": lambda i: b"GET /f?x=%04d%b HTTP/1.1\r\nHost: a\r\n\r\n" % (i, b"".join(b"&%x" % n for n in range(40))),
    "names": lambda i: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100010\r\n\r\n" + b'{"%04d%b":1}' % (i, b"x" * 100_000),
    "hosts": lambda i: b"GET /f HTTP/1.1\r\nHost: %04d%b\r\n\r\n" % (i, b"x" * 7000),
    "headers": lambda i: HEAD + b"".join(b"%x%04d: b\r\n" % (n, i) for n in range(90)) + b"\r\n",
    "one header": lambda i: HEAD + b"%b: %04d%b\r\n\r\n" % (b"a" * (i % 300 + 1), i, b"x" * 1500),
}


@pytest.mark.parametrize("request_of", KEPT.values(), ids=KEPT)
def test_what_is_remembered_is_bounded_in_bytes(request_of):
    """Whatever strangers send, what is remembered of it takes a few megabytes at the most."""
    assert kept_of(map(request_of, range(400))) < 4_000_000
