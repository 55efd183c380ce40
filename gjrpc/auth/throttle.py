"""Wrong credentials, counted by address.

Owns when an address has failed too often, and how many lines the log gets about it. The counts are in memory shared with all
processes forked after this module was imported, so workers count together, and a new one continues where another ended. Memory
is bounded, whatever the number of addresses. It knows neither credentials nor requests. Processes and threads share the counts
without a lock, as one that died holding the lock would stop all others; a race loses one count at most.
"""

import itertools
import logging
import mmap
import os
import time
from collections.abc import Callable
from hashlib import blake2b
from ipaddress import IPv6Network

from gjrpc.http.hosts import parse_ip

log = logging.getLogger("gjrpc.auth")

WINDOW = 60
"""Seconds after which failures begin to be forgotten; after twice as many they are."""

_LINES = 20  # of the log in one window
_BLOCKED = "; too many, so it is answered with 429 for a while"

# A hash table of 2,048 buckets with 8 entries each, and 2 cells for an entry: the hash of guard and address, and the counts. The
# hash has a secret, so that nobody can choose addresses of one bucket.
_BUCKETS, _ENTRIES = 2048, 8
_CELLS = memoryview(mmap.mmap(-1, _BUCKETS * _ENTRIES * 16)).cast("Q")
_SECRET = os.urandom(32)
_BITS = 20
_MOST = (1 << _BITS) - 1
_GENERATIONS = 1 << 24

# A guard's number is the same in each worker, since all load the same code.
_numbers = itertools.count()


class Failures:
    """Counts failures in two generations of `WINDOW` seconds; older failures are forgotten.

    If a bucket is full, its address with the fewest failures makes room.

    Args:
        limit: failures after which an address is blocked.
        clock: seconds since any moment that is the same for all processes.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = min(limit, _MOST)
        self._clock = clock
        self._salt = next(_numbers).to_bytes(8, "big")
        self._lines = self._unsaid = 0
        self._quiet_until = clock() + WINDOW

    def blocked(self, address: str) -> bool:
        """Whether this address has failed too often lately."""
        key, cells = self._place(address)
        generation = self._generation()
        return any(sum(_counts(_CELLS[at + 1], generation)) >= self._limit for at in cells if _CELLS[at] == key)

    def note(self, address: str, what: str) -> None:
        """Count a failure; the log says it where that can't be used to flood it."""
        key, cells = self._place(address)
        generation = self._generation()
        at = next((at for at in cells if _CELLS[at] == key), None)
        if at is None:
            at = min(cells, key=lambda at: sum(_counts(_CELLS[at + 1], generation)))
            _CELLS[at + 1] = 0
            _CELLS[at] = key
        young, old = _counts(_CELLS[at + 1], generation)
        _CELLS[at + 1] = _packed(generation, min(young + 1, _MOST), old)
        self._say(f"{address}: {what}{_BLOCKED if young + 1 + old >= self._limit else ''}")

    def _place(self, address: str) -> tuple[int, range]:
        """The key of an address, and the cells in which it can be."""
        name = network(address).encode("utf-8", "surrogatepass")
        digest = blake2b(name, digest_size=16, key=_SECRET, salt=self._salt).digest()
        bucket = int.from_bytes(digest[:8], "big") % _BUCKETS * _ENTRIES * 2
        return int.from_bytes(digest[8:], "big") or 1, range(bucket, bucket + _ENTRIES * 2, 2)

    def _generation(self) -> int:
        return int(self._clock() // WINDOW) % _GENERATIONS

    def _say(self, text: str) -> None:
        now = self._clock()
        if now >= self._quiet_until:
            if self._unsaid:
                log.warning("%d more wrong credentials were not logged", self._unsaid)
            self._lines = self._unsaid = 0
            self._quiet_until = now + WINDOW
        if self._lines < _LINES:
            self._lines += 1
            log.warning("%s", text)
        else:
            self._unsaid += 1


def _packed(generation: int, young: int, old: int) -> int:
    """The counts of an address in one cell, which is written at once: those of a generation, and of the one before."""
    return (generation << _BITS | young) << _BITS | old


def _counts(cell: int, generation: int) -> tuple[int, int]:
    """What a cell says of this generation, and of the one before."""
    written, young, old = cell >> 2 * _BITS, cell >> _BITS & _MOST, cell & _MOST
    if written == generation:
        return young, old
    return 0, young if written == (generation - 1) % _GENERATIONS else 0


def network(address: str) -> str:
    """What one client has of addresses: an IPv4 address, or the 64 bits of an IPv6 network (RFC 6177, section 2)."""
    found = parse_ip(address)
    if found is None:
        return address[:64]  # a Unix socket, or whatever a server in front calls it
    return str(found) if found.version == 4 else str(IPv6Network((int(found), 64), strict=False))
