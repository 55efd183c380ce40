"""`python -m gjrpc.stub URL > api.pyi`: the command line. How a stub is written is for `gjrpc.tools.stubs`."""

import click

from gjrpc.commands.cli import ReadingCommand
from gjrpc.tools.fetch import read
from gjrpc.tools.stubs import stub


@click.command(cls=ReadingCommand, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.argument("url")
def main(url: str) -> None:
    """Write a typed stub of a server's methods to standard output, for type checkers.

    URL is a server (http://HOST:PORT, https://…, unix:PATH), a URL that ends in .json, or a saved OpenRPC file.
    """
    click.echo(stub(read(url)).encode(), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m gjrpc.stub")
