"""`python -m gjrpc.tokens NAME` makes a bearer token: the command line. The file of tokens is `gjrpc.auth.tokens`' to know."""

import click

from gjrpc.auth.tokens import make
from gjrpc.commands.cli import Command


def _make(name: str, rights: tuple[str, ...]) -> None:
    token, line = make(name, " ".join(rights))
    click.echo(f"the token of {name}, shown only now: {token}", err=True)
    click.echo(line)


main = Command(
    "gjrpc-tokens",
    callback=_make,
    params=[click.Argument(["name"]), click.Argument(["rights"], nargs=-1)],
    help="""Make a bearer token for the caller NAME.

    The token is shown on standard error; the line for the file that --token-file names comes on standard output, with the hash
    only: `python -m gjrpc.tokens watch ping 'stats.*' @admin >> tokens`. RIGHTS are patterns of method names and scopes; without
    a pattern all methods are meant.""",
)
"""The command line."""

if __name__ == "__main__":
    main(prog_name="python -m gjrpc.tokens")
