"""Warnings about files with secrets that other users on this host can read or change.

Owns these warnings, one for each file and mode: neither a reload nor a worker that starts later repeats them. The server warns
and still starts, because the mode may be right (a container with one user, Kubernetes' mounts). It does not warn about:

- a file of another user, such as root, that this user reads as a member of its group: its mode can't be narrower;
- files that systemd passes in `$CREDENTIALS_DIRECTORY`, where the group bits are an access list's.
"""

import logging
import os
import shlex
import stat
from pathlib import Path

log = logging.getLogger("gjrpc.auth")

_warned: set[tuple[str, int]] = set()


def warn(role: str, path: str | os.PathLike[str], *, secret: bool = True) -> None:
    """Log a warning, with the remedy, if other users can read or change a file.

    Args:
        role: what the file is, for example "key file".
        path: the file, which was already read.
        secret: whether its contents are secret; otherwise only write access matters.
    """
    try:
        found = os.stat(path)
    except OSError:
        return  # it was removed meanwhile: nothing to warn about
    name, mode = os.fspath(path), stat.S_IMODE(found.st_mode)
    who = _who(mode, found.st_uid, found.st_gid, secret=secret)
    if who is None or (name, mode) in _warned or _is_handed_over(name):
        return
    _warned.add((name, mode))
    narrow = "640" if _by_group(found.st_uid, found.st_gid) else "600"
    log.warning("%s %r has mode %03o: %s; to prevent that, run: chmod %s %s", role, name, mode, who, narrow, shlex.quote(name))


def _who(mode: int, owner: int, group: int, *, secret: bool) -> str | None:
    """Return who else can do what with the file, or None."""
    if os.name != "posix":
        return None  # on other systems the mode means nothing
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
    """Return whether this user can read a file only as a member of its group."""
    user = os.geteuid()
    return user not in (0, owner) and group in {os.getegid(), *os.getgroups()}


def _is_handed_over(name: str) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and Path(folder or "").resolve() in Path(name).resolve().parents
