"""`python -m gjrpc.serve --workers N`: the composition root of a server in several processes.

The master never patches the standard library and runs no event loop, so that a fork shares nothing of gevent; each worker patches
first and then loads the target. `serve` gets here by exec, with all options that it was started with.

As in one process, everything is checked before the socket is bound, in the same order: options, certificate, credentials,
target. The master checks all but the target, which it must not load: it forks the first worker with a socket that is not bound
yet, and binds the socket once that worker has loaded the target.
"""

import importlib
import logging
import math
import os
import ssl
import subprocess
import sys
from contextlib import closing
from typing import Any

import gevent
from gunicorn.app.base import BaseApplication
from gunicorn.util import getcwd

from gjrpc.auth.guard import Guard
from gjrpc.commands import build, targets
from gjrpc.commands.cli import Command
from gjrpc.commands.foreign_options import HINTS
from gjrpc.commands.listening import Listening
from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.process import logs
from gjrpc.process.systemd import Notifier
from gjrpc.server import tls
from gjrpc.server.addresses import Address
from gjrpc.server.tls import SelfSigned
from gjrpc.workers.balance import SharingServer
from gjrpc.workers.master import Master, QuietLogger, ReportingWorker

log = logging.getLogger("gjrpc.commands")

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  gunicorn makes its files there safely, and deletes them at once
_REST = 2  # seconds after the grace period for the workers to answer the calls that have not ended


def become_master() -> None:
    """Become the master: the same process, with the same Python and options, but not patched by gevent."""
    os.execv(sys.executable, [sys.executable, *_python_options(), "-m", "gjrpc.commands.multiprocess", *sys.argv[1:]])  # noqa: S606  no shell


def _python_options() -> list[str]:
    """The options that this Python was started with, for example -O, -W error or -X dev."""
    # multiprocessing passes its children these; it leaves out the -X options that it does not know.
    known = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # missing in typeshed
    given = {option.partition("=")[0] for option, before in zip(known[1:], known, strict=False) if before == "-X"}
    others = [name if value is True else f"{name}={value}" for name, value in sys._xoptions.items() if name not in given]
    return [*known, *(word for option in others for word in ("-X", option))]


def _stay_logical() -> str:
    """Return the current folder as `$PWD` names it, perhaps by a symbolic link, and search for modules under that name.

    A deployment may move the link, and a reload must find the new folder.
    """
    real = os.getcwd()
    logical = str(getcwd())
    for number, entry in enumerate(sys.path):
        if (entry + os.sep).startswith(real + os.sep):
            sys.path[number] = logical + entry[len(real) :]
    return logical


class ServeApplication(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The target and its options, as gunicorn's arbiter and its workers need them.

    Args:
        target: what to serve, as on the command line.
        chosen: the options.
        address: where the server listens.
        made: the temporary certificate, which all workers share.
    """

    def __init__(self, target: str | None, chosen: Settings, address: Address, made: SelfSigned | None) -> None:
        self.target = target
        self.chosen = chosen
        self.address = address
        self.made = made
        self.for_curl = build.for_curl(chosen, made)  # in the master, whose end removes the file that this names
        self.folder = _stay_logical()
        self.served: Any = None
        self.context: ssl.SSLContext | None = None
        self.guard: Guard | None = None
        super().__init__(prog="gjrpc-serve")

    @property
    def grace(self) -> float:
        """Seconds that calls in flight get at a stop."""
        return self.chosen.grace

    def load_config(self) -> None:
        """Set gunicorn's own settings."""
        values = {
            "worker_class": ServeWorker,
            "workers": self.chosen.workers,
            "timeout": self.chosen.worker_timeout,
            "graceful_timeout": math.ceil(self.chosen.grace) + _REST,
            "logger_class": QuietLogger,
            # In memory if possible: the root file system may be read-only.
            "worker_tmp_dir": _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None,
            "control_socket_disable": True,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Read the files and load the target; each worker does, after patching. The folder may be another one after a reload."""
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise SettingsError(f"can't change to the folder {self.folder!r}: {error.strerror}") from error
        importlib.invalidate_caches()
        self.context = self.made.context if self.made else build.context(self.chosen)
        self.guard = build.credentials_of(self.chosen)
        self.served = targets.load(self.target or build.HOST, self.folder)
        return build.application(self.served, self.target, self.chosen, self.address, self.guard)


class ServeWorker(ReportingWorker):
    """A worker of `gjrpc.serve`, with its options."""

    def init_process(self) -> None:
        """Load and serve; report an option, file or target that can't be used to the master."""
        try:
            super().init_process()
        except SettingsError as error:
            self.report(str(error))
            sys.exit(2)

    def make_server(self, listener: Any) -> SharingServer:
        """Make the server from the options."""
        app = self.app
        return build.server(
            listener, self.wsgi, app.context, app.chosen, kind=SharingServer, board=self.board, environ=self.environ
        )

    def serves(self, servers: list[SharingServer]) -> None:
        """Report to the master; the very first worker also prints what is served."""
        if self.age == 1:
            app = self.app
            build.announce(servers[0], app.served, app.target, app.for_curl, app.made)
            guarded = app.guard is not None or isinstance(build.guard_of(self.wsgi), Guard)
            build.warn_if_open(app.chosen, app.address, guarded=guarded, secured=app.context is not None)
        gevent.signal_handler(self.RENEW, self._renew)
        self.notify()
        self.report(self.SERVES)

    def _renew(self) -> None:
        """Use the new certificate at once: during a reload, this worker may serve for a while yet."""
        chosen, context = self.app.chosen, self.app.context
        if context is not None and chosen.cert is not None:
            try:
                tls.reload(context, chosen.cert, chosen.key, chosen.client_ca)
            except SettingsError as error:
                log.debug("the old certificate stays in use: %s", error)  # the new workers find and report it too


def _run(target: str | None, **values: Any) -> None:
    chosen = Settings(**values)
    logs.to_stderr(chosen.log_level)
    with closing(Listening(chosen)) as listening:
        _supervise(target, chosen, listening)


def _supervise(target: str | None, chosen: Settings, listening: Listening) -> None:
    """Check options and files, then run the master, which binds the socket."""
    made, _, _ = build.security(chosen, listening.address)
    application = ServeApplication(target, chosen, listening.address, made)
    Master(application, listening.socket, Notifier(), listening.listen).run()


main = Command("gjrpc-serve", callback=_run, params=build.parameters(), hints=HINTS)
"""The command line, with the options of `serve`."""

if __name__ == "__main__":
    main(prog_name="python -m gjrpc.serve")
