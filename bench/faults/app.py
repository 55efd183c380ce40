"""What the servers of these measurements serve: methods that wait, work, are large, and tell of the process they run in."""

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
    """Wait, as for a database."""
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
    """Note that the request which everybody sees has run."""
    _ran["visible"] += 1
    return "seen"


@registry.method
def hidden(name: str = "?") -> str:
    """Note that a request has run which was hidden in another one."""
    _ran[f"hidden {name}"] += 1
    return "smuggled"


@registry.method
def ran() -> dict[str, int]:
    """How often what has run, and how many naps go on."""
    return dict(_ran)


@registry.method
def held(collect: bool = True) -> dict[str, int]:
    """What the process holds: descriptors, greenlets, connections, all objects; with or without what the collector would take."""
    if collect:
        gc.collect()
    else:
        gc.disable()  # from now on: what is closed has to go by itself
    objects = gc.get_objects()
    base = next(kind for kind in type(getcurrent()).__mro__ if kind.__name__ == "greenlet")
    return {
        "descriptors": len(os.listdir("/dev/fd")) - 1,  # but for the one that lists them
        "greenlets": sum(isinstance(one, base) and not one.dead for one in objects),
        "connections": sum(type(one) is Connection for one in objects),
        "objects": len(objects),
    }
