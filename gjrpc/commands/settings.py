"""Every option, declared once: name, type, default and help.

Owns the options of `gjrpc.serve`; the command line, the environment (`GJRPC_…`), the TOML file and the table in the README are
derived from the fields below. It knows what an option means only in words.
"""

import itertools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from click.core import ParameterSource

from gjrpc import limits as defaults
from gjrpc.commands.foreign_options import HINTS
from gjrpc.errors import SettingsError
from gjrpc.http.access_log import FORMATS
from gjrpc.http.forwarded import HEADERS, Proxies
from gjrpc.limits import Limits, Timeouts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "GJRPC"
"""What the options' names in the environment begin with."""

_limits = Limits()
_timeouts = Timeouts()


def _option(default: Any, text: str, metavar: str | None = None, wrong: str = "") -> Any:
    return field(default=default, metadata={"help": text, "metavar": metavar, "wrong": wrong})


class Mode(int):
    """The permissions of a file, written as octal digits."""

    def __str__(self) -> str:
        return f"{self:04o}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of the server; times are in seconds, sizes in bytes."""

    bind: str = _option("127.0.0.1:9999", "Where to listen: HOST:PORT, [IPv6]:PORT or unix:PATH.", "ADDRESS")
    socket_mode: Mode = _option(  # noqa: RUF009  as all here
        Mode(defaults.SOCKET_MODE), "Permissions of a Unix socket's file, in octal; whoever may write to it may connect.", "OCTAL"
    )
    socket_group: str | None = _option(None, "Group, by name or number, that owns a Unix socket's file.", "GROUP")
    cert: str | None = _option(None, "Certificate for TLS, a PEM file; its chain behind it.", "FILE")
    key: str | None = _option(None, "Private key for it, a PEM file; by default it stands in the same file.", "FILE")
    client_ca: str | None = _option(None, "Ask clients for a certificate signed by one of these CAs, a PEM file.", "FILE")
    token_file: str | None = _option(None, "Bearer tokens of callers; `python -m gjrpc.tokens NAME` makes a line of it.", "FILE")
    htpasswd: str | None = _option(None, "Names and passwords of callers (HTTP Basic), made by `htpasswd -B`.", "FILE")
    permissions: str | None = _option(None, "What callers may call: a line for each, as in: alice stats.* @admin.", "FILE")
    max_failures: int = _option(
        defaults.MAX_FAILURES, "Wrong credentials of one address, after which it gets 429 for a minute or two."
    )
    open: bool = _option(False, "Let anyone call, without credentials, also methods with a scope.")
    self_signed: bool = _option(False, "TLS with a throw-away certificate, for trying out.")
    allowed_hosts: tuple[str, ...] | None = _option(
        None, "Host names to answer for, * for any; by default the loopback names on a loopback address, else any.", "NAMES"
    )
    allowed_origins: tuple[str, ...] = _option((), "Origins of web pages that may call, besides the same one.", "ORIGINS")
    access_log: Literal["off", "common", "json"] = _option(
        "off",
        "A line on standard output for each answer.",
        wrong="Give a format: common is Apache's, json writes one object a line. The access log goes to standard output.",
    )
    trusted_proxies: tuple[str, ...] = _option(
        (), "Addresses and networks of proxies that are believed when they say who called; unix for a Unix socket.", "NETWORKS"
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded", "off"] = _option(
        "x-forwarded-for",
        "Header in which trusted proxies name the client; x-forwarded-for reads X-Forwarded-Proto too; others are ignored.",
    )
    proxy_protocol: bool = _option(False, "Connections of trusted proxies begin with a PROXY protocol header, version 1 or 2.")
    log_level: Literal["debug", "info", "warning", "error"] = _option(
        "info", "What goes to the log on standard error.", wrong="Use error for fatal or critical, warning for warn."
    )
    workers: int = _option(1, "Processes that serve; from two on, a master watches over them.")
    worker_timeout: int = _option(30, "A worker whose event loop stands still for so long is replaced.")
    stall_limit: float = _option(defaults.STALL_LIMIT, "A method that holds the event loop for longer is named in the log.")
    offload_stalls: bool = _option(False, "Run a method that held it three times in a thread from then on.")
    threads: int = _option(defaults.THREADS, "Threads for methods registered as blocking.")
    max_queued: int = _option(defaults.MAX_QUEUED, "Blocking calls that may wait for a free thread; further ones get 503.")
    backlog: int = _option(defaults.BACKLOG, "Connections that may wait to be accepted; the system may allow fewer.")
    max_connections: int | None = _option(None, "Open connections; by default as many as the limit of open files allows.")
    max_calls: int = _option(
        defaults.MAX_CALLS,
        "Calls in flight: begun and waiting, or to be begun where they compute for long; 503 for further ones.",
    )
    max_bodies: int | None = _option(
        None,
        f"Bytes of bodies, in all, that arrive in pieces; default: {defaults.BODIES_AT_ONCE} times --max-body; "
        "beyond, the slowest are dropped.",
    )
    max_unsent: int = _option(
        defaults.MAX_UNSENT,
        "Bytes of answers, in all, that wait for slow clients; beyond, new calls get 503 and the slowest clients are dropped.",
    )
    max_pipelined: int = _option(_limits.pipelined, "Requests of one connection that are answered before others get their turn.")
    max_target: int = _option(_limits.target, "Bytes of a request line.")
    max_head: int = _option(_limits.head, "Bytes of a request's head.")
    max_headers: int = _option(_limits.headers, "Header lines of a request.")
    max_body: int | None = _option(
        None, f"Bytes of a request's body; default: {defaults.MAX_BODY} for methods, {_limits.body} for another WSGI application."
    )
    max_depth: int = _option(defaults.MAX_DEPTH, "Levels of arrays and objects in a request's JSON.")
    max_values: int = _option(
        defaults.MAX_VALUES, "Values in a request's JSON: elements and members, arrays and objects included; more get 413."
    )
    max_answer: int = _option(
        defaults.MAX_ANSWER, "Bytes of the answers to a batch; once they are reached, its remaining calls are not run."
    )
    handshake_timeout: float = _option(_timeouts.handshake, "For a TLS handshake.")
    head_timeout: float = _option(_timeouts.head, "For a request's head, also from the connect to its first byte.")
    body_timeout: float = _option(_timeouts.body, "For the begin of a request's body; then --min-rate counts.")
    idle_timeout: float = _option(_timeouts.idle, "Between two requests on a connection.")
    write_timeout: float = _option(
        _timeouts.write, "For a client that does not take its answer at once: in each such span it has to take it at --min-rate."
    )
    min_rate: float = _option(_timeouts.rate, "Bytes a second that a body or an answer has to move at the least.")
    grace: float = _option(_timeouts.grace, "At a stop, for the calls in flight.")

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
        """The proxies that are believed; None where there are none.

        Raises:
            SettingsError: an entry is no address, or there is none to take the PROXY protocol from.
        """
        if self.proxy_protocol and not self.trusted_proxies:
            raise SettingsError("--proxy-protocol needs --trusted-proxies: from anyone else the header would be a forgery")
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


class _Words(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """Words between commas; a list where the file has one."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        words: Iterable[Any] = value.split(",") if isinstance(value, str) else value
        return tuple(str(word).strip() for word in words if str(word).strip())


class _Choice(click.Choice):  # type: ignore[type-arg]  # as above
    """One of several words; any other word is an error with a hint."""

    def __init__(self, choices: Sequence[str], hint: str) -> None:
        super().__init__(choices)
        self._hint = hint

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise click.BadParameter(f"{error.message} {self._hint}".rstrip(), ctx, param) from error


class _Mode(click.ParamType):  # type: ignore[type-arg]  # as above
    """Octal digits; a number in the file counts as it is, since TOML has octal numbers."""

    name = "octal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mode:
        try:
            mode = value if isinstance(value, int) else int(value, 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= 0o777:
            self.fail(f"{value!r} is no file mode; expected octal digits from 0 to 777, as in 0660", param, ctx)
        return Mode(mode)


def _joined(context: click.Context, parameter: click.Parameter, values: Any) -> tuple[str, ...] | None:
    """The words of an option that was given several times."""
    if not values and context.get_parameter_source(parameter.name or "") is ParameterSource.DEFAULT:
        default: Any = Settings.__dataclass_fields__[parameter.name or ""].default
        return default  # type: ignore[no-any-return]  # a field of words has words
    return tuple(itertools.chain.from_iterable(values or ()))


_WORDS = tuple[str, ...]

# The type of an option by its field's annotation, without `| None`.
_TYPES: dict[Any, Any] = {
    str: click.STRING,
    int: click.IntRange(min=1),
    float: click.FloatRange(min=0, min_open=True),
    bool: click.BOOL,
    Mode: _Mode(),
    _WORDS: _Words(),
}


_CONFIG = "TOML file that sets any of these options, as in: access-log = 'json'."

_MANY = frozenset(declared.name for declared in fields(Settings) if _WORDS in (declared.type, *get_args(declared.type)))
"""The options that take words."""


def options() -> list[click.Option]:
    """The command line's options, as click takes them; each also reads its variable of the environment."""
    return [_click_option(declared) for declared in fields(Settings)] + [
        click.Option(
            ["--config"],
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            envvar=f"{PREFIX}_CONFIG",
            show_envvar=True,
            is_eager=True,
            expose_value=False,
            callback=lambda context, _, path: _read_config(context, path),
            help=_CONFIG,
        )
    ]


def table() -> str:
    """The options as a Markdown table, for the README."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for declared in fields(Settings):
        default = "" if declared.default in (None, (), False) else f"`{declared.default}`"
        rows.append(f"| `{_flag(declared)}` | {default} | {declared.metadata['help']} |")
    rows.append(f"| `--config` |  | {_CONFIG} |")
    return "\n".join(rows) + "\n"


def _flag(declared: Field[Any]) -> str:
    return "--" + declared.name.replace("_", "-")


def _click_option(declared: Field[Any]) -> click.Option:
    kind = next((part for part in get_args(declared.type) if part is not type(None)), None) or declared.type
    if get_origin(declared.type) in (tuple, Literal):
        kind = declared.type
    assert declared.default is not MISSING  # noqa: S101  for mypy: every option has a default
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    shown = None if declared.default in (None, (), False) else True
    words = kind == _WORDS
    return click.Option(
        [_flag(declared)],
        type=_Choice(choices, declared.metadata["wrong"]) if choices else _TYPES[kind],
        is_flag=kind is bool,
        default=None if words else declared.default,
        multiple=words,
        callback=_joined if words else None,
        metavar=declared.metadata["metavar"],
        envvar=f"{PREFIX}_{declared.name.upper()}",
        show_envvar=True,
        show_default=shown,
        help=declared.metadata["help"],
    )


def _read_config(context: click.Context, path: str | None) -> None:
    """Take a TOML file's values as defaults, which the environment and the command line come before.

    Raises:
        SettingsError: it is not TOML, or has an option that does not exist.
    """
    if path is None:
        return
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: not a TOML file that can be read: {error}") from error
    named = {key.replace("-", "_"): value for key, value in values.items()}
    unknown = sorted(named.keys() - {declared.name for declared in fields(Settings)} - {"target"})
    if unknown:
        hint = HINTS.get("--" + unknown[0].replace("_", "-"), "--help lists them all")
        raise SettingsError(f"{path}: there is no option {unknown[0]!r}: {hint}")
    named = {name: [value] if name in _MANY and isinstance(value, str) else value for name, value in named.items()}
    context.default_map = {**(context.default_map or {}), **named}


assert {"off", *FORMATS} == set(get_args(Settings.__annotations__["access_log"]))  # noqa: S101  each format can be chosen
assert {"off", *HEADERS} == set(get_args(Settings.__annotations__["forwarded_header"]))  # noqa: S101  and each header
