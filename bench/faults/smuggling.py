"""Smuggling and malformed messages over real sockets: hidden requests never run, and splitting makes no difference.

Run `python -m bench.faults.smuggling [--quick]`; the full form sends each of about ten thousand messages whole, in
random pieces and byte by byte, and takes about a minute.
"""

import collections
import random
import re
from dataclasses import dataclass

import gevent
from gevent.pool import Pool

from bench.faults.payloads import Payload, payloads, pieces
from bench.faults.rig import Bound, Report, Serving, main

BOUNDS = {
    "hidden requests that ran": Bound("the application never runs", most=0, quick=0),
    "refused messages that ran": Bound("the application never runs", most=0, quick=0),
    "malformed messages not refused": Bound("the connection is refused with 400 and closed", most=0, quick=0),
    "good messages not answered": Bound("strict, and no stricter", most=0, quick=0),
    "connections not closed after a refusal": Bound("the connection is refused with 400 and closed", most=0, quick=0),
    "answers that depend on splitting": Bound("random byte-splits give identical results", most=0, quick=0),
    "tracebacks in the log": Bound("no traceback in the log", most=0, quick=0),
}
REFUSALS = {400, 408, 413, 414, 417, 421, 431, 501, 505}
AT_ONCE = 32


@dataclass(frozen=True)
class Size:
    """How messages are sent: every `step`th, in this many random splits, and byte by byte up to this length."""

    step: int = 1
    splits: int = 2
    bytewise: int = 400


QUICK = Size(step=11, splits=1, bytewise=0)


@dataclass(frozen=True)
class Told:
    """The answers: statuses in order, the bytes, and whether the server closed the connection."""

    statuses: tuple[int, ...]
    text: bytes
    closed: bool


def exchange(serving: Serving, sent: list[bytes]) -> Told:
    """Send pieces on a new connection, shut down its sending side, and return the answers."""
    with serving.connect() as sock:
        sock.settimeout(15)
        try:
            for piece in sent:
                sock.sendall(piece)
                gevent.sleep(0)
            sock.shutdown(1)
        except OSError:  # refused before all was sent: the answer can still be read
            pass
        said, closed = b"", False
        try:
            while data := sock.recv(65536):
                said += data
            closed = True
        except TimeoutError:
            pass
        except OSError:
            closed = True
    text = re.sub(rb"Date: [^\r]*\r\n", b"", said)
    return Told(tuple(int(status) for status in re.findall(rb"(?:^|(?<=[}\n]))HTTP/1\.1 (\d{3}) ", said)), text, closed)


def ways(payload: Payload, size: Size, chance: random.Random) -> list[list[bytes]]:
    """Return the ways in which a message is sent; first whole."""
    data = payload.data
    found = [[data]] + [pieces(data, chance) for _ in range(size.splits)]
    if len(data) <= size.bytewise:
        found.append([data[at : at + 1] for at in range(len(data))])
    return found


def wrong(payload: Payload, told: Told) -> str | None:
    """Return the name of the bound that this answer breaks, or None."""
    if not told.closed:
        return "connections not closed after a refusal"
    before, last = told.statuses[:-1], told.statuses[-1:]
    rest = all(status == 200 for status in before) and len(told.statuses) == payload.answers
    if payload.good:
        return None if rest and last and last[0] not in REFUSALS - {400} else "good messages not answered"
    return None if rest and last and last[0] in REFUSALS else "malformed messages not refused"


def run(quick: bool, report: Report) -> None:
    """Send all messages, and count the faults."""
    size = QUICK if quick else Size()
    chance = random.Random(5)
    faults: dict[str, list[str]] = collections.defaultdict(list)
    answered = collections.Counter[str]()
    sent = 0
    chosen = [one for number, one in enumerate(payloads()) if number % size.step == 0 or one.good]

    with Serving("--log-level", "warning") as serving:

        def one(payload: Payload, plan: list[list[bytes]]) -> None:
            whole = exchange(serving, plan[0])
            if fault := wrong(payload, whole):
                faults[fault].append(f"{payload.kind}: {payload.data[:300]!r} -> {whole.statuses}")
            all_told = [whole, *(exchange(serving, way) for way in plan[1:])]
            for told, way in zip(all_told, plan, strict=True):
                answered["visible"] += told.text.count(b'{"visible":')
                if told != whole:
                    faults["answers that depend on splitting"].append(f"{way!r} -> {told} instead of {whole}")

        pool = Pool(AT_ONCE)
        for payload in chosen:
            plan = ways(payload, size, chance)
            sent += len(plan)
            pool.spawn(one, payload, plan)
        pool.join()
        ran = serving.ask("ran")
        hidden = {name: count for name, count in ran.items() if name.startswith("hidden")}
        report.say(f"{len(chosen):,} messages, sent {sent:,} times")
        report.note("hidden requests that ran", sum(hidden.values()), " ".join(list(hidden)[:5]))
        report.note("refused messages that ran", ran.get("visible", 0) - answered["visible"])
        for name in list(BOUNDS)[2:-1]:
            report.note(name, len(faults[name]))
            for text in faults[name][:40]:
                report.say(text)
        report.note("tracebacks in the log", serving.tracebacks)


if __name__ == "__main__":
    main(run, BOUNDS, __doc__ or "")
