"""Instructions per call, counted by callgrind: a figure without noise, unlike time.

Run `python -m bench instructions`. It needs valgrind (Debian's package of that name) and takes about a minute. A call takes the
direct path without its system calls: bytes in, `Reader`, `Application.respond`, `Writer`, bytes out. The count is the difference
of two runs of different length, so that starting Python cancels out.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.pairs import Plan, Section
from bench.servers import ROOT, Unavailable

CALLS = {
    "GET /ping": b"GET /ping HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n\r\n",
    "POST add": b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n{"add":[1,2]}',
    "POST typed": b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{"typed":[1,2]}',
    "JSON-RPC add": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 54\r\n\r\n"
    b'{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}',
}
RUNS = (500, 2500)

SCRIPT = """
import sys
from gjrpc import Application, Registry
from gjrpc.limits import Limits
from gjrpc.http.reader import Memory, Reader
from gjrpc.http.writer import Writer

registry = Registry()
registry.register(lambda: "pong", "ping")
registry.register(lambda a, b=10: a + b, "add")

@registry.method
def typed(a: int, b: int) -> int:
    return a + b

application, reader, writer = Application(registry), Reader(Limits(), Memory()), Writer()
data = eval(sys.argv[2])
for _ in range(int(sys.argv[1])):
    request = reader.receive(data)
    answer = writer.write(application.respond(request), keep_alive=True, head=request.head)
assert b" 200 OK" in answer, answer
"""


def count(data: bytes, calls: int) -> int:
    """Count the instructions of a process that makes this number of calls."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={Path(folder) / 'out'}"]
        command += [sys.executable, "-X", "frozen_modules=on", "-c", SCRIPT, str(calls), repr(data)]
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
        ).stderr
    found = re.search(r"Collected : (\d+)", said)
    if found is None:
        raise SystemExit(f"callgrind printed no count:\n{said}")
    return int(found[1])


def measure() -> dict[str, int]:
    """Count the instructions per call, by kind of call."""
    fewer, more = RUNS
    count(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n", 1)  # compiles all modules, so that the counted runs need not
    return {name: (count(data, more) - count(data, fewer)) // (more - fewer) for name, data in CALLS.items()}


def run(plan: Plan) -> Section:
    """Count for each kind of call."""
    if shutil.which("valgrind") is None:
        raise Unavailable("valgrind is not installed")
    plan.say("  counting, for about a minute")
    data = measure()
    section = Section("Instructions per call", ["call", "instructions"], data=data)
    section.rows = [[name, f"{instructions:,}"] for name, instructions in data.items()]
    return section
