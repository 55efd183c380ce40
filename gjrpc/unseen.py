"""What can't be seen of a machine: a look at it gives None, and says why, instead of failing."""

from collections.abc import Callable
from typing import TypeVar

import psutil

from gjrpc.masking import clean

T = TypeVar("T")

UNSEEN = (psutil.Error, OSError, RuntimeError)
"""What such a look raises; psutil says with a NotImplementedError what a kernel does not tell."""


def see(errors: list[str], what: str, look: Callable[[], T]) -> T | None:
    """Look, and give what was seen, or None; `errors` then says of what, and why."""
    try:
        return look()
    except UNSEEN as error:
        errors.append(clean(f"{what}: {error}"))
        return None
