"""Loads a running gjrpc server with locust: GET and POST, also mixed with a slow method, and calls by gjrpc's own client.

Serve the bench's methods, `python -m gjrpc.serve bench.app:registry`, or any others with `ping`, `add` and, for `MixedCalls`, a
`slow` that answers "slow". Then run, for twenty seconds and without locust's web page:

    locust -f bench/locustfile.py --headless -u 64 -r 64 -t 20s -H http://127.0.0.1:9999

To run one class only, name it at the end of the command: `FastCalls` and `MixedCalls` use locust's fast HTTP user, `ClientCalls`
uses `gjrpc.Client`. Over TLS (`-H https://…`), the environment variable `BENCH_CA=ca.pem` names the authority to trust, and
`BENCH_INSECURE=1` turns verification off. `bench/README.md` describes how to load from several processes.
"""

import os
import ssl
import time
from typing import Any

from locust import FastHttpUser, User, task

from gjrpc import Client, ClientError

CA = os.environ.get("BENCH_CA")
INSECURE = os.environ.get("BENCH_INSECURE") == "1"


def _context() -> ssl.SSLContext:
    """Return a TLS context with the trusted authorities."""
    context = ssl.create_default_context(cafile=CA)
    if INSECURE:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class _Fast(FastHttpUser):
    """The fast HTTP user; counts a wrong answer as a failure."""

    abstract = True
    insecure = INSECURE  # locust's default is to verify nothing
    ssl_context_factory = staticmethod(_context)

    def expect(self, verb: str, path: str, body: bytes | None, answer: bytes) -> None:
        """Send a request and check its answer."""
        with self.client.request(verb, path, data=body, catch_response=True, name=f"{verb} {path}") as response:
            if response.content != answer:
                response.failure(f"expected {answer!r}, got {response.status_code} {response.content!r:.100} {response.error}")


class FastCalls(_Fast):
    """Three POSTs for each GET."""

    @task
    def get(self) -> None:
        """Call `ping` by GET."""
        self.expect("GET", "/ping", None, b'{"ping":"pong"}')

    @task(3)
    def post(self) -> None:
        """Call `add` by POST."""
        self.expect("POST", "/", b'{"add":[1,2]}', b'{"add":3}')


class MixedCalls(FastCalls):
    """The same with a slow method: one call in five takes a tenth of a second."""

    @task
    def slow(self) -> None:
        """Call `slow` by GET; other calls must not wait for it."""
        self.expect("GET", "/slow", None, b'{"slow":"slow"}')


class ClientCalls(User):
    """Calls by `gjrpc.Client`, one connection for each user."""

    def on_start(self) -> None:
        """Create the client."""
        self.server = Client(self.host, pool=1, timeout=10, verify=False if INSECURE else CA or True)

    def on_stop(self) -> None:
        """Close the client."""
        self.server.close()

    @task
    def add(self) -> None:
        """Call `add`."""
        event: dict[str, Any] = {"request_type": "CLIENT", "name": "add", "response_length": 0, "exception": None}
        start = time.perf_counter()
        try:
            if (total := self.server.add(1, 2)) != 3:
                raise ValueError(f"expected 3, got {total!r}")
        except (ClientError, ValueError) as error:
            event["exception"] = error
        self.environment.events.request.fire(**event, response_time=(time.perf_counter() - start) * 1000)
