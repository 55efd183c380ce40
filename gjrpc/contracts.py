"""The documents of one application: OpenRPC and OpenAPI.

Owns when they are written, which is at the first request and again once methods were added. What stands in them is
`openrpc`'s and `openapi`'s to know; it knows no request.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gjrpc import openapi, openrpc
from gjrpc.describe import describe
from gjrpc.openapi import StatusOf
from gjrpc.registry import Registry

T = TypeVar("T")


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
        self.openrpc: Callable[[], dict[str, Any]] = _Kept(registry, lambda: openrpc.document(describe(registry), *about))
        """Give the OpenRPC document, as `openrpc.document` writes it."""
        self.openapi: Callable[[], dict[str, Any]] = _Kept(
            registry, lambda: openapi.document(describe(registry), *about, status_of, guards_hosts=guards_hosts)
        )
        """Give the OpenAPI document, as `openapi.document` writes it."""


class _Kept(Generic[T]):
    """Something written of a registry, kept until that grows; methods are only ever added."""

    def __init__(self, registry: Registry, write: Callable[[], T]) -> None:
        self._registry = registry
        self._write = write
        self._kept: tuple[int, T] | None = None

    def __call__(self) -> T:
        size = len(self._registry)
        if self._kept is None or self._kept[0] != size:
            self._kept = size, self._write()
        return self._kept[1]
