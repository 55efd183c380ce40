"""Where a server listens: `HOST:PORT`, `[IPv6]:PORT`, `unix:PATH`.

Owns how such an address is parsed, the listening socket, and the file of a Unix socket from its creation to its removal. It knows
no application.
"""

import _socket
import errno
import grp
import logging
import os
import socket
import stat
from dataclasses import dataclass
from typing import Any

from gjrpc.errors import SettingsError
from gjrpc.http.hosts import is_loopback
from gjrpc.limits import SOCKET_MODE

log = logging.getLogger("gjrpc.server")

_PATH_BYTES = 108  # the room for a Unix socket's path and its last NUL (unix(7))

_FORM = "expected HOST:PORT, [IPv6]:PORT or unix:PATH"


@dataclass(frozen=True)
class Address:
    """A place to listen: either a host and port, or the path of a Unix socket.

    Attributes:
        host: a name or an IP address without brackets; "" for all addresses.
        port: 0 to 65535; 0 lets the kernel choose.
        path: the path of a Unix socket; host and port are then unused.
    """

    host: str = ""
    port: int = 0
    path: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.path is not None or is_loopback(self.host)


def parse(text: str) -> Address:
    """Parse an address.

    Raises:
        SettingsError: it has none of the three forms.
    """
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise SettingsError(f"--bind {text!r}: the path is missing; {_FORM}")
        return Address(path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535 or (":" in host and not bracketed):
        raise SettingsError(f"--bind {text!r}: {_FORM}")
    return Address(host[1:-1] if bracketed else host, int(port))


class Endpoint:
    """A socket for an address. Only `listen` binds it, so that a program can check everything else first.

    Args:
        address: where to listen.
        backlog: connections that may wait to be accepted.
        mode: permissions of a Unix socket's file.
        group: group of a Unix socket's file; by default the process's group, or that of a setgid folder.

    Attributes:
        address: the address; the path of a Unix socket is absolute, as the application may change the folder before `listen`.
        socket: the socket.

    Raises:
        SettingsError: the host can't be resolved, or there is no such group.
    """

    def __init__(self, address: Address, backlog: int, *, mode: int = SOCKET_MODE, group: str | None = None) -> None:
        self.address = _absolute(address)
        self._backlog = backlog
        self._mode = mode
        self._group = -1 if group is None else _group(group)
        try:
            self.socket, self._place = _unbound(self.address)
        except OSError as error:
            raise self._refused(error) from error

    def listen(self) -> None:
        """Bind the socket and listen. After an error, the caller still has to close the socket.

        Raises:
            SettingsError: the address is in use, not this machine's, or not allowed; the message says what to do.
        """
        try:
            if self.address.path is None:
                self.socket.bind(self._place)
            else:
                _bind_unix(self.socket, self.address.path, self._mode, self._group)
            # By now a Unix socket's file has its group: no client could connect before.
            self.socket.listen(self._backlog)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> SettingsError:
        path, host, port = self.address.path, self.address.host or "*", self.address.port
        where = f"{host}:{port}" if path is None else f"unix:{path}"
        return SettingsError(f"can't listen on {where}: {_reason(error)}; choose another address with --bind")


class SocketFile:
    """The file of a Unix socket, which only the process that created it removes.

    Args:
        path: the path that the socket is bound to.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)  # the application may change the working directory
        self._made = _file_identity(self._path)
        self._process = os.getpid()

    def remove(self) -> None:
        """Remove the file, unless it now belongs to another server or this process is a child of the one that created it."""
        try:
            if os.getpid() == self._process and _file_identity(self._path) == self._made:
                os.unlink(self._path)
        except FileNotFoundError:  # something else has removed it already
            pass
        except OSError as error:
            log.warning("can't remove the socket file unix:%s: %s", self._path, _reason(error))


def _file_identity(path: str) -> tuple[int, int, int]:
    """Return what distinguishes a file from a later one at its path, which may get the same inode number."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _absolute(address: Address) -> Address:
    """An address whose path, if it has one, is absolute, unless that is too long for a Unix socket."""
    if address.path is None:
        return address
    path = os.path.abspath(address.path)
    return Address(path=path) if len(os.fsencode(path)) < _PATH_BYTES else address


def _unbound(address: Address) -> tuple[socket.socket, Any]:
    """Make the socket for an address, and return what to bind it to."""
    if address.path is not None:
        return socket.socket(socket.AF_UNIX), address.path
    # All addresses: an IPv6 socket that accepts IPv4 too, if the system has IPv6.
    dual = not address.host and socket.has_dualstack_ipv6()
    host = address.host or ("::" if dual else "0.0.0.0")  # noqa: S104  an empty host means all addresses
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Of several addresses choose IPv4: curl and browsers fall back to 127.0.0.1 for "localhost".
    family, _, _, _, place = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0]
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier server may be in TIME_WAIT
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
    # The whole socket address: a link-local IPv6 address is ambiguous without its scope (RFC 4007, 6).
    return made, place


def _bind_unix(listener: socket.socket, path: str, mode: int, group: int) -> None:
    """Bind to a path. The file never has wider permissions than the mode."""
    _remove_stale(path)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    if group != -1:
        try:
            os.chown(path, -1, group)
        except OSError:
            os.unlink(path)
            raise


def _group(name: str) -> int:
    """Return the number of a group that is given by name or number.

    Raises:
        SettingsError: there is no such group.
    """
    try:
        return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise SettingsError(f"--socket-group {name!r}: no such group; expected the name or number of a group") from error


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that no longer runs; leave any other file alone.

    Raises:
        OSError: a file that is not a socket is in the way.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is not a socket is in the way")
        found = _file_identity(path)
        if _is_dead(path) and _file_identity(path) == found:
            os.unlink(path)
    except FileNotFoundError:  # nothing is in the way: the path was free, or another server has removed its file
        pass


def _is_dead(path: str) -> bool:
    """Return whether no server listens on a socket file.

    False if that is unknown: for another user's socket (EACCES), or a datagram socket.
    """
    probe = _socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)  # a live server with a full backlog would block the probe
        return probe.connect_ex(path) == errno.ECONNREFUSED
    finally:
        probe.close()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
