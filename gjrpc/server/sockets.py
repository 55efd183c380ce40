"""What a connected socket shows about its client, and reads whose bytes are discarded.

Owns system calls on sockets that have no place in Python's `socket`. It knows neither HTTP nor connections.
"""

import fcntl
import select
import socket
import struct
import sys
import termios
from typing import Any

from gevent import monkey

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))
_LEFT = getattr(select, "POLLRDHUP", 0)  # beside what poll(2) always reports: POLLHUP and POLLERR
_poll = monkey.get_original("select", "poll")  # gevent's would wait on the event loop, for no time at all
_PIECE = 64 * 1024  # bytes for one read of what is dropped


def bare(sock: Any) -> Any:
    """Return the socket below gevent's and TLS."""
    return getattr(sock, "_sock", sock)


def peer_pid(sock: Any) -> int | None:
    """Return the client's process, which the kernel reports for a Unix socket; None elsewhere, or if it is in a container."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or sock.family != socket.AF_UNIX:
        return None
    pid: int = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))[0]
    return pid or None


def has_left(sock: Any) -> bool:
    """Return whether the client is gone or has shut down sending."""
    look = _poll()
    look.register(sock.fileno(), _LEFT)
    return bool(look.poll(0))


def has_bytes(sock: Any) -> bool:
    """Return whether bytes wait in the socket to be read; False if the client is gone.

    Raises:
        OSError: the connection is broken.
    """
    try:
        return bool(bare(sock).recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def unacknowledged(sock: Any) -> int:
    """Return how many bytes were sent that the client's host has not taken (Linux, tcp(7): SIOCOUTQ).

    Raises:
        OSError: this kind of socket does not report it.
    """
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def discard(sock: Any, most: int | None = None) -> None:
    """Read what a client still sends, and drop it (RFC 9112, 9.6); return at its end, or after `most` bytes.

    Bytes left unread would make the close a reset, which can overtake the answer.

    Raises:
        OSError: the connection is broken, or a read timed out.
    """
    read = 0
    while most is None or read < most:
        count = len(sock.recv(_PIECE))
        if not count:
            return
        read += count
