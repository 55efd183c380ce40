"""Curves of the cost of a call as methods, bodies, connections, arguments and pipelining grow."""

import http.client
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from bench.app import ARGUMENTS
from bench.connections import counts
from bench.load import SCENARIOS, Request, check, load, post
from bench.pairs import Plan, Section, interleave
from bench.servers import Server, gjrpc, started

GET = SCENARIOS["get"]
METHODS, DEPTHS = (20, 100, 1000, 10_000), (1, 2, 4, 8, 16, 32, 64)
BODIES = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
Points = list[tuple[float, float]]


def run(plan: Plan) -> Section:
    """Measure all curves."""
    plan = replace(plan, rounds=min(plan.rounds, 3))  # there are many points
    section = Section("Cost as work grows", ["what", "measured", "target"])
    _methods(plan, section)
    _bodies(plan, section)
    with started(gjrpc()) as server:
        tried = sorted({1, 10, 100, *counts(plan, section)})
        rates = _rates(server, tried, lambda count: {"connections": count}, lambda _: GET, plan, "connections")
        _curve(section, "connections", "Requests a second by connections", "connections", {"GET": rates})
        asked = {count: post({f"arguments{count}": [1] * count}, {f"arguments{count}": count}) for count in ARGUMENTS}
        for count, request in asked.items():
            check(server, request, f"{count} arguments")
        rates = _rates(server, ARGUMENTS, lambda _: {}, asked.__getitem__, plan, "arguments")
        _curve(section, "arguments", "Requests a second by arguments", "arguments", {"POST": rates}, log=False)
        rates = _rates(server, DEPTHS, lambda _: {}, _pipelined, plan, "requests at once")
        _curve(section, "pipelining", "Requests a second by depth of pipelining", "requests at once", {"GET": rates})
    return section


def _pipelined(depth: float) -> Request:
    return Request(**{**vars(GET), "depth": int(depth)})


def _rates(
    server: Server,
    over: Iterable[int],
    options: Callable[[int], dict[str, Any]],
    request: Callable[[int], Request],
    plan: Plan,
    what: str,
) -> Points:
    """Measure each point once in each round, and return the median rates."""
    found: dict[int, list[float]] = {point: [] for point in over}
    for number in range(plan.rounds):
        for point, rates in found.items():
            plan.say(f"  round {number + 1} of {plan.rounds}: {point} {what}")
            rates.append(load(server, request(point), seconds=plan.seconds, **options(point)).rate)
    return [(point, statistics.median(rates)) for point, rates in found.items()]


def _curve(section: Section, name: str, title: str, x: str, series: dict[str, Points], **look: Any) -> None:
    section.plots.append(
        {"kind": "curves", "file": f"curve-{name}", "title": title, "x": x, "y": "requests a second", "series": series} | look
    )
    section.data[name] = series
    for label, points in series.items():
        first, last = points[0], points[-1]
        section.rows.append([f"{label}, {last[0]:,} {x} relative to {first[0]:,}", f"{last[1] / first[1]:.2f} of the rate", ""])


def _methods(plan: Plan, section: Section) -> None:
    """Measure the rate by the number of methods; all registries are served at once, so that they are compared within rounds."""
    points: dict[str, Points] = {}
    with ExitStack() as stack:
        servers = {count: stack.enter_context(started(gjrpc(), environ={"BENCH_METHODS": str(count)})) for count in METHODS}
        for label, request in (("GET", GET), ("POST", SCENARIOS["post"])):
            loads = {
                f"{count} methods, {label}": partial(load, server, request, seconds=plan.seconds)
                for count, server in servers.items()
            }
            runs = interleave(loads, plan).values()
            rates = [statistics.median(one.rate for one in found) for found in runs]
            points[label] = list(zip(METHODS, rates, strict=True))
    _curve(section, "methods", "Requests a second by methods in the registry", "methods", points)


def _bodies(plan: Plan, section: Section) -> None:
    times, peaks = [], []
    for size in BODIES[:4] if plan.quick else BODIES:
        plan.say(f"  a body of {size:,} bytes")
        with started(gjrpc("--max-body", str(BODIES[-1] + 100))) as server:
            _post(server, 2)
            before = server.resident
            times.append((size, statistics.median(_post(server, size) for _ in range(plan.rounds * 4))))
            peaks.append((size, (server.peak - before) / size))
    section.data["bodies"] = {"ms": times, "peak_per_byte": peaks}
    titles = {"x": "bytes", "kind": "curves", "log_y": True}
    section.plots.append(
        {"file": "curve-bodies", "title": "A call by its body's size", "y": "ms a call", "series": {"POST": times}} | titles
    )
    section.rows.append([f"ms for a body of {times[-1][0]:,} bytes", f"{times[-1][1]:.1f}", ""])
    section.rows.append(
        [f"peak memory beyond the idle server, for {peaks[-1][0]:,} bytes", f"{peaks[-1][1]:.1f} × the body", "≤ 3"]
    )


def _post(server: Server, size: int) -> float:
    """Return the milliseconds of one call with a body of this size, on a new connection."""
    text = "x" * (size - len('{"length":""}'))
    body = f'{{"length":"{text}"}}'.encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    begin = time.perf_counter()
    connection.request("POST", "/", body)
    answer = connection.getresponse().read()
    took = (time.perf_counter() - begin) * 1000
    connection.close()
    if answer != b'{"length":%d}' % len(text):
        raise SystemExit(f"unexpected answer to a body of {size} bytes: {answer!r:.200}")
    return took
