"""How long a call takes on a kept connection: gjrpc beside plain `gevent.pywsgi`, the same application on both.

Run `python -m bench.keepalive [CALLS]`. Two servers are started on loopback, and one connection to each is asked in turn, so that
both see the same machine. pywsgi sends head and body in two writes with Nagle's algorithm on, which waits for the delayed
acknowledgement of the client: 40 ms.
"""

import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

SERVER = """
from gevent import monkey; monkey.patch_all()
import sys
from gevent.pywsgi import WSGIServer
from gjrpc import Application, Registry, Server
registry = Registry()
registry.register(lambda: "pong", "ping")
server = {"gjrpc": Server, "pywsgi": WSGIServer}[sys.argv[1]](("127.0.0.1", 0), Application(registry), **eval(sys.argv[2]))
server.start()
print(server.address[1], flush=True)
server.serve_forever()
"""
SERVERS = {"gjrpc": "{}", "pywsgi": "{'log': None}"}


def start(name: str) -> tuple["subprocess.Popen[str]", http.client.HTTPConnection]:
    """Start a server and open a connection to it."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, name, SERVERS[name]], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101  for mypy: it is a pipe
    port = int(process.stdout.readline())
    return process, http.client.HTTPConnection("127.0.0.1", port, timeout=10)


def call(connection: http.client.HTTPConnection) -> float:
    """Call `ping` and give the milliseconds that it took."""
    begin = time.perf_counter()
    connection.request("GET", "/ping")
    answer = connection.getresponse().read()
    took = (time.perf_counter() - begin) * 1000
    if answer != b'{"ping":"pong"}':
        raise SystemExit(f"unexpected answer {answer!r}")
    return took


def main(calls: int = 200, show: Callable[[str], None] = print) -> dict[str, float]:
    """Measure, show and return the median of each server in milliseconds."""
    started = {name: start(name) for name in SERVERS}
    times: dict[str, list[float]] = {name: [] for name in SERVERS}
    try:
        for _ in range(calls):
            for name, (_, connection) in started.items():
                times[name].append(call(connection))
    finally:
        for process, connection in started.values():
            connection.close()
            process.terminate()
            process.communicate(timeout=10)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        show(f"{name:8} {median:8.3f} ms a call (median of {calls})")
    show(f"gjrpc takes 1/{medians['pywsgi'] / medians['gjrpc']:.0f} of pywsgi's time")
    return medians


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
