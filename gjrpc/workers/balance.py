"""How several workers share the connections of one listening socket.

The kernel wakes all of them, and the first to run accepts whatever waits: of 64 connections, one of two workers got up to all. So
each worker publishes on a board in shared memory how many connections it has, and one that has more than another pauses briefly
before it accepts. This module owns the board and that rule; it knows no processes. (A socket for each worker, SO_REUSEPORT, would
share connections too, but those in the queue of a worker that ends would be lost.)
"""

import mmap
import time
from typing import Any

from gjrpc.server.server import Server

_SLOTS = 256
_FRESH = 2.0  # seconds after which a worker that does not sign any more no longer counts: it hangs, or has ended
_LOOK = 0.05  # seconds between two searches for the other workers
_PAUSE = 0.002  # seconds for the others to accept
_AFTER = 4  # connections accepted after a pause in any case: the others had their chance


class Board:
    """How many connections each worker has, in shared memory; make it before the workers are forked."""

    def __init__(self) -> None:
        # Each slot has the time at which a worker signed (monotonic, in seconds) and its number of connections.
        self._cells = memoryview(mmap.mmap(-1, _SLOTS * 16)).cast("d")
        self._mine = 0
        self._others: list[int] = []
        self._known_until = 0.0

    def sign(self, number: int, count: int) -> None:
        """Publish that a worker is alive, and its connections; call it again well within two seconds.

        Args:
            number: the worker's number.
            count: its connections.
        """
        now = time.monotonic()
        self._mine = 2 * (number % _SLOTS)
        self._cells[self._mine] = now
        self.count(count)

    def count(self, count: int) -> None:
        """Publish how many connections this worker has now."""
        self._cells[self._mine + 1] = count

    def leave(self) -> None:
        """Publish that this worker accepts no more connections."""
        self._cells[self._mine] = 0

    def ahead(self, count: int) -> bool:
        """Whether another worker has clearly fewer connections than this one."""
        now = time.monotonic()
        if now > self._known_until:
            self._known_until = now + _LOOK
            self._others = [at for at in range(0, 2 * _SLOTS, 2) if at != self._mine and self._cells[at] > now - _FRESH]
        if not self._others:
            return False
        least = min((self._cells[at + 1] for at in self._others if self._cells[at]), default=count)
        return count > least + 2 + least / 8


class SharingServer(Server):
    """A server that leaves connections to workers that have fewer.

    Args:
        board: shared by the workers.
        the rest: as for `Server`.
    """

    max_accept = 1

    def __init__(self, *arguments: Any, board: Board, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._board = board
        self._free = 0
        self._pause: Any = None
        self.connections.changed = board.count

    @property
    def count(self) -> int:
        """The number of connections, including those whose TLS handshake is under way."""
        return len(self.connections)

    def full(self) -> bool:
        """Whether to pause; gevent calls this before it accepts, and stops accepting if it is true."""
        if self._free > 0:
            self._free -= 1
            return False
        if not self._board.ahead(self.count):
            return False
        self._pause = self.loop.timer(_PAUSE)
        self._pause.start(self._go_on)
        return True

    def _go_on(self) -> None:
        self._pause.close()
        self._free = _AFTER
        self._start_accepting_if_started()
