"""What the measurements share: a server in a process, raw connections to it, and the comparison of figures with bounds.

It owns no measurement. Connections are gevent's, so that thousands of clients are plain functions; nothing is patched.
"""

import argparse
import json
import math
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import gevent
import psutil
from gevent import socket, subprocess

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which a measurement stops waiting and fails."""


@dataclass(frozen=True)
class Bound:
    """The bound of a figure.

    Attributes:
        promise: in the words of the issue.
        most, least: the bound; one of them is set.
        quick: the bound in the small form, which runs on busy machines and asserts no speed; None: no bound.
        unit: the figure's unit.
    """

    promise: str
    most: float = math.inf
    least: float = -math.inf
    quick: float | None = None
    unit: str = ""

    def kept(self, figure: float, quick: bool) -> bool:
        """Return whether a figure is within the bound."""
        if not quick:
            return self.least <= figure <= self.most
        if self.quick is None:
            return True
        return figure <= self.quick if self.most < math.inf else figure >= self.quick

    def limit(self, quick: bool) -> str:
        """Return the bound as text."""
        chosen = self.quick if quick else self.most if self.most < math.inf else self.least
        if chosen is None:
            return "no bound"
        return f"{'<=' if self.most < math.inf else '>='} {chosen:g} {self.unit}".rstrip()


class Report:
    """The figures of one run, shown as they are measured.

    Args:
        bounds: by the figure's name.
        quick: whether it is the small form.
    """

    def __init__(self, bounds: Mapping[str, Bound], quick: bool) -> None:
        self._bounds = bounds
        self._quick = quick
        self.broken: list[str] = []
        self.missing = set(bounds)

    def note(self, name: str, figure: float, remark: str = "") -> None:
        """Compare a figure with its bound and show both."""
        bound = self._bounds[name]
        self.missing.discard(name)
        kept = bound.kept(figure, self._quick)
        if not kept:
            self.broken.append(name)
        shown = f"{figure:,.3f}".rstrip("0").rstrip(".")
        print(
            f"{name:42} {shown:>12} {bound.unit:5} {bound.limit(self._quick):14} {'ok' if kept else 'NOT ok':7}{remark}",
            flush=True,
        )

    def say(self, text: str) -> None:
        """Show a figure that has no bound."""
        print(f"  {text}", flush=True)


def main(run: Callable[[bool, Report], None], bounds: Mapping[str, Bound], about: str) -> None:
    """Run a measurement from the command line; exit with 1 if a figure breaks its bound or was not measured."""
    prog = f"python -m bench.faults.{Path(sys.argv[0]).stem}"
    parser = argparse.ArgumentParser(prog=prog, description=about.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="run a small form of a few seconds")
    quick = parser.parse_args().quick
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = Report(bounds, quick)
    run(quick, report)
    load, processors = os.getloadavg()[0], os.cpu_count()
    report.say(f"load average {load:.1f} on {processors} processors: above one per processor, times mean little")
    for name in sorted(report.missing):
        print(f"{name:42} {'not measured':>12}")
    if report.broken or report.missing:
        sys.exit(
            f"out of bounds: {', '.join(report.broken) or 'none'}; not measured: {', '.join(sorted(report.missing)) or 'none'}"
        )


class Serving:
    """`python -m gjrpc.serve` with the methods of `app`, in a separate process that ends with the `with` block.

    Args:
        options: command-line options.
        descriptors: the process's limit of open files, soft and hard.

    Attributes:
        address: where it listens.
        process: the process, as psutil sees it.
    """

    def __init__(self, *options: str, descriptors: int | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the server
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))) if descriptors else None
        command = [sys.executable, "-m", "gjrpc.serve", "bench.faults.app:registry", "--bind", "127.0.0.1:0", *options]
        self.child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=self._log, preexec_fn=limit)
        self.process = psutil.Process(self.child.pid)
        self.address = self._wait_address()

    def _wait_address(self) -> tuple[str, int]:
        found = None
        end = time.monotonic() + PATIENCE
        while found is None:
            if self.child.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the server did not start:\n{self.log}")
            gevent.sleep(0.02)
            found = re.search(r"https?://([\d.]+):(\d+)", self.log)
        return found[1], int(found[2])

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self._log.close()

    @property
    def log(self) -> str:
        """Its standard error so far."""
        # The child shares this descriptor, so reading must not move its position.
        with open(f"/dev/fd/{self._log.fileno()}", "rb") as again:
            return again.read().decode(errors="replace")

    @property
    def tracebacks(self) -> int:
        """The number of tracebacks in the log."""
        return self.log.count("Traceback (most recent call last)")

    @property
    def memory(self) -> float:
        """Resident memory in KiB."""
        return float(self.process.memory_info().rss / 1024)

    @property
    def descriptors(self) -> int:
        """Open file descriptors."""
        return int(self.process.num_fds())

    def connect(self, receive: int | None = None) -> Any:
        """Open a connection; `receive` sets the size of its receive buffer in bytes."""
        sock = socket.socket()
        if receive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.settimeout(PATIENCE)
        sock.connect(self.address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def ask(self, target: str) -> Any:
        """Return the result of one call on a new connection."""
        with self.connect() as sock:
            sock.sendall(get(target, b"Connection: close\r\n"))
            return json.loads(Answers(sock).next().body)[target.partition(";")[0].partition("?")[0]]

    def wait_until(self, holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> float:
        """Wait for a condition and return the seconds that it took."""
        begin = time.monotonic()
        while not holds():
            if time.monotonic() - begin > patience:
                raise SystemExit(f"after {patience:g} s, still waiting until {what}\nthe server's log:\n{self.log[-3000:]}")
            gevent.sleep(0.02)
        return time.monotonic() - begin


def get(target: str, *lines: bytes) -> bytes:
    """Return the bytes of a GET."""
    return b"GET /" + target.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + b"".join(lines) + b"\r\n"


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    head: bytes
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it has `Connection: close`."""
        return b"\r\nConnection: close\r\n" in self.head


class Answers:
    """Reads responses from a connection one by one."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._buffer = b""

    def next(self) -> Answer:
        """Return the next response.

        Raises:
            EOFError: the connection was closed before the response was complete.
            OSError: the connection broke.
        """
        while (end := self._buffer.find(b"\r\n\r\n") + 4) < 4:
            self._more()
        head = self._buffer[:end]
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        whole = end + (int(length[1]) if length else 0)
        while len(self._buffer) < whole:
            self._more()
        body, self._buffer = self._buffer[end:whole], self._buffer[whole:]
        return Answer(int(head.split(b" ", 2)[1]), head, body)

    def _more(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self._buffer[:100]!r}")
        self._buffer += data


def quantile(values: list[float], part: float) -> float:
    """Return the value below which this part of the values lies; NaN if there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else math.nan


class Honest:
    """A caller in a separate process, so that this process's load does not distort its figures; see `honest`."""

    def __init__(self, serving: Serving, seconds: float) -> None:
        host, port = serving.address
        command = [sys.executable, "-m", "bench.faults.honest", host, str(port), str(seconds)]
        self._child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)

    def result(self) -> dict[str, float]:
        """Wait until it ends; return calls, failed, and p50, p99, worst in milliseconds."""
        said, _ = self._child.communicate(timeout=PATIENCE * 2)
        told: dict[str, float] = json.loads(said)
        return told
