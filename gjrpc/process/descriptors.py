"""The limit of open files of this process: each connection takes one.

Owns `RLIMIT_NOFILE`.
"""

import logging
import resource

log = logging.getLogger("gjrpc.process")

_OTHERS = 64
"""Open files that are no connections: the interpreter's, the listener, the logs, and what the methods open."""

_MANY = 1_000_000
"""Connections where the system sets no limit."""


def raise_limit() -> None:
    """Use all open files that the process may have; where the system refuses, the log says what that means."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of %d open files stays (%s): %d connections can be held", soft, error, connections())


def connections() -> int:
    """How many connections the limit allows, with some files left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if soft == resource.RLIM_INFINITY else max(soft - _OTHERS, soft // 2, 1)
