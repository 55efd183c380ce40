"""What SECURITY.md promises is kept and tested where it says so."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "`" in line]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:gjrpc|tests|bench|deploy)/[\w/.]+)`", TEXT))))
def test_what_is_named_exists(path):
    """Each file that the page names is there."""
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_promise_is_kept_and_tested(row):
    """Each promise names a module that keeps it, and a test or fault script."""
    _, kept, tested = row.strip("| ").split(" | ")
    assert kept.count("`gjrpc/")
    assert tested.count("`tests/") + tested.count("`bench/faults/")


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[\w-]+)`", TEXT))))
def test_each_option_exists(option):
    """Each option that the page names is one."""
    from gjrpc import settings

    assert option in settings.table()
