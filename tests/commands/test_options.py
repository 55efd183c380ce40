"""What an option is: how a field of a dataclass is read from the command line, the environment and a file."""

from dataclasses import dataclass
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from gjrpc.commands.options import Mode, click_options, flag, markdown, option
from gjrpc.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Few:
    """One option of each kind."""

    text: str | None = option(None, "Text.", "TEXT")
    count: int = option(1, "Count.")
    seconds: float = option(0.5, "Seconds.")
    quiet: bool = option(False, "Be quiet.")
    mode: Mode = option(Mode(0o600), "Mode.", "OCTAL")  # noqa: RUF009  as in the settings
    names: tuple[str, ...] = option((), "Names.", "NAMES")
    color: Literal["red", "green"] = option("red", "Color.", wrong="Blue is out of stock.")


def invoke(*arguments):
    """Run a command with these options; return its result, and the values that it got."""
    found = {}
    command = click.Command("test", params=list(click_options(Few)), callback=lambda **values: found.update(values))
    return CliRunner().invoke(command, arguments, catch_exceptions=False), found


def chosen(*arguments):
    """The values that a command line gives."""
    result, found = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return Few(**found)


def test_each_kind():
    """Each kind of option is read from its text; without it, it has its default."""
    assert chosen() == Few()
    given = chosen("--text=a", "--count=2", "--seconds=1.5", "--quiet", "--mode=640", "--names=a,b", "--color=green")
    assert given == Few(text="a", count=2, seconds=1.5, quiet=True, mode=Mode(0o640), names=("a", "b"), color="green")


@pytest.mark.parametrize("text", ["9", "0o1777", "rw", "-1"])
def test_an_unusable_mode(text):
    """A mode that is not an octal number of three digits is refused with an example."""
    result, _ = invoke(f"--mode={text}")
    assert result.exit_code == 2
    assert "is not a file mode; expected octal digits from 0 to 777, for example 0660" in " ".join(result.output.split())


@pytest.mark.parametrize("text", ["0o600", "'0600'", "'600'"])
def test_a_mode_in_the_file(tmp_path, text):
    """TOML's octal numbers are modes, and so are digits in quotation marks."""
    (tmp_path / "few.toml").write_text(f"mode = {text}\n")
    assert chosen("--config", str(tmp_path / "few.toml")).mode == 0o600


def test_words(tmp_path):
    """A list of names is words between commas, or a list in the file."""
    (tmp_path / "few.toml").write_text('names = ["a", "b"]\n')
    assert chosen("--config", str(tmp_path / "few.toml")).names == ("a", "b")
    assert chosen("--names", "a, b,,c").names == ("a", "b", "c")


def test_a_choice():
    """A word that is not among the choices is refused with the option's hint."""
    result, _ = invoke("--color=blue")
    assert result.exit_code == 2
    assert "Blue is out of stock." in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("counts = 1", "there is no option 'counts': --help lists all options"),
        ("port = 80", "'port': use --bind"),
        ("no toml", "not a readable TOML file"),
        ("\xff", "not a readable TOML file"),
    ],
)
def test_an_unusable_file(tmp_path, text, said):
    """An option that does not exist, or a file that is not TOML, is an error that names it."""
    (tmp_path / "few.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=said):
        chosen("--config", str(tmp_path / "few.toml"))


def test_the_names():
    """An option has dashes on the command line and underscores in the environment; its help shows both, and its default."""
    assert flag("max_body") == "--max-body"
    shown = " ".join(invoke("--help")[0].output.split())
    assert "--count N Count. [env var: GJRPC_COUNT; default: 1; x>=1]" in shown
    assert "--quiet Be quiet. [env var: GJRPC_QUIET]" in shown


def test_markdown():
    """The table has a row for each option, with its default and its help, and one for the file."""
    rows = markdown(Few).splitlines()[2:]
    assert rows[:2] == ["| `--text` |  | Text. |", "| `--count` | `1` | Count. |"]
    assert len(rows) == 8
    assert rows[-1].startswith("| `--config` |")
