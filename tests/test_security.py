"""Every promise in SECURITY.md names the modules that keep it, and tests that exist, run and assert something."""

import ast
import re
from functools import cache

import pytest
from conftest import ROOT
from test_design import asserting

from gjrpc.commands import settings

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
REFERENCE = re.compile(r"`(tests/(?:\w+/)?test_\w+\.py)::((?:\w+::)?test_\w+)(?:\[([^\]`]+)\])?`")
SKIPS = {"skip", "skipif", "xfail", "needs", "peers"}


def promises():
    """Return the promises, each as one line."""
    section = re.search(r"^## What is promised\n(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
    assert section, "SECURITY.md has no section of promises"
    items = re.split(r"^- ", section[1], flags=re.MULTILINE)[1:]
    return [" ".join(re.split(r"^###", item, flags=re.MULTILINE)[0].split()) for item in items]


@cache
def tree(path):
    """Return the syntax tree of a test file."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@cache
def asserts(path):
    """Return the names of the functions of a file that assert something."""
    return asserting(ROOT / path)


def found(path, name):
    """Return a function of a file by its name, with its class if it has one; None if it does not exist."""
    node = tree(path)
    for part in name.split("::"):
        node = next((one for one in getattr(node, "body", ()) if getattr(one, "name", None) == part), None)
    return node if isinstance(node, ast.FunctionDef) else None


def marks(path, name):
    """Return the marks that may skip a test: in its decorators, in those of its class, and in `pytestmark`."""
    body = tree(path).body
    decorated = [found(path, name), *(one for one in body if getattr(one, "name", None) == name.split("::")[0])]
    places = [decorator for one in decorated if one is not None for decorator in one.decorator_list]
    places += [one for one in body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark"]
    return {node.attr for place in places for node in ast.walk(place) if isinstance(node, ast.Attribute)} & SKIPS


def begins_by_skipping(function):
    """Return whether a test begins by skipping itself."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return bool(re.match(r"pytest\.(skip|xfail|importorskip)\(", ast.unparse(first)))


def test_there_are_promises():
    """The page has promises, and each only once."""
    told = promises()
    assert len(told) > 20
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("promise", promises(), ids=lambda promise: promise[:50])
def test_each_promise_is_kept_and_tested(promise):
    """Each promise names a module that keeps it, and at least one test that is never skipped."""
    assert re.search(r"`gjrpc/(?:\w+/)?\w+\.py`", promise)
    named = REFERENCE.findall(promise)
    assert named, "name a test: `tests/test_x.py::test_y`"
    assert promise.count("`tests/") == len(named), "name a test function, not only its file"
    assert [name for path, name, _ in named if not marks(path, name)], "all of its tests may be skipped"


@pytest.mark.parametrize(("path", "name", "case"), sorted(set(REFERENCE.findall(TEXT))))
def test_each_named_test_is_one(path, name, case):
    """Each named test exists, is not always skipped, asserts something, and has the named case."""
    function = found(path, name)
    assert function is not None, f"there is no {name} in {path}"
    assert not {"skip", "xfail"} & marks(path, name)
    assert not begins_by_skipping(function)
    assert function.name in asserts(path)
    assert not case or repr(case) in {ast.unparse(node) for decorator in function.decorator_list for node in ast.walk(decorator)}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:gjrpc|tests|bench|deploy)/[\w/.]+)[`:]", TEXT))))
def test_what_is_named_exists(path):
    """Each file or folder that the page names exists."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[\w-]+)`", TEXT))))
def test_each_option_exists(option):
    """Each option that the page names exists."""
    assert option in settings.table()


EMPTY = '''
import pytest
pytestmark = pytest.mark.{mark}

def test_hollow():
    """It states what holds."""
    {body}

class TestIn:
    {decorator}
    def test_deep(self):
        assert True
'''


@pytest.mark.parametrize(
    ("name", "mark", "body", "decorator", "words"),
    [
        ("test_gone", "a", "assert 1", "", "no test_gone"),
        ("TestIn::test_gone", "a", "assert 1", "", "no TestIn::test_gone"),
        ("TestIn", "a", "assert 1", "", "no TestIn"),
        ("test_hollow", "a", "pass", "", "asserts"),
        ("test_hollow", "a", "pytest.skip('later'); assert 1", "", "begins_by_skipping"),
        ("test_hollow", "skip", "assert 1", "", "marks"),
        ("TestIn::test_deep", "a", "assert 1", "@pytest.mark.xfail", "marks"),
    ],
)
def test_what_the_check_refuses(tmp_path, monkeypatch, name, mark, body, decorator, words):
    """The check refuses a test that does not exist, asserts nothing, or is always skipped."""
    monkeypatch.setattr("test_security.ROOT", tmp_path)
    (tmp_path / "test_x.py").write_text(EMPTY.format(mark=mark, body=body, decorator=decorator))
    tree.cache_clear()
    asserts.cache_clear()
    try:
        with pytest.raises(AssertionError, match=words):
            test_each_named_test_is_one("test_x.py", name, "")
    finally:
        tree.cache_clear()
        asserts.cache_clear()
