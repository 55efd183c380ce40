"""A pytest plugin that skips tests whose programs are not installed, and names these programs in the summary.

A test declares what it needs by `@pytest.mark.needs("nginx")`; a fixture or a helper calls `need("nginx")`. With CI=true such a
test fails instead.
"""

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from programs import PACKAGES, find

PROPERTY = "missing program"


class Missing(pytest.skip.Exception):
    """Skips a test.

    Attributes:
        programs: those that it needs and that are not installed.
    """

    def __init__(self, programs: list[str]) -> None:
        self.programs = programs
        super().__init__(said(programs))


class MissingInCI(pytest.fail.Exception):
    """Fails a test that would be skipped outside CI.

    Attributes:
        programs: those that it needs and that are not installed.
    """

    def __init__(self, programs: list[str]) -> None:
        self.programs = programs
        super().__init__(f"{said(programs)}; with CI=true no program may be missing", pytrace=False)


def said(programs: list[str]) -> str:
    """Return a sentence with the missing programs and their Debian packages."""
    return f"needs {', '.join(programs)}: apt-get install {' '.join(sorted({PACKAGES[program] for program in programs}))}"


def need(*programs: str) -> str:
    """Return the path of the first program.

    Raises:
        Missing: one of the programs is not installed; pytest skips the test.
        MissingInCI: the same with CI=true; the test fails.
    """
    found = {program: find(program) for program in programs}
    if missing := [program for program, path in found.items() if path is None]:
        raise (MissingInCI if os.environ.get("CI") == "true" else Missing)(missing)
    return str(found[programs[0]])


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "needs(*programs): skip, or with CI=true fail, unless these programs are installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose marker names a missing program."""
    for mark in item.iter_markers("needs"):
        need(*mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Write the missing programs into the report, because xdist passes on the report but not the exception."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, Missing | MissingInCI):
        report.user_properties += [(PROPERTY, program) for program in call.excinfo.value.programs]
    return report


def _noted(report: Any) -> list[tuple[str, object]]:
    return getattr(report, "user_properties", [])  # the report of a file that can't be imported has none


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name each missing program and how many tests need it."""
    reports = [report for kind in ("skipped", "failed", "error") for report in terminalreporter.stats.get(kind, ())]
    waiting = Counter(value for report in reports for name, value in _noted(report) if name == PROPERTY)
    if waiting:
        terminalreporter.section("missing programs")
    for program, count in sorted(waiting.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.line(f"{program}: needed by {tests} (apt-get install {PACKAGES[program]})")
