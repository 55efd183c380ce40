"""Load for a running gjrpc server, by locust: the GET and the POST path, and the project's own client.

Serve something with `add` and `ping`, and run, for twenty seconds and without the web page:

    locust -f bench/locustfile.py --headless -u 64 -r 64 -t 20s -H http://127.0.0.1:9999

`FastCalls` uses locust's fast HTTP user; `ClientCalls` uses `gjrpc.Client`, and is what a Python caller would see. Name one of
them behind the command to run it alone. locust itself is the slower side here: to find a limit, use wrk (`bench/README.md`
has the command). For more load, start `locust … --master` and on each further core `locust … --worker`.
"""

import time
from typing import Any

from locust import FastHttpUser, User, task

from gjrpc import Client, ClientError


class FastCalls(FastHttpUser):
    """Calls by bare HTTP, three POSTs to each GET; an answer that is not the right one is a failure."""

    @task
    def get(self) -> None:
        """Call `ping` by GET."""
        self._expect("GET", "/ping", None, b'{"ping":"pong"}')

    @task(3)
    def post(self) -> None:
        """Call `add` by POST."""
        self._expect("POST", "/", b'{"add":[1,2]}', b'{"add":3}')

    def _expect(self, verb: str, path: str, body: bytes | None, answer: bytes) -> None:
        with self.client.request(verb, path, data=body, catch_response=True, name=f"{verb} {path}") as response:
            if response.content != answer:
                response.failure(f"expected {answer!r}, got {response.status_code} {response.content!r:.100}")


class ClientCalls(User):
    """Calls by the project's own client, one connection for each user."""

    def on_start(self) -> None:
        """Make the client."""
        self.server = Client(self.host, pool=1, timeout=10)

    def on_stop(self) -> None:
        """Close it."""
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
