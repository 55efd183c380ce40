"""More connections than file descriptors: connected clients keep calling, and the oldest idle connection makes room.

Run `python -m bench.faults.descriptors [--quick]`; the full form takes some 20 seconds. The server gets a limit of 256.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import gevent

from bench.faults.rig import Answers, Bound, Report, Serving, get, main

BOUNDS = {
    "failed calls of kept connections": Bound("keep-alive clients go on", most=0, quick=0),
    "new connections not answered": Bound("the oldest idle connection makes room", most=0, quick=0),
    "a new connection's slowest answer": Bound("the oldest idle connection makes room", most=1, quick=5, unit="s"),
    "closed before one that was idle longer": Bound("the oldest idle connection makes room", most=0, quick=0),
    "processor time at the limit": Bound("CPU < 20 %", most=20, unit="%"),
    "log lines": Bound("<= 2 log lines a second", most=2, quick=10, unit="/s"),
    "normal again after": Bound("normal within 1 s after", most=1, quick=5, unit="s"),
    "tracebacks in the log": Bound("no traceback in the log", most=0, quick=0),
}
LIMIT = 256


@dataclass(frozen=True)
class Size:
    """Connections to attempt, clients that keep calling, seconds that all stay open, and seconds between two of them."""

    attempts: int = 400
    callers: int = 20
    seconds: float = 10
    gap: float = 0.025


QUICK = Size(seconds=1, gap=0.008)


@dataclass
class Kept:
    """Clients that call repeatedly, each on its own connection."""

    serving: Serving
    going: bool = True
    calls: int = 0
    failed: list[str] = field(default_factory=list)

    def call(self) -> None:
        """Call about ten times a second until the measurement ends."""
        with self.serving.connect() as sock:
            answers = Answers(sock)
            while self.going and not self.failed:
                try:
                    sock.sendall(get("ping"))
                    good = answers.next().status == 200
                except (OSError, EOFError) as error:
                    self.failed.append(repr(error))
                    return
                self.calls += 1
                if not good:
                    self.failed.append("not 200")
                gevent.sleep(0.1)


@dataclass
class Crowd:
    """Connections that make one call each and stay open."""

    serving: Serving
    socks: list[Any] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    unanswered: int = 0

    def come(self) -> None:
        """Open one more connection and call once."""
        begin = time.monotonic()
        sock = self.serving.connect()
        sock.settimeout(5)
        try:
            sock.sendall(get("ping"))
            Answers(sock).next()
        except (OSError, EOFError):
            self.unanswered += 1
        self.since.append(time.monotonic())
        self.times.append(self.since[-1] - begin)
        self.socks.append(sock)

    def unfair(self, closed: list[int]) -> int:
        """Count those closed before one that was idle at least a second longer (the resolution of the server's clock)."""
        oldest = min((since for number, since in enumerate(self.since) if number not in set(closed)), default=0.0)
        return sum(self.since[number] > oldest + 1 for number in closed)

    def closed(self) -> list[int]:
        """Return the numbers of the connections that the server has closed."""
        found = []
        for number, sock in enumerate(self.socks):
            sock.settimeout(0)
            try:
                if not sock.recv(1):
                    found.append(number)
            except BlockingIOError:
                pass
            except OSError:  # reset: also closed
                found.append(number)
        return found


def run(quick: bool, report: Report) -> None:
    """Fill the server with connections, measure, close them, and measure again."""
    size = QUICK if quick else Size()
    with Serving(descriptors=LIMIT) as serving:
        kept, crowd = Kept(serving), Crowd(serving)
        callers = [gevent.spawn(kept.call) for _ in range(size.callers)]
        gevent.sleep(0.3)
        begin = time.monotonic()
        for _ in range(size.attempts):
            crowd.come()
            gevent.sleep(size.gap)
            if time.monotonic() - begin > 30:
                break
        before, lines = serving.process.cpu_times(), serving.log.count("\n")
        gevent.sleep(size.seconds)
        after = serving.process.cpu_times()
        said = (serving.log.count("\n") - lines) / size.seconds
        closed = crowd.closed()
        for sock in crowd.socks:
            sock.close()
        normal = serving.wait_until(lambda: _answers(serving), "new connections are answered fast again")
        kept.going = False
        gevent.joinall(callers)
        busy = (after.user + after.system - before.user - before.system) / size.seconds * 100
        report.note("failed calls of kept connections", len(kept.failed), f"of {kept.calls:,} {kept.failed[:1]}")
        missing = crowd.unanswered + size.attempts - len(crowd.socks)
        report.note("new connections not answered", missing, f"of {size.attempts}")
        report.note("a new connection's slowest answer", max(crowd.times))
        report.note("closed before one that was idle longer", crowd.unfair(closed), f"{len(closed)} closed")
        report.note("processor time at the limit", busy, f"with {size.callers} callers")
        report.note("log lines", said)
        report.note("normal again after", normal)
        report.note("tracebacks in the log", serving.tracebacks)


def _answers(serving: Serving) -> bool:
    """Return whether a new connection is answered within a tenth of a second."""
    with serving.connect() as sock:
        sock.settimeout(0.1)
        try:
            sock.sendall(get("ping"))
            return bool(json.loads(Answers(sock).next().body) == {"ping": "pong"})
        except (OSError, EOFError):
            return False


if __name__ == "__main__":
    main(run, BOUNDS, __doc__ or "")
