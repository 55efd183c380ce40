"""The file of permissions."""

import pytest

from gjrpc.auth.permissions import read_permissions, read_rights
from gjrpc.calls.rights import Rights
from gjrpc.errors import SettingsError


def rights(words):
    """Return the rights that a line's words grant."""
    return read_rights("here", words.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", Rights()),
        ("ping stats.*", Rights(["ping", "stats.*"])),
        ("@admin", Rights(["*"], ["admin"])),
        ("ping @admin @*", Rights(["ping"], ["admin", "*"])),
    ],
)
def test_a_line_gives_patterns_and_scopes(words, expected):
    """Words are patterns of names, and scopes with `@`; without a pattern any name is allowed."""
    assert rights(words) == expected


def test_the_file(tmp_path):
    """A line has a name and its rights; comments and empty lines are ignored, and quotes enclose a name with blanks."""
    file = tmp_path / "permissions"
    file.write_text("# who\n\nalice stats.* @admin  # boss\nbob\n'Carol C' ping\n")
    found = read_permissions(str(file))
    assert found.of("alice") == rights("stats.* @admin")
    assert found.of("bob") == rights("*")
    assert found.of("Carol C") == rights("ping")
    assert found.of("mallory") == Rights(())


def test_the_line_for_others(tmp_path):
    """The line of `*` is for all names without a line."""
    file = tmp_path / "permissions"
    file.write_text("alice @*\n'*' ping\n")
    assert read_permissions(str(file)).of("bob") == rights("ping")
    assert read_permissions(str(file)).of("alice") == rights("* @*")


def test_without_a_file():
    """Without a file each name may call every method without a scope."""
    assert read_permissions(None).of("anybody") == Rights()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"alice ping\nalice add\n", ":2: 'alice' already has a line"),
        (b"\nalice @\n", ":2: '@': expected a pattern"),
        (b"alice 'ping\n", ":1: no closing quotation"),
        (b"\xff\n", "expected text in UTF-8"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path, text, said):
    """An invalid line is an error that names file, line and word."""
    file = tmp_path / "permissions"
    file.write_bytes(text)
    with pytest.raises(SettingsError) as told:
        read_permissions(str(file))
    assert str(told.value).startswith(str(file))
    assert said in str(told.value)


def test_a_missing_file_is_told(tmp_path):
    """A missing file is an error that names it."""
    with pytest.raises(SettingsError, match="nothing: No such file"):
        read_permissions(str(tmp_path / "nothing"))
