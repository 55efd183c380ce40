"""Compares subjects that run in turn, once in each round.

A machine's speed can change by a factor of two within minutes, so ratios are taken only within a round; the result is their
median.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """The options of the command line.

    Attributes:
        rounds, seconds: how often each subject runs, and for how long.
        peers, scenarios: names of what to compare, in `bench.peers` and `bench.load`.
        quick: whether to check only that everything works.
        install: whether missing peers may be installed.
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
    """The results of one section.

    Attributes:
        title: its heading.
        columns, rows: its table.
        notes: sentences below it.
        skipped: what could not be measured, and why.
        plots: descriptions of plots for `bench.plots`.
        data: all measurements, for the JSON file.
    """

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    plots: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def interleave(subjects: Mapping[str, Callable[[], T]], plan: Plan) -> dict[str, list[T]]:
    """Run each subject once in each round; the order is reversed after each round, so that none is always first."""
    found: dict[str, list[T]] = {name: [] for name in subjects}
    for number in range(plan.rounds):
        for name in list(subjects)[:: -1 if number % 2 else 1]:
            plan.say(f"  round {number + 1} of {plan.rounds}: {name}")
            found[name].append(subjects[name]())
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the extremes."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, float]:
    """The ratios of pairs."""
    return spread([top / bottom if bottom else float("inf") for top, bottom in zip(numerators, denominators, strict=True)])


def shown(ratios: Mapping[str, float]) -> str:
    """A ratio with its spread, for a table."""
    return f"{ratios['median']:.2f} ({ratios['low']:.2f} to {ratios['high']:.2f})"
