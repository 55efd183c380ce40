"""The documents of one application: OpenRPC and OpenAPI.

Owns when they are written: at the first request, and again after methods were added. Each caller finds in them what it may call.
`openrpc` and `openapi` own their content. It knows no request.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from gjrpc.calls import context
from gjrpc.calls.registry import Registry
from gjrpc.calls.rights import Rights
from gjrpc.contracts import openapi, openrpc
from gjrpc.contracts.describe import Contract, describe
from gjrpc.contracts.openapi import StatusOf
from gjrpc.values import codec

_KINDS = 32  # sets of rights whose documents are kept


class Contracts:
    """The contract of a registry's methods, as documents that programs read.

    Args:
        registry: the methods.
        title: the application's name.
        version: the version of its methods.
        status_of: returns the HTTP status of an error.
        schemes: how callers can authenticate, as OpenAPI's Security Scheme Objects by name.
    """

    def __init__(
        self,
        registry: Registry,
        title: str,
        version: str,
        status_of: StatusOf,
        *,
        schemes: Mapping[str, dict[str, str]] | None = None,
    ) -> None:
        about = (title, version)
        schemes = schemes or {}

        def shown() -> Contract:
            return describe(filter(context.permits, registry))

        def write_openapi(guards_hosts: bool) -> dict[str, Any]:
            return openapi.document(shown(), *about, status_of, guards_hosts=guards_hosts, schemes=schemes)

        self.openrpc: Callable[[], msgspec.Raw] = _Kept(registry, lambda: openrpc.document(shown(), *about, schemes))
        """Return the OpenRPC document (`openrpc.document`) as JSON."""
        self._openapi = [_Kept(registry, partial(write_openapi, guards_hosts)) for guards_hosts in (False, True)]

    def openapi(self, guards_hosts: bool) -> msgspec.Raw:
        """Return the OpenAPI document (`openapi.document`) as JSON.

        Args:
            guards_hosts: whether requests for other hosts are refused.
        """
        return self._openapi[guards_hosts]()


class _Kept:
    """A document of a registry, kept as JSON for callers with the same rights until a method is added; none is ever removed."""

    def __init__(self, registry: Registry, write: Callable[[], dict[str, Any]]) -> None:
        self._registry = registry
        self._write = write
        self._size = -1
        self._kept: dict[Rights | None, msgspec.Raw] = {}

    def __call__(self) -> msgspec.Raw:
        size, caller = len(self._registry), context.current()
        rights = None if caller is None else caller.rights
        if self._size != size or (rights not in self._kept and len(self._kept) >= _KINDS):
            self._kept = {}
            self._size = size
        if rights not in self._kept:
            self._kept[rights] = msgspec.Raw(codec.encode(self._write()))
        return self._kept[rights]
