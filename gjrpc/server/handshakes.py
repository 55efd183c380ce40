"""Starts only a few TLS handshakes in each turn of the event loop, so that a flood leaves room for the calls of other clients.

Owns whose turn it is, and how many handshakes are in progress. The first step costs the server a signature, up to milliseconds,
and the client nothing. The newest of the waiting clients goes first, and the oldest are dropped: if more clients come than can
be served, each is either served at once or soon disconnected and free to try again, instead of all being served too late. It
knows no TLS.
"""

import itertools
import time
from typing import Any, Protocol

AT_A_TURN = 2
"""Handshakes that start in one turn of the loop."""

MOST = 500
"""Handshakes in progress at the same time; each takes some 60 KiB. One more ends the oldest."""

PATIENCE = 2.0
"""Seconds that a client waits for its turn; time in which a call blocks the loop does not count."""

_LONGEST_TURN = 0.1  # seconds that count for one turn of the loop


class Client(Protocol):
    """A client whose first bytes have arrived."""

    def greet(self) -> None:
        """Start its handshake."""
        ...

    def evict(self) -> None:
        """Disconnect it."""
        ...


class Handshakes:
    """The clients that wait for their handshake, and those in the middle of it.

    Args:
        loop: the event loop.
        most: handshakes that may be in progress.

    Attributes:
        begun: how many handshakes have started so far.
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
        """Queue a client; its handshake starts when its turn comes."""
        self._waiting[client] = self._time
        if not self._watchers:
            self._last = time.monotonic()
            # It runs once after each poll, and the poll does not wait while there is an idle watcher.
            self._watchers = self._loop.check(ref=False), self._loop.idle(ref=False)
            self._watchers[0].start(self._turn)
            self._watchers[1].start(_nothing)

    def discard(self, client: Client) -> None:
        """Forget a client whose handshake is done, or which is gone."""
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
    """Do nothing when the loop is idle."""
