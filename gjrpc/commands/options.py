"""What an option of the server is: a field of a dataclass, with a help text.

Owns how such a field becomes an option of the command line, an environment variable, a key of the TOML file and a row of the
README's table. It knows no option but `--config`; `settings` declares the others.
"""

import itertools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from click.core import ParameterSource

from gjrpc.commands.foreign_options import HINTS
from gjrpc.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "GJRPC"
"""What the options' names in the environment begin with."""

_CONFIG = "TOML file that sets any of these options, for example: access-log = 'json'."


def option(default: Any, text: str, metavar: str | None = None, wrong: str = "") -> Any:
    """Declare an option as a field of a dataclass.

    Args:
        default: its value if it is given nowhere.
        text: its help; it begins with a noun or an imperative.
        metavar: stands for its value in the help.
        wrong: a hint for a word that is not among its choices.
    """
    return field(default=default, metadata={"help": text, "metavar": metavar, "wrong": wrong})


class Mode(int):
    """The permissions of a file, written as octal digits."""

    def __str__(self) -> str:
        return f"{self:04o}"


class _WordsType(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """Words separated by commas; the file may have a list instead."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        words: Iterable[Any] = value.split(",") if isinstance(value, str) else value
        return tuple(str(word).strip() for word in words if str(word).strip())


class _HintedChoice(click.Choice):  # type: ignore[type-arg]  # as above
    """One of several words; the error for any other word has a hint."""

    def __init__(self, choices: Sequence[str], hint: str) -> None:
        super().__init__(choices)
        self._hint = hint

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise click.BadParameter(f"{error.message} {self._hint}".rstrip(), ctx, param) from error


class _ModeType(click.ParamType):  # type: ignore[type-arg]  # as above
    """Octal digits; a number in the file is taken as it is, since TOML has octal numbers."""

    name = "octal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mode:
        try:
            mode = value if isinstance(value, int) else int(value, 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= 0o777:
            self.fail(f"{value!r} is not a file mode; expected octal digits from 0 to 777, for example 0660", param, ctx)
        return Mode(mode)


_WORDS = tuple[str, ...]

# The type of an option by its field's annotation, without `| None`.
_TYPES: dict[Any, Any] = {
    str: click.STRING,
    int: click.IntRange(min=1),
    float: click.FloatRange(min=0, min_open=True),
    bool: click.BOOL,
    Mode: _ModeType(),
    _WORDS: _WordsType(),
}


def click_options(settings: type) -> list[click.Option]:
    """The options of a dataclass, and `--config`, as click takes them; each also reads its environment variable."""
    return [_click_option(declared) for declared in fields(settings)] + [
        click.Option(
            ["--config"],
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            envvar=f"{PREFIX}_CONFIG",
            show_envvar=True,
            is_eager=True,
            expose_value=False,
            callback=partial(_read_config, settings),
            help=_CONFIG,
        )
    ]


def markdown(settings: type) -> str:
    """The options of a dataclass as a Markdown table."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for declared in fields(settings):
        default = f"`{declared.default}`" if _shows_default(declared) else ""
        rows.append(f"| `{flag(declared.name)}` | {default} | {declared.metadata['help']} |")
    rows.append(f"| `--config` |  | {_CONFIG} |")
    return "\n".join(rows) + "\n"


def flag(name: str) -> str:
    """The option of the command line for a field's name."""
    return "--" + name.replace("_", "-")


def _shows_default(declared: Field[Any]) -> bool:
    return declared.default not in (None, (), False)


def _click_option(declared: Field[Any]) -> click.Option:
    kind = _kind(declared)
    assert declared.default is not MISSING  # noqa: S101  for mypy: every option has a default
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    words = kind == _WORDS
    return click.Option(
        [flag(declared.name)],
        type=_HintedChoice(choices, declared.metadata["wrong"]) if choices else _TYPES[kind],
        is_flag=kind is bool,
        default=None if words else declared.default,
        multiple=words,
        callback=partial(_joined, declared.default) if words else None,
        metavar=declared.metadata["metavar"] or ("N" if kind in (int, float) else None),
        envvar=f"{PREFIX}_{declared.name.upper()}",
        show_envvar=True,
        show_default=True if _shows_default(declared) else None,
        help=declared.metadata["help"],
    )


def _kind(declared: Field[Any]) -> Any:
    """The type of an option's field, without `| None`."""
    if get_origin(declared.type) in (tuple, Literal):
        return declared.type
    return next((part for part in get_args(declared.type) if part is not type(None)), declared.type)


def _joined(default: Any, context: click.Context, parameter: click.Parameter, values: Any) -> Any:
    """The words of an option that may be given several times."""
    if not values and context.get_parameter_source(parameter.name or "") is ParameterSource.DEFAULT:
        return default
    return tuple(itertools.chain.from_iterable(values or ()))


def _read_config(settings: type, context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Take the values of a TOML file as defaults; the environment and the command line take precedence over them.

    Raises:
        SettingsError: the file can't be read, is not TOML, or has an option that does not exist.
    """
    if path is None:
        return
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: not a readable TOML file: {error}") from error
    named = {key.replace("-", "_"): value for key, value in values.items()}
    kinds = {declared.name: _kind(declared) for declared in fields(settings)}
    unknown = sorted(named.keys() - kinds.keys() - {"target"})
    if unknown:
        hint = HINTS.get(flag(unknown[0]), "--help lists all options")
        raise SettingsError(f"{path}: there is no option {unknown[0]!r}: {hint}")
    several = {name: [value] for name, value in named.items() if kinds.get(name) == _WORDS and isinstance(value, str)}
    context.default_map = {**(context.default_map or {}), **named, **several}
