"""What many calls, connections and malformed messages leave behind in the server.

Run `python -m bench.faults.leaks [--quick]`; the full form takes about two minutes. A warm-up with the same load fills the caches
of heads and targets, the pools and the allocator's arenas; the level after it is the baseline.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

import gevent

from bench.faults.payloads import payloads
from bench.faults.rig import Answers, Bound, Report, Serving, get, main
from bench.faults.smuggling import exchange

BOUNDS = {
    "memory relative to the level after warm-up": Bound("resident memory within 5 %", most=1.05, quick=1.25, unit="x"),
    "descriptors above baseline": Bound("descriptors and greenlets at baseline", most=0, quick=0),
    "greenlets above baseline": Bound("greenlets at baseline; up to 64 idle ones are kept", most=64, quick=64),
    "connections above baseline": Bound("each connection is forgotten", most=0, quick=0),
    "objects above baseline": Bound("nothing is kept for each call", most=2000, quick=2000),
    "connections left to the garbage collector": Bound("a closed connection keeps nothing", most=0, quick=0),
    "memory kept of bodies that were cut off": Bound("resident memory at the level after warm-up", most=15, unit="MiB"),
    "tracebacks in the log": Bound("no traceback in the log", most=0, quick=0),
    "answers that are 5xx": Bound("no 5xx", most=0, quick=0),
    "calls with a wrong answer": Bound("no 5xx", most=0, quick=0),
}
KEPT = 8  # connections that make calls
ROW = 20  # calls pipelined in a row
MIB = 1024 * 1024
BODY = 9 * MIB
HEADS = 4000  # distinct heads: more than the server may cache


@dataclass(frozen=True)
class Size:
    """How many of each; the warm-up makes `warm` times as many."""

    calls: int = 300_000
    churns: int = 50_000
    malformed: int = 10_000
    bodies: int = 100
    warm: float = 0.1


QUICK = Size(calls=6_000, churns=1_000, malformed=200, bodies=10, warm=1)


class Load:
    """Calls, short connections and malformed messages for one server, and their failures."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._messages = itertools.cycle([one.data for one in payloads() if not one.good])
        self._numbers = itertools.count()
        self.wrong: list[str] = []
        self.failed = 0

    def run(self, calls: int, churns: int, malformed: int) -> None:
        """Make this many of each, all kinds at the same time."""
        shares = [(self._call, calls, KEPT), (self._churn, churns, KEPT), (self._break, malformed, KEPT)]
        gevent.joinall([gevent.spawn(do, count // parts) for do, count, parts in shares for _ in range(parts)], raise_error=True)

    def _requests(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield a call, different each time, and the body of its answer."""
        number = next(self._numbers)
        kind, odd = number % 6, b"X-Number: %d" % (number % HEADS)
        if kind == 0:
            yield get("ping"), b'{"ping":"pong"}'
        elif kind == 1:
            yield get(f"add?a={number}&b=1"), b'{"add":%d}' % (number + 1)
        elif kind == 2:
            yield _post(b'{"add":[%d,2]}' % number, odd), b'{"add":%d}' % (number + 2)
        elif kind == 3:
            body = json.dumps({"jsonrpc": "2.0", "method": "add", "params": [number], "id": number}).encode()
            yield _post(body), b'{"jsonrpc":"2.0","result":%d,"id":%d}' % (number + 10, number)
        elif kind == 4:
            yield _post(b'[{"jsonrpc":"2.0","method":"ping","id":1},7]', odd), b""
        else:
            yield get(f"unknown_{number}", odd + b"\r\n"), b""

    def _call(self, count: int) -> None:
        with self._serving.connect() as sock:
            answers = Answers(sock)
            for _ in range(count // ROW):
                row = [pair for _ in range(ROW) for pair in self._requests()]
                sock.sendall(b"".join(request for request, _ in row))
                for request, expected in row:
                    self._look(request, expected, answers)

    def _look(self, request: bytes, expected: bytes, answers: Answers) -> None:
        answer = answers.next()
        self.failed += answer.status >= 500
        if expected and answer.body != expected:
            self.wrong.append(f"{request!r} -> {answer.body!r}")

    def _churn(self, count: int) -> None:
        for number in range(count):
            with self._serving.connect() as sock:
                if number % 4:  # every fourth closes without a request
                    sock.sendall(get("ping"))
                    if number % 4 > 1:  # and another does not wait for its answer
                        self._look(b"churn", b'{"ping":"pong"}', Answers(sock))

    def _break(self, count: int) -> None:
        for _ in range(count):
            told = exchange(self._serving, [next(self._messages)])
            self.failed += sum(status >= 500 and status != 505 for status in told.statuses)


def _post(body: bytes, *lines: bytes) -> bytes:
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"POST / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def run(quick: bool, report: Report) -> None:
    """Warm up, measure, load, and measure again."""
    size = QUICK if quick else Size()
    with Serving("--log-level", "warning") as serving:
        descriptors = serving.descriptors
        load = Load(serving)
        load.run(*(int(count * size.warm) for count in (size.calls, size.churns, size.malformed)))
        before, level = _settled(serving, descriptors)
        load.run(size.calls, size.churns, size.malformed)
        after, memory = _settled(serving, descriptors)
        report.note(
            "memory relative to the level after warm-up", memory / level, f"{level / 1024:.1f} and {memory / 1024:.1f} MiB"
        )
        for name in ("descriptors", "greenlets", "connections", "objects"):
            report.note(f"{name} above baseline", max(after[name] - before[name], 0), f"{before[name]} and {after[name]}")
        kept, left = cut_off(serving, size.bodies, descriptors)
        report.note("connections left to the garbage collector", left)
        report.note("memory kept of bodies that were cut off", kept, f"{size.bodies} of {BODY / MIB:.1f} MiB")
        report.note("tracebacks in the log", serving.tracebacks)
        report.note("answers that are 5xx", load.failed)
        report.note("calls with a wrong answer", len(load.wrong), " ".join(load.wrong[:3]))


def _settled(serving: Serving, descriptors: int) -> tuple[dict[str, int], float]:
    """Return what the server holds once all clients are gone, and its memory in KiB."""
    serving.wait_until(lambda: serving.descriptors <= descriptors, "the connections are closed")
    return serving.ask("held"), serving.memory


def cut_off(serving: Serving, count: int, descriptors: int) -> tuple[float, int]:
    """Send large bodies at the same time, each without its end.

    Return the MiB of them that stay resident, and how many closed connections still exist, both without a garbage collection.
    """
    serving.ask("held?collect=false")
    before = serving.memory
    gevent.joinall([gevent.spawn(_cut_off, serving, number % 2 == 0) for number in range(count)], raise_error=True)
    serving.wait_until(lambda: serving.descriptors <= descriptors, "the connections are closed")
    left = serving.ask("held?collect=false")["connections"] - 1  # without the one of this call
    return max(serving.memory - before, 0) / 1024, left


def _cut_off(serving: Serving, chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" if chunked else b"Content-Length: %d\r\n\r\n"
    exchange(serving, [b"POST /add HTTP/1.1\r\nHost: localhost\r\n" + framing % BODY + b"x" * (BODY - 1)])


if __name__ == "__main__":
    main(run, BOUNDS, __doc__ or "")
