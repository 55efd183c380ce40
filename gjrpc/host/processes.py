"""The processes of this machine: their command lines, masked, and their figures.

Owns what is reported of a process that ends meanwhile, belongs to another user, or has a hostile name. It knows no methods.
"""

import re
import time
from collections import Counter
from itertools import accumulate
from typing import Any, TypeAlias

import psutil

from gjrpc.host.masking import LONGEST, clean, mask

FIGURES = ("user", "pid", "pcpu", "pmem", "starttime", "args", "threadcount")
"""The reported figures of a process."""

_TOTAL = 1024 * 1024  # characters of all command lines together; 300 processes have 100,000
_SHORT = 256  # characters of each command line beyond that: any local user can start many processes with long ones
_LONGEST_NAME = 64
_BLANK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Seen: TypeAlias = tuple[psutil.Process, str]
"""A process and its command line, masked."""


def running(errors: list[str]) -> list[Seen]:
    """Return all visible processes by process ID; `errors` says what can't be read.

    psutil's `process_iter` would share its objects between threads.
    """
    seen: list[Seen] = []
    reasons = Counter[str]()
    pids, total = psutil.pids(), 0
    for pid in pids:
        one = _read(pid, LONGEST if total < _TOTAL else _SHORT)
        if isinstance(one, str):
            reasons[one] += 1
        else:
            seen.append(one)
            total += len(one[1])
    if reasons:
        texts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        errors.append(f"{reasons.total()} of {len(pids)} processes could not be read ({texts})")
    if total >= _TOTAL:
        errors.append(f"the command lines have more than {_TOTAL} characters in total: some are cut at {_SHORT}")
    if psutil.LINUX and 1 not in pids:
        errors.append("the processes of other users are hidden (mount option hidepid of /proc)")
    return seen


def _read(pid: int, limit: int) -> Seen | str:
    """Return a process and its command line, or why it can't be read."""
    try:
        process = psutil.Process(pid)
        return process, line_of(process, limit)
    except psutil.NoSuchProcess:
        return "ended meanwhile"
    except psutil.AccessDenied:
        return "not permitted"
    except OSError as error:
        return f"not readable: {error.strerror}"


def line_of(process: psutil.Process, limit: int = LONGEST) -> str:
    """Return the command line as one line with its secrets masked, cut before the argument that exceeds the limit.

    Return the process's name in brackets if it has no command line, or if the first argument alone is too long.

    Args:
        limit: characters.

    Raises:
        psutil.Error, OSError: the process can't be read.
    """
    try:
        words = process.cmdline()
    except psutil.ZombieProcess:
        return f"{_name(process)} <defunct>"
    lengths = accumulate(len(word) + 1 for word in words)
    shown = [word for word, length in zip(words, lengths, strict=True) if length <= limit]
    line = mask(*shown) if shown else _name(process)
    return one_line(line + " …" * (len(shown) < len(words)))


def _name(process: psutil.Process) -> str:
    """Return the process's name in brackets; psutil may take it from the first argument, which can have any length."""
    return one_line(f"[{process.name()[:_LONGEST_NAME]}]")


def one_line(text: str) -> str:
    """Make a hostile text safe to print on one line: spaces for line breaks, no control characters."""
    return clean(_CONTROL.sub("\ufffd", _BLANK.sub(" ", text)))


def figures(process: psutil.Process, line: str) -> dict[str, Any]:
    """Return the `FIGURES` of a process; those that can't be read are null, and `error` says why."""
    entry: dict[str, Any] = dict.fromkeys(FIGURES) | {"pid": process.pid, "args": line}
    try:
        facts = process.as_dict(["username", "cpu_times", "memory_percent", "create_time", "num_threads"])
    except psutil.NoSuchProcess:
        return entry | {"error": "the process ended meanwhile"}
    entry |= {"user": facts["username"] and clean(facts["username"]), "threadcount": facts["num_threads"]}
    if facts["memory_percent"] is not None:
        entry["pmem"] = round(facts["memory_percent"], 1)
    if facts["create_time"] is not None:
        entry["starttime"] = time.ctime(facts["create_time"])
    if None not in (facts["create_time"], facts["cpu_times"]):
        lived = max(1.0, time.time() - facts["create_time"])  # the kernel's start times are accurate to a second
        entry["pcpu"] = round(100 * (facts["cpu_times"].user + facts["cpu_times"].system) / lived, 1)
    return entry if None not in facts.values() else entry | {"error": "not permitted to read all figures"}
