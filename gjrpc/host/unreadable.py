"""Reads facts of a machine that may be hidden: a failed read returns None and says why."""

from collections.abc import Callable
from typing import TypeVar

import psutil

from gjrpc.host.masking import clean

T = TypeVar("T")

UNREADABLE = (psutil.Error, OSError, RuntimeError)
"""What such a read raises; psutil raises NotImplementedError for what a kernel does not provide."""


def read(errors: list[str], what: str, look: Callable[[], T]) -> T | None:
    """Read a fact and return it, or None; `errors` then says which, and why."""
    try:
        return look()
    except UNREADABLE as error:
        errors.append(clean(f"{what}: {error}"))
        return None
