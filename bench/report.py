"""Writes the results: results.json, results.md, plots, and the table in the README.

Owns these files and their format. A section that is run alone replaces only its own results.
"""

import datetime
import json
import os
import platform
import re
import subprocess
import sysconfig
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import plots
from bench.pairs import Section
from bench.servers import ROOT

MARKS = ("<!-- measured -->", "<!-- /measured -->")
"""The marks around the README's table."""


def environment() -> dict[str, Any]:
    """Return when and on what the measurement ran."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version() + ("" if _optimized() else " (built without profile-guided optimization)"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in ("gjrpc", "gevent", "msgspec")},
    }


def _commit() -> str:
    """Return the commit of this tree, or "unknown" in an unpacked sdist or without git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _optimized() -> bool:
    """Return whether this Python was built with profile-guided optimization, which makes it much faster."""
    return "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def write(folder: Path, name: str, section: Section, plan: dict[str, Any]) -> None:
    """Write a section's results to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {"sections": {}}
    results["sections"][name] = {"environment": environment(), "plan": plan, **asdict(section)}
    for plot in section.plots:
        plots.draw(plot, folder)
    kept.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")


def markdown(results: dict[str, Any]) -> str:
    """Return all results as Markdown."""
    return "# Measured\n\n" + "\n".join(part(name, found) for name, found in results["sections"].items())


def part(name: str, found: dict[str, Any]) -> str:
    """Return one section as Markdown."""
    on, plan = found["environment"], found["plan"]
    where = f"{on['date'][:10]}, commit {on['commit']}, Python {on['python']}, {on['cores']} cores"
    how = f"{plan['rounds']} rounds of {plan['seconds']:g} s{', quick' if plan['quick'] else ''}"
    pictures = [f"![{plot['title']}]({plot['file']}.png)" for plot in found["plots"]]
    lines = [f"## {found['title']}", "", f"`python -m bench {name}`: {where}; {how}.", "", *table(found)]
    lines += ["", *found["notes"], *(f"Skipped: {what}: {why}." for what, why in found["skipped"].items()), "", *pictures]
    return "\n".join(lines).rstrip() + "\n"


def table(found: dict[str, Any]) -> list[str]:
    """Return the table of a section as lines of Markdown."""
    rows = [found["columns"], ["---"] * len(found["columns"]), *found["rows"]]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def readme_part(results: dict[str, Any]) -> str:
    """Return the README's part: the comparison with other servers."""
    found = results["sections"]["peers"]
    on = found["environment"]
    skipped = "".join(f" Skipped: {what}: {why}." for what, why in found["skipped"].items())
    told = f"{on['date'][:10]}, Python {on['python']}, commit {on['commit']}. {' '.join(found['notes'])}{skipped}"
    return "\n".join([*table(found), "", told]) + "\n"


def publish(folder: Path, readme: Path) -> None:
    """Write the comparison between the README's marks."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    begin, end = MARKS
    text = readme.read_text(encoding="utf-8")
    body = f"{begin}\n{readme_part(results)}{end}"
    readme.write_text(re.sub(f"{begin}.*?{end}", lambda _: body, text, flags=re.DOTALL), encoding="utf-8")
