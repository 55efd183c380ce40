"""The bench runs: its quick form ends and writes its files, and locust finds no failure. No test asserts a time."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT, untraced

from bench import load, pairs, report
from bench.__main__ import SECTIONS
from bench.servers import Server

SAID = """Running 1s test @ http://127.0.0.1:1/ping
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  200.00us   5.00ms   90.00%
    Req/Sec    50.00k     1.00k   51.00k    80.00%
  Latency Distribution
     50%  950.00us
     75%    1.10ms
     90%    1.50ms
     99%    1.20s
  50000 requests in 1.00s, 7.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  49876.54
Transfer/sec:      7.00MB
"""


def run(*words):
    """Run the bench and return its output."""
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False, env=untraced())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_quick(tmp_path):
    """The quick form ends, names skipped peers, and writes valid JSON, Markdown and PNGs."""
    said = run("peers", "tls", "--quick", "--peer", "pywsgi", "--peer", "bjoern", "--scenario", "get", "--out", str(tmp_path))
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results["sections"]) == ["peers", "tls"]
    peers = results["sections"]["peers"]
    measured, skipped = peers["data"]["figures"]["get"], peers["skipped"]
    assert {"gjrpc", "pywsgi"} <= set(measured)
    assert set(measured) | set(skipped) == {"gjrpc", "pywsgi", "bjoern"}
    assert all(f"skipped: {name}: {reason}" in said for name, reason in skipped.items())
    assert not measured["gjrpc"]["errors"]
    assert measured["gjrpc"]["loader"]
    markdown = (tmp_path / "results.md").read_text()
    assert markdown == report.markdown(results)
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", markdown)
    assert pictures
    for picture in pictures:
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG\r\n")


def test_each_section_is_there():
    """Each section on the command line has a module with a function `run`, and bench/README.md names it."""
    readme = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    for name in SECTIONS:
        assert "def run(plan: Plan)" in (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")
        assert f"`{name}`" in readme


def test_readme():
    """The README's table is generated from the committed results."""
    results = json.loads((ROOT / "bench" / "results" / "results.json").read_text(encoding="utf-8"))
    begin, end = report.MARKS
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{begin}\n{report.readme_part(results)}{end}" in readme


def test_wrk_s_output_is_parsed():
    """Rate, latencies in any unit and all errors are parsed from wrk's output."""
    found = load.read(SAID)
    assert (found.rate, found.errors) == (49876.54, 15)
    assert found.latency == {"50": pytest.approx(0.95), "90": 1.5, "99": 1200.0}


@pytest.mark.needs("wrk")
def test_wrk(launch):
    """The output of a real wrk run is parsed and has no errors."""
    launched = launch("-m", "gjrpc.serve", "bench.app:registry", "--bind", "127.0.0.1:0", cwd=ROOT)
    port = int(launched.wait_url().rpartition(":")[2])
    found = load.load(Server(port, launched.process), load.SCENARIOS["get"], seconds=1, connections=2)
    assert (found.loader, found.errors) == ("wrk", 0)
    assert found.rate > 0


def test_ratios_are_of_pairs():
    """Ratios are taken within a round, and the result is their median."""
    assert pairs.ratio([10, 30, 1], [10, 10, 2]) == {"median": 1.0, "low": 0.5, "high": 3.0}


def test_scripts_for_wrk():
    """A request whose head changes is built by a Lua function; wrk builds any other itself."""
    assert "request = function" in load.script(load.SCENARIOS["post-ids"], 1)
    assert "request = function" not in load.script(load.SCENARIOS["post"], 1)
    assert len(load.BROWSER) == 11, "with Host twelve"


@pytest.mark.parametrize("tls", [False, True])
def test_locust(launch, certificate, tls):
    """A short load by locust, with each of its user classes, finds no failure, over plain HTTP and TLS."""
    options = ["--cert", certificate.cert, "--key", certificate.key] if tls else []
    server = launch("-m", "gjrpc.serve", "bench.app:registry", "--bind", "127.0.0.1:0", *options, cwd=ROOT, env=untraced())
    command = ["-m", "locust", "-f", str(ROOT / "bench" / "locustfile.py"), "--headless"]
    command += ["-u", "6", "-r", "6", "-H", server.wait_url()]
    locust = launch(*command, cwd=ROOT, env=untraced(BENCH_CA=certificate.ca))
    for row in (r"GET +GET /ping", r"POST +POST /", r"GET +GET /slow", r"CLIENT +add"):
        locust.wait_for(rf"{row} +[1-9]", timeout=60)
    locust.process.terminate()
    assert locust.wait() == 0, locust.output
