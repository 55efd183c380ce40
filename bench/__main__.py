"""`python -m bench [SECTION…]`: measure, and write Markdown, JSON and pictures. All sections by default.

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
    "peers": "gjrpc beside other servers: rates and latencies",
    "connections": "1,000 and 10,000 connections, memory for each, fairness, new connections",
    "tls": "TLS beside plain, and whether sessions are resumed",
    "curves": "cost as methods, bodies, connections, arguments and pipelining grow",
    "extras": "access log, observer, annotations",
    "workers": "two workers beside one",
    "client": "gjrpc.Client beside a bare requests.Session",
    "instructions": "instructions of a call, by callgrind: without noise",
    "dialects": "native, JSON-RPC 2.0, and batches of 100",
    "dispatch": "a message in the process, beside pjrpc and jsonrpcserver",
    "keepalive": "one call on a kept connection, beside gevent.pywsgi",
}
"""What there is to run, in this order; each is the module of its name, with a function `run`."""
QUICK = ("peers", "tls", "extras")


@click.command(help=__doc__, epilog="SECTIONS: " + "; ".join(f"{name}: {text}" for name, text in SECTIONS.items()) + ".")
@click.argument("sections", nargs=-1, type=click.Choice(list(SECTIONS)), metavar="[SECTION]...")
@click.option("--quick", is_flag=True, help="Only see that it works: tiny rounds, few peers, nothing installed.")
@click.option("--rounds", type=click.IntRange(min=1), help="Turns of each subject. [default: 5]")
@click.option("--seconds", type=click.FloatRange(min=1), help="Length of a turn; wrk takes whole seconds. [default: 2]")
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)), help="Compare with this one; repeatable.")
@click.option("--scenario", "scenarios", multiple=True, type=click.Choice(list(SCENARIOS)), help="Kind of request; repeatable.")
@click.option("--install/--no-install", default=None, help="Install missing peers by pip into this environment. [default: yes]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write. [default: bench/results, or build/bench with --quick]"
)
@click.option("--readme", is_flag=True, help="Put the comparison into the README.")
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
    """Run a section; one that can't be run here is told as skipped, with its reason."""
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
