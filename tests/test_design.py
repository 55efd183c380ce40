"""The shape of the code: who imports whom, and what is loaded when."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import gjrpc

PACKAGE = Path(gjrpc.__file__).parent

# Each module imports only from those above it. A new one takes its place here.
PURE = [
    "_version",
    "texts",
    "errors",
    "excerpts",
    "hints",
    "recent",
    "messages",
    "answers",
    "finite",
    "codec",
    "constructors",
    "conversion",
    "rebuilt",
    "hashing",
    "decoders",
    "signatures",
    "misfits",
    "values",
    "results",
    "binding",
    "method",
    "exposure",
    "permissions",
    "context",
    "instances",
    "registry",
    "runtime",
    "told",
    "convention",
    "jsonrpc",
    "exact",
    "dispatch",
    "origins",
    "failures",
    "guard",
    "environ",
    "keys",
    "describe",
    "forms",
    "openrpc",
    "openapi",
    "contracts",
    "problems",
    "pages",
    "wsgi",
]
SERVER = [
    "lines",
    "framing",
    "chunked",
    "http1",
    "called",
    "access",
    "proxies",
    "forks",
    "children",
    "threads",
    "green",
    "greenlets",
    "unsent",
    "bodies",
    "gateway",
    "sending",
    "answering",
    "connection",
    "arrivals",
    "handshakes",
    "connections",
    "descriptors",
    "watchdog",
    "tls",
    "stopping",
    "outlets",
    "logs",
    "server",
]
LEAVES = [
    "commands",
    "addresses",
    "targets",
    "tokens",
    "passwords",
    "credentials",
    "foreign_options",
    "settings",
    "secretnames",
    "secretplaces",
    "masking",
    "unseen",
    "sockets",
    "processes",
    "askers",
    "system",
    "urls",
    "bypass",
    "allowance",
    "transport",
    "reasons",
    "wire",
    "dialects",
    "batch",
    "client",
    "compat",
    "systemd",
    "composition",
    "sharing",
    "worker",
    "arbiter",
    "workers",
    "serve",
]
CONTRACTS = ["schemas", "documents", "bounds", "likeness", "subschema", "diff", "annotations", "stub"]
ORDER = PURE + SERVER + LEAVES + CONTRACTS

# Why an import may stand inside a function: (module, imported module).
LAZY = {("runtime", "green"): "gevent is optional, and this is loaded only where gevent is loaded already"}


class Import(NamedTuple):
    module: str
    imported: str
    in_function: bool


def imports(module):
    """All imports of a module of this package, those inside functions included."""
    found = []

    def visit(node, in_function):
        in_function = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(Import(module, alias.name, in_function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: relative import, line {child.lineno}"
                names = [f"gjrpc.{alias.name}" for alias in child.names] if child.module == "gjrpc" else [child.module]
                found.extend(Import(module, name, in_function) for name in names)
            visit(child, in_function)

    visit(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")), False)
    return found


def within(module):
    """The modules of this package that a module imports, and whether inside a function."""
    return [(one.imported.split(".")[1], one.in_function) for one in imports(module) if one.imported.startswith("gjrpc.")]


MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def run(program):
    """Run a program in a fresh interpreter and give what it printed."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_module_has_its_place():
    """Each module of the package stands in the order above, once."""
    assert len(set(ORDER)) == len(ORDER)
    assert set(MODULES) <= set(ORDER), "give the new module its place in ORDER"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    """A module imports only from those above it, so that the graph has no cycle, in functions too but for the named ones."""
    above = ORDER[: ORDER.index(module)]
    for imported, in_function in within(module):
        if in_function:
            assert (module, imported) in LAZY
        else:
            assert imported in above


def test_each_lazy_import_is_there():
    """Each exception that is named above is one."""
    found = {(module, imported) for module in MODULES for imported, in_function in within(module) if in_function}
    assert found == set(LAZY)


@pytest.mark.parametrize("module", PURE)
def test_the_pure_modules_know_no_wire(module):
    """From errors to wsgi nothing imports a socket, TLS, an event loop, or a client's library."""
    foreign = {one.imported.split(".")[0] for one in imports(module)}
    assert not foreign & {"gevent", "socket", "ssl", "select", "selectors", "asyncio", "requests", "httptools", "psutil", "click"}


@pytest.mark.parametrize("module", ["convention", "jsonrpc", "dispatch", "wsgi"])
def test_no_call_inspects_a_signature(module):
    """What runs for each call can't inspect signatures: binding does that once, at registration."""
    assert "inspect" not in {one.imported.split(".")[0] for one in imports(module)}


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
from gjrpc.messages import Head, Request
registry = Registry()
registry.register(lambda: "pong", "ping", blocking=True)
print(Application(registry).respond(Request(Head("GET", "/ping"))).body.decode())
"""


def test_the_pure_modules_need_no_gevent():
    """From errors to wsgi all modules import, and a call is answered, where gevent is not installed."""
    assert run(f"MODULES = {PURE}\n{WITHOUT_GEVENT}") == '{"ping":"pong"}\n'


def test_the_package_alone_loads_nothing():
    """Importing the package loads its version only, so that gevent can still patch what ssl and requests will import."""
    loaded = run("import sys; before = set(sys.modules); import gjrpc; print(*sorted(set(sys.modules) - before))").split()
    assert [name for name in loaded if name.startswith("gjrpc")] == ["gjrpc", "gjrpc._version"]
    assert not {name.split(".")[0] for name in loaded} & {"ssl", "_ssl", "socket", "threading", "requests", "gevent", "msgspec"}


@pytest.mark.parametrize("name", gjrpc.__all__)
def test_each_public_name_is_there(name):
    """Each name that the package exports can be had from it, is listed, and stays the same object."""
    value = getattr(gjrpc, name)
    assert getattr(gjrpc, name) is value
    assert name in dir(gjrpc)


def test_another_name_is_not():
    """A name that the package does not export is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="module 'gjrpc' has no attribute 'nope'"):
        _ = gjrpc.nope


def test_the_types_say_what_is_exported():
    """What type checkers are told of the package is what it exports."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (told,) = [node for node in tree.body if isinstance(node, ast.If)]
    names = {alias.asname: f"{node.module}.{alias.name}" for node in told.body for alias in node.names}
    assert names == {name: f"gjrpc.{home}.{name}" for name, home in gjrpc._HOME.items()}
    assert sorted([*names, "__version__"]) == sorted(gjrpc.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_states_its_law(module):
    """Each module begins with a docstring that says what it is for."""
    assert ast.get_docstring(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")))


TESTS = Path(__file__).parent


def called(function):
    """The names of all that a function calls."""
    return {getattr(node.func, "attr", getattr(node.func, "id", "")) for node in ast.walk(function) if isinstance(node, ast.Call)}


def asserting(path):
    """The functions of a file of tests, and of conftest, that assert: themselves, or by another of these that they call."""
    trees = [ast.parse(one.read_text(encoding="utf-8")) for one in (TESTS / "conftest.py", path)]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    calls = [(function.name, called(function)) for function in functions]
    found = {one.name for one in functions if any(isinstance(node, ast.Assert) for node in ast.walk(one))}
    found |= {"raises", "fail", "warns"}
    while more := {name for name, names in calls if names & found} - found:
        found |= more
    return found


@pytest.mark.parametrize("path", sorted(TESTS.glob("test_*.py")), ids=lambda path: path.stem)
def test_each_test_asserts_something(path):
    """No test only runs something: it, or a helper that it calls, asserts what came of it."""
    tests = {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}
    assert {name for name in tests if name.startswith("test_")} - asserting(path) == set()
