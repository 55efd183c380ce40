"""`python -m gjrpc.stub URL > api.pyi`: the command line. How a stub is written is for `gjrpc.tools.stubs`."""

import click

from gjrpc.commands.cli import ReadingCommand
from gjrpc.commands.remote import client_options, remote_options
from gjrpc.tools.fetch import read
from gjrpc.tools.stubs import stub


@click.command(cls=ReadingCommand, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.argument("url")
@remote_options
def main(url: str, header: tuple[str, ...], token_file: str | None, ca: str | None) -> None:
    """Write a stub of a server's methods to standard output: their types, for type checkers and editors.

    URL is a server (http://HOST:PORT, https://…, unix:PATH), a URL that ends in .json, or a saved OpenRPC file.
    """
    click.echo(stub(read(url, client_options(header, token_file, ca))).encode(), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m gjrpc.stub")
