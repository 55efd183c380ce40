"""`python -m gjrpc.diff OLD NEW`: the command line. What a change is, and which ones break callers: `gjrpc.tools.changes`."""

import click

from gjrpc.commands.cli import ReadingCommand
from gjrpc.commands.remote import client_options, remote_options
from gjrpc.tools.changes import changes
from gjrpc.tools.fetch import read
from gjrpc.tools.schemas import text


@click.command(cls=ReadingCommand, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON.")
@remote_options
@click.pass_context
def main(
    context: click.Context,
    old: str,
    new: str,
    as_json: bool,
    header: tuple[str, ...],
    token_file: str | None,
    ca: str | None,
) -> None:
    """Compare two versions of a contract and list what changed, one line each; breaking changes come first.

    OLD and NEW are each a server (http://HOST:PORT, https://…, unix:PATH), a URL that ends in .json, or a saved OpenRPC
    file. If both are servers, the headers and the token are sent to both.

    The exit code is 1 if any change breaks callers, 0 if none does, and 2 if a contract can't be read.
    """
    options = client_options(header, token_file, ca)
    found = changes(read(old, options), read(new, options))
    for change in found:
        click.echo(change.as_json() if as_json else str(change))
    breaking = sum(change.breaking for change in found)
    compatible = len(found) - breaking
    totals = text({"breaking_changes": breaking, "compatible_changes": compatible})
    click.echo(totals if as_json else f"{breaking} breaking, {compatible} compatible")
    context.exit(1 if breaking else 0)


if __name__ == "__main__":
    main(prog_name="python -m gjrpc.diff")
