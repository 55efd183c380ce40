"""Checks all connections four times a second: one timer for all, and none on the path of a call.

Owns when timeouts are enforced, and the log's lines about overload. It does not know how a connection ends.
"""

import logging
from typing import NamedTuple

import gevent

from gjrpc.server.accepting import Acceptor
from gjrpc.server.connections import Open
from gjrpc.server.shared import Shared

log = logging.getLogger("gjrpc.server")

_TICK = 0.25  # seconds between two checks
_AT_A_TIME = 32  # connections that are ended before others get their turn


class _Counts(NamedTuple):
    """What the server refused so far because of overload."""

    evicted: int = 0
    pauses: int = 0
    refused: int = 0
    given_up: int = 0
    dropped: int = 0


class Sweep:
    """The greenlet that enforces timeouts and reports overload.

    Args:
        shared: what the connections share.
        acceptor: accepts the connections.
    """

    def __init__(self, shared: Shared, acceptor: Acceptor) -> None:
        self._shared = shared
        self._acceptor = acceptor
        self._reported = _Counts()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begin to check."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Check no more."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        shared = self._shared
        while True:
            gevent.sleep(_TICK)
            shared.tick()
            shared.unsent.look(shared.now)
            # A connection's time may be a tick behind, and no client may be cut off early.
            before = shared.now - _TICK
            self._expire(shared.connections.overdue(before), before)
            self._report()

    def _expire(self, overdue: list[Open], now: float) -> None:
        """End connections that have timed out, few at a time, so that slow clients do not delay the others."""
        for number, connection in enumerate(overdue, 1):
            if connection.expires < now:  # it may have gone on meanwhile
                log.info("%s: timed out: %r", connection.client_host, connection)
                connection.expire()
            if number % _AT_A_TIME == 0:
                gevent.sleep(0.001)

    def _report(self) -> None:
        """Log what was refused since the last time, in one line for each limit."""
        shared, counts = self._shared, self._counts()
        new = _Counts(*(now - before for now, before in zip(counts, self._reported, strict=True)))
        self._reported = counts
        if new.evicted or new.pauses:
            log.warning(
                "connection limit (%d) reached: idle or unfinished connections closed: %d, pauses in accepting: %d",
                shared.connections.most, new.evicted, new.pauses,
            )  # fmt: skip
        if new.refused or new.given_up:
            log.warning("%s: calls refused: %d, slow clients disconnected: %d", shared.overload.reason, new.refused, new.given_up)
        if new.dropped:
            most = shared.bodies.most
            log.warning("limit for request bodies (%d bytes) reached: unfinished bodies dropped: %d", most, new.dropped)

    def _counts(self) -> _Counts:
        shared = self._shared
        return _Counts(
            shared.connections.evicted,
            self._acceptor.pauses,
            shared.overload.refused,
            shared.unsent.given_up,
            shared.bodies.dropped,
        )
