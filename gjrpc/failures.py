"""Wrong credentials, counted by address.

Owns when an address has failed too often, and how many lines the log gets of it. Memory is bounded, whatever the number of
addresses. It knows neither credentials nor requests. Threads may share it: what a race loses is one count.
"""

import ipaddress
import logging
import time
from collections.abc import Callable

log = logging.getLogger("gjrpc.failures")

WINDOW = 60
"""Seconds after which failures begin to be forgotten; after twice as many they are."""

_ENTRIES = 10_000
_LINES = 20  # of the log in one window
_BLOCKED = "; too many, so it is answered with 429 for a while"


class Failures:
    """Counts failures in two generations: what neither has is forgotten.

    A generation ends after `WINDOW` seconds, or when it is full: then many addresses push out only what is older.

    Args:
        limit: failures of one address from which on it is blocked.
        clock: seconds, from any begin.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._old: dict[str, int] = {}
        self._young: dict[str, int] = {}
        self._until = clock() + WINDOW
        self._lines = self._unsaid = 0
        self._quiet_until = self._until

    def blocked(self, address: str) -> bool:
        """Whether this address has failed too often lately."""
        self._age()
        if not self._young and not self._old:
            return False
        key = network(address)
        return self._young.get(key, 0) + self._old.get(key, 0) >= self._limit

    def note(self, address: str, what: str) -> None:
        """Count a failure; the log says it where that can't be used to flood it."""
        self._age()
        key = network(address)
        if len(self._young) >= _ENTRIES and key not in self._young:
            self._turn()
        self._young[key] = self._young.get(key, 0) + 1
        self._say(f"{address}: {what}{_BLOCKED if self.blocked(address) else ''}")

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

    def _age(self) -> None:
        now = self._clock()
        if now >= self._until:
            if now >= self._until + WINDOW:
                self._young = {}
            self._turn()
            self._until = now + WINDOW

    def _turn(self) -> None:
        self._old, self._young = self._young, {}


def network(address: str) -> str:
    """What one client has of addresses: an IPv4 address, or the 64 bits of an IPv6 network (RFC 6177, section 2)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]  # a unix socket, or whatever a server in front calls it
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found), 64), strict=False))
