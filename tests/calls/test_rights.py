"""What a caller may call."""

import re

import pytest

from gjrpc.calls.rights import ALWAYS_ALLOWED, ANYONE, UNRESTRICTED, Caller, Rights
from gjrpc.errors import Forbidden


@pytest.mark.parametrize(
    ("patterns", "allowed", "refused"),
    [
        (["*"], ["ping", "stats.cpu"], []),
        (["ping"], ["ping"], ["Ping", "pings", "pin", "ping\n"]),
        (["ping", "stats.*"], ["ping", "stats.cpu", "stats.disk.free"], ["stats", "xstats.cpu", "add"]),
        (["get_?"], ["get_a"], ["get_", "get_ab"]),
        (["[ab]*"], ["a", "bc"], ["c"]),
        ([], [], ["ping"]),
    ],
)
def test_patterns_match_whole_names(patterns, allowed, refused):
    """A pattern matches a whole name, as in `fnmatch`, and case matters."""
    rights = Rights(patterns)
    assert all(map(rights.allows_name, allowed))
    assert not any(map(rights.allows_name, refused))


@pytest.mark.parametrize("name", sorted(ALWAYS_ALLOWED))
def test_introspection_is_always_allowed(name):
    """Every authenticated caller may call the introspection methods, even without any other right."""
    assert Rights(()).allows_name(name)
    assert not Rights(()).allows_name("ping")


@pytest.mark.parametrize(
    ("scopes", "scope", "has"),
    [(["admin"], "admin", True), (["admin"], "host", False), ([], "admin", False), (["*"], "admin", True), ([], None, True)],
)
def test_scopes(scopes, scope, has):
    """A caller has a scope by its name or by `*`; a method without a scope needs none."""
    assert Rights(scopes=scopes).has_scope(scope) == has


@pytest.mark.parametrize(("scopes", "has"), [([], False), (["x"], False), (["y", "x", "z"], True), (["*"], True)])
def test_all_scopes(scopes, has):
    """A caller has all of some scopes if it has each, or `*`."""
    assert Rights(scopes=scopes).has_all_scopes({"x", "y"}) == has
    assert Rights(scopes=scopes).has_all_scopes(set())


def test_rights_are_values():
    """Rights are equal if they allow the same, in whatever order they were given."""
    assert Rights(["a", "b"], ["x", "y"]) == Rights(["b", "a"], ["y", "x"])
    assert len({Rights(["a"], ["x"]), Rights(["a"], ["x"]), Rights(["a"])}) == 2
    assert repr(Rights(["b", "a"], ["x"])) == "<Rights a b @x>"


def test_a_method_needs_its_name_and_its_scope():
    """A caller may call a method only if a pattern matches its name and the caller has its scope."""
    alice = Caller("alice", Rights(["stats.*"], ["admin"]))
    assert alice.may_call("stats.cpu", None)
    assert alice.may_call("stats.reset", "admin")
    assert not alice.may_call("stats.reset", "host")
    assert not alice.may_call("wipe", "admin")


def test_the_error_names_the_caller():
    """The error names the caller and the method, and does not reveal that only a scope is missing."""
    alice = Caller("alice", Rights(["stats.*"]))
    alice.check_name("stats.cpu")
    with pytest.raises(Forbidden, match=r"'alice' may not call 'ping'$"):
        alice.check_name("ping")
    assert alice.no_such_method("stats.reset", "; try x").message == "no method 'stats.reset' that 'alice' may call; try x"


def test_callers_without_authentication():
    """Without authentication methods with a scope are closed, and the error names the options; or all are open."""
    ANYONE.check_name("ping")
    assert (ANYONE.may_call("ping", None), ANYONE.may_call("wipe", "admin")) == (True, False)
    assert re.search("'wipe'.*--token-file.*--open", ANYONE.no_such_method("wipe", "").message)
    assert UNRESTRICTED.may_call("wipe", "admin")
