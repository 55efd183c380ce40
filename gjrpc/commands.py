"""How the small command lines of this package speak and end.

Owns that a `SettingsError` becomes one line on standard error and exit code 2, and that a server's words are safe to print. It
knows no option and no command.
"""

import sys
from typing import Any

import click

from gjrpc.errors import SettingsError
from gjrpc.texts import printable


class Command(click.Command):
    """Ends with one clear line and exit code 2 where an option, a file or an address can't be used."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        try:
            return super().main(*args, **kwargs)
        except SettingsError as error:
            click.echo(f"error: {printable(str(error))}", err=True)
            sys.exit(2)
