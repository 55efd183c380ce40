"""The map in CONTRIBUTING.md is complete, and each module that it names exists."""

import re

import pytest
from conftest import ROOT
from test_design import FILES, PURE, RANKS, package

import gjrpc

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = TEXT.partition("## Map of the code")[2].partition("\n## ")[0]
ROWS = [row.split("|")[1] for row in re.findall(r"^\| `.*\|$", MAP, re.MULTILINE)]
DOTTED = sorted(set(re.findall(r"`((?:\w+\.)+\w+)`", MAP)))


def names(row):
    """Return the packages and modules that a row of the table is about."""
    return re.findall(r"`(\w+)`", row)


def test_each_package_and_module_has_its_row():
    """The table has each package and each top-level module, in the order in which they may import each other."""
    listed = [name for row in ROWS for name in names(row)]
    assert sorted(listed) == sorted(RANKS)
    ranked = [[rank for rank in RANKS if rank in names(row)] for row in ROWS]
    assert [name for row in ranked for name in row] == RANKS


def test_the_pure_packages_are_marked():
    """The table marks the packages that know no socket and no gevent, and no others."""
    assert sorted(name for row in ROWS if "*" in row for name in names(row)) == sorted(PURE)


@pytest.mark.parametrize("name", DOTTED)
def test_each_named_module_exists(name):
    """Each module that the map names exists, with the class or function after it."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] == "gjrpc":
        assert hasattr(gjrpc, module.partition(".")[2] or attribute)
    elif name not in FILES:
        assert re.search(rf"^class {attribute}\b", FILES[module].read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", ["call", "option", "token"])
def test_each_path_names_its_modules(path):
    """Each step of each path names a module."""
    section = MAP.partition(f"### The path of a{'n' if path == 'option' else ''} {path}\n")[2].partition("\n### ")[0]
    steps = re.findall(r"^\d+\. ((?:.+\n)(?:   .+\n)*)", section, re.MULTILINE)
    assert len(steps) > 2
    known = {package(name) for name in FILES}
    for step in steps:
        assert {package(name) for name in re.findall(r"`([\w.]+)`", step)} & known, step
