"""The sockets of this machine, as `ss` shows them, and which processes have them open.

Owns how the kernel's tables are read: `/proc/net` on Linux, psutil elsewhere. The sockets of a process are known by inode number,
and only if this user may inspect the process. It knows no methods.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from gjrpc.host.unreadable import try_read

# The word of `ss` for psutil's name of a TCP state, in the order of the kernel's numbers, which begin at 1 (net/tcp_states.h).
_STATES = {
    "ESTABLISHED": "ESTAB",
    "SYN_SENT": "SYN-SENT",
    "SYN_RECV": "SYN-RECV",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
    "TIME_WAIT": "TIME-WAIT",
    "CLOSE": "UNCONN",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "LAST_ACK": "LAST-ACK",
    "LISTEN": "LISTEN",
    "CLOSING": "CLOSING",
    "NONE": "UNCONN",
}
_STATE_BY_NUMBER = ["UNCONN", *_STATES.values()]

_LISTENS = 0x10000  # __SO_ACCEPTCON, the flag of a Unix socket that listens (linux/net.h)
# Flags and inode. The name after them is any user's choice and may contain line breaks, so a line need not be the kernel's own.
_UNIX = re.compile(r"[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]+) [0-9A-F]+ [0-9A-F]+ +([0-9]+)")
_MAPPED = "::ffff:"

Address = tuple[str, int]


class _Line(NamedTuple):
    """A line of a table: the state as a number, bytes in the receive and send queues, both addresses, and the inode."""

    netid: str
    state: int
    queues: tuple[int, int]
    local: Address
    peer: Address
    inode: int


def listed(errors: list[str]) -> list[dict[str, Any]]:
    """Return all TCP and UDP sockets, as the host method `netstat` does; `errors` says what can't be read."""
    if not psutil.LINUX:
        return list(_other_sockets(errors))
    return [_entry(one.netid, _STATE_BY_NUMBER[one.state], one.queues, one.local, one.peer) for one in _lines(errors)]


def inode_at(address: Address) -> int | None:
    """Return the inode of the socket with this local address; None if it is not in this network namespace."""
    wanted = (address[0].removeprefix(_MAPPED), address[1])
    ends = ((one.inode, one.local) for one in _lines([], "tcp", "tcp6"))
    return next((inode for inode, (host, port) in ends if inode and (host.removeprefix(_MAPPED), port) == wanted), None)


def listening() -> set[int]:
    """Return the inodes of all listening sockets, Unix sockets included."""
    found = {one.inode for one in _lines([], "tcp", "tcp6") if _STATE_BY_NUMBER[one.state] == "LISTEN"}
    for line in _read([], "unix"):
        one = _UNIX.match(line)
        if one is not None and int(one[1], 16) & _LISTENS:
            found.add(int(one[2]))
    return found


def held_by(pid: int) -> set[int]:
    """Return the inodes of a process's open sockets; none if this user may not inspect the process."""
    found = set()
    try:
        for file in os.scandir(f"{psutil.PROCFS_PATH}/{pid}/fd"):
            kind, _, number = os.readlink(file.path).partition(":")
            if kind == "socket":
                found.add(int(number.strip("[]")))
    except OSError:  # it has ended, is closing files, or belongs to another user
        return found
    return found


def _lines(errors: list[str], *tables: str) -> Iterator[_Line]:
    """Read the kernel's own tables: psutil reports neither queues nor inodes."""
    for table in tables or ("udp", "udp6", "tcp", "tcp6"):
        for line in _read(errors, table):
            _, local, peer, state, queues, *_, inode = line.split()[:10]
            sending, receiving = (int(length, 16) for length in queues.split(":"))
            yield _Line(table[:3], int(state, 16), (receiving, sending), _address(local), _address(peer), int(inode))


def _read(errors: list[str], table: str) -> list[str]:
    path = Path(psutil.PROCFS_PATH, "net", table)
    if table.endswith("6") and not path.exists():
        return []  # a kernel without IPv6
    return (try_read(errors, table, lambda: path.read_text(errors="replace")) or "").splitlines()[1:]


def _other_sockets(errors: list[str]) -> Iterator[dict[str, Any]]:
    for found in try_read(errors, "sockets", lambda: psutil.net_connections("inet")) or ():
        netid = "tcp" if found.type == socket.SOCK_STREAM else "udp"
        word = _STATES.get(found.status, found.status)
        yield _entry(netid, word, (None, None), found.laddr or ("", 0), found.raddr or ("", 0))


def _entry(netid: str, state: str, queues: tuple[int | None, int | None], local: Any, peer: Any) -> dict[str, Any]:
    ends = [{"local": local[0], "port": local[1] or None}, {"peer": peer[0], "port": peer[1] or None}]
    return {"netid": netid, "state": state, "recv-Q": queues[0], "send-Q": queues[1], "address": ends}


def _address(text: str) -> tuple[str, int]:
    """Parse an address from the kernel: each 32-bit word is a hexadecimal number in the machine's byte order."""
    host, port = text.split(":")
    packed = b"".join(int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), int(port, 16)
