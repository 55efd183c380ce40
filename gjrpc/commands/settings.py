"""Every option of the server, declared once: name, type, default and help.

Owns the list of the options of `gjrpc.serve`; the command line, the environment (`GJRPC_…`), the TOML file and the table in the
README derive from it by way of `options`. It knows what an option means only in words.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import click

from gjrpc import limits as defaults
from gjrpc.commands import options as declared
from gjrpc.commands.options import Mode, option
from gjrpc.errors import SettingsError
from gjrpc.http.access_log import FORMATS
from gjrpc.http.forwarded import HEADERS, Proxies
from gjrpc.limits import Limits, Timeouts

_limits = Limits()
_timeouts = Timeouts()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of the server; times are in seconds, sizes in bytes."""

    bind: str = option("127.0.0.1:9999", "Address to listen on: HOST:PORT, [IPv6]:PORT or unix:PATH.", "ADDRESS")
    socket_mode: Mode = option(  # noqa: RUF009  as all here
        Mode(defaults.SOCKET_MODE),
        "Permissions of a Unix socket's file, in octal; users with write permission can connect.",
        "OCTAL",
    )
    socket_group: str | None = option(None, "Group of a Unix socket's file, by name or number.", "GROUP")
    cert: str | None = option(None, "TLS certificate: a PEM file with the certificate, then its chain.", "FILE")
    key: str | None = option(None, "Private key of the certificate: a PEM file; default: the --cert file.", "FILE")
    client_ca: str | None = option(
        None, "PEM file of certificate authorities: authenticate clients by the certificates that these have signed.", "FILE"
    )
    token_file: str | None = option(
        None, "File with the hashes of bearer tokens; `python -m gjrpc.tokens NAME` makes a token and its line.", "FILE"
    )
    htpasswd: str | None = option(None, "File of user names and password hashes for HTTP Basic, made by `htpasswd -B`.", "FILE")
    permissions: str | None = option(
        None, "File that lists what each caller may call, one caller a line, for example: alice ping stats.* @admin.", "FILE"
    )
    max_failures: int = option(defaults.MAX_FAILURES, "Failed logins per address before it gets 429 for a minute or two.")
    open: bool = option(False, "Let anyone call every method without credentials, even methods with a scope.")
    self_signed: bool = option(False, "Serve TLS with a temporary self-signed certificate, to try it out.")
    allowed_hosts: tuple[str, ...] | None = option(
        None,
        "Host names that requests may use, * for any; default: the loopback names on a loopback address, otherwise any.",
        "NAMES",
    )
    allowed_origins: tuple[str, ...] = option((), "Origins whose web pages may call, besides the server's own.", "ORIGINS")
    access_log: Literal["off", "common", "json"] = option(
        "off",
        "Format of the access log, which goes to standard output.",
        wrong="Give a format: common is Apache's, json writes one object a line. The access log goes to standard output.",
    )
    trusted_proxies: tuple[str, ...] = option(
        (), "Proxies trusted to report the client's address: addresses and networks, or unix for a Unix socket.", "NETWORKS"
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded", "off"] = option(
        "x-forwarded-for",
        "Header to read from trusted proxies; with x-forwarded-for, X-Forwarded-Proto is read too. Others are ignored.",
    )
    proxy_protocol: bool = option(False, "Expect a PROXY protocol header, version 1 or 2, on trusted proxies' connections.")
    log_level: Literal["debug", "info", "warning", "error"] = option(
        "info",
        "Lowest level of the messages to log; the log goes to standard error.",
        wrong="Use error for fatal or critical, warning for warn.",
    )
    workers: int = option(1, "Number of processes that serve; with two or more, a master process supervises them.")
    worker_timeout: int = option(30, "Seconds a worker's event loop may block before the worker is replaced.")
    stall_limit: float = option(
        defaults.STALL_LIMIT, "Seconds a method may block the event loop before the log names the method."
    )
    offload_stalls: bool = option(False, "Run a method in threads after it has exceeded --stall-limit three times.")
    threads: int = option(defaults.THREADS, "Threads for methods registered as blocking.")
    max_queued: int = option(defaults.MAX_QUEUED, "Blocking calls that may wait for a free thread; further calls get 503.")
    backlog: int = option(defaults.BACKLOG, "Connections that may wait to be accepted; the system may allow fewer.")
    max_connections: int | None = option(
        None, "Connections open at the same time; default: as many as the limit on open files allows."
    )
    max_calls: int = option(defaults.MAX_CALLS, "Calls in flight, counting those about to start; further calls get 503.")
    max_bodies: int | None = option(
        None,
        f"Total bytes of bodies that arrive in pieces; default: {defaults.BODIES_AT_ONCE} times --max-body; beyond that, the "
        "slowest bodies are dropped.",
    )
    max_unsent: int = option(
        defaults.MAX_UNSENT,
        "Total bytes of answers that wait for slow clients; beyond that, new calls get 503 and the slowest clients are "
        "disconnected.",
    )
    max_pipelined: int = option(_limits.pipelined, "Requests answered on one connection before other connections get a turn.")
    max_target: int = option(_limits.target, "Bytes of a request line.")
    max_head: int = option(_limits.head, "Bytes of a request's head: the request line and all headers.")
    max_headers: int = option(_limits.headers, "Number of headers of a request.")
    max_body: int | None = option(
        None, f"Bytes of a request's body; default: {defaults.MAX_BODY} for methods, {_limits.body} for other WSGI applications."
    )
    max_depth: int = option(defaults.MAX_DEPTH, "Levels of nested arrays and objects in a request's JSON.")
    max_values: int = option(
        defaults.MAX_VALUES, "Values in a request's JSON, counting each array, object and member; beyond that, 413."
    )
    max_answer: int = option(
        defaults.MAX_ANSWER, "Bytes of the answers to a batch; beyond that, the batch's remaining calls are not run."
    )
    handshake_timeout: float = option(_timeouts.handshake, "Seconds for a TLS handshake.")
    head_timeout: float = option(
        _timeouts.head, "Seconds for a request's head to arrive, and for a new connection to send its first byte."
    )
    body_timeout: float = option(_timeouts.body, "Seconds until a request's body starts; after that, --min-rate applies.")
    idle_timeout: float = option(_timeouts.idle, "Seconds a connection may be idle between two requests.")
    write_timeout: float = option(
        _timeouts.write, "Seconds a client may pause in reading its answer; over each such period it must keep up --min-rate."
    )
    min_rate: float = option(_timeouts.rate, "Minimum bytes per second at which a body must arrive and an answer must be read.")
    grace: float = option(_timeouts.grace, "Seconds that calls in flight get to finish when the server stops.")

    @property
    def limits(self) -> Limits:
        """The limits of one message."""
        return Limits(
            target=self.max_target,
            head=self.max_head,
            headers=self.max_headers,
            body=self.max_body or _limits.body,
            pipelined=self.max_pipelined,
        )

    @property
    def proxies(self) -> Proxies | None:
        """The proxies that are trusted, or None.

        Raises:
            SettingsError: an entry is neither an address nor a network, or `--proxy-protocol` lacks proxies to trust.
        """
        if self.proxy_protocol and not self.trusted_proxies:
            raise SettingsError("--proxy-protocol needs --trusted-proxies: otherwise anyone could forge the header")
        return Proxies(self.trusted_proxies, self.forwarded_header) if self.trusted_proxies else None

    @property
    def timeouts(self) -> Timeouts:
        """The time limits of one connection."""
        return Timeouts(
            handshake=self.handshake_timeout,
            head=self.head_timeout,
            body=self.body_timeout,
            idle=self.idle_timeout,
            write=self.write_timeout,
            rate=self.min_rate,
            grace=self.grace,
        )


def options() -> list[click.Option]:
    """The options of the command line, as click takes them."""
    return declared.click_options(Settings)


def table() -> str:
    """The options as a Markdown table, for the README."""
    return declared.markdown(Settings)


assert {"off", *FORMATS} == set(get_args(Settings.__annotations__["access_log"]))  # noqa: S101  each format can be chosen
assert {"off", *HEADERS} == set(get_args(Settings.__annotations__["forwarded_header"]))  # noqa: S101  and each header
