"""Each option is read from the command line, the environment and a file, in this order."""

import subprocess
import sys
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner
from conftest import untraced

from gjrpc.commands import settings
from gjrpc.commands.options import Mode
from gjrpc.commands.settings import Settings

# For each option three values that differ from its default and from each other, as texts.
_BY_TYPE = {int: ("11", "12", "13"), float: ("1.5", "2.5", "3.5"), bool: ("true", "false", "true")}
_BY_NAME = {
    "access_log": ("json", "common", "off"),
    "forwarded_header": ("forwarded", "off", "x-forwarded-for"),
    "socket_mode": ("0600", "640", "0o606"),
    "log_level": ("debug", "error", "warning"),
    "max_body": ("11", "12", "13"),
    "max_connections": ("11", "12", "13"),
    "max_bodies": ("11", "12", "13"),
}
_TEXTS = ("a", "b", "c")


def chosen(arguments=(), env=None):
    """The settings that a command line and an environment give."""
    found = {}
    command = click.Command("test", params=list(settings.options()), callback=lambda **values: found.update(values))
    result = CliRunner().invoke(command, list(arguments), env=env or {}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Settings(**found)


def values_for(declared):
    """Three texts for an option."""
    kind = type(declared.default)
    return _BY_NAME.get(declared.name) or _BY_TYPE.get(kind, _TEXTS)


def same(value, text):
    """Whether a setting has the value that a text spells."""
    if isinstance(value, bool):
        return value == (text == "true")
    if isinstance(value, tuple):
        return value == (text,)
    if isinstance(value, Mode):
        return value == int(text, 8)
    return value == type(value)(text)


@pytest.mark.parametrize("declared", fields(Settings), ids=lambda declared: declared.name)
def test_where_an_option_comes_from(declared, tmp_path):
    """The command line takes precedence over the environment, that over the file, and that over the default."""
    line, variable, file = values_for(declared)
    flag, name = "--" + declared.name.replace("_", "-"), f"GJRPC_{declared.name.upper()}"
    config = tmp_path / "gjrpc.toml"
    bare = isinstance(declared.default, (int, float))
    config.write_text(f"{declared.name.replace('_', '-')} = {file if bare else repr(file)}\n")
    arguments = ["--config", str(config)]
    assert getattr(chosen(), declared.name) == declared.default
    assert same(getattr(chosen(arguments), declared.name), file)
    assert same(getattr(chosen(arguments, {name: variable}), declared.name), variable)
    given = [flag] if isinstance(declared.default, bool) else [flag, line]
    assert same(getattr(chosen([*arguments, *given], {name: variable}), declared.name), line)


WORDS = [declared.name for declared in fields(Settings) if "tuple" in str(declared.type)]


@pytest.mark.parametrize("name", WORDS)
def test_words_add_up(name, tmp_path):
    """An option of words that is given several times has the words of all, but only from one source, like other options."""
    flag, variable = "--" + name.replace("_", "-"), f"GJRPC_{name.upper()}"
    assert getattr(chosen([flag, "a", flag, "b,c", f"{flag}=d"]), name) == ("a", "b", "c", "d")
    assert getattr(chosen([], {variable: "a, b,,c"}), name) == ("a", "b", "c")
    config = tmp_path / "gjrpc.toml"
    for text in ("'a, b'", "['a', 'b']", "['a,b']"):
        config.write_text(f"{name} = {text}\n")
        assert getattr(chosen(["--config", str(config)]), name) == ("a", "b")
        assert getattr(chosen(["--config", str(config), flag, "c", flag, "d"], {variable: "e"}), name) == ("c", "d")
    assert getattr(chosen([flag, ""]), name) == ()


def test_parts():
    """The limits and timeouts have the values of their options."""
    made = Settings(max_body=5, idle_timeout=6.0)
    assert made.limits.body == 5
    assert made.timeouts.idle == 6.0


def test_table():
    """The table has a row for each option, with its default and its help."""
    rows = settings.table().splitlines()[2:]
    assert len(rows) == len(fields(Settings)) + 1
    assert rows[-1].startswith("| `--config` |")
    assert "| `--max-target` | `8192` | Bytes of a request line. |" in rows


@pytest.mark.parametrize("declared", fields(Settings), ids=lambda declared: declared.name)
def test_each_help_is_a_sentence(declared):
    """Each help begins with a noun or an imperative, and ends with a full stop."""
    text = declared.metadata["help"]
    assert text.partition(" ")[0] not in {"A", "At", "Between", "For", "How", "In", "The", "What", "When", "Where", "Whether"}
    assert text[0].isupper()
    assert text.endswith(".")


LOADED = """
import sys
import gjrpc.commands.settings
print(*{name.partition(".")[0] for name in sys.modules} & {"gevent", "requests", "ssl", "socket"})
"""


def test_the_settings_load_no_event_loop():
    """Importing the options loads neither gevent nor what must be imported after its patches."""
    command = [sys.executable, "-c", LOADED]
    # Coverage would load gevent by itself.
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=untraced())
    assert done.stdout.strip() == ""
