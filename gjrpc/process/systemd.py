"""systemd's protocols for services: socket activation, and notifications of the service's state.

Owns the environment variables of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), and does nothing if they are not set.
It knows neither servers nor processes.
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
    """Return the listening socket that systemd passed to this process, or None; only the first call returns it.

    Raises:
        SettingsError: there are several sockets, or the socket does not listen.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    del environ["LISTEN_PID"]
    count = environ.pop("LISTEN_FDS", "0")
    environ.pop("LISTEN_FDNAMES", None)
    if count != "1":
        raise SettingsError(f"socket activation: LISTEN_FDS is {count}; expected one socket: keep one ListenStream= in the unit")
    try:
        listener = socket.socket(fileno=_FIRST)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SettingsError(f"socket activation: descriptor {_FIRST} is not a socket: {error.strerror}") from error
    if not listens:
        raise SettingsError(f"socket activation: descriptor {_FIRST} does not listen; use ListenStream= and Accept=no")
    listener.set_inheritable(False)
    return listener


class Notifier:
    """Notifies systemd of the service's state. It removes the variables from the environment: child processes must not use them.

    Attributes:
        interval: seconds in which to call `alive`, half of systemd's watchdog timeout; None without a watchdog.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        path = environ.pop("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        wanted = environ.pop("WATCHDOG_USEC", "")
        watched = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval = int(wanted) / 2e6 if watched and wanted.isdigit() and int(wanted) and path else None
        self._next = 0.0
        self._failing = False

    def ready(self) -> None:
        """Report that the service accepts requests: for the first time, or after a reload."""
        self._notify("READY=1")

    def reloading(self) -> None:
        """Report that the service reloads its code or its certificate; `ready` reports the end."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._notify("STOPPING=1")

    def alive(self) -> None:
        """Reset systemd's watchdog; may be called more often than necessary."""
        if self.interval is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self.interval / 2
            self._notify("WATCHDOG=1")

    def _notify(self, state: str) -> None:
        if not self._path:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as note:
                note.setblocking(False)  # a service manager that does not read must block neither the server nor its stop
                note.connect(self._path)
                note.sendall(state.encode())
            self._failing = False
        except OSError as error:  # the server works without a service manager that listens
            if not self._failing:  # log it once, not for each watchdog signal
                log.warning("could not notify systemd of %s: %s", state.partition("\n")[0], error)
            self._failing = True
