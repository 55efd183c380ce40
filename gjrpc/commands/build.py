"""How the options become parts: the logging, the listening socket, the application, TLS, the server.

Shared by the two programs that put the parts together: `serve`, which is one process, and `multiprocess`, which is many. It must
not patch the standard library, and must be importable before that is done; a program knows when to.
"""

import atexit
import logging
import ssl
import sys
from functools import partial
from typing import Any, NamedTuple, TypeVar

import click
import gevent

from gjrpc._version import __version__
from gjrpc.app.application import Application
from gjrpc.auth import credentials
from gjrpc.auth.guard import AnonymousGuard, Guard
from gjrpc.calls.registry import Registry
from gjrpc.commands import settings
from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.http.access_log import AccessLog
from gjrpc.http.forwarded import ForwardedLog
from gjrpc.http.hosts import LOOPBACK, hostname
from gjrpc.limits import MAX_BODY
from gjrpc.server import tls
from gjrpc.server.addresses import Address
from gjrpc.server.server import Server
from gjrpc.server.watchdog import Watchdog

S = TypeVar("S", bound=Server)

log = logging.getLogger("gjrpc.commands")

HOST = "gjrpc.host.methods:registry"
"""What is served where no target is named."""

_LOCAL_NAMES = frozenset(LOOPBACK)

_ROLES = {"certificate": "--cert", "private key": "--key", "client CA": "--client-ca"}

_MOMENT = 0.1  # seconds until the lines of the access log go out together

# Options that make the Application of a Registry; a target that is an application has its own.
_FOR_REGISTRIES = ("allowed_hosts", "allowed_origins", "max_answer", "max_depth", "max_failures", "max_values", "open")


def parameters() -> list[click.Parameter]:
    """The target and the options, as click takes them."""
    return [click.Argument(["target"], required=False, envvar=f"{settings.PREFIX}_TARGET"), *settings.options()]


class Security(NamedTuple):
    """What the options say about TLS and callers.

    Attributes:
        made: the throw-away certificate, or None.
        context: TLS, or None.
        guard: authenticates callers, or None.
    """

    made: tls.SelfSigned | None
    context: ssl.SSLContext | None
    guard: Guard | None


def security(chosen: Settings, address: Address) -> Security:
    """Check the options and the files that they name, before anything is loaded or bound: first TLS, then callers.

    Raises:
        SettingsError: options that exclude each other or need another, or a file that can't be used.
    """
    made = throw_away(chosen, address)
    return Security(made, made.context if made else context(chosen), credentials_of(chosen))


def application(served: Any, target: str | None, chosen: Settings, address: Address, guard: Guard | None) -> Any:
    """The WSGI callable of what a target names.

    Raises:
        SettingsError: there are options for callers, but the target is an application, which authenticates them itself.
    """
    if not isinstance(served, Registry):
        if chosen.token_file or chosen.htpasswd or chosen.permissions:
            raise SettingsError(
                "--token-file, --htpasswd and --permissions can't protect it: the target is an application, which itself asks "
                "who calls (a gjrpc.Application by guard=); serve a Registry"
            )
        for name in _FOR_REGISTRIES:
            if name == "allowed_hosts" and isinstance(served, Application) and served.leaves_hosts:
                continue  # it has no list of its own, and so the server's holds
            if getattr(chosen, name) != Settings.__dataclass_fields__[name].default:
                log.warning("--%s has no effect: the target is an application, which has its own", name.replace("_", "-"))
        if isinstance(served, Application) and chosen.proxies:
            served.trust(chosen.proxies.scheme)
        return served
    return Application(
        served,
        max_body=chosen.max_body or MAX_BODY,
        max_depth=chosen.max_depth,
        max_values=chosen.max_values,
        max_answer=chosen.max_answer,
        allowed_hosts=chosen.allowed_hosts or (LOOPBACK if address.is_local else ("*",)),
        allowed_origins=chosen.allowed_origins,
        scheme_of=chosen.proxies.scheme if chosen.proxies else None,
        title=target or "this host",
        guard=guard,
        open_to_all=chosen.open or (target is None and _is_private(chosen, address)),
    )


def _is_private(chosen: Settings, address: Address) -> bool:
    """Whether only this host's own users can call; they can see what the host methods show anyway.

    A local address is not private if the options say that a proxy or any web page forwards the calls of others.
    """
    return address.is_local and not _shared_by(chosen)


def _shared_by(chosen: Settings) -> str | None:
    """The option that lets others than this host's users call on a local address, or None."""
    if chosen.trusted_proxies:
        return "--trusted-proxies"
    if not _LOCAL_NAMES.issuperset(map(hostname, chosen.allowed_hosts or ())):
        return "--allowed-hosts"
    return "--allowed-origins" if "*" in chosen.allowed_origins else None


def credentials_of(chosen: Settings) -> Guard | None:
    """What asks who calls; with `--open` nobody is asked."""
    proxies = chosen.proxies
    made = credentials.guard(
        token_file=chosen.token_file,
        htpasswd=chosen.htpasswd,
        permissions=chosen.permissions,
        certificates=chosen.client_ca is not None,
        max_failures=chosen.max_failures,
        client_of=proxies.name if proxies else None,
    )
    if made is not None and chosen.open:
        raise SettingsError("--open lets anyone call, and --token-file, --htpasswd and --client-ca ask who it is: leave one out")
    return made


def guard_of(served: Any) -> Guard | AnonymousGuard | None:
    """What asks who calls an application, or None."""
    return served.guard if isinstance(served, Application) else None


def throw_away(chosen: Settings, address: Address) -> tls.SelfSigned | None:
    """The throw-away certificate, where one is asked for.

    Raises:
        SettingsError: options that exclude each other.
    """
    if not chosen.self_signed:
        return None
    if chosen.cert or chosen.key or chosen.client_ca:
        raise SettingsError("--self-signed makes its own certificate: leave --cert, --key and --client-ca out")
    return tls.self_signed(["localhost", "127.0.0.1", "::1"] + [address.host] * (not address.is_local and bool(address.host)))


def context(chosen: Settings) -> ssl.SSLContext | None:
    """TLS from the certificate's files; None without them.

    Raises:
        SettingsError: a file that can't be used, or options that need another.
    """
    if chosen.cert is None:
        if chosen.key or chosen.client_ca:
            raise SettingsError("--key and --client-ca need --cert (or --self-signed) to turn TLS on")
        return None
    try:
        made = tls.server_context(chosen.cert, chosen.key, chosen.client_ca)
    except SettingsError as error:
        raise SettingsError(f"{_option_of(str(error), chosen)}: {error}") from error
    if chosen.client_ca and (chosen.token_file or chosen.htpasswd):
        made.verify_mode = ssl.CERT_OPTIONAL  # any credentials will do; the guard refuses who has none
    return made


def _option_of(trouble: str, chosen: Settings) -> str:
    """The option of the file that an error is about; the text of `tls` begins with the file's role."""
    option = next((option for role, option in _ROLES.items() if trouble.startswith(role)), "--cert")
    return "--cert" if option == "--key" and chosen.key is None else option  # the key is in the certificate's file


def server(
    listener: Any, callable_: Any, secured: ssl.SSLContext | None, chosen: Settings, *, kind: type[S], **options: Any
) -> S:
    """The server, not started; the standard library is patched by now."""
    access_log, proxies = _access_log(chosen), chosen.proxies
    return kind(
        listener,
        callable_,
        ssl_context=secured,
        limits=chosen.limits,
        timeouts=chosen.timeouts,
        access_log=ForwardedLog(access_log, proxies) if access_log and proxies else access_log,
        proxy_protocol=proxies if chosen.proxy_protocol else None,
        hosts=chosen.allowed_hosts,
        max_connections=chosen.max_connections,
        max_calls=chosen.max_calls,
        max_bodies=chosen.max_bodies,
        max_unsent=chosen.max_unsent,
        threads=chosen.threads,
        max_queued=chosen.max_queued,
        watchdog=Watchdog(chosen.stall_limit, offload=chosen.offload_stalls),
        **options,
    )


def _access_log(chosen: Settings) -> AccessLog | None:
    if chosen.access_log == "off":
        return None
    made = AccessLog(chosen.access_log, sys.stdout, later=partial(gevent.spawn_later, _MOMENT))
    atexit.register(made.flush)
    return made


def for_curl(chosen: Settings, made: tls.SelfSigned | None) -> str:
    """The options that curl needs to get through: whom to trust, and who calls."""
    trust = f"--cacert {made.ca_file()} " if made else ""
    if chosen.token_file:
        return trust + "-H 'Authorization: Bearer TOKEN' "
    if chosen.htpasswd:
        return trust + "-u NAME "
    return trust + "--cert CLIENT.PEM " * bool(chosen.client_ca)


def announce(running: Server, served: Any, target: str | None, options: str, made: tls.SelfSigned | None) -> None:
    """Print what is served, where, and a curl command to try it, with the options that `for_curl` gives."""
    registry = served.registry if isinstance(served, Application) else served
    if isinstance(registry, Registry):
        what = f"{len(registry)} methods of {target or 'this host'}"
        names = registry.list_methods()
        path = "/" + next((name for name in ("cpuinfo", "ping") if name in names), "list_methods")
    else:
        what, path = str(target), "/"
    url = running.url
    if made is not None:
        click.echo(f"throw-away certificate, SHA-256 fingerprint {made.fingerprint}", err=True)
    click.echo(f"gjrpc {__version__} serves {what} on {url}", err=True)
    if url.startswith("unix:"):
        scheme = "https" if running.ssl_enabled else "http"
        options, url = f"{options}--unix-socket {url.removeprefix('unix:')} ", f"{scheme}://localhost"
    for anywhere in ("0.0.0.0", "[::]"):  # noqa: S104  what the socket says that it is bound to
        url = url.replace(anywhere, "localhost")
    click.echo(f"try: curl {options}{url}{path}", err=True)


def warn_if_open(chosen: Settings, address: Address, *, guarded: bool, secured: bool) -> None:
    """Log a warning about what others could do if they can reach the server."""
    if not guarded and not _is_private(chosen, address):
        where = f"with {_shared_by(chosen)}" if address.is_local else "on a non-loopback address"
        log.warning(
            "listening %s without authentication: anyone who can connect can call every method without a scope; "
            "methods with a scope are %s; to authenticate callers, use --token-file, --htpasswd or --client-ca",
            where,
            "open too (--open)" if chosen.open else "closed (--open opens them)",
        )
    elif guarded and not secured and not address.is_local:
        log.warning("listening on a non-loopback address without TLS: credentials can be read on their way")
