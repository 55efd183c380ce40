"""The standard library without gevent's patches.

A patched lock or sleep would hand control to gevent's event loop, and a system call that hangs would stop that loop.
"""

import sys
from typing import Any


def unpatched(module: str, name: str) -> Any:
    """Return an item of a standard module as it was before gevent patched it, if it did."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey else getattr(sys.modules[module], name)
