"""The comparison of gjrpc with other servers, each with the same methods, on one core.

Owns the table of peers: how each is started, and the packages it needs. `python -m bench peers` runs it.
"""

import importlib.util
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.load import SCENARIOS, Measured, Request, check, load, post
from bench.pairs import Plan, Section, interleave, ratio, spread
from bench.servers import Server, Unavailable, foreign, gjrpc, started

_BIND = "127.0.0.1:{port}"
_WSGI = "bench.foreign:application"
_UWSGI = [
    "--http",
    _BIND,
    "--http-keepalive=75",
    "--module",
    _WSGI,
    "--gevent",
    "1000",
    "--gevent-monkey-patch",
    "--need-app",
    "--die-on-term",
]
# uWSGI's own HTTP/1.1 socket breaks keep-alive connections, so its router runs in front of it, on the same core.


@dataclass(frozen=True)
class Peer:
    """A server to compare with.

    Attributes:
        command: starts it on `{port}`.
        packages: the packages that it needs, by the module whose presence shows that they are installed.
        jsonrpc: whether it speaks only JSON-RPC 2.0, and so answers neither GET nor the native POST.
    """

    command: list[str]
    packages: dict[str, str]
    jsonrpc: bool = False


def _module(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", name, *options]


GJRPC, QUICK = "gjrpc", ("gjrpc", "pywsgi", "gunicorn", "waitress")
PEERS: dict[str, Peer] = {
    GJRPC: Peer(gjrpc(), {}),
    "naive": Peer(foreign("naive"), {}),
    "bjoern": Peer(foreign("bjoern"), {"bjoern": "bjoern"}),
    "granian": Peer(
        _module("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1", "--no-ws", _WSGI),
        {"granian": "granian"},
    ),
    "uwsgi": Peer([str(Path(sys.executable).parent / "uwsgi"), "--disable-logging", *_UWSGI], {"pyuwsgi": "pyuwsgi"}),
    "waitress": Peer(foreign("waitress"), {"waitress": "waitress"}),
    "gunicorn": Peer(
        _module("gunicorn", "-k", "gevent", "-w", "1", "-b", _BIND, "--keep-alive", "75", "--log-level", "error", _WSGI),
        {"gunicorn": "gunicorn"},
    ),
    "fastapi": Peer(
        _module(
            "uvicorn",
            "--factory",
            "bench.foreign:fastapi_application",
            "--port",
            "{port}",
            "--no-access-log",
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--log-level",
            "error",
        ),
        {"fastapi": "fastapi", "uvicorn": "uvicorn", "uvloop": "uvloop", "httptools": "httptools"},
    ),
    "pjrpc": Peer(foreign("pjrpc"), {"pjrpc": "pjrpc", "werkzeug": "werkzeug", "bjoern": "bjoern"}, jsonrpc=True),
    "pywsgi": Peer(foreign("pywsgi"), {}),
}
"""naive sends a canned reply for each read; uwsgi and gunicorn run gevent, fastapi runs on uvicorn, pjrpc on bjoern."""

_JSONRPC = post({"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 1}, {"jsonrpc": "2.0", "id": 1, "result": 3})


def prepare(name: str, install: bool) -> None:
    """Install the packages that a peer lacks.

    Raises:
        Unavailable: a package is missing and can't or may not be installed.
    """
    peer = PEERS[name]
    missing = [package for module, package in peer.packages.items() if importlib.util.find_spec(module) is None]
    if not missing:
        return
    if not install:
        raise Unavailable(f"not installed: {', '.join(missing)}")
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", *missing], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"pip can't install {', '.join(missing)}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    importlib.invalidate_caches()


def requests_of(peer: Peer, scenarios: tuple[str, ...]) -> dict[str, Request]:
    """Return the requests for a peer by scenario; one that speaks only JSON-RPC 2.0 gets POSTs in that dialect."""
    if not peer.jsonrpc:
        return {name: SCENARIOS[name] for name in scenarios}
    asked = {"post": _JSONRPC, "post-ids": Request(**{**vars(_JSONRPC), "changing": True})}
    return {name: asked[name] for name in scenarios if name in asked}


def run(plan: Plan) -> Section:
    """Start all peers, load each of them in each round, and compare."""
    scenarios = plan.scenarios or (("get", "post") if plan.quick else tuple(SCENARIOS))
    names = dict.fromkeys([GJRPC, *(plan.peers or (QUICK if plan.quick else PEERS))])
    section = Section("gjrpc compared with other servers", ["requests a second", *scenarios])
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name in names:
            plan.say(f"starting {name}")
            try:
                prepare(name, plan.install)
                server = stack.enter_context(started(PEERS[name].command))
                for request in requests_of(PEERS[name], scenarios).values():
                    check(server, request, name)
                servers[name] = server
            except Unavailable as reason:
                if name == GJRPC:
                    raise
                plan.say(f"  skipped: {reason}")
                section.skipped[name] = str(reason)
        found = {scenario: _scenario(scenario, servers, plan) for scenario in scenarios}
    section.data = {"figures": found, "versions": {name: _versions(PEERS[name]) for name in servers}}
    for name in servers:
        section.rows.append([name, *(_cell(found[scenario].get(name), name) for scenario in scenarios)])
    if "pjrpc" in servers:
        section.notes.append("pjrpc speaks only JSON-RPC 2.0, so it was measured by POST in that dialect, and not by GET.")
    section.notes.append("In brackets: gjrpc's rate divided by this server's, as the median of the ratios within each round.")
    _plots(section, found, list(servers))
    return section


def _scenario(scenario: str, servers: dict[str, Server], plan: Plan) -> dict[str, Any]:
    """Load all servers with one kind of request."""
    plan.say(f"{scenario}:")
    asked = {name: requests_of(PEERS[name], (scenario,)).get(scenario) for name in servers}
    runs: dict[str, list[Measured]] = interleave(
        {name: partial(load, servers[name], one, seconds=plan.seconds) for name, one in asked.items() if one}, plan
    )
    base = [one.rate for one in runs[GJRPC]]
    return {
        name: {
            "rate": spread([one.rate for one in found]),
            "gjrpc_is": ratio(base, [one.rate for one in found]),
            "latency_ms": {percent: spread([one.latency[percent] for one in found])["median"] for percent in found[0].latency},
            "errors": sum(one.errors for one in found),
            "loader": found[0].loader,
        }
        for name, found in runs.items()
    }


def _cell(figure: dict[str, Any] | None, name: str) -> str:
    if figure is None:
        return "-"
    compared = "" if name == GJRPC else f" ({figure['gjrpc_is']['median']:.2f}×)"
    failed = f", {figure['errors']} errors" if figure["errors"] else ""
    return f"{figure['rate']['median']:,.0f}{compared}{failed}"


def _versions(peer: Peer) -> dict[str, str]:
    found = {}
    for package in [*peer.packages.values(), "gevent"]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def _plots(section: Section, found: dict[str, Any], names: list[str]) -> None:
    rates = {
        scenario: [found[scenario].get(name, {"rate": {"median": 0}})["rate"]["median"] for name in names] for scenario in found
    }
    section.plots.append(
        {"kind": "bars", "file": "peers", "title": "Requests a second, one process on one core", "labels": names, "series": rates}
    )
    first = next(iter(found))
    percents = {
        f"{p} %": [found[first].get(n, {"latency_ms": {}})["latency_ms"].get(p, 0) for n in names] for p in ("50", "90", "99")
    }
    title = f"Latency in ms at 64 connections, {first}"
    section.plots.append({"kind": "bars", "file": "latency", "title": title, "labels": names, "series": percents, "log": True})
