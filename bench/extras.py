"""What the access log, an observer and annotations cost, each compared with the same server without them."""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.load import SCENARIOS, check, load, post
from bench.pairs import Plan, Section, interleave, ratio, shown, spread
from bench.servers import gjrpc, started

_THREE = {name: post({method: [1, 2, 3]}, {method: 6}) for name, method in (("untyped", "three"), ("annotated", "three_typed"))}
_TOLD = {
    ("log to /dev/null", "plain"): ("access log to /dev/null, relative to none", "≥ 0.85"),
    ("log to a file", "plain"): ("access log to a file, relative to none", "≥ 0.85"),
    ("observer", "plain"): ("an observer of calls and latencies, relative to none", "≥ 0.95"),
    ("annotated", "untyped"): ("three annotated arguments, relative to unannotated ones", "≥ 0.85"),
}


def run(plan: Plan) -> Section:
    """Load all of them in turn."""
    section = Section("Extras", ["what", "measured", "target"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logging = gjrpc("--access-log", "common")
        plain = stack.enter_context(started(gjrpc()))
        servers = {
            "plain": plain,
            "log to /dev/null": stack.enter_context(started(logging)),
            "log to a file": stack.enter_context(started(logging, output=folder / "access.log")),
            "observer": stack.enter_context(started(gjrpc(target="bench.app:observed"))),
        }
        loads = {name: partial(load, server, SCENARIOS["post"], seconds=plan.seconds) for name, server in servers.items()}
        for name, request in _THREE.items():
            check(plain, request, name)
            loads[name] = partial(load, plain, request, seconds=plan.seconds)
        rates = {name: [one.rate for one in found] for name, found in interleave(loads, plan).items()}
    section.data = {name: spread(found) for name, found in rates.items()}
    for (one, other), (what, target) in _TOLD.items():
        section.data[f"{one} / {other}"] = ratio(rates[one], rates[other])
        section.rows.append([what, shown(section.data[f"{one} / {other}"]), target])
    return section
