"""Start a server, pin it, wait until it answers, stop it. The one place that starts processes which are then loaded."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
START = 30.0
"""Seconds that a server may take to listen."""


class Unavailable(Exception):
    """Something can't be measured here; the text says why."""


def _cores() -> tuple[int | None, int | None]:
    """The core for the server and the one for the load; None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


SERVER_CORE, LOAD_CORE = _cores()


def pinned(core: int | None, command: Sequence[str]) -> list[str]:
    """A command that stays on one core, with all that it starts."""
    return list(command) if core is None else ["taskset", "-c", str(core), *command]


def raise_descriptor_limit() -> int:
    """Use all file descriptors that this process, and what it starts, may have; gives how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """A port that was free just now; not every peer can be given port 0 and say which it got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    process: "subprocess.Popen[bytes]"
    tls: bool = False

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}"

    @property
    def resident(self) -> int:
        """Bytes of memory that it and its children hold now."""
        parent = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)])

    @property
    def peak(self) -> int:
        """Bytes of memory that it has held at most, by the kernel's VmHWM."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Unavailable("the kernel does not tell VmHWM")


def gjrpc(*options: str, target: str = "bench.app:registry") -> list[str]:
    """The command that serves the bench's methods with gjrpc on `{port}`."""
    return [sys.executable, "-m", "gjrpc.serve", target, "--bind", "127.0.0.1:{port}", "--log-level", "error", *options]


def foreign(name: str) -> list[str]:
    """The command that serves the same with one of `bench.foreign`."""
    return [sys.executable, "-m", "bench.foreign", name, "{port}"]


@contextmanager
def started(
    command: Sequence[str],
    *,
    tls: bool = False,
    core: int | None = SERVER_CORE,
    environ: Mapping[str, str] | None = None,
    output: str | os.PathLike[str] = os.devnull,
) -> Iterator[Server]:
    """Run a server until the block ends; `{port}` in its command is filled in.

    Args:
        command: what to run.
        tls: whether it speaks TLS.
        core: the core that it stays on.
        environ: more of the environment.
        output: where its standard output goes.

    Raises:
        Unavailable: it can't be started, or does not listen; the text has its last words.
    """
    port = free_port()
    filled = pinned(core, [word.replace("{port}", str(port)) for word in command])
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as errors, open(output, "ab") as out:
        try:
            process = subprocess.Popen(
                filled, cwd=ROOT, stdout=out, stderr=errors, env={**os.environ, "PYTHONPATH": paths, **(environ or {})}
            )
        except OSError as error:
            raise Unavailable(f"can't be started: {error}") from error
        try:
            _wait(process, port, errors)
            yield Server(port, process, tls)
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[bytes]", port: int, errors: Any) -> None:
    """Wait until a connection is accepted."""
    limit = time.monotonic() + START
    while time.monotonic() < limit and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    errors.seek(0)
    last = (errors.read().decode(errors="replace").strip().splitlines() or ["it says nothing"])[-1]
    raise Unavailable(f"it does not listen: {last}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the process and what it started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=5)
    for child in children:
        if child.is_running():
            child.kill()
