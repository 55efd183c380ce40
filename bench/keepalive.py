"""How long one call takes on a kept connection: gjrpc compared with plain `gevent.pywsgi`.

Calls alternate between one connection to each. pywsgi sends head and body in two writes; with Nagle's algorithm on, the second
one waits for the client's delayed acknowledgement: 40 ms.
"""

import http.client
import statistics
import time
from contextlib import ExitStack

from bench.pairs import Plan, Section
from bench.servers import foreign, gjrpc, started

SERVERS = {"gjrpc": gjrpc(), "pywsgi": foreign("pywsgi")}


def call(connection: http.client.HTTPConnection) -> float:
    """Call `ping` and return the milliseconds that it took."""
    begin = time.perf_counter()
    connection.request("GET", "/ping")
    answer = connection.getresponse().read()
    took = (time.perf_counter() - begin) * 1000
    if answer != b'{"ping":"pong"}':
        raise SystemExit(f"unexpected answer {answer!r}")
    return took


def run(plan: Plan) -> Section:
    """Call both in turn, and compare the medians."""
    calls = 20 * plan.rounds
    times: dict[str, list[float]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        connections = {}
        for name, command in SERVERS.items():
            server = stack.enter_context(started(command))
            connections[name] = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            stack.callback(connections[name].close)
        for _ in range(calls):
            for name, connection in connections.items():
                times[name].append(call(connection))
    medians = {name: statistics.median(found) for name, found in times.items()}
    section = Section("One call on a kept connection", ["server", f"ms, median of {calls}"], data=medians)
    section.rows = [[name, f"{median:.2f}"] for name, median in medians.items()]
    return section
