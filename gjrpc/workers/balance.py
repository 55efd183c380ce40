"""How several workers share the connections that come to one listening socket.

The kernel wakes all of them, and the first one there takes what it finds: of 64 connections one of two workers took up to all. So
each worker writes on a board in shared memory how many it has, and one that has more than another steps back for a moment before
it accepts. It owns the board and that rule; it knows no processes. (A socket for each worker, SO_REUSEPORT, would share them too,
but those waiting in the queue of a worker that ends are lost.)
"""

import mmap
import time
from typing import Any

from gjrpc.server.server import Server

_SLOTS = 256
_FRESH = 2.0  # seconds after which a worker that signs no more is not counted with: it hangs, or is gone
_LOOK = 0.05  # seconds between two looks at who the others are
_PAUSE = 0.002  # seconds for the others to accept
_AFTER = 4  # connections accepted after a pause, whoever has how many: the others had their chance


class Board:
    """How many connections each worker has; to be made before the workers are forked."""

    def __init__(self) -> None:
        # For each slot a time of signing (monotonic, in seconds) and a number of connections.
        self._cells = memoryview(mmap.mmap(-1, _SLOTS * 16)).cast("d")
        self._mine = 0
        self._others: list[int] = []
        self._known_until = 0.0

    def sign(self, number: int, count: int) -> None:
        """Say that the worker with this number lives and has so many connections; to be repeated well within two seconds."""
        now = time.monotonic()
        self._mine = 2 * (number % _SLOTS)
        self._cells[self._mine] = now
        self.count(count)

    def count(self, count: int) -> None:
        """Say how many connections this worker has now."""
        self._cells[self._mine + 1] = count

    def leave(self) -> None:
        """Say that this worker accepts no more."""
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
    """A server that leaves connections to other workers where they have fewer.

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
        """The connections, with those that shake hands."""
        return len(self.connections)

    def full(self) -> bool:
        """Whether to step back; gevent asks before it accepts, and then stops to."""
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
