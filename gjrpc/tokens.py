"""`python -m gjrpc.tokens NAME`: the command line that makes bearer tokens. `gjrpc.auth.tokens` owns the file of tokens."""

import click

from gjrpc.auth.tokens import make
from gjrpc.commands.cli import Command


def _make(name: str, rights: tuple[str, ...]) -> None:
    token, line = make(name, " ".join(rights))
    click.echo(f"token of {name}, shown only now: {token}", err=True)
    click.echo(line)


main = Command(
    "gjrpc-tokens",
    callback=_make,
    params=[click.Argument(["name"]), click.Argument(["rights"], nargs=-1)],
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Make a bearer token for the caller NAME.

    RIGHTS are patterns of method names, and scopes, which begin with @. With scopes but no pattern, the caller may call all
    methods. Without RIGHTS, the server's --permissions file says what the caller may call.

    The token is printed to standard error, and only this once. Standard output gets the line for the server's --token-file,
    which contains only a hash of the token:

    \b
    python -m gjrpc.tokens watch ping 'stats.*' @admin >> tokens
    """,
)
"""The command line."""

if __name__ == "__main__":
    main(prog_name="python -m gjrpc.tokens")
