"""Facts about the machine that may be unreadable: hidden, not supported, or gone.

Owns how a failed read becomes a text beside the other results.
"""

from collections.abc import Callable
from typing import TypeVar

import psutil

from gjrpc.host.masking import clean

T = TypeVar("T")

UNREADABLE = (psutil.Error, OSError, RuntimeError)
"""What a failed read raises; psutil raises NotImplementedError, a RuntimeError, for what the kernel lacks."""


def try_read(errors: list[str], what: str, read: Callable[[], T]) -> T | None:
    """Return what `read` returns, or None if it fails; `errors` then gets a text: what could not be read, and why."""
    try:
        return read()
    except UNREADABLE as error:
        errors.append(clean(f"{what}: {error}"))
        return None
