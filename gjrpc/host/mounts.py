"""The mounted file systems, and how full they are.

Owns which mounts are listed, and the time limit for a file server that does not answer. It knows no methods.
"""

import os
import re
import time
from typing import Any

import psutil

from gjrpc.host.masking import clean
from gjrpc.host.unpatched import unpatched
from gjrpc.host.unreadable import UNREADABLE, try_read

# File systems that show the kernel's own data. psutil's all=False also leaves out a container's root (overlay), NFS, tmpfs.
_KERNEL_FILESYSTEMS = re.compile(
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|mqueue|nsfs|proc"
    "|pstore|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs"
)
_SECONDS = 2.0  # that a file system may take to answer


def mounted(errors: list[str]) -> list[Any]:
    """Return psutil's entries of the mounted file systems, without those of the kernel; `errors` says what can't be read."""
    found = try_read(errors, "mounts", lambda: psutil.disk_partitions(all=True)) or []
    return [mount for mount in found if not _KERNEL_FILESYSTEMS.fullmatch(mount.fstype)]


def usage(mountpoints: list[str]) -> list[dict[str, Any]]:
    """Return how full each file system is, in bytes and percent, or an object with the `error`."""
    queries = [_query(mountpoint) for mountpoint in mountpoints]  # start all of them, then wait
    return [query.result() for query in queries]


class _Query:
    """One query of a mount point, in a native thread of its own, which a dead file server may block forever.

    Calls for the same mount point share one query. They wait until its time is up; after that, calls get its error at once. So a
    mount point never blocks more than one thread. A forked child does not have that thread and makes its own query: therefore the
    key has the process id.
    """

    def __init__(self, mountpoint: str) -> None:
        self.key = (os.getpid(), mountpoint)
        self._ends = time.monotonic() + _SECONDS
        self._usage: dict[str, Any] = {"error": f"no answer within {_SECONDS:g} s"}
        self._done = unpatched("_thread", "allocate_lock")()
        self._done.acquire()

    def start(self) -> None:
        try:
            unpatched("_thread", "start_new_thread")(self._run, ())
        except RuntimeError as error:  # the system has no more threads
            del _queries[self.key]
            self._usage, self._ends = {"error": str(error)}, 0

    def _run(self) -> None:
        try:
            self._usage = psutil.disk_usage(self.key[1])._asdict()
        except UNREADABLE as error:
            self._usage = {"error": clean(str(error))}
        finally:
            del _queries[self.key]
            self._done.release()

    def result(self) -> dict[str, Any]:
        if self._done.acquire(timeout=max(0.0, self._ends - time.monotonic())):
            self._done.release()  # for the next call that waits
        return self._usage


_queries: dict[tuple[int, str], _Query] = {}


def _query(mountpoint: str) -> _Query:
    mine = _Query(mountpoint)
    query = _queries.setdefault(mine.key, mine)
    if query is mine:
        query.start()
    return query
