"""Calls a second over HTTP in each dialect: native, JSON-RPC 2.0, and in JSON-RPC 2.0 batches of 100.

Run `python -m bench.dialects [ROUNDS [SECONDS]]`; it needs `wrk` (Debian has it as a package). One server on loopback, on one
core where there are several, is loaded over 64 kept connections with each kind of message in turn, round by round; shown are the
medians.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BATCH = 100
CALL = {"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 1}
MESSAGES = {"native": {"add": [1, 2]}, "JSON-RPC 2.0": CALL, f"batch of {BATCH}": [CALL] * BATCH}
CALLS = {"native": 1, "JSON-RPC 2.0": 1, f"batch of {BATCH}": BATCH}

SERVER = """
from gevent import monkey; monkey.patch_all()
from gjrpc import Application, Registry, Server
registry = Registry()
registry.register(lambda a, b: a + b, "add")
server = Server(("127.0.0.1", 0), Application(registry))
server.start()
print(server.address[1], flush=True)
server.serve_forever()
"""


@contextmanager
def started(core: int | None) -> Iterator[str]:
    """Start the server, and give its URL."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101  for mypy: it is a pipe
        port = int(process.stdout.readline())
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def load(url: str, script: Path, core: int | None, seconds: float) -> float:
    """Load the server with one kind of message, and give the answers a second."""
    pin = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pin, "wrk", "-t1", "-c64", f"-d{seconds:g}", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"the server did not answer as it should:\n{said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None:
        raise SystemExit(f"wrk says nothing of a rate:\n{said}")
    return float(found[1])


def main(rounds: int = 7, seconds: int = 2, show: Callable[[str], None] = print) -> dict[str, float]:
    """Measure, show and return the median calls a second of each kind of message."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, load_core = cores[:2] if len(cores) > 1 else (None, None)
    rates: dict[str, list[float]] = {name: [] for name in MESSAGES}
    with tempfile.TemporaryDirectory() as folder, started(server_core) as url:
        for name, message in MESSAGES.items():
            text = f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{json.dumps(message)}'\n"
            (Path(folder) / f"{name}.lua").write_text(text)
        for _ in range(rounds):
            for name in MESSAGES:
                rates[name].append(CALLS[name] * load(url, Path(folder) / f"{name}.lua", load_core, seconds))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, median in medians.items():
        show(f"{name:14} {median:10,.0f} calls a second (median of {rounds})")
    native, single, batch = medians.values()
    show(f"JSON-RPC 2.0 beside native: {single / native:.2f}; in a batch beside single: {batch / single:.1f}")
    return medians


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
