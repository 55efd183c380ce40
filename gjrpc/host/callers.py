"""Processes whose command lines contain a text only because they make or serve the call that searches for it.

The command line of `curl http://localhost:9999/check_process;nginx` contains `nginx`, and so does that of the shell that started
it. Owns how such processes are recognized:

- The process at the other end of the caller's connection: by the kernel's tables (TCP on the same host and in the same network
  namespace) or by SO_PEERCRED (Unix sockets). If it listens itself, it counts as a proxy and is not left out.
- The processes that started it, if their command lines contain its own: `sh -c "curl …"`, `sudo curl …`, `timeout 5 curl …`.
- Any process whose command line spells out the call: the method's name, then the text. This also recognizes callers behind a
  proxy, in a container, of another user whose files this user may not read, or under another WSGI server.
- This process, and its parent and siblings that run the same program and listen on the same socket.

Not recognized: a client behind a proxy, or of another user, whose command line does not spell out the call (`python client.py
nginx`), and the other parts of its pipeline (`… | grep nginx`). They are listed like any process.
"""

import os
import re
from collections.abc import Iterable, Sequence

import psutil

from gjrpc.host import sockets
from gjrpc.host.processes import Seen
from gjrpc.http.peer import Peer

_SCRIPT_WORDS = 2
"""How many words after a script's interpreter the parent's command line must contain: a single one may be a coincidence."""

_QUOTING = re.compile(r"[\s\"'\\]+")


def unrelated(found: Sequence[Seen], method: str, text: str, peer: Peer | None) -> list[Seen]:
    """Return the processes that neither make nor serve the call.

    Args:
        found: the processes whose command lines contain the text.
        method: the name of the called method.
        text: the text that the call searches for.
        peer: the caller's end of the connection, if known.
    """
    spelled = {process.pid for process, line in found if _spells(line, method, text)}
    clients = _clients(found, peer)
    calling = [one for one in found if one[0].pid in clients]
    return [
        one
        for one in found
        if one[0].pid not in spelled and one not in calling and not _has_started(one, calling) and not _is_own(one[0])
    ]


def _spells(line: str, method: str, text: str) -> bool:
    """Return whether the text appears only after the method's name."""
    before, *behind = re.split(rf"(?<![\w-]){re.escape(method)}(?![\w.-])", line.casefold(), maxsplit=1)
    wanted = text.casefold()
    return bool(behind) and wanted in behind[0] and wanted not in before


def _clients(found: Iterable[Seen], peer: Peer | None) -> set[int]:
    """Return the process IDs at the other end of the connection, without those that listen."""
    if peer is None:
        return set()
    address = peer.client_address
    inode = sockets.inode_at(address) if isinstance(address, tuple) else None
    if inode is None and peer.pid is None:
        return set()
    listening = sockets.listening()
    held = {process.pid: sockets.held_by(process.pid) for process, _ in found}
    return {pid for pid, inodes in held.items() if (inode in inodes or pid == peer.pid) and not inodes & listening}


def _has_started(one: Seen, calling: Iterable[Seen]) -> bool:
    """Return whether a process is an ancestor of a calling process, and its command line contains that one's."""
    return any(_contains(one[1], line) and one[0].pid in _ancestors(process) for process, line in calling)


def _contains(line: str, other: str) -> bool:
    line, (_, *rest) = _QUOTING.sub("", line), other.split()
    return _QUOTING.sub("", other) in line or (len(rest) >= _SCRIPT_WORDS and _QUOTING.sub("", "".join(rest)) in line)


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
    except psutil.Error:  # it has ended, or belongs to another user
        return False


def _listens_here(pid: int) -> bool:
    return bool(sockets.held_by(pid) & sockets.held_by(os.getpid()) & sockets.listening())
