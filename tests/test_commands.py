"""How a command line ends where it can't go on."""

import click
import pytest

from gjrpc.commands import Command
from gjrpc.errors import SettingsError
from gjrpc.texts import printable


def test_settings_error(capsys):
    """A SettingsError is one line on standard error, whatever is in it, and exit code 2."""

    def run():
        raise SettingsError("no\nfile \x1b[2J")

    with pytest.raises(SystemExit) as ended:
        Command("run", callback=run).main([])
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "error: no\\nfile \\x1b[2J\n")


def test_other_errors_stay_loud():
    """Any other exception is not swallowed."""

    def run():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Command("run", callback=run).main([])


def test_it_is_a_command(capsys):
    """All else is as in click."""
    with pytest.raises(SystemExit) as ended:
        Command("run", callback=lambda: click.echo("ran")).main([])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "ran\n"


def test_printable():
    """Text that can be printed stays as it is, in any language."""
    assert printable('größer "日本" \\') == 'größer "日本" \\'
    assert printable("a\u202eb\u00a0c") == "a\\u202eb\\xa0c"
