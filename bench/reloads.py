"""Checks that reloads lose no call: clients call over kept TLS connections while the workers are reloaded repeatedly.

Run `python -m bench.reloads [--seconds 20] [--reloads 5] [--clients 64]`. Each client sends one call after another on a kept
connection, and opens a new one only after an answer with `Connection: close`. A call fails if its answer is not 200, or if the
connection ends before the answer, for whatever reason; clients do not retry. Halfway, the certificate is replaced, and the time
from SIGHUP until a new handshake shows the new one is measured. The exit code is 1 if a call failed.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path

import trustme

APP = """
from gjrpc import Registry
registry = Registry()
registry.register(lambda: "pong", "ping")
"""
CALL = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Load:
    """The clients, and the calls and failures that they counted."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        self.port = port
        self.trust = trust
        self.calls = self.connections = 0
        self.failures: list[str] = []
        self.ending = False

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        self.connections += 1
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust, server_hostname="localhost")

    async def client(self) -> None:
        """Call until the measurement ends."""
        while not self.ending:
            try:
                reader, writer = await self.connect()
                while not self.ending and await self.call(reader, writer):
                    pass
                writer.close()
                with contextlib.suppress(OSError):  # the call was answered, so it does not matter how the connection ends
                    await writer.wait_closed()
            except (OSError, EOFError, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")

    async def call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Call once; return whether the connection stays open."""
        writer.write(CALL)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(len(b'{"ping":"pong"}'))
        if not head.startswith(b"HTTP/1.1 200 ") or body != b'{"ping":"pong"}':
            raise ValueError(f"{head!r} {body!r}")
        self.calls += 1
        return b"connection: close" not in head.lower()

    async def certificate(self) -> bytes:
        """Return the certificate that the server presents on a new connection."""
        _, writer = await self.connect()
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return shown


def write_certificate(ca: trustme.CA, path: Path) -> bytes:
    """Make a new certificate, replace the old one by it, and return it."""
    leaf = ca.issue_cert("localhost")
    fresh = path.with_suffix(".new")
    leaf.private_key_and_cert_chain_pem.write_to_path(fresh)
    fresh.rename(path)
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


async def reload(server: asyncio.subprocess.Process, load: Load, expected: bytes | None) -> float:
    """Reload, and return the seconds until a new handshake shows the expected certificate."""
    server.send_signal(signal.SIGHUP)
    begin = time.monotonic()
    while expected is not None and await load.certificate() != expected:
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def measure(folder: Path, seconds: float, reloads: int, clients: int) -> dict[str, object]:
    """Serve, load and reload, and return the figures."""
    (folder / "app.py").write_text(APP)
    ca = trustme.CA()
    write_certificate(ca, folder / "cert.pem")
    trust = ssl.create_default_context()
    ca.configure_trust(trust)
    options = ["--workers", "2", "--bind", "127.0.0.1:0", "--cert", "cert.pem"]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gjrpc.serve", "app:registry", *options, cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    try:
        load = Load(await port_of(server), trust)
        tasks = [asyncio.create_task(load.client()) for _ in range(clients)]
        shown = 0.0
        for number in range(reloads):
            await asyncio.sleep(seconds / (reloads + 1))
            new = write_certificate(ca, folder / "cert.pem") if number == reloads // 2 else None
            shown = max(shown, await reload(server, load, new))
        await asyncio.sleep(seconds / (reloads + 1))
        load.ending = True
        await asyncio.gather(*tasks)
    finally:
        server.terminate()
        await server.wait()
    return {
        "calls": load.calls,
        "connections": load.connections,
        "failed": len(load.failures),
        "failures": sorted(set(load.failures)),
        "new certificate after (s)": round(shown, 2),
    }


async def port_of(server: asyncio.subprocess.Process) -> int:
    """Return the port that the server prints."""
    assert server.stderr is not None  # noqa: S101  for mypy: it is a pipe
    while line := (await server.stderr.readline()).decode():
        if line.startswith("gjrpc "):
            return int(line.rpartition(":")[2])
    raise SystemExit("the server did not start")


def main() -> None:
    """Measure, print the figures as JSON, and exit with 1 if a call failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.reloads", description="Check that reloads under load lose no call.")
    parser.add_argument("--seconds", type=float, default=20, help="length of the measurement [default: 20]")
    parser.add_argument("--reloads", type=int, default=5, help="number of reloads in this time [default: 5]")
    parser.add_argument("--clients", type=int, default=64, help="number of clients that call [default: 64]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(measure(Path(folder), asked.seconds, asked.reloads, asked.clients))
    print(json.dumps(told, indent=1))
    sys.exit(bool(told["failed"]))


if __name__ == "__main__":
    main()
