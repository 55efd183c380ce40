"""Runs side by side: each subject has its turn in each round, and is compared within the round.

A machine's speed drifts by two within minutes, so only what ran in the same round is divided; shown is the median of the
ratios.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What the command line asks for.

    Attributes:
        rounds, seconds: how often each subject has its turn, and for how long.
        peers, scenarios: names of what to compare, in `bench.peers` and `bench.load`.
        quick: whether to see only that it works.
        install: whether peers that are missing may be installed.
        say: shows progress.
    """

    rounds: int = 5
    seconds: float = 2
    peers: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    quick: bool = False
    install: bool = True
    say: Callable[[str], None] = print


@dataclass
class Section:
    """What one part of the bench has found.

    Attributes:
        title: its heading.
        columns, rows: its table.
        notes: sentences below it.
        skipped: what could not be measured, and why.
        plots: pictures, as `bench.plots` draws them.
        data: everything that was measured, for the JSON.
    """

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    plots: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def interleave(subjects: Mapping[str, Callable[[], T]], plan: Plan) -> dict[str, list[T]]:
    """Give each subject its turn, round by round; the order turns around each time, so that none is always first."""
    found: dict[str, list[T]] = {name: [] for name in subjects}
    for number in range(plan.rounds):
        for name in list(subjects)[:: -1 if number % 2 else 1]:
            plan.say(f"  round {number + 1} of {plan.rounds}: {name}")
            found[name].append(subjects[name]())
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median and the extremes."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, float]:
    """The ratios of pairs."""
    return spread([top / bottom if bottom else float("inf") for top, bottom in zip(numerators, denominators, strict=True)])


def shown(ratios: Mapping[str, float]) -> str:
    """A ratio with its spread, for a table."""
    return f"{ratios['median']:.2f} ({ratios['low']:.2f} to {ratios['high']:.2f})"
