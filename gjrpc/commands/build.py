"""Makes the parts of a server from its options: authentication, TLS, the application, the server, and the lines at the start.

Both programs that put the parts together use it: `serve`, which is one process, and `multiprocess`, which is many. It must not
patch the standard library, and must be importable before that is done; each program patches at its own time.
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
from gjrpc.commands.options import PREFIX, flag
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
"""The target that is served by default: methods that describe this host."""

_LOCAL_NAMES = frozenset(LOOPBACK)

_ROLES = {"certificate": "--cert", "key file": "--key", "client CA": "--client-ca"}

_MOMENT = 0.1  # seconds for which lines of the access log are collected before they are written

# Options for the Application that is made of a Registry; a target that is an application has its own.
_FOR_REGISTRIES = ("allowed_hosts", "allowed_origins", "max_answer", "max_depth", "max_failures", "max_values", "open")


def parameters() -> list[click.Parameter]:
    """The target and the options, as click takes them."""
    return [click.Argument(["target"], required=False, envvar=f"{PREFIX}_TARGET"), *settings.options()]


class Security(NamedTuple):
    """TLS and authentication, as the options have them.

    Attributes:
        made: the temporary certificate, or None.
        context: for TLS, or None.
        guard: authenticates callers, or None.
    """

    made: tls.SelfSigned | None
    context: ssl.SSLContext | None
    guard: Guard | None


def security(chosen: Settings, address: Address) -> Security:
    """Read what the options say about TLS, then about callers; programs call this before they load a target or bind a socket.

    Raises:
        SettingsError: options that exclude each other or need another, or a file that can't be used.
    """
    made = temporary_certificate(chosen, address)
    return Security(made, made.context if made else context(chosen), credentials_of(chosen))


def application(served: Any, target: str | None, chosen: Settings, address: Address, guard: Guard | None) -> Any:
    """Return the WSGI callable for what a target names.

    Raises:
        SettingsError: there are options for authentication, but the target is an application, which they can't protect.
    """
    if not isinstance(served, Registry):
        _check_for_application(chosen, served)
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


def _check_for_application(chosen: Settings, served: Any) -> None:
    """Refuse options that can't protect an application, and warn of those that have no effect on one."""
    if chosen.token_file or chosen.htpasswd or chosen.permissions:
        raise SettingsError(
            "--token-file, --htpasswd and --permissions protect a Registry, but the target is an application, which has to "
            "authenticate its callers itself (a gjrpc.Application by guard=); serve a Registry, or leave these options out"
        )
    for name in _FOR_REGISTRIES:
        if name == "allowed_hosts" and isinstance(served, Application) and served.server_decides_hosts:
            continue  # it has no list of its own, so the server's applies
        if getattr(chosen, name) != Settings.__dataclass_fields__[name].default:
            log.warning("%s has no effect: the target is an application, which has its own setting", flag(name))


def _is_private(chosen: Settings, address: Address) -> bool:
    """Whether only this host's own users can call; the host methods show them nothing that they can't see anyway.

    A local address is not private if the options say that a proxy or any web page forwards calls from elsewhere.
    """
    return address.is_local and not _shared_by(chosen)


def _shared_by(chosen: Settings) -> str | None:
    """The option by which others than this host's users can call on a local address, or None."""
    if chosen.trusted_proxies:
        return "--trusted-proxies"
    if not _LOCAL_NAMES.issuperset(map(hostname, chosen.allowed_hosts or ())):
        return "--allowed-hosts"
    return "--allowed-origins" if "*" in chosen.allowed_origins else None


def credentials_of(chosen: Settings) -> Guard | None:
    """The guard that authenticates callers; None if no option asks for it.

    Raises:
        SettingsError: a file can't be used, or options exclude each other.
    """
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
        raise SettingsError(
            "--open lets anyone call, but --token-file, --htpasswd and --client-ca require credentials: leave one out"
        )
    return made


def guard_of(served: Any) -> Guard | AnonymousGuard | None:
    """What authenticates the callers of an application, or None."""
    return served.guard if isinstance(served, Application) else None


def temporary_certificate(chosen: Settings, address: Address) -> tls.SelfSigned | None:
    """Make the certificate of `--self-signed`; None without that option.

    Raises:
        SettingsError: options that exclude each other.
    """
    if not chosen.self_signed:
        return None
    if chosen.cert or chosen.key or chosen.client_ca:
        raise SettingsError("--self-signed makes its own certificate: leave out --cert, --key and --client-ca")
    return tls.self_signed(["localhost", "127.0.0.1", "::1"] + [address.host] * (not address.is_local and bool(address.host)))


def context(chosen: Settings) -> ssl.SSLContext | None:
    """Make the TLS context from the certificate's files; None without them.

    Raises:
        SettingsError: a file can't be used, or an option needs another one.
    """
    if chosen.cert is None:
        if chosen.key or chosen.client_ca:
            raise SettingsError("--key and --client-ca need TLS: give --cert too")
        return None
    try:
        made = tls.server_context(chosen.cert, chosen.key, chosen.client_ca)
    except SettingsError as error:
        raise SettingsError(f"{_option_of(str(error), chosen)}: {error}") from error
    if chosen.client_ca and (chosen.token_file or chosen.htpasswd):
        made.verify_mode = ssl.CERT_OPTIONAL  # other credentials will do; the guard rejects requests that have none
    return made


def _option_of(trouble: str, chosen: Settings) -> str:
    """The option that names the file that an error is about; the sentences of `tls` begin with the file's role."""
    option = next((option for role, option in _ROLES.items() if trouble.startswith(role)), "--cert")
    return "--cert" if option == "--key" and chosen.key is None else option  # the key is in the certificate's file


def server(
    listener: Any, callable_: Any, secured: ssl.SSLContext | None, chosen: Settings, *, kind: type[S], **options: Any
) -> S:
    """Make the server, and don't start it. The standard library has to be patched by now."""
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
    """The options that curl needs: the authority to trust, and credentials."""
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
        click.echo(f"temporary certificate, SHA-256 fingerprint {made.fingerprint}", err=True)
    click.echo(f"gjrpc {__version__} serves {what} on {url}", err=True)
    if url.startswith("unix:"):
        scheme = "https" if running.ssl_enabled else "http"
        options, url = f"{options}--unix-socket {url.removeprefix('unix:')} ", f"{scheme}://localhost"
    for anywhere in ("0.0.0.0", "[::]"):  # noqa: S104  as the socket reports its address
        url = url.replace(anywhere, "localhost")
    click.echo(f"try: curl {options}{url}{path}", err=True)


def warn_if_open(chosen: Settings, address: Address, *, guarded: bool, secured: bool) -> None:
    """Log a warning if others can reach the server and authentication or TLS is off."""
    if not guarded and not _is_private(chosen, address):
        where = f"with {_shared_by(chosen)}" if address.is_local else "on a non-loopback address"
        log.warning(
            "listening %s without authentication: anyone who can connect can call every method that has no scope; "
            "methods with a scope are %s; to authenticate callers, use --token-file, --htpasswd or --client-ca",
            where,
            "open too (--open)" if chosen.open else "closed (--open opens them)",
        )
    elif guarded and not secured and not address.is_local:
        log.warning("listening on a non-loopback address without TLS: credentials can be read on the network; use --cert")
