"""Keeps all digits of a message's numbers for the methods that want them.

Owns which arguments of a message stay JSON text: a float has 53 bits, and a method with a Decimal wants every digit. It runs only
for registries with such methods, on messages that were decoded once and so are known to be well-formed.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from gjrpc.calls.method import Method
from gjrpc.values.typed_decoder import items, members

Find = Callable[[str], Method | None]


def keeping_digits(decode: Callable[[bytes], Any], find: Find) -> Callable[[bytes], Any]:
    """Return a decoder that works as `decode` but leaves the arguments of exact methods as JSON text."""
    return lambda body: with_exact_arguments(decode(body), body, find)


def with_exact_arguments(decoded: Any, body: bytes, find: Find) -> Any:
    """Return a message of either dialect with the arguments of exact methods as JSON text.

    Args:
        decoded: the message; it is changed.
        body: the JSON that it was decoded from.
        find: returns the method with a name.
    """
    if type(decoded) is list:
        wanted = [index for index, entry in enumerate(decoded) if _wants(entry, find)]
        texts = items(body) if wanted else []
        for index in wanted:
            decoded[index]["params"] = members(texts[index])["params"]
    elif _wants(decoded, find):
        decoded["params"] = members(body)["params"]
    elif type(decoded) is dict and len(decoded) == 1 and is_exact(next(iter(decoded)), find):
        return members(body)
    return decoded


def exact_arguments(decoded: Any, body: bytes, name: str, find: Find) -> Any:
    """Return the arguments of one method, which are the whole body."""
    return Raw(body) if body and is_exact(name, find) else decoded


def is_exact(name: Any, find: Find) -> bool:
    """Whether the method with this name wants every digit."""
    method = find(name) if type(name) is str else None
    return method is not None and method.binding.exact


def _wants(entry: Any, find: Find) -> bool:
    """Whether decoded JSON is a request object of JSON-RPC 2.0 for such a method, with params."""
    if type(entry) is not dict or "jsonrpc" not in entry or type(entry.get("params")) not in (list, dict):
        return False
    return is_exact(entry.get("method"), find)
