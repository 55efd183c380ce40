"""How busy the CPUs are.

Owns the samples of the kernel's CPU times, and which two of them make a rate. It knows no methods.
"""

import time
from collections import deque
from typing import Any, NamedTuple

import psutil

from gjrpc.host.unpatched import unpatched

_SAMPLE_SECONDS = 0.2  # 20 ticks of the kernel's 100 Hz clock: rates in steps of 5 %
_FRESH_SECONDS = 1.0
_STALE_SECONDS = 10.0


class Sample(NamedTuple):
    """The CPU times at one moment.

    Attributes:
        at: the moment, on the monotonic clock.
        times: psutil's CPU times: of the whole machine, then of each CPU.
        percent: the busy share since the sample before, in the same order; None where the times do not advance.
    """

    at: float
    times: list[Any]
    percent: list[float | None]


_samples: deque[Sample] = deque(maxlen=1)


def sample() -> Sample:
    """Return how busy the CPUs were since the previous sample, 0.2 to 10 s earlier; the result is at most 1 s old.

    The kernel counts all the time, so no thread of our own has to, and none could survive a fork: two readings of its counters
    make a rate. This waits for a second reading only if there is no previous one, or if it is too old to mean "now".
    """
    before, now = (_samples[-1] if _samples else None), _read_times()
    if before is not None and now.at - before.at < _FRESH_SECONDS:
        return before
    if before is None or now.at - before.at > _STALE_SECONDS:
        unpatched("time", "sleep")(_SAMPLE_SECONDS)
        before, now = now, _read_times()
    taken = now._replace(percent=[_busy(*pair) for pair in zip(before.times, now.times, strict=False)])
    _samples.append(taken)
    return taken


def _read_times() -> Sample:
    return Sample(time.monotonic(), [psutil.cpu_times(), *psutil.cpu_times(percpu=True)], [])


def _busy(before: Any, now: Any) -> float | None:
    """Return the share of time that was not idle, in percent. Linux already counts its guests' time as user and nice time."""
    spent = {name: max(0.0, getattr(now, name) - getattr(before, name)) for name in now._fields}
    total = sum(spent.values()) - spent.get("guest", 0) - spent.get("guest_nice", 0)
    idle = spent["idle"] + spent.get("iowait", 0)
    return round(min(100.0, max(0.0, 100 * (1 - idle / total))), 1) if total > 0 else None
