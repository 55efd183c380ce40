"""`python -m gjrpc.serve`: the composition root.

Patches the standard library first, then reads the options, loads the target, and puts the parts together. It owns what is printed
at the start, the exit codes, and what signals do.
"""
# ruff: noqa: E402  patching must come before anything that imports ssl or threading

from gevent import monkey

monkey.patch_all()

import logging
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import click
import gevent
from gevent.hub import get_hub

from gjrpc import addresses, credentials, descriptors, settings, targets, tls
from gjrpc._version import __version__
from gjrpc.access import AccessLog
from gjrpc.addresses import Address
from gjrpc.commands import Command
from gjrpc.errors import SettingsError
from gjrpc.guard import Guard, Unasked
from gjrpc.origins import LOOPBACK
from gjrpc.registry import Registry
from gjrpc.server import Server
from gjrpc.settings import Settings
from gjrpc.system import registry as host_methods
from gjrpc.wsgi import Application

log = logging.getLogger("gjrpc.serve")

_HELP = """Serve Python functions on HTTP.

TARGET is MODULE:REGISTRY, MODULE:APPLICATION (any WSGI callable) or MODULE:FACTORY(). Without one, methods that tell
about this host are served.

Each option can also be set in the environment, under the name shown with it, and in the file that --config names; the
command line comes first, then the environment, then the file.
"""

_EPILOG = 'Completion for bash: eval "$(_GJRPC_SERVE_COMPLETE=bash_source gjrpc-serve)"; zsh_source and fish_source for others.'

# Options that make the Application of a Registry; a target that is an application has its own.
_FOR_REGISTRIES = ("allowed_hosts", "allowed_origins", "max_depth", "max_failures", "open")


def _run(target: str | None, **values: Any) -> None:
    """Serve until a signal says to stop."""
    chosen = Settings(**values)
    logging.basicConfig(
        stream=sys.stderr, level=chosen.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    address = addresses.parse(chosen.bind)
    served = targets.load(target) if target else host_methods
    application = _application(served, target, chosen, address)
    context, trust = _tls(chosen, address)
    descriptors.raise_limit()
    get_hub().threadpool.maxsize = chosen.threads
    server = Server(
        addresses.listen(address, chosen.backlog),
        application,
        ssl_context=context,
        limits=chosen.limits,
        timeouts=chosen.timeouts,
        access_log=AccessLog(chosen.access_log, sys.stdout) if chosen.access_log != "off" else None,
        max_connections=chosen.max_connections,
        max_calls=chosen.max_calls,
    )
    _stop_on_signals(server)
    guard = application.guard if isinstance(application, Application) else None
    _reload_on_signal(context, chosen, guard)
    server.start()
    _announce(server, served, target, trust)
    if not address.is_local:
        _warn(is_guarded=isinstance(guard, Guard), has_tls=context is not None)
    server.serve_forever()
    if address.path is not None:
        Path(address.path).unlink(missing_ok=True)


def _application(served: Any, target: str | None, chosen: Settings, address: Address) -> Any:
    if not isinstance(served, Registry):
        if chosen.token_file or chosen.htpasswd or chosen.permissions:
            raise SettingsError(
                "--token-file, --htpasswd and --permissions can't protect it: the target is an application, which itself asks "
                "who calls (a gjrpc.Application by guard=); serve a Registry"
            )
        for name in _FOR_REGISTRIES:
            if getattr(chosen, name) != Settings.__dataclass_fields__[name].default:
                log.warning("--%s has no effect: the target is an application, which has its own", name.replace("_", "-"))
        return served
    return Application(
        served,
        max_body=chosen.max_body,
        max_depth=chosen.max_depth,
        allowed_hosts=chosen.allowed_hosts or (LOOPBACK if address.is_local else ("*",)),
        allowed_origins=chosen.allowed_origins,
        title=target or "this host",
        guard=_guard(chosen),
        # Who is on this host can see what the host methods tell; an application's own scopes are no less than they say.
        open_to_all=chosen.open or (target is None and address.is_local),
    )


def _guard(chosen: Settings) -> Guard | None:
    """What asks who calls; with `--open` nobody is asked."""
    made = credentials.guard(
        token_file=chosen.token_file,
        htpasswd=chosen.htpasswd,
        permissions=chosen.permissions,
        certificates=chosen.client_ca is not None,
        max_failures=chosen.max_failures,
    )
    if made is not None and chosen.open:
        raise SettingsError("--open lets anyone call, and --token-file, --htpasswd and --client-ca ask who it is: leave one out")
    return made


def _warn(*, is_guarded: bool, has_tls: bool) -> None:
    """Say what others could do, where they can reach the server."""
    if not is_guarded:
        log.warning("listening on a non-loopback address without credentials: anyone who reaches it can call what is served")
    elif not has_tls:
        log.warning("listening on a non-loopback address without TLS: credentials can be read on their way")


def _tls(chosen: Settings, address: Address) -> tuple[ssl.SSLContext | None, str]:
    """The context, and what curl needs to trust it."""
    if chosen.self_signed:
        if chosen.cert or chosen.key or chosen.client_ca:
            raise SettingsError("--self-signed makes its own certificate: leave --cert, --key and --client-ca out")
        made = tls.self_signed(["localhost", "127.0.0.1", "::1"] + [address.host] * (not address.is_local and bool(address.host)))
        click.echo(f"throw-away certificate, SHA-256 fingerprint {made.fingerprint}", err=True)
        return made.context, f"--cacert {made.ca_file()} "
    if chosen.cert is None:
        if chosen.key or chosen.client_ca:
            raise SettingsError("--key and --client-ca need --cert (or --self-signed) to turn TLS on")
        return None, ""
    context = tls.server_context(chosen.cert, chosen.key, chosen.client_ca)
    if chosen.client_ca and (chosen.token_file or chosen.htpasswd):
        context.verify_mode = ssl.CERT_OPTIONAL  # any credentials will do; the guard refuses who has none
    return context, ""


def _announce(server: Server, served: Any, target: str | None, trust: str) -> None:
    """Say what is served, where, and how to try it."""
    if isinstance(served, Registry):
        what = f"{len(served)} methods of {target or 'this host'}"
        names = served.list_methods()
        path = "/" + next((name for name in ("cpuinfo", "ping") if name in names), "list_methods")
    else:
        what, path = str(target), "/"
    url = server.url
    click.echo(f"gjrpc {__version__} serves {what} on {url}", err=True)
    if url.startswith("unix:"):
        trust, url = (
            f"--unix-socket {url.removeprefix('unix:')} ",
            "https://localhost" if server.ssl_enabled else "http://localhost",
        )
    for anywhere in ("0.0.0.0", "[::]"):  # noqa: S104  what the socket says that it is bound to
        url = url.replace(anywhere, "localhost")
    click.echo(f"try: curl {trust}{url}{path}", err=True)


def _stop_on_signals(server: Server) -> None:
    """The first SIGINT or SIGTERM lets the calls in flight end; a second one does not."""

    def stop(name: str) -> None:
        if server.draining:
            log.warning("%s again: stopping at once", name)
            gevent.spawn(server.stop, timeout=0)
        else:
            log.info("%s: stopping; calls in flight have %g s", name, server.timeouts.grace)
            gevent.spawn(server.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop, number.name)


def _reload_on_signal(context: ssl.SSLContext | None, chosen: Settings, guard: Guard | Unasked | None) -> None:
    """SIGHUP reads certificate and credentials again; what is broken leaves the old ones in use, and the log says so."""

    def reload() -> None:
        if guard is not None:
            guard.reload()
        if context is None or chosen.cert is None:
            if not isinstance(guard, Guard):
                log.info("SIGHUP: there is nothing to read again: neither a certificate nor credentials")
            return
        try:
            tls.reload(context, chosen.cert, chosen.key, chosen.client_ca)
        except SettingsError as error:
            log.error("SIGHUP: the old certificate stays in use: %s", error)
        else:
            log.info("SIGHUP: new connections get the certificate as it is now in %s", chosen.cert)

    gevent.signal_handler(signal.SIGHUP, reload)


main = Command(
    "gjrpc-serve",
    callback=_run,
    params=[click.Argument(["target"], required=False, envvar=f"{settings.PREFIX}_TARGET"), *settings.options()],
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
"""The command line."""

click.version_option(__version__, prog_name="gjrpc")(main)

if __name__ == "__main__":
    main(prog_name="python -m gjrpc.serve")
