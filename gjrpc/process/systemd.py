"""What systemd says to a service and wants to hear from it: sockets to begin with, and notes on how it goes.

Owns the variables of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3). Where they are not set, nothing is done. It knows
neither servers nor processes.
"""

import logging
import os
import socket
import time
from collections.abc import MutableMapping

from gjrpc.errors import SettingsError

_FIRST = 3  # SD_LISTEN_FDS_START: the descriptor of the first socket

log = logging.getLogger("gjrpc.process")


def inherited(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket that this process was started with (socket activation), or None; it can be had once.

    Raises:
        SettingsError: there are several, or it is not a stream socket that listens.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    del environ["LISTEN_PID"]
    count = environ.pop("LISTEN_FDS", "0")
    environ.pop("LISTEN_FDNAMES", None)
    if count != "1":
        raise SettingsError(f"socket activation: LISTEN_FDS is {count}; expected one socket: leave one ListenStream= in the unit")
    try:
        listener = socket.socket(fileno=_FIRST)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SettingsError(f"socket activation: descriptor {_FIRST} is no socket: {error.strerror}") from error
    if not listens:
        raise SettingsError(f"socket activation: descriptor {_FIRST} does not listen; use ListenStream= and Accept=no")
    listener.set_inheritable(False)
    return listener


class Notifier:
    """Tells systemd how the service goes. It takes the variables out of the environment: they are not for programs started later.

    Attributes:
        interval: seconds between two signs of life that systemd wants at the latest, halved to be sure; None: it wants none.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        path = environ.pop("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        wanted = environ.pop("WATCHDOG_USEC", "")
        watched = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval = int(wanted) / 2e6 if watched and wanted.isdigit() and int(wanted) and path else None
        self._next = 0.0
        self._unheard = False

    def ready(self) -> None:
        """It serves: for the first time, or after a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """It reads its code or its certificate again; `ready` ends that."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """It lives; may be called more often than systemd wants to hear it."""
        if self.interval is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self.interval / 2
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._path:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as note:
                note.setblocking(False)  # a manager that does not read must block neither the server nor its stop
                note.connect(self._path)
                note.sendall(state.encode())
            self._unheard = False
        except OSError as error:  # a service manager that does not listen is no reason not to serve
            if not self._unheard:  # once, not for each watchdog signal
                log.warning("could not notify systemd of %s: %s", state.partition("\n")[0], error)
            self._unheard = True
