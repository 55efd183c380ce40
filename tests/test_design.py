"""The structure of the code: which module may import which, and what is loaded when."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import gjrpc

PACKAGE = Path(gjrpc.__file__).parent

# Each package imports only from itself and from those above it. A module outside of packages counts as a package.
RANKS = [
    *["_version", "texts", "errors", "limits"],
    "process",
    "values",
    "calls",
    "http",
    "auth",
    "contracts",
    "client",
    "host",
    "app",
    "server",
    "tools",
    "workers",
    "commands",
    *["serve", "worker", "stub", "diff", "tokens", "compat"],
]
PURE = ["_version", "texts", "errors", "limits", "values", "calls", "http", "auth", "contracts", "app"]
"""The packages that run without gevent and know no socket."""

# Each allowed import inside a function, (module, imported module), and its reason.
LAZY = {
    ("calls.runtime", "server.gevent_runtime"): "gevent is optional, so this is imported only if gevent is already loaded",
}

FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = [name for name in FILES if not name.endswith("__init__")]
INITS = [name for name in FILES if name.endswith("__init__") and name != "__init__"]


class Import(NamedTuple):
    module: str
    imported: str
    in_function: bool


def tree(module):
    """Return a module's syntax tree."""
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports(module):
    """Return all imports of a module, those inside functions included."""
    found = []

    def visit(node, in_function):
        in_function = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(Import(module, alias.name, in_function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: relative import, line {child.lineno}"
                names = [f"{child.module}.{alias.name}" for alias in child.names]
                names = [name if name.removeprefix("gjrpc.") in FILES else child.module for name in names]
                found.extend(Import(module, name, in_function) for name in names)
            visit(child, in_function)

    visit(tree(module), False)
    return found


def within(module):
    """Return the modules of gjrpc that a module imports, each with whether the import is inside a function."""
    return [(one.imported.partition(".")[2], one.in_function) for one in imports(module) if one.imported.startswith("gjrpc.")]


def package(module):
    """Return the package of a module, or the module itself if it has none."""
    return module.partition(".")[0]


def run(program):
    """Run a program in a new interpreter and return its output."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_package_has_its_rank():
    """The list above has each package, and each module outside of packages, exactly once."""
    assert sorted(RANKS) == sorted({package(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    """A module imports only from its own package and from those above it, and inside functions only what is listed."""
    above = RANKS[: RANKS.index(package(module)) + 1]
    for imported, in_function in within(module):
        if in_function:
            assert (module, imported) in LAZY
        else:
            assert package(imported) in above


def test_imports_have_no_circle():
    """Imports have no cycle."""
    graph = {module: {imported for imported, in_function in within(module) if not in_function} for module in MODULES}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", INITS)
def test_a_package_alone_loads_nothing(module):
    """A package's `__init__` has only a docstring, so that gevent can patch before anything is imported."""
    assert len(tree(module).body) == 1
    assert ast.get_docstring(tree(module))


def test_each_lazy_import_is_there():
    """Each listed import inside a function exists."""
    found = {(module, imported) for module in MODULES for imported, in_function in within(module) if in_function}
    assert found == set(LAZY)


@pytest.mark.parametrize("module", [module for module in MODULES if package(module) in PURE])
def test_the_pure_modules_import_no_socket(module):
    """The pure packages import no socket, TLS, event loop or HTTP client library."""
    foreign = {package(one.imported) for one in imports(module)}
    assert not foreign & {"gevent", "socket", "ssl", "select", "selectors", "asyncio", "requests", "httptools", "psutil", "click"}


@pytest.mark.parametrize("module", ["app.native", "app.jsonrpc", "calls.dispatch", "app.application"])
def test_no_call_inspects_a_signature(module):
    """The modules that run for each call do not inspect signatures: binding does that once, at registration."""
    assert "inspect" not in {package(one.imported) for one in imports(module)}


WITHOUT_GEVENT = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"gevent", "greenlet", "httptools", "requests", "psutil", "click"}:
            raise ImportError(f"{name} is refused here")

for name in [name for name in sys.modules if name.split(".")[0] in {"gevent", "greenlet"}]:
    del sys.modules[name]
sys.meta_path.insert(0, Refuse())
for name in MODULES:
    importlib.import_module(f"gjrpc.{name}")
from gjrpc import Application, Registry
from gjrpc.http.messages import Head, Request
registry = Registry()
registry.register(lambda: "pong", "ping", blocking=True)
print(Application(registry).respond(Request(Head("GET", "/ping"))).body.decode())
"""


def test_the_pure_modules_need_no_gevent():
    """Without gevent, all modules of the pure packages can be imported, and a call is answered."""
    assert run(f"MODULES = {[module for module in MODULES if package(module) in PURE]}\n{WITHOUT_GEVENT}") == '{"ping":"pong"}\n'


def test_the_package_alone_loads_nothing():
    """Importing gjrpc loads only its version, so that gevent can still patch the modules that ssl and requests import."""
    loaded = run("import sys; before = set(sys.modules); import gjrpc; print(*sorted(set(sys.modules) - before))").split()
    assert [name for name in loaded if name.startswith("gjrpc")] == ["gjrpc", "gjrpc._version"]
    assert not {name.split(".")[0] for name in loaded} & {"ssl", "_ssl", "socket", "threading", "requests", "gevent", "msgspec"}


@pytest.mark.parametrize("name", gjrpc.__all__)
def test_each_public_name_is_there(name):
    """Each exported name is an attribute of the package, is listed by `dir`, and is always the same object."""
    value = getattr(gjrpc, name)
    assert getattr(gjrpc, name) is value
    assert name in dir(gjrpc)


def test_an_unknown_name_is_an_attribute_error():
    """A name that the package does not export raises an AttributeError that says so."""
    with pytest.raises(AttributeError, match="module 'gjrpc' has no attribute 'nope'"):
        _ = gjrpc.nope


def test_type_checkers_see_what_is_exported():
    """Type checkers see exactly the names that the package exports."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (told,) = [node for node in tree.body if isinstance(node, ast.If)]
    names = {alias.asname: f"{node.module}.{alias.name}" for node in told.body for alias in node.names}
    assert names.pop("context") == "gjrpc.calls.context"  # a module
    assert names == {name: f"gjrpc.{home}.{name}" for name, home in gjrpc._HOME.items()}
    assert sorted([*names, "__version__"]) == sorted(gjrpc.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_a_docstring(module):
    """Each module begins with a docstring."""
    assert ast.get_docstring(tree(module))


TESTS = Path(__file__).parent


def called(function):
    """Return the names of all functions that a function calls."""
    return {getattr(node.func, "attr", getattr(node.func, "id", "")) for node in ast.walk(function) if isinstance(node, ast.Call)}


def asserting(path):
    """Return the functions of a test file and of conftest that assert something, themselves or by functions that they call."""
    trees = [ast.parse(one.read_text(encoding="utf-8")) for one in (TESTS / "conftest.py", path)]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    calls = [(function.name, called(function)) for function in functions]
    found = {one.name for one in functions if any(isinstance(node, ast.Assert) for node in ast.walk(one))}
    found |= {"raises", "fail", "warns"}
    while more := {name for name, names in calls if names & found} - found:
        found |= more
    return found


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_each_test_asserts_something(path):
    """Each test asserts something, itself or by a helper that it calls."""
    tests = {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}
    assert {name for name in tests if name.startswith("test_")} - asserting(path) == set()
