"""This process's limit of open files, which each connection counts towards.

Owns `RLIMIT_NOFILE`. It knows no connection.
"""

import logging
import resource

log = logging.getLogger("gjrpc.process")

_OTHERS = 64
"""Open files that are not connections: the interpreter's, the listener, the logs, and those that methods open."""

_MANY = 1_000_000
"""Connections if the system sets no limit."""


def raise_limit() -> None:
    """Raise the soft limit to the hard limit; if the system refuses, log how many connections are possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("can't raise the limit of %d open files (%s), so %d connections are possible", soft, error, connections())


def connections() -> int:
    """Return how many connections the limit allows, with some files left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if soft == resource.RLIM_INFINITY else max(soft - _OTHERS, soft // 2, 1)
