"""Login throttling: counts failed logins by address, and blocks an address that fails too often.

Owns the counts, and how many lines the log gets about them. It knows neither credentials nor requests. The counts are in memory
that all processes share that were forked after this module was imported: workers count together, and a new worker continues
where another ended. That memory is bounded, however many addresses there are. Processes and threads use it without a lock,
because a process that died while it held the lock would stop all others; a race loses one count at most.
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
"""Seconds that a failure counts at least; it counts twice as long at most."""

_LINES = 20  # in the log, for each window
_BLOCKED = f"; too many failed logins: this address now gets 429 for {WINDOW} to {2 * WINDOW} s"

# A hash table of 2,048 buckets with 8 entries each. An entry has 2 cells: the hash of guard and address, and the counts. The
# hash has a secret key, so that an attacker can't choose addresses that share a bucket.
_BUCKETS, _ENTRIES = 2048, 8
_CELLS = memoryview(mmap.mmap(-1, _BUCKETS * _ENTRIES * 16)).cast("Q")
_SECRET = os.urandom(32)
_BITS = 20
_MOST = (1 << _BITS) - 1
_GENERATIONS = 1 << 24

# A guard has the same number in each worker, because all workers load the same code.
_numbers = itertools.count()


class LoginThrottle:
    """Counts failed logins in two generations of `WINDOW` seconds, and forgets older ones.

    If a bucket is full, the address with the fewest failures makes room for a new one.

    Args:
        limit: failures before an address is blocked.
        clock: seconds since a fixed moment, which must be the same in all processes.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = min(limit, _MOST)
        self._clock = clock
        self._salt = next(_numbers).to_bytes(8, "big")
        self._lines = self._unlogged = 0
        self._quiet_until = clock() + WINDOW

    def blocked(self, address: str) -> bool:
        """Return whether this address has failed too often lately."""
        key, cells = self._place(address)
        generation = self._generation()
        return any(sum(_counts(_CELLS[at + 1], generation)) >= self._limit for at in cells if _CELLS[at] == key)

    def note(self, address: str, reason: str) -> None:
        """Count a failure, and log it unless there are too many lines already."""
        key, cells = self._place(address)
        generation = self._generation()
        at = next((at for at in cells if _CELLS[at] == key), None)
        if at is None:
            at = min(cells, key=lambda at: sum(_counts(_CELLS[at + 1], generation)))
            _CELLS[at + 1] = 0
            _CELLS[at] = key
        young, old = _counts(_CELLS[at + 1], generation)
        _CELLS[at + 1] = _packed(generation, min(young + 1, _MOST), old)
        self._log(f"{address}: {reason}{_BLOCKED if young + 1 + old >= self._limit else ''}")

    def _place(self, address: str) -> tuple[int, range]:
        """Return the key of an address, and the cells where its entry may be."""
        name = network(address).encode("utf-8", "surrogatepass")
        digest = blake2b(name, digest_size=16, key=_SECRET, salt=self._salt).digest()
        bucket = int.from_bytes(digest[:8], "big") % _BUCKETS * _ENTRIES * 2
        return int.from_bytes(digest[8:], "big") or 1, range(bucket, bucket + _ENTRIES * 2, 2)

    def _generation(self) -> int:
        return int(self._clock() // WINDOW) % _GENERATIONS

    def _log(self, text: str) -> None:
        now = self._clock()
        if now >= self._quiet_until:
            if self._unlogged:
                log.warning("%d more failed logins were not logged", self._unlogged)
            self._lines = self._unlogged = 0
            self._quiet_until = now + WINDOW
        if self._lines < _LINES:
            self._lines += 1
            log.warning("%s", text)
        else:
            self._unlogged += 1


def _packed(generation: int, young: int, old: int) -> int:
    """Return the counts of a generation and of the one before it as one cell, which can be written at once."""
    return (generation << _BITS | young) << _BITS | old


def _counts(cell: int, generation: int) -> tuple[int, int]:
    """Return the counts in a cell of this generation and of the one before it."""
    written, young, old = cell >> 2 * _BITS, cell >> _BITS & _MOST, cell & _MOST
    if written == generation:
        return young, old
    return 0, young if written == (generation - 1) % _GENERATIONS else 0


def network(address: str) -> str:
    """Return the network that one client may have to itself: an IPv4 address, or an IPv6 /64 (RFC 6177, section 2)."""
    found = parse_ip(address)
    if found is None:
        return address[:64]  # a Unix socket, or whatever name a server in front passes on
    return str(found) if found.version == 4 else str(IPv6Network((int(found), 64), strict=False))
