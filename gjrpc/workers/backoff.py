"""When the next worker may start, after others have crashed.

Owns that delay. It knows no processes and no clock: it is given the time.
"""

_STEADY = 3.0  # seconds after which the end of a worker starts a new row: only quick crashes would make a hot loop
_LONGEST = 30.0  # seconds between the starts of workers that crash


class Backoff:
    """Delays the start of workers after others have crashed: the more in a row, the longer.

    Args:
        free: crashes in a row without a delay, so that workers that were killed are replaced at once.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._row = 0
        self._until = 0.0

    def ended(self, lived: float, now: float) -> None:
        """Note that a worker has ended by itself.

        Args:
            lived: seconds for which it ran.
            now: the time, in seconds.
        """
        self._row = self._row + 1 if lived < _STEADY else 1
        over = self._row - self._free
        self._until = now + min(_LONGEST, 0.5 * 2 ** min(over - 1, 16)) if over > 0 else now

    def left(self, now: float) -> float:
        """Seconds until the next worker may start."""
        return max(0.0, self._until - now)
