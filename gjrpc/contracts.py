"""The documents of one application: OpenRPC and OpenAPI.

Owns when they are written, which is at the first request and again once methods were added. What stands in them is
`openrpc`'s and `openapi`'s to know; it knows no request.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gjrpc import codec, openapi, openrpc
from gjrpc.describe import describe
from gjrpc.openapi import StatusOf
from gjrpc.registry import Registry


class Contracts:
    """What the methods of a registry promise, as documents that machines read.

    Args:
        registry: the methods.
        title: the application's name.
        version: the version of its methods.
        status_of: gives the HTTP status of an error.
        guards_hosts: whether requests for other hosts are refused.
    """

    def __init__(self, registry: Registry, title: str, version: str, status_of: StatusOf, *, guards_hosts: bool) -> None:
        about = (title, version)
        self.openrpc: Callable[[], msgspec.Raw] = _Kept(registry, lambda: openrpc.document(describe(registry), *about))
        """Give the OpenRPC document of `openrpc.document` as JSON."""
        self.openapi: Callable[[], msgspec.Raw] = _Kept(
            registry, lambda: openapi.document(describe(registry), *about, status_of, guards_hosts=guards_hosts)
        )
        """Give the OpenAPI document of `openapi.document` as JSON."""


class _Kept:
    """A document of a registry, kept as JSON until that grows; methods are only ever added."""

    def __init__(self, registry: Registry, write: Callable[[], dict[str, Any]]) -> None:
        self._registry = registry
        self._write = write
        self._size = -1
        self._kept = msgspec.Raw()

    def __call__(self) -> msgspec.Raw:
        size = len(self._registry)
        if self._size != size:
            self._kept = msgspec.Raw(codec.encode(self._write()))
            self._size = size
        return self._kept
