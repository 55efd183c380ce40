"""Draws the plots of the sections as PNG files. Owns how they look; it knows no server."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot  # imported after the backend is chosen

_FIRST, _OTHERS = "#c0392b", ("#2c3e50", "#2980b9", "#27ae60", "#e67e22", "#8e44ad")


def draw(plot: dict[str, Any], folder: Path) -> Path:
    """Draw a plot that a section describes, and return the path of its file in this folder."""
    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    {"bars": _bars, "curves": _curves}[plot["kind"]](axes, plot)
    axes.set_title(plot["title"], loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if len(plot["series"]) > 1:
        axes.legend(frameon=False)
    path = folder / f"{plot['file']}.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _bars(axes: Any, plot: dict[str, Any]) -> None:
    """Draw groups of horizontal bars, the first label at the top."""
    labels, series = plot["labels"], plot["series"]
    height = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        places = [place + number * height for place in range(len(labels))]
        axes.barh(places, values, height * 0.92, label=name, color=(_FIRST, *_OTHERS)[number % 6])
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(labels))], labels)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    if plot.get("log"):
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_formatter("{x:,.0f}")


def _curves(axes: Any, plot: dict[str, Any]) -> None:
    """Draw lines over a logarithmic axis, with a point for each measurement."""
    for number, (name, points) in enumerate(plot["series"].items()):
        axes.plot(*zip(*points, strict=True), marker="o", label=name, color=(_FIRST, *_OTHERS)[number % 6])
    if plot.get("log", True):
        axes.set_xscale("log")
    if plot.get("log_y"):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:,.0f}" if axes.get_ylim()[1] > 10 else "{x:g}")
    axes.set_xlabel(plot["x"])
    axes.set_ylabel(plot["y"])
    axes.grid(alpha=0.3)
