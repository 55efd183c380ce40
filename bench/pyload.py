"""A loader in Python, used if wrk is missing: `python pyload.py PORT CONNECTIONS SECONDS DEPTH FILE`, with the requests in FILE.

It is slower than the fastest servers, so it shows rates below what they can do; the results name it.
"""

import json
import selectors
import socket
import sys
import time
from pathlib import Path


def main(port: int, connections: int, seconds: float, depth: int, data: bytes) -> dict[str, object]:
    """Keep all connections busy for this time, and return the fields of `bench.load.Measured`."""
    selector, sent, times, errors = selectors.DefaultSelector(), {}, [], 0
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, [depth])
    begin = time.perf_counter()
    for key in list(selector.get_map().values()):
        sent[key.fd] = time.perf_counter()
        key.fileobj.sendall(data)  # type: ignore[union-attr]  # a socket
    while time.perf_counter() - begin < seconds:
        for key, _ in selector.select(1):
            got = key.fileobj.recv(262144)  # type: ignore[union-attr]  # a socket
            if not got:
                raise SystemExit("the server closed a connection")
            good = got.count(b"HTTP/1.1 200")
            errors += got.count(b"HTTP/1.1 ") - good
            key.data[0] -= got.count(b"HTTP/1.1 ")
            times += [time.perf_counter() - sent[key.fd]] * good
            if key.data[0] <= 0:
                key.data[0] = depth
                sent[key.fd] = time.perf_counter()
                key.fileobj.sendall(data)  # type: ignore[union-attr]  # a socket
    took = time.perf_counter() - begin
    times.sort()
    latency = {percent: times[int(len(times) * int(percent) / 100)] * 1000 for percent in ("50", "90", "99")} if times else {}
    return {"rate": len(times) / took, "latency": latency, "errors": errors, "loader": "bench/pyload.py (no wrk)"}


if __name__ == "__main__":
    print(
        json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]).read_bytes()))
    )
