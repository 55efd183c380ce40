"""Which processes have a text in their command line only because they ask for it or serve the call.

`curl http://localhost:9999/check_process;nginx` contains `nginx`, and so does the shell that started it. Owns how they are
recognized:

- the process at the other end of the caller's connection, by the kernel's tables (TCP on the same host and in the same network
  namespace) or by SO_PEERCRED (Unix sockets), unless it listens itself: then it is taken for a proxy;
- the processes that started it, if their command lines contain its own: `sh -c "curl …"`, `sudo curl …`, `timeout 5 curl …`;
- a command line that spells the call (the method's name, then the text), whoever connects: behind a proxy, from a container,
  as another user whose files this one may not see, or under another WSGI server, which does not say who connects;
- this process, and those of its parent and siblings that run the same program and listen on the same socket.

Not recognized: a client behind a proxy or of another user whose command line does not spell the call (`python client.py nginx`),
and the other parts of its pipeline (`… | grep nginx`). They are found like any process.
"""

import os
import re
from collections.abc import Iterable, Sequence

import psutil

from gjrpc.host import sockets
from gjrpc.host.processes import Seen
from gjrpc.http.peer import Peer

_INTERPRETED = 2
"""Words of a script's command line behind its interpreter that a parent must have: one alone may be there by chance."""
_WRITTEN = re.compile(r"[\s\"'\\]+")


def unrelated(found: Sequence[Seen], method: str, text: str, peer: Peer | None) -> list[Seen]:
    """Return the processes that neither ask nor serve.

    Args:
        found: processes whose command lines have the text.
        method: the name of the method that was called.
        text: what is looked for.
        peer: the caller's end of the connection, if known.
    """
    spelled = {process.pid for process, line in found if _spells(line, method, text)}
    asking = [one for one in found if one[0].pid in _clients(found, peer)]
    return [
        one
        for one in found
        if one[0].pid not in spelled and one not in asking and not _has_started(one, asking) and not _is_own(one[0])
    ]


def _spells(line: str, method: str, text: str) -> bool:
    """Whether the text appears only after the method's name."""
    before, *behind = re.split(rf"(?<![\w-]){re.escape(method)}(?![\w.-])", line.casefold(), maxsplit=1)
    wanted = text.casefold()
    return bool(behind) and wanted in behind[0] and wanted not in before


def _clients(found: Iterable[Seen], peer: Peer | None) -> set[int]:
    """The processes at the other end of the connection, except those that listen."""
    if peer is None:
        return set()
    address = peer.client_address
    inode = sockets.inode_at(address) if isinstance(address, tuple) else None
    if inode is None and peer.pid is None:
        return set()
    listening = sockets.listening()
    held = {process.pid: sockets.held_by(process.pid) for process, _ in found}
    return {pid for pid, inodes in held.items() if (inode in inodes or pid == peer.pid) and not inodes & listening}


def _has_started(one: Seen, asking: Iterable[Seen]) -> bool:
    """Whether it is an ancestor of the caller's process and its command line contains that one's."""
    return any(_holds(one[1], line) and one[0].pid in _ancestors(process) for process, line in asking)


def _holds(line: str, other: str) -> bool:
    line, (_, *rest) = _WRITTEN.sub("", line), other.split()
    return _WRITTEN.sub("", other) in line or (len(rest) >= _INTERPRETED and _WRITTEN.sub("", "".join(rest)) in line)


def _ancestors(process: psutil.Process) -> set[int]:
    try:
        return {parent.pid for parent in process.parents()}
    except psutil.Error:  # it has ended
        return set()


def _is_own(process: psutil.Process) -> bool:
    if process.pid == os.getpid():
        return True
    try:
        related = os.getppid() in (process.pid, process.ppid())
        return related and process.exe() == psutil.Process().exe() and _listens_here(process.pid)
    except psutil.Error:  # it has ended, or is somebody else's
        return False


def _listens_here(pid: int) -> bool:
    return bool(sockets.held_by(pid) & sockets.held_by(os.getpid()) & sockets.listening())
