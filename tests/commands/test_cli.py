"""How a command line exits after an error."""

import click
import pytest

from gjrpc.commands.cli import Command, ReadingCommand
from gjrpc.errors import SettingsError
from gjrpc.texts import printable


def test_settings_error(capsys):
    """A SettingsError is one line on standard error, whatever its text contains, and exit code 2."""

    def run():
        raise SettingsError("no\nfile \x1b[2J")

    with pytest.raises(SystemExit) as ended:
        Command("run", callback=run).main([])
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "error: no\\nfile \\x1b[2J\n")


def test_hints(capsys):
    """For an option of another program the error says what to write here; for any other one it is click's."""
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
    """Any other exception is raised."""

    def run():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Command("run", callback=run).main([])


@pytest.mark.parametrize(("raised", "told"), [(RecursionError, "nested too deep"), (ZeroDivisionError, "a bug in gjrpc")])
def test_a_reader_never_ends_with_1(capsys, raised, told):
    """A command whose exit code 1 is not an error exits with 2 after any error, and its last line says what happened."""

    def run():
        raise raised

    with pytest.raises(SystemExit) as ended:
        ReadingCommand("run", callback=run).main([])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_it_is_a_command(capsys):
    """In all other respects it is a click command."""
    with pytest.raises(SystemExit) as ended:
        Command("run", callback=lambda: click.echo("ran")).main([])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "ran\n"


def test_printable():
    """Printable text stays as it is, in any language."""
    assert printable('größer "日本" \\') == 'größer "日本" \\'
    assert printable("a\u202eb\u00a0c") == "a\\u202eb\\xa0c"
