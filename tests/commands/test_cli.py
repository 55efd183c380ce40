"""How a command line ends where it can't go on."""

import click
import pytest

from gjrpc.commands.cli import Command, ReadingCommand
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


def test_hints(capsys):
    """An option of another program's is answered with what to write here, any other one as click does."""
    command = Command("run", hints={"--port": "use --bind HOST:PORT"}, params=[click.Option(["--bind"])])
    for arguments, said in [
        (["--port", "80"], "there is no option --port: use --bind HOST:PORT"),
        (["--port=80"], "there is no option --port: use --bind HOST:PORT"),
        (["--bin", "80"], "--bind"),
    ]:
        with pytest.raises(SystemExit) as ended:
            command.main(arguments)
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def test_other_errors_stay_loud():
    """Any other exception is not swallowed."""

    def run():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Command("run", callback=run).main([])


@pytest.mark.parametrize(("raised", "told"), [(RecursionError, "nested too deep"), (ZeroDivisionError, "a bug in gjrpc")])
def test_a_reader_never_ends_with_1(capsys, raised, told):
    """A command whose exit code 1 has a meaning ends with 2 for any fault, and says so in its last line."""

    def run():
        raise raised

    with pytest.raises(SystemExit) as ended:
        ReadingCommand("run", callback=run).main([])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


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
