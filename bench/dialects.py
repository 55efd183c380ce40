"""Calls a second over HTTP: native, in JSON-RPC 2.0, and in JSON-RPC 2.0 batches of 100."""

from functools import partial

from bench.load import check, load, post
from bench.pairs import Plan, Section, interleave, ratio, shown, spread
from bench.servers import gjrpc, started

BATCH = 100
_CALL = {"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 1}
_ANSWER = {"jsonrpc": "2.0", "id": 1, "result": 3}
NATIVE, SINGLE, BATCHED = "native", "JSON-RPC 2.0", f"batches of {BATCH}"
_REQUESTS = {
    NATIVE: (post({"add": [1, 2]}, {"add": 3}), 1),
    SINGLE: (post(_CALL, _ANSWER), 1),
    BATCHED: (post([_CALL] * BATCH, [_ANSWER] * BATCH), BATCH),
}


def run(plan: Plan) -> Section:
    """Load one server with each kind of message."""
    section = Section("Dialects", ["dialect", "calls a second", "relative to native"])
    with started(gjrpc()) as server:
        for name, (request, _) in _REQUESTS.items():
            check(server, request, name)
        loads = {name: partial(load, server, request, seconds=plan.seconds) for name, (request, _) in _REQUESTS.items()}
        runs = interleave(loads, plan)
    rates = {name: [one.rate * _REQUESTS[name][1] for one in found] for name, found in runs.items()}
    section.data = {name: spread(found) for name, found in rates.items()}
    for name, found in rates.items():
        section.rows.append([name, f"{section.data[name]['median']:,.0f}", shown(ratio(found, rates[NATIVE]))])
    return section
