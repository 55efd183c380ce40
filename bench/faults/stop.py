"""What a stop does to connected clients: calls in flight, idle connections, calls that never end.

Run `python -m bench.faults.stop [--quick]`; the full form takes about two minutes.
"""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent

from bench.faults.rig import Answers, Bound, Report, Serving, get, main

BOUNDS = {
    "calls in flight not answered 200": Bound("200 of 200 answered", most=0, quick=0),
    "answered without Connection: close": Bound("are answered with Connection: close", most=0, quick=0),
    "the last idle connection closes after": Bound("idle connections close within 0.5 s", most=0.5, quick=3, unit="s"),
    "calls lost by clients that keep calling": Bound("nothing in flight is lost at a stop", most=0),
    "exit after": Bound("exit within 2.5 s", most=2.5, quick=6, unit="s"),
    "exit codes that are not 0": Bound("exit 0", most=0, quick=0),
    "/-/ready not answered 503 while draining": Bound("/-/ready turns 503", most=0, quick=0),
    "second signal: exit after": Bound("a second signal stops at once", most=0.5, quick=3, unit="s"),
    "end of grace: stuck calls without a 504": Bound("stuck calls get 504 where still possible", most=0, quick=0),
    "end of grace: exit after": Bound("grace period setting; here 1 s, and 0.5 s to end", most=1.5, quick=4, unit="s"),
    "tracebacks in the log": Bound("no traceback in the log", most=0, quick=0),
}
CALLERS = 30
"""Clients of each kind that keep calling."""
STUCK = 10
"""Calls that do not end, in the runs that need some."""


@dataclass(frozen=True)
class Size:
    """Calls in flight and idle connections at the signal, the number of repeats, and the seconds of a call."""

    calls: int = 200
    idle: int = 1000
    repeats: int = 20
    seconds: float = 1.0


QUICK = Size(calls=50, idle=100, repeats=3, seconds=0.3)


class Stopped:
    """A server that got a signal with calls in flight, and the outcome.

    Attributes:
        answers: of each call; None without an answer.
        closed: seconds from the signal until the last idle connection was closed.
        took: seconds from the signal until the process ended.
        code: its exit code.
    """

    def __init__(self, serving: Serving, size: Size, again: float | None = None) -> None:
        self.answers: list[Any] = []
        self.closed = 0.0
        self._serving = serving
        idle = [_idle(serving) for _ in range(size.idle)]
        calls = [gevent.spawn(self._call, get(f"nap?seconds={size.seconds}")) for _ in range(size.calls)]
        serving.wait_until(lambda: serving.ask("ran").get("napping") == size.calls, "all calls are in flight")
        self._begin = time.monotonic()
        watching = [gevent.spawn(self._watch, sock) for sock in idle]
        serving.process.send_signal(signal.SIGTERM)
        if again is not None:
            gevent.sleep(again)
            self._begin = time.monotonic()
            serving.process.send_signal(signal.SIGTERM)
        self.took = serving.wait_until(lambda: serving.child.poll() is not None, "the server exits")
        self.code = serving.child.returncode
        gevent.joinall(calls + watching)

    def _call(self, request: bytes) -> None:
        with self._serving.connect() as sock:
            try:
                sock.sendall(request)
                self.answers.append(Answers(sock).next())
            except (OSError, EOFError):
                self.answers.append(None)

    def _watch(self, sock: Any) -> None:
        with suppress(OSError):  # reset: also closed
            sock.recv(1)
        self.closed = max(self.closed, time.monotonic() - self._begin)
        sock.close()

    def without(self, holds: Callable[[Any], bool]) -> int:
        """Count the answers that are missing or do not fulfil a condition."""
        return sum(answer is None or not holds(answer) for answer in self.answers)


def _idle(serving: Serving) -> Any:
    """Return a connection on which one call was answered."""
    sock = serving.connect()
    sock.sendall(get("ping"))
    Answers(sock).next()
    return sock


def run(quick: bool, report: Report) -> None:
    """Measure orderly stops, then those that cut calls off."""
    size = QUICK if quick else Size()
    tracebacks = orderly(size, report) + busy(size, report) + readiness(report) + hurried(report) + stuck(report)
    report.note("tracebacks in the log", tracebacks)


def orderly(size: Size, report: Report) -> int:
    """Send SIGTERM while calls are in flight and connections idle, several times; the worst of each figure counts."""
    stops, tracebacks = [], 0
    for _ in range(size.repeats):
        with Serving() as serving:
            stops.append(Stopped(serving, size))
            tracebacks += serving.tracebacks
    calls = size.calls * size.repeats
    lost = sum(stop.without(lambda answer: answer.status == 200) for stop in stops)
    report.note("calls in flight not answered 200", lost, f"of {calls:,} in {size.repeats} stops")
    report.note("answered without Connection: close", sum(stop.without(lambda answer: answer.closes) for stop in stops))
    report.note("the last idle connection closes after", max(stop.closed for stop in stops), f"of {size.idle:,}")
    report.note("exit after", max(stop.took for stop in stops))
    report.note("exit codes that are not 0", sum(stop.code != 0 for stop in stops))
    return tracebacks


def busy(size: Size, report: Report) -> int:
    """Send SIGTERM while clients keep calling: each gets `Connection: close`, or can't connect any more."""
    lost, told, tracebacks = 0, 0, 0
    for _ in range(max(size.repeats // 3, 1)):
        with Serving() as serving:
            clients = [gevent.spawn(_call_on, serving, kept) for kept in (True, False) for _ in range(CALLERS)]
            gevent.sleep(0.3)
            serving.process.send_signal(signal.SIGTERM)
            gevent.joinall(clients, raise_error=True)
            lost += sum(client.value[0] for client in clients)
            told += sum(client.value[1] for client in clients)
            tracebacks += serving.tracebacks
    report.note("calls lost by clients that keep calling", lost, f"{told:,} were answered")
    return tracebacks


def _call_on(serving: Serving, kept: bool) -> tuple[int, int]:
    """Call on one connection, or on a new one each time, until the server is gone; return the lost and the answered calls."""
    answered = 0
    while True:
        try:
            sock = serving.connect()
        except OSError:  # refused: nothing was sent
            return 0, answered
        with sock:
            try:
                answers, closes = Answers(sock), False
                while not closes:
                    sock.sendall(get("ping"))
                    closes = answers.next().closes or not kept
                    answered += 1
            except (OSError, EOFError):
                return 1, answered


def readiness(report: Report) -> int:
    """Send part of a head before the signal and the rest after it: the request is still answered."""
    with Serving() as serving:
        descriptors = serving.descriptors
        sock = serving.connect()
        whole = get("-/ready")
        sock.sendall(whole[:10])
        serving.wait_until(lambda: serving.descriptors > descriptors, "it is accepted")
        serving.process.send_signal(signal.SIGTERM)
        serving.wait_until(lambda: serving.descriptors <= descriptors, "the listening socket is closed")
        sock.sendall(whole[10:])
        report.note("/-/ready not answered 503 while draining", Answers(sock).next().status != 503)
        sock.close()
        serving.wait_until(lambda: serving.child.poll() is not None, "the server exits")
        return serving.tracebacks


def hurried(report: Report) -> int:
    """Send a second signal while calls are stuck."""
    with Serving() as serving:
        stop = Stopped(serving, Size(calls=STUCK, idle=0, seconds=600), again=0.3)
        report.note("second signal: exit after", stop.took)
        return serving.tracebacks


def stuck(report: Report) -> int:
    """Let the grace period end while calls are stuck."""
    with Serving("--grace", "1") as serving:
        stop = Stopped(serving, Size(calls=STUCK, idle=0, seconds=600))
        told = stop.without(lambda answer: answer.status == 504 and answer.closes)
        report.note("end of grace: stuck calls without a 504", told, f"of {STUCK}")
        report.note("end of grace: exit after", stop.took)
        return serving.tracebacks


if __name__ == "__main__":
    main(run, BOUNDS, __doc__ or "")
