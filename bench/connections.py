"""Many connections: the rate with 64 to 10,000, memory per idle one, wait of a new one, new ones a second."""

import http.client
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from bench.load import SCENARIOS, Measured, Request, load
from bench.pairs import Plan, Section, interleave, ratio, shown, spread
from bench.peers import prepare
from bench.servers import LOAD_CORE, Server, Unavailable, foreign, gjrpc, pinned, started

GET = SCENARIOS["get"]
CLOSING = Request(**{**vars(GET), "headers": {"Connection": "close"}})
_SERVERS = {"gjrpc": gjrpc(), "pywsgi": foreign("pywsgi")}
_ROOM = 200
"""File descriptors reserved for other things than connections."""


def counts(plan: Plan, section: Section) -> list[int]:
    """Return the numbers of connections to try, as far as the limit of file descriptors allows."""
    wanted = [64, 1000] if plan.quick else [64, 1000, 10_000]
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - _ROOM
    for count in wanted:
        if count > limit:
            section.skipped[f"{count} connections"] = f"the limit of file descriptors allows only {limit}"
    return [count for count in wanted if count <= limit]


def run(plan: Plan) -> Section:
    """Measure rates, fairness, new connections and memory."""
    section = Section("Connections", ["what", "measured", "target"])
    tried = counts(plan, section)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(started(command)) for name, command in _SERVERS.items()}
        try:
            prepare("bjoern", plan.install)
            many = {"gjrpc": servers["gjrpc"], "bjoern": stack.enter_context(started(foreign("bjoern")))}
        except Unavailable as reason:
            section.skipped["bjoern"] = str(reason)
            many = {"gjrpc": servers["gjrpc"]}
        _rates(many, tried, plan, section)
        _fairness(servers, plan, section)
        _closing(servers, plan, section)
    _memory(tried[-1], plan, section)
    return section


def steady(server: Server, count: int, seconds: float) -> Measured:
    """Measure the rate once all connections are open: of two runs of different length, so that opening them cancels out."""
    short, long = (load(server, GET, seconds=length, connections=count) for length in (2 * seconds, 5 * seconds))
    answers = long.rate * 5 - short.rate * 2
    return Measured(answers / 3, long.latency, short.errors + long.errors, long.loader)


def _rates(servers: dict[str, Server], tried: list[int], plan: Plan, section: Section) -> None:
    plan = replace(plan, rounds=min(plan.rounds, 3))  # each run takes seven times as long
    subjects = {(name, count): partial(steady, servers[name], count, round(plan.seconds)) for count in tried for name in servers}
    runs = interleave({f"{name} {count}": run for (name, count), run in subjects.items()}, plan)
    rates = {subject: [one.rate for one in found] for subject, found in runs.items()}
    errors = {subject: sum(one.errors for one in found) for subject, found in runs.items()}
    section.data["rates"] = {subject: {**spread(found), "errors": errors[subject]} for subject, found in rates.items()}
    for name, count in [(name, count) for name in servers for count in tried[1:]]:
        told = f"{shown(ratio(rates[f'{name} {count}'], rates[f'{name} 64']))}, {errors[f'{name} {count}']} errors"
        section.rows.append(
            [f"rate with {count:,} connections relative to 64, {name}", told, "≥ 0.85" if name == "gjrpc" else ""]
        )
    if "bjoern" in servers:
        section.rows.append(
            [
                f"gjrpc relative to bjoern, {tried[-1]:,} connections",
                shown(ratio(rates[f"gjrpc {tried[-1]}"], rates[f"bjoern {tried[-1]}"])),
                "",
            ]
        )
    section.notes.append(
        "All connections are busy. A rate is the difference of two wrk runs, which leaves out the time to open the connections."
    )


def first_answer(port: int) -> float:
    """Return the milliseconds from the start of a new connection to its first answer."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/ping")
    connection.getresponse().read()
    connection.close()
    return (time.perf_counter() - begin) * 1000


def _fairness(servers: dict[str, Server], plan: Plan, section: Section) -> None:
    seconds = max(2, round(plan.seconds))
    for name, server in servers.items():
        plan.say(f"  new connections while 64 load {name}")
        busy = subprocess.Popen(
            [*pinned(LOAD_CORE, [sys.executable, "-c", _BUSY, str(server.port), str(seconds)])], stdout=subprocess.DEVNULL
        )
        end, waits = time.monotonic() + seconds, []
        while time.monotonic() < end - 0.5:
            waits.append(first_answer(server.port))
            time.sleep(0.01)  # so that these calls do not load the server themselves
        busy.wait(timeout=60)
        waits.sort()
        figures = {"median": waits[len(waits) // 2], "p99": waits[int(len(waits) * 0.99)], "count": len(waits)}
        section.data.setdefault("first_answer_ms", {})[name] = figures
        told = f"{figures['median']:.1f} ms, p99 {figures['p99']:.1f} ms"
        section.rows.append([f"first answer to a new connection while 64 are busy, {name}", told, ""])


_BUSY = """
import sys
from bench.load import SCENARIOS, load
from bench.servers import Server
load(Server(int(sys.argv[1]), None), SCENARIOS["get"], seconds=int(sys.argv[2]), core=None)
"""


def _closing(servers: dict[str, Server], plan: Plan, section: Section) -> None:
    loads = {name: partial(load, server, CLOSING, seconds=plan.seconds) for name, server in servers.items()}
    rates = {name: [one.rate for one in found] for name, found in interleave(loads, plan).items()}
    section.data["closing"] = {name: spread(found) for name, found in rates.items()}
    told = f"{section.data['closing']['gjrpc']['median']:,.0f} a second, {shown(ratio(rates['gjrpc'], rates['pywsgi']))}"
    section.rows.append(["new connections (`Connection: close`), relative to pywsgi", told, "≥ 3"])


def _memory(count: int, plan: Plan, section: Section) -> None:
    for name, command in _SERVERS.items():
        plan.say(f"  memory of {count} idle connections, {name}")
        with started(command) as server, ExitStack() as stack:
            for _ in range(64):  # so that one-time allocations are not counted
                first_answer(server.port)
            before = server.resident
            for _ in range(count):
                idle = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
                idle.sendall(b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                while b"pong" not in idle.recv(4096):
                    pass
            each = (server.resident - before) / count
        section.data.setdefault("bytes_each", {})[name] = each
        target = "≤ 5 KiB" if name == "gjrpc" else ""
        section.rows.append([f"memory of an idle connection, {name}", f"{each / 1024:.1f} KiB", target])
    section.notes.append(f"Memory: resident memory, with {count:,} connections that have each had one answer.")
