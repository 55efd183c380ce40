"""What a target names, and the error if it names nothing that can be served."""

import sys

import pytest

from gjrpc.calls.registry import Registry
from gjrpc.commands.targets import load
from gjrpc.errors import SettingsError

MODULE = """
from gjrpc.calls.registry import Registry
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

import functools, types
from dataclasses import dataclass

@registry.method
def add(a, b, c):
    return a

def one(x):
    return x

def typed(a: int, b: "int" = 10) -> int:
    return a + b

def texts(a: "str", b):
    return a

def named(environ, start_response, *, more):
    return []

def nothing():
    pass

async def coroutine(scope, receive, send):
    pass

async def stream(environ, start_response):
    yield b""

async def made():
    return registry

def asgi(scope, receive, send):
    pass

class Asgi:
    async def __call__(self, scope, receive, send):
        pass

class OldAsgi:
    def __call__(self, scope, receive, send):
        pass

class Wsgi:
    def __call__(self, environ, start_response):
        return []

    def method(self, environ, start_response):
        return []

    def iterator(self, environ, start_response):
        yield b""

class Iterable:
    def __init__(self, environ, start_response):
        pass

class Loose:
    def __call__(self, *args, **kwargs):
        return []

wsgi, old_asgi, new_asgi, loose = Wsgi(), OldAsgi(), Asgi(), Loose()
bound, iterator = wsgi.method, wsgi.iterator
partial = functools.partial(named, more=1)
too_partial = functools.partial(application, {})
partial_coroutine = functools.partial(coroutine, {})
small = lambda environ, start_response: []
module = types
"""
BAD = {
    "bad_target": "import no_such_module_at_all\n",
    "exits_target": "raise SystemExit(3)\n",
    "syntax_target": "\n\ndef",
    "registers_target": "from gjrpc import Registry\nregistry = Registry()\n\nregistry.register(len, 'jsonrpc')\n",
    "library_target": "import json\n\njson.loads('nonsense')\n",
    "needs_target": "def factory(x):\n    return x\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with modules in it."""
    (tmp_path / "good_target.py").write_text(MODULE)
    for name, text in BAD.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in ("good_target", *BAD):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["registry", "factory()", "Box.inner"])
def test_registries(folder, name):
    """A registry in the current folder is found by its name, by a dotted name, and by calling a factory."""
    assert isinstance(load(f"good_target:{name}"), Registry)


@pytest.mark.parametrize("name", ["application", "wsgi", "bound", "iterator", "Iterable", "loose", "partial", "small"])
def test_applications(folder, name):
    """Every callable with an environ and start_response is a WSGI application, in each form of PEP 3333."""
    assert callable(load(f"good_target:{name}"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one", "registry = Registry(); registry.register(one)"),
        ("typed", "registry = Registry(); registry.register(typed)"),
        ("texts", "registry = Registry(); registry.register(texts)"),
        ("named", "expected a Registry, or a WSGI callable"),
        ("too_partial", "expected a Registry, or a WSGI callable"),
        ("add", "it is a function that is registered in 'registry': serve good_target:registry"),
        ("factory", "if it returns a Registry or a WSGI callable, write factory()"),
        ("nothing()", "it is None; did its factory forget to return it?"),
        ("Registry", "it is a class; name an instance"),
        ("Box", "it is a class"),
        ("module", "it is a module; expected MODULE:NAME"),
        ("number()", "it is an int, which can't be called: leave out the ()"),
        ("asgi", "it is a function with the arguments (scope, receive, send)"),
        *((name, "it is an ASGI application") for name in ("coroutine", "stream", "made", "made()", "old_asgi", "new_asgi")),
        ("partial_coroutine", "it is an ASGI application"),
    ],
)
def test_what_can_not_be_served(folder, name, said):
    """An object that would fail at each call is refused at the start, with what to do instead."""
    with pytest.raises(SettingsError) as error:
        load(f"good_target:{name}")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("target", "line", "said"),
    [
        ("registers_target:registry", 4, "RegistrationError: "),
        ("library_target:x", 3, "JSONDecodeError: "),
        ("bad_target:x", 1, "ModuleNotFoundError: "),
        ("syntax_target:x", 3, "SyntaxError: "),
        ("good_target:broken()", 14, "RuntimeError: "),
    ],
)
def test_the_place_of_a_failure(folder, target, line, said):
    """An error in the user's code names the file and line there, even if a library raised it."""
    with pytest.raises(SettingsError) as error:
        load(target)
    assert f"failed at {folder / target.partition(':')[0]}.py:{line}: {said}" in str(error.value)


def test_a_factory_that_needs_arguments(folder):
    """An error without a line in the user's code names no line of gjrpc."""
    with pytest.raises(SettingsError, match=r"calling it failed: TypeError: factory\(\) missing 1 required"):
        load("needs_target:factory()")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("good_target", "expected MODULE:NAME"),
        (":registry", "expected MODULE:NAME"),
        ("good_target:", "expected MODULE:NAME"),
        ("nowhere_at_all:x", "no module 'nowhere_at_all'"),
        ("good_target.inner:x", "no module"),
        ("good_target:missing", "it has the registry 'registry'"),
        ("good_target:number", "it is an int; expected a Registry, or a WSGI callable"),
        ("good_target:broken()", "RuntimeError: out of order"),
        ("bad_target:x", "no_such_module_at_all"),
        ("exits_target:x", "SystemExit: 3"),
    ],
)
def test_refused(folder, target, said):
    """A target that can't be loaded is one line that names the target and says why."""
    with pytest.raises(SettingsError) as error:
        load(target)
    assert said in str(error.value)
    assert repr(target) in str(error.value)
    assert "\n" not in str(error.value)
