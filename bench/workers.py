"""Two workers compared with one while the load shares their cores, and how connections are distributed."""

import collections
import http.client
import json
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

from bench.load import SCENARIOS, Request, load
from bench.pairs import Plan, Section, interleave, ratio, shown, spread
from bench.servers import Server, Unavailable, gjrpc, started

CONNECTIONS = 64
_CALLS = {
    "small calls": SCENARIOS["post"],
    "calls that compute for 0.1 ms": Request("GET", "/compute", answer={"compute": 332833500}),
}


def run(plan: Plan) -> Section:
    """Measure the rates with one and two workers, and the distribution of connections."""
    told = subprocess.run([sys.executable, "-m", "gjrpc.serve", "--help"], capture_output=True, text=True, check=True).stdout
    if "--workers" not in told:
        raise Unavailable("this gjrpc.serve has no option --workers")
    section = Section("Workers", ["what", "measured", "target"])
    with ExitStack() as stack:
        servers = {number: stack.enter_context(started(gjrpc("--workers", number), core=None)) for number in ("1", "2")}
        for what, request in _CALLS.items():
            loads = {
                number: partial(load, server, request, seconds=plan.seconds, core=None) for number, server in servers.items()
            }
            rates = {number: [one.rate for one in found] for number, found in interleave(loads, plan).items()}
            section.data[what] = {number: spread(found) for number, found in rates.items()}
            section.rows.append([f"two workers relative to one, {what}", shown(ratio(rates["2"], rates["1"])), "≥ 1.3"])
        shares = [largest_share(servers["2"]) for _ in range(plan.rounds)]
    section.data["largest_share"] = spread(shares)
    section.rows.append([f"largest share of {CONNECTIONS} connections on one worker", f"{max(shares):.0%}", "≤ 65 %"])
    section.notes.append(
        "The load runs on the same cores. For a small call, wrk uses about as much CPU time as the server, so two cores leave "
        "little for a second worker."
    )
    return section


def largest_share(server: Server) -> float:
    """Return the share of new connections that the busier worker accepts."""
    with ExitStack() as stack:
        asked = []
        for _ in range(CONNECTIONS):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            stack.callback(connection.close)
            connection.request("GET", "/worker")
            asked.append(connection)
        found = collections.Counter(json.load(connection.getresponse())["worker"] for connection in asked)
    return max(found.values()) / CONNECTIONS
