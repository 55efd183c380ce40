"""Starts a server pinned to a core, waits until it listens, and stops it: the only module that starts servers to be loaded."""

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
    """Something can't be measured on this machine; the text says why."""


def _cores() -> tuple[int | None, int | None]:
    """Return the core for the server and the core for the load, or None for both if there is only one core."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


SERVER_CORE, LOAD_CORE = _cores()


def pinned(core: int | None, command: Sequence[str]) -> list[str]:
    """Return a command that keeps a program and its children on one core."""
    return list(command) if core is None else ["taskset", "-c", str(core), *command]


def raise_descriptor_limit() -> int:
    """Raise the limit of file descriptors for this process and its children to the hard limit, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """Return a port that was free just now; not every peer can listen on port 0 and report the port it got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: "subprocess.Popen[bytes]"
    tls: bool = False

    @property
    def url(self) -> str:
        """Its URL, without a slash at the end."""
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}"

    @property
    def resident(self) -> int:
        """Resident memory of the server and its children now, in bytes."""
        parent = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)])

    @property
    def peak(self) -> int:
        """Peak resident memory of the server in bytes (the kernel's VmHWM)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Unavailable("the kernel does not report VmHWM")


def gjrpc(*options: str, target: str = "bench.app:registry") -> list[str]:
    """Return the command that serves the bench's methods with gjrpc on `{port}`."""
    return [sys.executable, "-m", "gjrpc.serve", target, "--bind", "127.0.0.1:{port}", "--log-level", "error", *options]


def foreign(name: str) -> list[str]:
    """Return the command that serves the same methods with a server of `bench.foreign`."""
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
    """Run a server until the block ends.

    Args:
        command: starts the server; `{port}` in it is replaced by a free port.
        tls: whether the server speaks TLS.
        core: the core to pin it to.
        environ: additional environment variables.
        output: file for its standard output.

    Raises:
        Unavailable: it can't be started, or does not listen; the text has the last line of its standard error.
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
    """Wait until the server accepts a connection."""
    limit = time.monotonic() + START
    while time.monotonic() < limit and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    errors.seek(0)
    last = (errors.read().decode(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
    raise Unavailable(f"it does not listen: {last}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the process and its children."""
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
