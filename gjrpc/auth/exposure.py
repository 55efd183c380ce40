"""Warns of files with secrets that others on this host can read or change.

Owns the warnings about a file's mode, one for each file and mode: neither a reload nor workers that start after the master has
looked repeat them. The server warns and does not refuse, as whoever starts it may know better (a container with one user,
Kubernetes' mounts). It does not warn:

- about a file of another user, such as root, that this user reads as a member of its group: the mode can't be narrower;
- about files that systemd passes in `$CREDENTIALS_DIRECTORY`, whose group bits stand for an access list.
"""

import logging
import os
import shlex
import stat
from pathlib import Path

log = logging.getLogger("gjrpc.auth")

_told: set[tuple[str, int]] = set()


def warn(role: str, path: str | os.PathLike[str], *, secret: bool = True) -> None:
    """Log a warning if others can read or change a file, with its mode and what to do.

    Args:
        role: what the file is, such as "key file".
        path: the file, already read.
        secret: whether its contents are secret; otherwise only write access matters.
    """
    try:
        found = os.stat(path)
    except OSError:
        return  # it has been removed since: nothing to warn about
    name, mode = os.fspath(path), stat.S_IMODE(found.st_mode)
    who = _who(mode, found.st_uid, found.st_gid, secret=secret)
    if who is None or (name, mode) in _told or _is_handed_over(name):
        return
    _told.add((name, mode))
    narrow = "640" if _by_group(found.st_uid, found.st_gid) else "600"
    log.warning("%s %r has mode %03o: %s; to forbid that: chmod %s %s", role, name, mode, who, narrow, shlex.quote(name))


def _who(mode: int, owner: int, group: int, *, secret: bool) -> str | None:
    """Say who else can read or change the file, or return None."""
    if os.name != "posix":
        return None  # elsewhere the mode says nothing
    if mode & stat.S_IWOTH:
        return "everyone on this host can change it"
    if secret and mode & stat.S_IROTH:
        return "everyone on this host can read it"
    if mode & stat.S_IWGRP:
        return "its group can change it"
    if secret and mode & stat.S_IRGRP and not _by_group(owner, group):
        return "its group can read it"
    return None


def _by_group(owner: int, group: int) -> bool:
    """Whether this user can read a file only by its group."""
    user = os.geteuid()
    return user not in (0, owner) and group in {os.getegid(), *os.getgroups()}


def _is_handed_over(name: str) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and Path(folder or "").resolve() in Path(name).resolve().parents
