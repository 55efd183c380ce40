"""`python -m gjrpc.serve`: the composition root of a server in one process.

Patches the standard library first, then reads and checks the options, loads the target, binds the socket and serves; for
several processes it hands over to `gjrpc.commands.multiprocess`. It owns the command line and what signals do here.
"""
# ruff: noqa: E402  patching must come before anything that imports ssl or threading

from gevent import monkey

monkey.patch_all()

import logging
import signal
import ssl
from contextlib import closing
from typing import Any

import click
import gevent
from gevent.hub import get_hub

from gjrpc._version import __version__
from gjrpc.auth.guard import AnonymousGuard, Guard
from gjrpc.commands import build, multiprocess, targets
from gjrpc.commands.cli import Command
from gjrpc.commands.foreign_options import HINTS
from gjrpc.commands.listening import Listening
from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.process import logs
from gjrpc.process.systemd import Notifier
from gjrpc.server import tls
from gjrpc.server.server import Server
from gjrpc.server.stopping import on_signals

log = logging.getLogger("gjrpc.serve")

_HELP = """Serve Python functions over HTTP.

TARGET is MODULE:REGISTRY, MODULE:APPLICATION (any WSGI callable) or MODULE:FACTORY(). Without a target, the server offers
methods that describe this host.

Each option can also be set by the environment variable shown with it, and in the file that --config names. The command
line takes precedence over the environment, and the environment over the file.
"""

_EPILOG = (
    'Shell completion in bash: eval "$(_GJRPC_SERVE_COMPLETE=bash_source gjrpc-serve)"; in zsh and fish, use zsh_source or '
    "fish_source."
)


def _run(target: str | None, **values: Any) -> None:
    """Serve until a signal says to stop."""
    chosen = Settings(**values)
    if chosen.workers > 1:
        multiprocess.become_master()
    logs.to_stderr(chosen.log_level)
    with closing(Listening(chosen)) as listening:
        _serve(target, chosen, listening)


def _serve(target: str | None, chosen: Settings, listening: Listening) -> None:
    """Check everything, then bind and serve."""
    get_hub().print_exception = logs.greenlet_failed
    made, context, guard = build.security(chosen, listening.address)
    served = targets.load(target or build.HOST)
    application = build.application(served, target, chosen, listening.address, guard)
    listening.listen()
    server = build.server(listening.socket, application, context, chosen, kind=Server)
    notifier = Notifier()
    _reload_on_signal(context, chosen, build.guard_of(application), notifier)
    with on_signals(server, notifier.stopping):
        server.start()
        build.announce(server, served, target, build.for_curl(chosen, made), made)
        guarded = guard is not None or isinstance(build.guard_of(application), Guard)
        build.warn_if_open(chosen, listening.address, guarded=guarded, secured=context is not None)
        notifier.ready()
        if notifier.interval is not None:
            gevent.spawn(_live, notifier, notifier.interval)
        server.serve_forever()


def _live(notifier: Notifier, interval: float) -> None:
    """Send systemd's watchdog signs of life from the event loop, so that they stop if the loop blocks."""
    while True:
        notifier.alive()
        gevent.sleep(interval / 2)


def _reload_on_signal(
    context: ssl.SSLContext | None, chosen: Settings, guard: Guard | AnonymousGuard | None, notifier: Notifier
) -> None:
    """On SIGHUP, read certificate and credentials again; if a file can't be used, keep the old ones and log why."""

    def reload() -> None:
        notifier.reloading()
        if guard is not None:
            guard.reload()
        if context is not None and chosen.cert is not None:
            _reload_certificate(context, chosen)
        elif not isinstance(guard, Guard):
            log.info("SIGHUP: there is no certificate and no file of credentials to read again")
        log.info("SIGHUP: a single process can't reload its code; to reload code, start the server with --workers 2 or more")
        notifier.ready()

    gevent.signal_handler(signal.SIGHUP, reload)


def _reload_certificate(context: ssl.SSLContext, chosen: Settings) -> None:
    assert chosen.cert is not None  # noqa: S101  for mypy: the caller has checked it
    try:
        tls.reload(context, chosen.cert, chosen.key, chosen.client_ca)
    except SettingsError as error:
        log.error("SIGHUP: the old certificate stays in use: %s", error)
    else:
        log.info("SIGHUP: new connections use the certificate that is now in %s", chosen.cert)


main = Command(
    "gjrpc-serve",
    callback=_run,
    params=build.parameters(),
    hints=HINTS,
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
"""The command line."""

click.version_option(__version__, prog_name="gjrpc")(main)

if __name__ == "__main__":
    main(prog_name="python -m gjrpc.serve")
