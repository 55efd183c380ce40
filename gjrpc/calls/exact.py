"""Keeps every digit of the numbers in a request, for methods that need them.

Owns which arguments of a request stay JSON text: a float has 53 bits, and a method with a Decimal parameter needs every digit.
"Exact methods" below are those. It runs only for registries that have one, on bodies that were decoded once and so are known to
be well-formed. It knows where the dialects put arguments, and nothing else about them.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from gjrpc.calls.method import Method
from gjrpc.values.typed_decoder import items, members

Find = Callable[[str], Method | None]


def keeping_digits(decode: Callable[[bytes], Any], find: Find) -> Callable[[bytes], Any]:
    """Return a decoder that works as `decode`, but leaves the arguments of exact methods as JSON text."""
    return lambda body: with_exact_arguments(decode(body), body, find)


def with_exact_arguments(decoded: Any, body: bytes, find: Find) -> Any:
    """Return a decoded body of either dialect, with the arguments of exact methods as JSON text.

    Args:
        decoded: the decoded body; it is changed.
        body: the JSON that it was decoded from.
        find: returns the method of a name.
    """
    if type(decoded) is list:
        wanted = [index for index, entry in enumerate(decoded) if _calls_exact(entry, find)]
        texts = items(body) if wanted else []
        for index in wanted:
            decoded[index]["params"] = members(texts[index])["params"]
    elif _calls_exact(decoded, find):
        decoded["params"] = members(body)["params"]
    elif type(decoded) is dict and len(decoded) == 1 and is_exact(next(iter(decoded)), find):
        return members(body)
    return decoded


def exact_arguments(decoded: Any, body: bytes, name: str, find: Find) -> Any:
    """Return the arguments of one method, where they are the whole body."""
    return Raw(body) if body and is_exact(name, find) else decoded


def is_exact(name: Any, find: Find) -> bool:
    """Whether the method of this name needs every digit."""
    method = find(name) if type(name) is str else None
    return method is not None and method.binding.exact


def _calls_exact(entry: Any, find: Find) -> bool:
    """Whether decoded JSON is a JSON-RPC 2.0 request object that calls an exact method with params."""
    if type(entry) is not dict or "jsonrpc" not in entry or type(entry.get("params")) not in (list, dict):
        return False
    return is_exact(entry.get("method"), find)
