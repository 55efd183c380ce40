"""Loads a server over HTTP: runs wrk and parses its output, or runs a loader in Python if wrk is missing.

Owns the kinds of request. It does not know which server is loaded, and how often.
"""

import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.servers import LOAD_CORE, Server, Unavailable, pinned

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "DNT": "1",
    "Connection": "keep-alive",
    "Cookie": "session=0123456789abcdef0123456789abcdef",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
}
"""The headers of a browser; twelve with Host."""


@dataclass(frozen=True)
class Request:
    """A kind of request.

    Attributes:
        verb, path, body: of the request.
        headers: besides Host and Content-Length.
        changing: whether each request has a request id of its own in its head.
        depth: how many requests are sent before the client waits for an answer.
        answer: the expected body, decoded from JSON.
    """

    verb: str
    path: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    changing: bool = False
    depth: int = 1
    answer: Any = None

    def head(self, port: int) -> str:
        """Return the head without its final blank line, so that a line can be added."""
        lines = [f"{self.verb} {self.path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join(lines) + "\r\n"


def post(message: Any, answer: Any = None, **options: Any) -> Request:
    """Return a POST of a message as JSON."""
    return Request("POST", "/", json.dumps(message, separators=(",", ":")), answer=answer, **options)


_GET: dict[str, Any] = {"verb": "GET", "path": "/ping", "answer": {"ping": "pong"}}
_POST: dict[str, Any] = {"message": {"add": [1, 2]}, "answer": {"add": 3}}
SCENARIOS = {
    "get": Request(**_GET),
    "post": post(**_POST),
    "get-ids": Request(**_GET, changing=True),
    "post-ids": post(**_POST, changing=True),
    "browser": Request(**_GET, headers=BROWSER),
}
"""GET, POST, both with a request id that changes on each request, and GET with twelve headers as browsers send them."""


@dataclass(frozen=True)
class Measured:
    """The result of one run: answers a second, latencies in milliseconds by percentile, and the number of failed requests."""

    rate: float
    latency: dict[str, float]
    errors: int
    loader: str


def script(request: Request, port: int) -> str:
    """Return the request as a Lua script for wrk; only changing or pipelined requests need a function."""
    head, end = json.dumps(request.head(port)), json.dumps("\r\n" + request.body)
    if request.changing:
        return (
            f"local head, rest, n = {head} .. 'X-Request-Id: ', '\\r\\n' .. {end}, 0\n"
            "request = function() n = n + 1; return head .. string.format('%016x', n) .. rest end\n"
        )
    if request.depth > 1:
        return f"local whole = string.rep({head} .. {end}, {request.depth})\nrequest = function() return whole end\n"
    headers = {**request.headers, **({"Content-Type": "application/json"} if request.body else {})}
    body = json.dumps(request.body) if request.body else "nil"
    lines = [f"wrk.method, wrk.path, wrk.body = '{request.verb}', '{request.path}', {body}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    return "\n".join(lines) + "\n"


def check(server: Server, request: Request, name: str) -> None:
    """Check that a server answers correctly.

    Raises:
        Unavailable: it does not answer, or not correctly.
    """
    context = ssl._create_unverified_context() if server.tls else None  # noqa: S323  a throw-away certificate on loopback
    asked = urllib.request.Request(  # noqa: S310  our own server
        server.url + request.path, request.body.encode() or None, {"Content-Type": "application/json"}, method=request.verb
    )
    try:
        with urllib.request.urlopen(asked, timeout=10, context=context) as answer:  # noqa: S310  as above
            told = json.load(answer)
    except (OSError, ValueError) as error:
        raise Unavailable(f"{name}: no answer to {request.verb}: {error}") from error
    if told != request.answer:
        raise Unavailable(f"{name}: the wrong answer to {request.verb}: {told!r:.200}")


def load(
    server: Server, request: Request, *, seconds: float = 2, connections: int = 64, core: int | None = LOAD_CORE
) -> Measured:
    """Load a server with one kind of request and return the result."""
    wrk = shutil.which("wrk")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "request"
        if wrk:
            path.write_text(script(request, server.port), encoding="utf-8")
            command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "--latency"]
            said = _run(pinned(core, [*command, "-s", str(path), server.url]), seconds)
            return read(said)
        if server.tls:
            raise Unavailable("wrk is not installed, and the Python loader has no TLS")
        path.write_text((request.head(server.port) + "\r\n" + request.body) * request.depth, encoding="utf-8", newline="")
        command = [sys.executable, str(Path(__file__).parent / "pyload.py"), str(server.port), str(connections), str(seconds)]
        said = _run(pinned(core, [*command, str(request.depth), str(path)]), seconds)
        return Measured(**json.loads(said))


def _run(command: list[str], seconds: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise Unavailable(f"the loader failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def read(said: str) -> Measured:
    """Parse the output of wrk."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise Unavailable(f"wrk printed no rate: {said.strip()[-300:]}")
    latency = {
        percent: float(value) * _UNITS[unit]
        for percent, value, unit in re.findall(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s|m)\s*$", said, re.MULTILINE)
    }
    told = re.findall(r"Socket errors:.*|Non-2xx.*", said)
    errors = [int(number) for line in told for number in re.findall(r" (\d+)(?:,|$)", line)]
    return Measured(float(rate[1]), latency, sum(errors), "wrk")
