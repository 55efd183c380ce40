"""What hostile, slow and too many clients do to a server, in the small forms of `bench.faults`.

The full forms check the promised figures; these check what holds on any machine.
"""

import subprocess
import sys

import pytest
from conftest import ROOT, untraced


@pytest.mark.parametrize("name", ["slow", "stop", "overload", "descriptors", "leaks", "smuggling"])
def test_the_small_form(name):
    """The small form of each measurement measures all of its figures, and each is within its bound."""
    command = [sys.executable, "-m", f"bench.faults.{name}", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=untraced())
    assert done.returncode == 0, done.stdout + done.stderr
