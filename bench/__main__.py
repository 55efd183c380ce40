"""Measure the sections (default: all), and write the results as Markdown, JSON and plots: `python -m bench [SECTION…]`.

Owns the command line and the table of sections.
"""

import importlib
import time
from dataclasses import asdict
from pathlib import Path

import click

from bench import report
from bench.load import SCENARIOS
from bench.pairs import Plan, Section
from bench.peers import PEERS
from bench.servers import ROOT, Unavailable, raise_descriptor_limit

SECTIONS = {
    "peers": "gjrpc compared with other servers: rates and latencies",
    "connections": "1,000 and 10,000 connections: rate, memory, fairness, new connections",
    "tls": "the rate over TLS relative to plain HTTP, and whether sessions are resumed",
    "curves": "the cost of a call as methods, bodies, connections, arguments and pipelining grow",
    "extras": "what the access log, an observer and annotations cost",
    "workers": "two workers compared with one",
    "client": "gjrpc.Client compared with a bare requests.Session",
    "instructions": "instructions per call, counted by callgrind: a figure without noise",
    "dialects": "native calls, JSON-RPC 2.0, and batches of 100",
    "dispatch": "dispatching a message without HTTP, compared with pjrpc and jsonrpcserver",
    "keepalive": "one call on a keep-alive connection, compared with gevent.pywsgi",
}
"""The sections in the order in which they run; each is the module of that name, with a function `run`."""
QUICK = ("peers", "tls", "extras")


@click.command(
    help=(__doc__ or "").partition("\n\n")[0],
    epilog="SECTIONS: " + "; ".join(f"{name}: {text}" for name, text in SECTIONS.items()) + ".",
)
@click.argument("sections", nargs=-1, type=click.Choice(list(SECTIONS)), metavar="[SECTION]...")
@click.option("--quick", is_flag=True, help="Only check that everything works: short rounds, few peers, nothing installed.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; in each, every subject runs once. [default: 5]")
@click.option("--seconds", type=click.FloatRange(min=1), help="Length of a run; wrk takes whole seconds. [default: 2]")
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)), help="Peer to compare with; repeatable.")
@click.option("--scenario", "scenarios", multiple=True, type=click.Choice(list(SCENARIOS)), help="Kind of request; repeatable.")
@click.option("--install/--no-install", default=None, help="Install missing peers with pip in this environment. [default: yes]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the results. [default: bench/results, or build/bench with --quick]"
)
@click.option("--readme", is_flag=True, help="Put the comparison with other servers into the README.")
def main(
    sections: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    seconds: float | None,
    peers: tuple[str, ...],
    scenarios: tuple[str, ...],
    install: bool | None,
    out: Path | None,
    readme: bool,
) -> None:
    """Measure the sections one after the other."""
    begin = time.monotonic()
    plan = Plan(
        rounds=rounds or (1 if quick else 5),
        seconds=seconds or (1 if quick else 2),
        peers=peers,
        scenarios=scenarios,
        quick=quick,
        install=not quick if install is None else install,
        say=lambda text: click.echo(f"{time.monotonic() - begin:7.1f} s  {text}"),
    )
    folder = out or (ROOT / "build" / "bench" if quick else ROOT / "bench" / "results")
    raise_descriptor_limit()
    for name in sections or (QUICK if quick else tuple(SECTIONS)):
        plan.say(f"== {name}: {SECTIONS[name]}")
        told = {key: value for key, value in asdict(plan).items() if key != "say"}
        report.write(folder, name, _measure(name, plan), told)
    if readme:
        report.publish(folder, ROOT / "README.md")
    plan.say(f"done: {folder / 'results.md'}")


def _measure(name: str, plan: Plan) -> Section:
    """Run a section; if it can't run here, return it as skipped, with the reason."""
    try:
        section: Section = importlib.import_module(f"bench.{name}").run(plan)
    except (Unavailable, ModuleNotFoundError) as reason:
        section = Section(SECTIONS[name], [name], skipped={name: str(reason)})
    for what, why in section.skipped.items():
        plan.say(f"skipped: {what}: {why}")
    for row in section.rows:
        plan.say("  ".join(row))
    return section


if __name__ == "__main__":
    main(prog_name="python -m bench")
