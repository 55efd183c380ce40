"""An honest caller: `python -m bench.faults.honest HOST PORT SECONDS` calls `ping` and prints its latencies as a JSON object.

It makes about 250 calls a second on a kept connection, every tenth on a new one, with plain blocking sockets.
"""

import json
import socket
import sys
import time

CALL = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
GAP = 0.004


def call(sock: socket.socket) -> bool:
    """Make one call; return whether the answer was right."""
    sock.sendall(CALL)
    answer = b""
    while not answer.endswith(b'{"ping":"pong"}'):
        data = sock.recv(65536)
        if not data:
            return False
        answer += data
    return answer.startswith(b"HTTP/1.1 200 ")


def main(host: str, port: int, seconds: float) -> dict[str, float]:
    """Call for this many seconds, and return the figures."""
    times, failed, kept = [], 0, None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        try:
            if len(times) % 10 == 9 or kept is None:
                kept = socket.create_connection((host, port), timeout=10)
                kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            good = call(kept)
        except OSError:
            good = False
        if not good:
            failed += 1
            kept = None
        times.append((time.perf_counter() - begin) * 1000)
        time.sleep(GAP)
    times.sort()
    p50, p99 = (times[int(len(times) * part)] for part in (0.5, 0.99))
    return {"calls": len(times), "failed": failed, "p50": p50, "p99": p99, "worst": times[-1]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
