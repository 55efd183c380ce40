"""The methods of the measured servers: they wait, compute, return large results, and describe their process."""

import collections
import gc
import os
import time
from typing import Any

from gevent import getcurrent

from gjrpc import Registry
from gjrpc.server.connection import Connection

registry = Registry()
_ran: collections.Counter[str] = collections.Counter()
_LARGE = "x" * 1_000_000


@registry.method
def ping() -> str:
    """Answer at once."""
    return "pong"


@registry.method
def add(a: int, b: int = 10) -> int:
    """Add two numbers."""
    return a + b


@registry.method
def large() -> str:
    """Answer with a megabyte."""
    return _LARGE


@registry.method
def nap(seconds: float) -> str:
    """Wait, as if for a database."""
    _ran["napping"] += 1
    try:
        time.sleep(seconds)
    finally:
        _ran["napping"] -= 1
    return "rested"


@registry.method
def work(milliseconds: float, wait: float) -> str:
    """Compute for some milliseconds, then wait for some more, if any."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        pass
    if wait:
        time.sleep(wait / 1000)
    return "done"


@registry.method
def visible(what: Any = None) -> str:
    """Count that the visible request has run."""
    _ran["visible"] += 1
    return "seen"


@registry.method
def hidden(name: str = "?") -> str:
    """Count that a request has run that was hidden in another one."""
    _ran[f"hidden {name}"] += 1
    return "smuggled"


@registry.method
def ran() -> dict[str, int]:
    """Return how often each method has run, and how many naps are in progress."""
    return dict(_ran)


@registry.method
def held(collect: bool = True) -> dict[str, int]:
    """Count the process's descriptors, greenlets, connections and objects, after a garbage collection or without one."""
    if collect:
        gc.collect()
    else:
        gc.disable()  # from now on, closed connections must be freed without the collector
    objects = gc.get_objects()
    base = next(kind for kind in type(getcurrent()).__mro__ if kind.__name__ == "greenlet")
    return {
        "descriptors": len(os.listdir("/dev/fd")) - 1,  # without the one that lists them
        "greenlets": sum(isinstance(one, base) and not one.dead for one in objects),
        "connections": sum(type(one) is Connection for one in objects),
        "objects": len(objects),
    }
