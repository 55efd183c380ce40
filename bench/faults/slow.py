"""Clients that are slow on purpose: trickled heads and bodies, answers that nobody reads, silent TLS handshakes.

Run `python -m bench.faults.slow [--quick]`; the full form takes about a minute and a half. All of them load one server while an
honest caller keeps calling.
"""

import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent

from bench.faults.rig import Bound, Honest, Report, Serving, get, main, quantile

LATE = "each closed within its deadline + 1 s"
BOUNDS = {
    "trickled heads: past the deadline": Bound(LATE, most=1, quick=4, unit="s"),
    "trickled bodies: past the deadline": Bound(LATE, most=1, quick=4, unit="s"),
    "non-readers of 1 MB: past the deadline": Bound(LATE, most=1, quick=4, unit="s"),
    "silent handshakes: past the deadline": Bound(LATE, most=1, quick=4, unit="s"),
    "cut off before the deadline": Bound("deadlines are absolute", most=0, quick=0),
    "not answered 408": Bound("the contract's status: client too slow", most=0, quick=0),
    "honest p99 relative to an idle server's": Bound("honest calls' p99 <= 2x idle meanwhile", most=2, unit="x"),
    "honest calls failed": Bound("the honest caller is not affected", most=0, quick=0),
    "honest calls failed at the limit": Bound("unfinished requests lock nobody out", most=0, quick=0),
    "memory of a parked connection": Bound("<= 25 KiB resident for each parked connection", most=25, quick=40, unit="KiB"),
    "descriptors left open": Bound("each closed", most=0, quick=0),
    "tracebacks in the log": Bound("no traceback in the log", most=0, quick=0),
}


@dataclass(frozen=True)
class Size:
    """How many clients of each kind, the server's time limits, and the interval between two bytes; times are in seconds."""

    heads: int = 3000
    bodies: int = 500
    readers: int = 200
    handshakes: int = 500
    limit: float = 10
    write: float = 30
    gap: float = 1.0
    crowd: float = 10


QUICK = Size(heads=150, bodies=50, readers=20, handshakes=50, limit=1, write=1, gap=0.2, crowd=1)


@dataclass
class Ends:
    """How the connections of one kind ended: seconds past their deadline, and missing answers."""

    limit: float
    past: list[float] = field(default_factory=list)
    unanswered: int = 0

    @property
    def worst(self) -> float:
        """The seconds by which the latest one passed its deadline; infinite if none ended."""
        return max(self.past, default=math.inf)

    @property
    def early(self) -> int:
        """How many were closed too early, with a tolerance for the difference of the two clocks."""
        return sum(past < -0.05 for past in self.past)


def drip(serving: Serving, start: bytes, ends: Ends, gap: float) -> None:
    """Send the start of a request, then byte after byte, until the server closes the connection."""
    with serving.connect() as sock:
        begin = time.monotonic()
        sock.sendall(start)
        said = _drip_on(sock, gap, begin + ends.limit + 20)
    ends.past.append(time.monotonic() - begin - ends.limit)
    ends.unanswered += not said.startswith(b"HTTP/1.1 408 ")


def _drip_on(sock: Any, gap: float, give_up: float) -> bytes:
    said = b""
    sock.settimeout(gap)
    while time.monotonic() < give_up:
        try:
            data = sock.recv(4096)
        except TimeoutError:
            sock.send(b"x")
            continue
        except OSError:
            break
        if not data:
            break
        said += data
    return said


def ask_and_ignore(serving: Serving) -> Any:
    """Request a megabyte several times, as the kernel buffers the first answers, and never read."""
    sock = serving.connect(receive=4096)
    sock.sendall(get("large") * 8)
    return sock


def be_silent(serving: Serving, ends: Ends) -> None:
    """Connect to a TLS port and send nothing."""
    with serving.connect() as sock:
        begin = time.monotonic()
        sock.settimeout(ends.limit + 20)
        with suppress(OSError):  # reset: also closed
            sock.recv(1)
        ends.past.append(time.monotonic() - begin - ends.limit)


def run(quick: bool, report: Report) -> None:
    """Measure all kinds on one server, the handshakes on another, and unfinished requests on a third."""
    size = QUICK if quick else Size()
    parked(size, report)
    handshakes(size, report)
    crowd(size, report)


def parked(size: Size, report: Report) -> None:
    """Measure trickled heads and bodies, then answers that nobody reads."""
    options = (
        "--head-timeout",
        size.limit,
        "--body-timeout",
        size.limit,
        "--write-timeout",
        size.write,
        "--log-level",
        "warning",
    )
    with Serving(*map(str, options)) as serving:
        idle = Honest(serving, size.limit / 2).result()
        memory, descriptors = serving.memory, serving.descriptors
        meanwhile = Honest(serving, size.write + 2)
        heads, bodies = Ends(size.limit), Ends(size.limit)
        head = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
        body = b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n["
        clients = [gevent.spawn(drip, serving, head, heads, size.gap) for _ in range(size.heads)]
        clients += [gevent.spawn(drip, serving, body, bodies, size.gap) for _ in range(size.bodies)]
        serving.wait_until(lambda: serving.descriptors >= descriptors + len(clients), "all are connected")
        gevent.sleep(size.limit / 2)
        each = (serving.memory - memory) / len(clients)
        late = unread(serving, size, lambda: gevent.joinall(clients))
        honest = meanwhile.result()
        serving.wait_until(lambda: serving.descriptors <= descriptors, "the descriptors are closed", patience=20)
        report.note("trickled heads: past the deadline", heads.worst, f"median {quantile(heads.past, 0.5):.2f} s")
        report.note("trickled bodies: past the deadline", bodies.worst, f"median {quantile(bodies.past, 0.5):.2f} s")
        report.note("non-readers of 1 MB: past the deadline", late)
        report.note("cut off before the deadline", heads.early + bodies.early)
        report.note("not answered 408", heads.unanswered + bodies.unanswered)
        report.note(
            "honest p99 relative to an idle server's",
            honest["p99"] / idle["p99"],
            f"{honest['p99']:.2f} and {idle['p99']:.2f} ms",
        )
        report.note("honest calls failed", honest["failed"], f"of {honest['calls']:,}; the slowest took {honest['worst']:.0f} ms")
        report.note("memory of a parked connection", each)
        report.note("descriptors left open", max(serving.descriptors - descriptors, 0))
        report.note("tracebacks in the log", serving.tracebacks)


def unread(serving: Serving, size: Size, join: Any) -> float:
    """Let answers go unread until all trickling clients are gone too; return the seconds by which the last passed its deadline.

    A client that does not read does not notice the close either, so this watches the server's descriptors.
    """
    before = serving.descriptors
    ignoring = [ask_and_ignore(serving) for _ in range(size.readers)]
    serving.ask("ping")  # answered after the others, as far as they read: their last deadline starts
    begin = time.monotonic()
    join()
    without = before - size.heads - size.bodies + 2  # the honest caller has one or two
    patience = size.write + 20
    while serving.descriptors > without and time.monotonic() - begin < patience:
        gevent.sleep(0.02)
    late = time.monotonic() - begin - size.write
    for sock in ignoring:
        sock.close()
    return late


def handshakes(size: Size, report: Report) -> None:
    """Measure connections that send nothing to a TLS server."""
    with Serving("--self-signed", "--handshake-timeout", str(size.limit), "--log-level", "error") as serving:
        memory = serving.memory
        ends = Ends(size.limit)
        clients = [gevent.spawn(be_silent, serving, ends) for _ in range(size.handshakes)]
        gevent.sleep(size.limit / 2)
        each = (serving.memory - memory) / size.handshakes
        gevent.joinall(clients)
        report.note("silent handshakes: past the deadline", ends.worst, f"median {quantile(ends.past, 0.5):.2f} s")
        report.say(f"a silent handshake takes {each:.1f} KiB; tracebacks: {serving.tracebacks}")


ROOM = 100
STARTS = (b"", b"GET /pi", b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n[")


def crowd(size: Size, report: Report) -> None:
    """Measure more unfinished requests than the server allows connections, and new ones all the time."""
    with Serving("--max-connections", str(ROOM), "--log-level", "error") as serving:
        meanwhile = Honest(serving, size.crowd)
        held: deque[Any] = deque()
        end = time.monotonic() + size.crowd
        while time.monotonic() < end:
            held.append(serving.connect())
            with suppress(OSError):  # reset: the server has closed it to make room
                held[-1].sendall(STARTS[len(held) % len(STARTS)])
            if len(held) > 3 * ROOM:
                held.popleft().close()
            gevent.sleep(0.001)
        honest = meanwhile.result()
        report.note(
            "honest calls failed at the limit",
            honest["failed"],
            f"of {honest['calls']:,}, every tenth on a new connection, with {len(held)} others and a limit of {ROOM}",
        )


if __name__ == "__main__":
    main(run, BOUNDS, __doc__ or "")
