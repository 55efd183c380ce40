"""Tests that need a missing program are skipped and counted, or fail in CI."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PYTEST, bare_environment
from programs import PACKAGES, find

TESTS = Path(__file__).parent

CONFTEST = """
import programs

programs.PACKAGES["present"] = "present"
programs.find = {"present": "/present"}.get

pytest_plugins = ["needs"]
"""

SUITE = """
import pytest
from needs import need

@pytest.fixture(scope="module")
def proxy():
    return need("nginx", "haproxy")

@pytest.mark.needs("nginx")
@pytest.mark.parametrize("number", [1, 2])
def test_marked(number):
    raise AssertionError("ran")

@pytest.mark.parametrize("number", [1, 2])
def test_fixture(proxy, number):
    raise AssertionError("ran")

@pytest.mark.needs("present")
def test_present():
    assert need("present").endswith("/present")
"""


@pytest.fixture
def suite(tmp_path):
    """Run a suite as if nginx and HAProxy were missing; return the exit code and pytest's output."""
    (tmp_path / "test_it.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_text(CONFTEST)

    def run(*options, ci):
        environ = bare_environment(PYTHONPATH=str(TESTS), CI=ci)
        command = [*PYTEST, "--strict-markers", *options, "test_it.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_skipped(suite, options):
    """Tests that need a missing program are skipped, and the summary names each program and how many tests need it."""
    code, said = suite(*options, ci="")
    assert (code, "1 passed, 4 skipped" in said) == (0, True), said
    assert "\nhaproxy: needed by 2 tests (apt-get install haproxy)\n" in said
    assert "\nnginx: needed by 4 tests (apt-get install nginx-light)\n" in said


def test_ci(suite):
    """With CI=true the same tests fail, and the summary is the same."""
    code, said = suite(ci="true")
    assert (code, "1 passed, 4 errors" in said) == (1, True), said
    assert "needs nginx, haproxy: apt-get install haproxy nginx-light; with CI=true" in said
    assert "\nnginx: needed by 4 tests (apt-get install nginx-light)\n" in said


RUNNERS = {"run", "Popen", "call", "check_call", "check_output", "launch"}


def run_programs(call):
    """Return the listed programs that a call runs: `run("curl", …)`, `run(["curl", …])`, `launch(…, program="curl")`."""
    first = [argument.elts[0] if isinstance(argument, ast.List) and argument.elts else argument for argument in call.args[:1]]
    named = first + [keyword.value for keyword in call.keywords if keyword.arg == "program"]
    return {one.value for one in named if isinstance(one, ast.Constant) and one.value in PACKAGES}


def programs_of(function):
    """Return the listed programs that a function runs, and those that its markers and its calls of `need` name."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = [(getattr(call.func, "id", getattr(call.func, "attr", "")), call) for call in calls]
    runs = {program for name, call in names if name in RUNNERS for program in run_programs(call)}
    needs = {one.value for name, call in names if name in ("need", "needs") for one in call.args if isinstance(one, ast.Constant)}
    return runs, needs


def functions():
    """Yield each function of the tests with its place."""
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text if any(f'"{program}"' in text for program in PACKAGES) else "")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(TESTS)}:{node.lineno} {node.name}", node


def test_programs_are_declared():
    """Every test, fixture and helper that runs a listed program declares that it needs the program."""
    found = {where: programs_of(node) for where, node in functions()}
    assert {where: runs - needs for where, (runs, needs) in found.items() if runs - needs} == {}


def test_the_table():
    """`programs.py` prints the Debian packages of the missing programs, and no others."""
    environ = {"PATH": "/nowhere"}
    done = subprocess.run([sys.executable, TESTS / "programs.py"], env=environ, capture_output=True, text=True, check=True)
    absent = {package for program, package in PACKAGES.items() if not Path("/usr/sbin", program).exists()}
    assert set(done.stdout.split()) == absent
    assert "curl" in absent
    assert find(sys.executable) == sys.executable
