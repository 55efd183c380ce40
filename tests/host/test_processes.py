"""Processes with hostile names and command lines, and those that end or are hidden."""

import os
import subprocess
import sys
from contextlib import contextmanager

import host_machine
import psutil
import pytest
from host_machine import WAIT

from gjrpc.host import processes
from gjrpc.host.masking import MASK


@contextmanager
def child(*args, **options):
    """Start a process with these arguments that waits; yield its psutil.Process."""
    with host_machine.child(*args, **options) as process:
        yield psutil.Process(process.pid)


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        (b"caf\xe9", "caf\ufffd"),
        ("höhe 高さ", "höhe 高さ"),
        ("a\nb\tc\vd", "a b c d"),
        ("\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),
        ("a\x9bb\x7f", "a\ufffdb\ufffd"),
        ("gpj.\u202eexe", "gpj.\ufffdexe"),
        ("a\u2028b\u2029c", "a b c"),
        ("--password=a\nb", f"--password={MASK}"),
        ("", ""),
    ],
)
def test_hostile_arguments(argument, shown):
    """A command line is shown as one line that is safe to print, whatever bytes it has."""
    with child("begin", argument, "end") as process:
        line = processes.line_of(process)
    assert line.endswith(f" begin {shown} end")
    line.encode()


def test_long_arguments():
    """A command line is cut before the argument that exceeds the limit; a secret after it is not shown."""
    with child(*["x" * 100_000] * 10, "--password", "hunter2") as process:
        line = processes.line_of(process)
    assert line.endswith(" …")
    assert len(line) < 1000


def test_long_first_argument():
    """If the first argument alone is too long, the name is shown."""
    with child(executable=sys.executable, code=WAIT) as process:
        assert processes.line_of(process, 3) == f"[{process.name()}] …"


def test_long_name():
    """A name that psutil completes from a long first argument is cut."""
    name = "a" * 15
    code = f"import ctypes; ctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0); {WAIT}"
    command = [f"/{name}{'b' * 100_000}", "-c", code]
    with subprocess.Popen(command, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline().strip() == b"ready"
            seen = psutil.Process(process.pid)
            assert len(seen.name()) > 100_000
            assert processes.line_of(seen) == f"[{name}{'b' * 49}] …"
        finally:
            process.kill()


def test_name_of_its_own():
    """A process that changes its name is still shown by its command line, masked, and its name is one line."""
    code = (
        "import ctypes, sys; libc = ctypes.CDLL(None); libc.prctl(15, b'a\\n\\x1b[1m', 0, 0, 0);" + "print('ready', flush=True);"
        "sys.stdin.read()"
    )
    with child("--token=hunter2", code=code) as process:
        line = processes.line_of(process)
        name = processes.one_line(process.name())
    assert line.endswith(f"--token={MASK}")
    assert name == "a \ufffd[1m"


def test_zombie_with_a_hostile_name():
    """The name of a process that has ended but is still in the process table is one line too."""
    with child(code=f"import ctypes; ctypes.CDLL(None).prctl(15, b'a\\n\\x1bb', 0, 0, 0); {WAIT}") as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert processes.line_of(process) == "[a \ufffdb] <defunct>"


def test_together(monkeypatch):
    """All command lines together have a limit: beyond it each is cut short, the error says so, and none is left out."""
    monkeypatch.setattr(processes, "_TOTAL", 10)
    with child("x" * 1000) as process:
        errors = []
        lines = {seen.pid: line for seen, line in processes.running(errors)}
    assert lines[process.pid].endswith(f"{WAIT} …")
    assert all(len(line) < 2 * processes._SHORT for pid, line in lines.items() if pid > 1)
    assert "more than 10 characters in total" in str(errors)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (psutil.NoSuchProcess(1), "1 ended meanwhile"),
        (psutil.AccessDenied(1), "1 not permitted"),
        (OSError(5, "Input/output error"), "1 not readable: Input/output error"),
    ],
)
def test_unseen(monkeypatch, error, reason):
    """A process that can't be read is left out and counted, whatever the kernel's reason."""

    def line_of(process, limit):
        if process.pid == os.getpid():
            raise error
        return "x"

    monkeypatch.setattr(processes, "line_of", line_of)
    errors = []
    assert os.getpid() not in {seen.pid for seen, _ in processes.running(errors)}
    assert reason in errors[0]


def test_kernel_threads():
    """A process without a command line is shown by its name in brackets."""
    threads = [psutil.Process(pid) for pid in psutil.pids() if pid == 2]
    if not threads or threads[0].cmdline():
        pytest.skip("kernel threads are hidden here")
    assert processes.line_of(threads[0]) == "[kthreadd]"
