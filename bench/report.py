"""Writes what the sections found: results.json, results.md, PNGs, and the README's part.

Owns the files and their form. A section that is run alone replaces itself in the JSON and leaves the others as they are.
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
"""What stands around the README's table."""


def environment() -> dict[str, Any]:
    """When and on what something was measured."""
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
    """The commit of this tree; an sdist is unpacked without one, also where there is no git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _optimized() -> bool:
    """Whether this Python was built with what it learnt from a profile, which makes it a good deal faster."""
    return "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def write(folder: Path, name: str, section: Section, plan: dict[str, Any]) -> None:
    """Put a section's results into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {"sections": {}}
    results["sections"][name] = {"environment": environment(), "plan": plan, **asdict(section)}
    for plot in section.plots:
        plots.draw(plot, folder)
    kept.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")


def markdown(results: dict[str, Any]) -> str:
    """All results as Markdown."""
    return "# Measured\n\n" + "\n".join(part(name, found) for name, found in results["sections"].items())


def part(name: str, found: dict[str, Any]) -> str:
    """One section as Markdown."""
    on, plan = found["environment"], found["plan"]
    where = f"{on['date'][:10]}, commit {on['commit']}, Python {on['python']}, {on['cores']} cores"
    how = f"{plan['rounds']} rounds of {plan['seconds']:g} s{', quick' if plan['quick'] else ''}"
    pictures = [f"![{plot['title']}]({plot['file']}.png)" for plot in found["plots"]]
    lines = [f"## {found['title']}", "", f"`python -m bench {name}`: {where}; {how}.", "", *table(found)]
    lines += ["", *found["notes"], *(f"Skipped: {what}: {why}." for what, why in found["skipped"].items()), "", *pictures]
    return "\n".join(lines).rstrip() + "\n"


def table(found: dict[str, Any]) -> list[str]:
    """The table of a section, in lines of Markdown."""
    rows = [found["columns"], ["---"] * len(found["columns"]), *found["rows"]]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def readme_part(results: dict[str, Any]) -> str:
    """What stands in the README: the comparison."""
    found = results["sections"]["peers"]
    on = found["environment"]
    skipped = "".join(f" Skipped: {what}: {why}." for what, why in found["skipped"].items())
    told = f"{on['date'][:10]}, Python {on['python']}, commit {on['commit']}. {' '.join(found['notes'])}{skipped}"
    return "\n".join([*table(found), "", told]) + "\n"


def publish(folder: Path, readme: Path) -> None:
    """Put the comparison between the README's marks."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    begin, end = MARKS
    text = readme.read_text(encoding="utf-8")
    body = f"{begin}\n{readme_part(results)}{end}"
    readme.write_text(re.sub(f"{begin}.*?{end}", lambda _: body, text, flags=re.DOTALL), encoding="utf-8")
