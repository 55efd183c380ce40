"""What a target names, and what is said where it names nothing."""

import sys

import pytest

from gjrpc.errors import SettingsError
from gjrpc.registry import Registry
from gjrpc.targets import load

MODULE = """
from gjrpc.registry import Registry
registry = Registry()
number = 5

def application(environ, start_response):
    start_response("200 OK", [])
    return []

def factory():
    return registry

def broken():
    raise RuntimeError("out of order")

class Box:
    inner = registry
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with modules in it."""
    (tmp_path / "good_target.py").write_text(MODULE)
    (tmp_path / "bad_target.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "exits_target.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in ("good_target", "bad_target", "exits_target"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["registry", "factory()", "Box.inner"])
def test_registries(folder, name):
    """A registry is found by its name, by a dotted one, and by calling a factory, in the current folder."""
    assert isinstance(load(f"good_target:{name}"), Registry)


def test_application(folder):
    """A callable is a WSGI application."""
    assert load("good_target:application").__name__ == "application"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("good_target", "expected MODULE:NAME"),
        (":registry", "expected MODULE:NAME"),
        ("good_target:", "expected MODULE:NAME"),
        ("nowhere_at_all:x", "no module 'nowhere_at_all'"),
        ("good_target.inner:x", "no module"),
        ("good_target:missing", "it has the registry 'registry'"),
        ("good_target:number", "expected a Registry or a WSGI callable"),
        ("good_target:broken()", "RuntimeError: out of order"),
        ("bad_target:x", "no_such_module_at_all"),
        ("exits_target:x", "SystemExit: 3"),
    ],
)
def test_refused(folder, target, said):
    """What can't be loaded is one line that names the target and says why."""
    with pytest.raises(SettingsError) as error:
        load(target)
    assert said in str(error.value)
    assert repr(target) in str(error.value)
    assert "\n" not in str(error.value)
