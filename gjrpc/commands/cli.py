"""How the command lines of this package report errors and exit.

Owns that a `SettingsError` becomes one line on standard error and exit code 2, without control characters. It knows no option and
no command.
"""

import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from gjrpc.errors import SettingsError
from gjrpc.texts import printable


class Command(click.Command):
    """A command that exits with one line and code 2 if an option, a file or an address can't be used.

    Args:
        hints: what to write instead of options of other programs, by these options.
        the rest: as for `click.Command`.
    """

    def __init__(self, *args: Any, hints: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hints = hints or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if (hint := self._hints.get(error.option_name)) is None:
                raise
            raise click.UsageError(f"there is no option {error.option_name}: {hint}", ctx) from error

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        try:
            return super().main(*args, **kwargs)
        except SettingsError as error:
            _end(str(error))


class ReadingCommand(Command):
    """A command that reads untrusted data, and whose exit code 1 is not an error: every error exits with 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        try:
            return super().main(*args, **kwargs)
        except RecursionError:
            _end("the input is nested too deep")
        except Exception:  # noqa: BLE001  printed in full, but without exit code 1
            traceback.print_exc()
            _end("this is a bug in gjrpc; please report it with the lines above")


def _end(reason: str) -> NoReturn:
    click.echo(f"error: {printable(reason)}", err=True)
    sys.exit(2)
