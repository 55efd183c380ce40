"""Who may call what."""

import re

import pytest

from gjrpc.auth.permissions import read_permissions, read_rights
from gjrpc.calls.rights import ALWAYS_ALLOWED, ANYONE, UNRESTRICTED, Caller, Rights
from gjrpc.errors import Forbidden, SettingsError


def rights(words):
    """The rights that a line's words give."""
    return read_rights("here", words.split())


@pytest.mark.parametrize(
    ("words", "allowed", "refused"),
    [
        ("", ["ping", "stats.cpu"], []),
        ("*", ["ping", "stats.cpu"], []),
        ("ping", ["ping"], ["Ping", "pings", "pin", "ping\n"]),
        ("ping stats.*", ["ping", "stats.cpu", "stats.disk.free"], ["stats", "xstats.cpu", "add"]),
        ("get_?", ["get_a"], ["get_", "get_ab"]),
        ("[ab]*", ["a", "bc"], ["c"]),
        ("@admin", ["ping"], []),
    ],
)
def test_patterns(words, allowed, refused):
    """Patterns are of whole names as file names have them, and without any all names are meant."""
    assert all(map(rights(words).allows_name, allowed))
    assert not any(map(rights(words).allows_name, refused))


@pytest.mark.parametrize("name", sorted(ALWAYS_ALLOWED))
def test_introspection_is_always_allowed(name):
    """Whoever is known may ask what there is, also with no other right."""
    assert Rights(()).allows_name(name)
    assert not Rights(()).allows_name("ping")


@pytest.mark.parametrize(
    ("words", "scope", "held"),
    [("@admin", "admin", True), ("@admin", "host", False), ("ping", "admin", False), ("@*", "admin", True), ("", None, True)],
)
def test_scopes(words, scope, held):
    """A scope is held by its name or by `@*`, and a method without one needs none."""
    assert rights(words).has_scope(scope) == held


def test_rights_are_values():
    """Rights are equal where they allow the same, in whatever order they were given."""
    assert rights("a b @x @y") == rights("b @y a @x")
    assert len({rights("a @x"), rights("@x a"), rights("a")}) == 2
    assert repr(rights("b a @x")) == "<Rights a b @x>"


def test_a_caller_is_refused_by_name():
    """What a caller may not call is refused with its name and the method's; that a scope is missing is not told."""
    alice = Caller("alice", rights("stats.*"))
    alice.check_name("stats.cpu")
    with pytest.raises(Forbidden, match=r"'alice' may not call 'ping'$"):
        alice.check_name("ping")
    assert alice.no_such_method("stats.reset", "; try x").message == "no method 'stats.reset' that 'alice' may call; try x"


def test_anyone_holds_no_scope():
    """Where nobody is asked all methods without a scope are open, the others tell the options; where all is open, all are."""
    ANYONE.check_name("ping")
    assert (ANYONE.rights.has_scope(None), ANYONE.rights.has_scope("admin")) == (True, False)
    assert re.search("'wipe'.*--token-file.*--open", ANYONE.no_such_method("wipe", "").message)
    UNRESTRICTED.check_name("wipe")
    assert UNRESTRICTED.rights.has_scope("admin")


@pytest.mark.parametrize(("words", "held"), [("a", False), ("@x", False), ("@y @x @z", True), ("@*", True)])
def test_all_scopes(words, held):
    """All of some scopes are held where each one is, or `*`; and all of none always are."""
    assert rights(words).has_all_scopes({"x", "y"}) == held
    assert rights(words).has_all_scopes(set())


def test_the_file(tmp_path):
    """A line has a name and its rights; comments and empty lines are nothing, quotes hold a name with blanks."""
    file = tmp_path / "permissions"
    file.write_text("# who\n\nalice stats.* @admin  # boss\nbob\n'Carol C' ping\n")
    found = read_permissions(str(file))
    assert found.of("alice") == rights("stats.* @admin")
    assert found.of("bob") == rights("*")
    assert found.of("Carol C") == rights("ping")
    assert found.of("mallory") == Rights(())


def test_the_line_for_others(tmp_path):
    """The name `*` stands for all that have no line."""
    file = tmp_path / "permissions"
    file.write_text("alice @*\n'*' ping\n")
    assert read_permissions(str(file)).of("bob") == rights("ping")
    assert read_permissions(str(file)).of("alice") == rights("* @*")


def test_without_a_file():
    """Without a file each name may call what has no scope."""
    assert read_permissions(None).of("anybody") == Rights()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"alice ping\nalice add\n", ":2: 'alice' has a line already"),
        (b"\nalice @\n", ":2: '@': expected a pattern"),
        (b"alice 'ping\n", ":1: no closing quotation"),
        (b"\xff\n", "expected text in UTF-8"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path, text, said):
    """What can't be understood is an error that names file, line and word."""
    file = tmp_path / "permissions"
    file.write_bytes(text)
    with pytest.raises(SettingsError) as told:
        read_permissions(str(file))
    assert str(told.value).startswith(str(file))
    assert said in str(told.value)


def test_a_missing_file_is_told(tmp_path):
    """A file that is not there is an error that names it."""
    with pytest.raises(SettingsError, match="nothing: No such file"):
        read_permissions(str(tmp_path / "nothing"))
