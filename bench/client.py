"""`gjrpc.Client` compared with a bare `requests.Session`, and how many connections greenlets that share a client open."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import requests

from bench.pairs import Plan, Section, interleave, ratio, shown, spread
from bench.servers import Server, gjrpc, started
from gjrpc import Client

GREENLETS, CALLS, POOL = 50, 20, 10
_SHARED = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from gjrpc import Client
url, greenlets, calls, pool = sys.argv[1], *map(int, sys.argv[2:])
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "socket.connect" else None)
with Client(url, pool=pool) as client:
    def work():
        for _ in range(calls):
            assert client.add(1, 2) == 3
    gevent.joinall([gevent.spawn(work) for _ in range(greenlets)], raise_error=True)
print(len({id(args[0]) for args in opened}))  # gevent connects each socket in two steps, which are two events
"""


def run(plan: Plan) -> Section:
    """Measure both on one server."""
    section = Section("Client", ["what", "measured", "target"])
    calls = 100 if plan.quick else 500
    with started(gjrpc()) as server, Client(server.url) as client, requests.Session() as session:
        subjects: dict[str, Callable[[], float]] = {
            "client": partial(_seconds, lambda: client.add(1, 2), 3, calls),
            "session": partial(
                _seconds, lambda: session.post(f"{server.url}/", json={"add": [1, 2]}, timeout=10).json(), {"add": 3}, calls
            ),
        }
        for subject in subjects.values():
            subject()  # opens the connection
        times = interleave(subjects, plan)
        opened = connections(server)
    section.data = {name: spread([one * 1000 for one in found]) for name, found in times.items()} | {"connections": opened}
    section.rows = [
        ["time of a call by Client, relative to requests.Session", shown(ratio(times["client"], times["session"])), "≤ 1.15"],
        [f"connections opened by {GREENLETS} greenlets with {CALLS} calls each, pool of {POOL}", str(opened), f"≤ {POOL}"],
    ]
    return section


def _seconds(call: Callable[[], Any], expected: Any, calls: int) -> float:
    """Return the mean seconds of a call, over many calls."""
    begin = time.perf_counter()
    for _ in range(calls):
        if call() != expected:
            raise SystemExit(f"expected {json.dumps(expected)}")
    return (time.perf_counter() - begin) / calls


def connections(server: Server) -> int:
    """Count the connections that greenlets sharing one client open, by Python's audit events in a separate process."""
    command = [sys.executable, "-c", _SHARED, server.url, str(GREENLETS), str(CALLS), str(POOL)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return int(told)
