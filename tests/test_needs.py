"""Tests that need a program which is not installed: skipped and counted, or failed in CI."""

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
    """Run a suite on a machine that lacks nginx and HAProxy; gives the exit code and what pytest said."""
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
    """What needs a missing program is skipped, and the summary names each program and how many tests wait for it."""
    code, said = suite(*options, ci="")
    assert (code, "1 passed, 4 skipped" in said) == (0, True), said
    assert "\nhaproxy: 2 tests wait for it (apt-get install haproxy)\n" in said
    assert "\nnginx: 4 tests wait for it (apt-get install nginx-light)\n" in said


def test_ci(suite):
    """With CI=true the same is a failure, and the summary is the same."""
    code, said = suite(ci="true")
    assert (code, "1 passed, 4 errors" in said) == (1, True), said
    assert "needs nginx, haproxy: apt-get install haproxy nginx-light; with CI=true" in said
    assert "\nnginx: 4 tests wait for it (apt-get install nginx-light)\n" in said


RUNNERS = {"run", "Popen", "call", "check_call", "check_output", "launch"}


def run_programs(call):
    """The programs of the table that a call runs: `run("curl", …)`, `run(["curl", …])`, `launch(…, program="curl")`."""
    first = [argument.elts[0] if isinstance(argument, ast.List) and argument.elts else argument for argument in call.args[:1]]
    named = first + [keyword.value for keyword in call.keywords if keyword.arg == "program"]
    return {one.value for one in named if isinstance(one, ast.Constant) and one.value in PACKAGES}


def programs_of(function):
    """What a function runs of the table, and what its markers and calls of `need` name."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = [(getattr(call.func, "id", getattr(call.func, "attr", "")), call) for call in calls]
    runs = {program for name, call in names if name in RUNNERS for program in run_programs(call)}
    needs = {one.value for name, call in names if name in ("need", "needs") for one in call.args if isinstance(one, ast.Constant)}
    return runs, needs


def functions():
    """Each function of the tests, with where it is."""
    for path in sorted(TESTS.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text if any(f'"{program}"' in text for program in PACKAGES) else "")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}:{node.lineno} {node.name}", node


def test_who_runs_a_program_says_so():
    """No test, fixture or helper runs a program of the table without saying that it needs it."""
    found = {where: programs_of(node) for where, node in functions()}
    assert {where: runs - needs for where, (runs, needs) in found.items() if runs - needs} == {}


def test_the_table():
    """Debian's packages are asked for where their program is missing, and for no other."""
    environ = {"PATH": "/nowhere"}
    done = subprocess.run([sys.executable, TESTS / "programs.py"], env=environ, capture_output=True, text=True, check=True)
    absent = {package for program, package in PACKAGES.items() if not Path("/usr/sbin", program).exists()}
    assert set(done.stdout.split()) == absent
    assert "curl" in absent
    assert find(sys.executable) == sys.executable
