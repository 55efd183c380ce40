"""Starts few TLS handshakes in each turn of the event loop, so that a flood leaves room for the calls of connected clients.

Owns whose turn it is, and how many handshakes are in progress. The first step costs the server a signature, up to milliseconds,
and the client nothing. Of the waiting clients the newest goes first and the oldest are dropped: if more come than can be served,
a client is greeted at once or soon told to try again, instead of all being greeted too late. It knows no TLS.
"""

import itertools
import time
from typing import Any, Protocol

AT_A_TURN = 2
"""Handshakes that begin in one turn of the loop."""

MOST = 500
"""Handshakes in progress at the same time; each takes some 60 KiB. One more ends the oldest."""

PATIENCE = 2.0
"""Seconds that a client waits for its turn; while a call holds the loop no time passes."""

_LONGEST_TURN = 0.1  # seconds that count for one turn of the loop


class Client(Protocol):
    """A client whose first bytes have come."""

    def greet(self) -> None:
        """Begin its handshake."""
        ...

    def evict(self) -> None:
        """End it."""
        ...


class Handshakes:
    """The clients that wait for their handshake, and those in the middle of it.

    Args:
        loop: the event loop.
        most: handshakes that may be in progress.

    Attributes:
        begun: how many handshakes have begun so far.
    """

    def __init__(self, loop: Any, most: int = MOST) -> None:
        self.begun = 0
        self._loop = loop
        self._most = most
        self._time = self._last = 0.0
        self._waiting: dict[Client, float] = {}
        self._at_work: dict[Client, None] = {}
        self._watchers: tuple[Any, ...] = ()

    def add(self, client: Client) -> None:
        """Queue a client, whose handshake begins when its turn comes."""
        self._waiting[client] = self._time
        if not self._watchers:
            self._last = time.monotonic()
            # It runs once after each poll, and the poll does not wait while there is an idle watcher.
            self._watchers = self._loop.check(ref=False), self._loop.idle(ref=False)
            self._watchers[0].start(self._turn)
            self._watchers[1].start(_nothing)

    def discard(self, client: Client) -> None:
        """Forget a client whose handshake is done or who is gone."""
        self._waiting.pop(client, None)
        self._at_work.pop(client, None)

    def _turn(self) -> None:
        now = time.monotonic()
        self._time, self._last = self._time + min(now - self._last, _LONGEST_TURN), now
        since = self._time - PATIENCE
        self._end(list(itertools.takewhile(lambda client: self._waiting[client] < since, self._waiting)))
        for _ in range(min(AT_A_TURN, len(self._waiting))):
            if len(self._at_work) >= self._most:
                self._end([next(iter(self._at_work))])
            client, _ = self._waiting.popitem()
            self._at_work[client] = None
            self.begun += 1
            client.greet()
        if not self._waiting:
            for watcher in self._watchers:
                watcher.stop()
                watcher.close()
            self._watchers = ()

    def _end(self, clients: list[Client]) -> None:
        for client in clients:
            self.discard(client)
            client.evict()


def _nothing() -> None:
    """A watcher that runs when the loop is idle."""
