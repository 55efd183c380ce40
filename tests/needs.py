"""A pytest plugin: a test that needs a program which is not installed is skipped, and the summary names the program.

A test says what it needs by `@pytest.mark.needs("nginx")`; a fixture or a helper by `need("nginx")`. With CI=true nothing may be
missing, and such a test fails.
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
        programs: what it needs and this machine lacks.
    """

    def __init__(self, programs: list[str]) -> None:
        self.programs = programs
        super().__init__(said(programs))


class MissingInCI(pytest.fail.Exception):
    """Fails a test that on another machine would be skipped.

    Attributes:
        programs: what it needs and this machine lacks.
    """

    def __init__(self, programs: list[str]) -> None:
        self.programs = programs
        super().__init__(f"{said(programs)}; with CI=true no program may be missing", pytrace=False)


def said(programs: list[str]) -> str:
    """What is missing and where Debian has it."""
    return f"needs {', '.join(programs)}: apt-get install {' '.join(sorted({PACKAGES[program] for program in programs}))}"


def need(*programs: str) -> str:
    """Give the path of the first program.

    Raises:
        Missing: one of the programs is not installed, and the test is skipped.
        MissingInCI: the same with CI=true.
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
    """Note in the report what was missing: the report, unlike the exception, is passed on by xdist."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, Missing | MissingInCI):
        report.user_properties += [(PROPERTY, program) for program in call.excinfo.value.programs]
    return report


def _noted(report: Any) -> list[tuple[str, object]]:
    return getattr(report, "user_properties", [])  # a file that can't be imported has none


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name each missing program, and how many tests wait for it."""
    reports = [report for kind in ("skipped", "failed", "error") for report in terminalreporter.stats.get(kind, ())]
    waiting = Counter(value for report in reports for name, value in _noted(report) if name == PROPERTY)
    if waiting:
        terminalreporter.section("missing programs")
    for program, count in sorted(waiting.items()):
        tests = "1 test waits" if count == 1 else f"{count} tests wait"
        terminalreporter.line(f"{program}: {tests} for it (apt-get install {PACKAGES[program]})")
