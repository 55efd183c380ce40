"""`python -m gjrpc.serve --workers N`: the composition root of several processes.

The master never patches the standard library and runs no event loop, so nothing of gevent is there to be shared by a fork; each
worker patches first thing and loads the target afresh. `serve` comes here by way of exec, with all it was started with.
"""

import importlib
import logging
import math
import os
import socket
import subprocess
import sys
from typing import Any

import gevent
from gunicorn.app.base import BaseApplication
from gunicorn.util import getcwd

from gjrpc.commands import build, targets
from gjrpc.commands.cli import Command
from gjrpc.commands.foreign_options import HINTS
from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.process import logs
from gjrpc.process.systemd import Notifier
from gjrpc.server import tls
from gjrpc.server.addresses import Address
from gjrpc.server.tls import SelfSigned
from gjrpc.workers.balance import SharingServer
from gjrpc.workers.master import Master, QuietLogger, Telling

log = logging.getLogger("gjrpc.commands")

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  gunicorn makes its files there safely, and deletes them at once
_REST = 2  # seconds for the workers beyond the grace period, to tell the clients that it is over


def become_master() -> None:
    """Become the master: the same process and Python with the same options, but unpatched."""
    os.execv(sys.executable, [sys.executable, *_python_options(), "-m", "gjrpc.commands.multiprocess", *sys.argv[1:]])  # noqa: S606  no shell


def _python_options() -> list[str]:
    """The options that this Python was started with, such as -O, -W error or -X dev."""
    # As multiprocessing passes them on to its children; it leaves out the -X options that it does not know.
    known = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # typeshed leaves it out
    given = {option.partition("=")[0] for option, before in zip(known[1:], known, strict=False) if before == "-X"}
    others = [name if value is True else f"{name}={value}" for name, value in sys._xoptions.items() if name not in given]
    return [*known, *(word for option in others for word in ("-X", option))]


def _stay_logical() -> str:
    """Keep the name by which the current folder was entered, perhaps a symbolic link, and search modules there too.

    A deployment may move the link, and a reload must find the new folder.
    """
    real = os.getcwd()
    logical = str(getcwd())
    for number, entry in enumerate(sys.path):
        if (entry + os.sep).startswith(real + os.sep):
            sys.path[number] = logical + entry[len(real) :]
    return logical


class Fleet(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """What the workers serve and how, in gunicorn's terms.

    Args:
        target: what to serve, as the command line has it.
        chosen: the options.
        address: where the socket listens.
        made: the throw-away certificate, which all workers share.
    """

    def __init__(self, target: str | None, chosen: Settings, address: Address, made: SelfSigned | None) -> None:
        self.target = target
        self.chosen = chosen
        self.address = address
        self.made = made
        self.folder = _stay_logical()
        self.for_curl = build.for_curl(chosen, made)
        self.served: Any = None
        super().__init__(prog="gjrpc-serve")

    @property
    def grace(self) -> float:
        """Seconds for the calls in flight at a stop."""
        return self.chosen.grace

    def load_config(self) -> None:
        """Set what gunicorn is to know."""
        values = {
            "worker_class": FleetWorker,
            "workers": self.chosen.workers,
            "timeout": self.chosen.worker_timeout,
            "graceful_timeout": math.ceil(self.chosen.grace) + _REST,
            "logger_class": QuietLogger,
            # Memory, where there is some: the root file system may be read-only.
            "worker_tmp_dir": _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None,
            "control_socket_disable": True,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Load the target; in each worker, after patching. The folder is looked up again: it may be another one by now."""
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise SettingsError(f"the folder {self.folder!r} can't be entered: {error.strerror}") from error
        importlib.invalidate_caches()
        self.served = targets.load(self.target or build.HOST, self.folder)
        return build.application(self.served, self.target, self.chosen, self.address)


class FleetWorker(Telling):
    """A worker that serves by our own options."""

    def init_process(self) -> None:
        """Begin; an option, file or target that can't be used is told to the master."""
        try:
            super().init_process()
        except SettingsError as error:
            self.tell(str(error))
            sys.exit(2)

    def make_server(self, listener: Any) -> SharingServer:
        """The server, by our options."""
        app = self.app
        self._secured = app.made.context if app.made else build.context(app.chosen)
        return build.server(listener, self.wsgi, self._secured, app.chosen, kind=SharingServer, **self.shared())

    def serves(self, servers: list[SharingServer]) -> None:
        """Tell the master, and at the very first everyone."""
        if self.age == 1:
            build.announce(servers[0], self.app.served, self.app.target, self.app.for_curl)
        gevent.signal_handler(self.RENEW, self._renew)
        self.notify()
        self.tell(self.SERVES)

    def _renew(self) -> None:
        """Show the new certificate at once: at a reload, this worker may serve for a while yet."""
        chosen = self.app.chosen
        if self._secured is not None and chosen.cert is not None:
            try:
                tls.reload(self._secured, chosen.cert, chosen.key, chosen.client_ca)
            except SettingsError as error:
                log.debug("the old certificate stays in use: %s", error)  # the new workers find it too, and it is told then


def _run(target: str | None, **values: Any) -> None:
    chosen = Settings(**values)
    logs.to_stderr(chosen.log_level)
    with build.listening(chosen) as (listener, address):
        _watch(target, chosen, listener, address)


def _watch(target: str | None, chosen: Settings, listener: socket.socket, address: Address) -> None:
    made = build.throw_away(chosen, address)
    if made is None:
        build.context(chosen)  # to report errors in it once, before anything starts
    build.credentials_of(chosen)
    guarded = bool(chosen.token_file or chosen.htpasswd or chosen.client_ca)
    build.warn_if_open(chosen, address, guarded=guarded, secured=bool(made or chosen.cert))
    Master(Fleet(target, chosen, address, made), listener, Notifier()).run()


main = Command("gjrpc-serve", callback=_run, params=build.parameters(), hints=HINTS)
"""The command line, as `serve` has it."""

if __name__ == "__main__":
    main(prog_name="python -m gjrpc.serve")
