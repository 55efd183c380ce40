"""More calls than the server accepts at a time: admitted calls are as fast as before, and the rest is refused at once.

Run `python -m bench.faults.overload [--quick]`; the full form takes about a minute. In one run the method computes and waits, in
another it only computes. At saturation, as many clients call as there may be calls in flight. In the overload, ten times as many
clients offer five times the calls. The two alternate, since a machine's speed drifts.
"""

import random
import time
from dataclasses import dataclass, field

import gevent
from gevent import socket

from bench.faults.rig import Answers, Bound, Report, Serving, get, main, quantile

_EXCESS = "the excess gets 503 with Retry-After within 100 ms"
BOUNDS = {
    "waiting: goodput relative to the peak": Bound("goodput >= 80 % of peak at five times the capacity", least=0.8, unit="x"),
    "waiting: p99 relative to saturation": Bound("admitted p99 <= 3x that at saturation", most=3, unit="x"),
    "waiting: p99 of 503": Bound(_EXCESS, most=100, quick=3000, unit="ms"),
    "computing: goodput relative to the peak": Bound("goodput >= 80 % of peak at five times the capacity", least=0.8, unit="x"),
    "computing: p99 relative to saturation": Bound("admitted p99 <= 3x that at saturation", most=3, unit="x"),
    "computing: p99 of 503": Bound(_EXCESS, most=100, quick=3000, unit="ms"),
    "answers that are neither 200 nor 503": Bound(_EXCESS, most=0, quick=0),
    "503 without Retry-After": Bound(_EXCESS, most=0, quick=0),
    "memory grows by": Bound("memory bounded", most=16, quick=32, unit="MiB"),
    "/-/healthy not answered 200 at the limit": Bound("a busy server must not be killed for it", most=0, quick=0),
    "calls refused because others don't read": Bound(
        "too many clients cost the attacker, not the honest caller", most=0, quick=0
    ),
    "tracebacks in the log": Bound("no traceback in the log", most=0, quick=0),
}
MOST = 16
"""The server's limit of calls in flight."""


@dataclass(frozen=True)
class Size:
    """Seconds of each load, and the number of turns."""

    seconds: float = 2.5
    turns: int = 5


QUICK = Size(seconds=1, turns=1)
WORK = {"waiting": "work?milliseconds=0.5&wait=20", "computing": "work?milliseconds=2&wait=0"}


@dataclass
class Load:
    """Clients that make one call after another, each on its own connection.

    Attributes:
        times: by status, the seconds of each answer.
        silent: the number of 503 without `Retry-After`.
    """

    serving: Serving
    target: str
    times: dict[int, list[float]] = field(default_factory=lambda: {200: [], 503: []})
    silent: int = 0
    seconds: float = 0

    def run(self, clients: int, period: float, seconds: float) -> None:
        """Call for this many seconds; each client once per period, or as soon as it has its answer."""
        end = time.monotonic() + seconds
        gevent.joinall([gevent.spawn(self._call, period, end) for _ in range(clients)], raise_error=True)
        self.seconds += seconds

    @property
    def goodput(self) -> float:
        """Calls a second answered with 200."""
        return len(self.times[200]) / self.seconds

    @property
    def offered(self) -> float:
        """Calls made a second."""
        return sum(map(len, self.times.values())) / self.seconds

    def p99(self, status: int) -> float:
        """Return the 99th percentile of the answers with this status, in milliseconds."""
        return quantile(self.times[status], 0.99) * 1000

    def _call(self, period: float, end: float) -> None:
        with self.serving.connect() as sock:
            answers, request = Answers(sock), get(self.target)
            due = time.monotonic() + random.random() * period
            while True:
                gevent.sleep(max(due - time.monotonic(), 0))
                begin = time.monotonic()
                if begin >= end:
                    return
                sock.sendall(request)
                answer = answers.next()
                now = time.monotonic()
                self.times.setdefault(answer.status, []).append(now - begin)
                self.silent += answer.status == 503 and b"\r\nRetry-After: " not in answer.head
                due = max(due + period, now)


def run(quick: bool, report: Report) -> None:
    """Saturate and overload the server, and check health checks and other callers."""
    size = QUICK if quick else Size()
    with Serving("--max-calls", str(MOST), "--log-level", "warning") as serving:
        odd = silent = 0
        Load(serving, "ping").run(MOST * 10, 0, 0.3)
        memory = serving.memory
        for kind, target in WORK.items():
            full, over = Load(serving, target), Load(serving, target)
            for _ in range(size.turns):
                full.run(MOST, 0, size.seconds)
                over.run(MOST * 10, MOST * 10 / (5 * full.goodput), size.seconds)
            compare(kind, full, over, report)
            odd += sum(len(times) for load in (full, over) for status, times in load.times.items() if status not in (200, 503))
            silent += full.silent + over.silent
        report.note("answers that are neither 200 nor 503", odd)
        report.note("503 without Retry-After", silent)
        report.note("memory grows by", (serving.memory - memory) / 1024)
        report.note("/-/healthy not answered 200 at the limit", healthy(serving))
        report.note("calls refused because others don't read", unread(serving))
        report.note("tracebacks in the log", serving.tracebacks)


def compare(kind: str, full: Load, over: Load, report: Report) -> None:
    """Compare an overload with saturation."""
    report.say(f"{kind}: {full.goodput:,.0f} calls a second at saturation; then {over.offered:,.0f} offered")
    report.note(f"{kind}: goodput relative to the peak", over.goodput / full.goodput, f"{over.goodput:,.0f} a second")
    p99, before = over.p99(200), full.p99(200)
    report.note(f"{kind}: p99 relative to saturation", p99 / before, f"{p99:.0f} and {before:.0f} ms")
    refused = over.times[503] or [0.0]
    remark = f"of {len(over.times[503]):,}; the slowest {max(refused) * 1000:.0f} ms"
    report.note(f"{kind}: p99 of 503", quantile(refused, 0.99) * 1000, remark)


def healthy(serving: Serving) -> bool:
    """Return whether the health check fails while the limit of calls is in flight."""
    naps = [_begin(serving, get("nap?seconds=0.7")) for _ in range(MOST)]
    gevent.sleep(0.3)
    check = _begin(serving, get("-/healthy"))
    failed = Answers(check).next().status != 200
    for sock in (*naps, check):
        if sock is not check:
            Answers(sock).next()
        sock.close()
    return failed


def unread(serving: Serving) -> int:
    """Return how many honest calls are refused while as many clients don't read their answers."""
    ignoring = [_begin(serving, get("large") * 8, receive=4096) for _ in range(MOST)]
    gevent.sleep(0.3)
    calls = [_begin(serving, get("ping")) for _ in range(5)]
    refused = sum(Answers(sock).next().status != 200 for sock in calls)
    for sock in ignoring + calls:
        sock.close()
    return refused


def _begin(serving: Serving, request: bytes, receive: int | None = None) -> socket.socket:
    sock = serving.connect(receive)
    sock.sendall(request)
    return sock


if __name__ == "__main__":
    main(run, BOUNDS, __doc__ or "")
