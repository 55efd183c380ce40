"""How long it takes to dispatch a JSON-RPC 2.0 message without a network: gjrpc compared with pjrpc and jsonrpcserver.

Run `python -m bench dispatch`; it needs `pip install gjrpc[bench]`. Each dispatcher in turn takes the same messages, a call and a
batch of 100, from JSON to JSON, so that all see the same machine; the results are medians. gjrpc's figures include its HTTP
response (`Application.respond`, from a request to a response), with batches on gevent as in its server. Its native dialect,
`{"add": [1, 2]}`, is measured too.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jsonrpcserver
import pjrpc.server

from bench.pairs import Plan, Section
from gjrpc import Application, Registry
from gjrpc.http.messages import Head, Request
from gjrpc.server.gevent_runtime import Green

BATCH = 100
SINGLE = json.dumps({"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 0})
MANY = json.dumps([{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": number} for number in range(BATCH)])
NATIVE = json.dumps({"add": [1, 2]})
SLICE = 0.02
"""Seconds that one dispatcher runs before the next one."""

Dispatch = Callable[[str], Any]


def add(a: Any, b: Any = 10) -> Any:
    """The method that is called."""
    return a + b


def of_gjrpc() -> Dispatch:
    """Return gjrpc's dispatcher, from the text of a message to its answer."""
    registry = Registry()
    registry.register(lambda a, b=10: a + b, "add")
    respond, head = Application(registry, runtime=Green()).respond, Head("POST", "/")
    return lambda message: respond(Request(head, message.encode())).body


def of_pjrpc() -> Dispatch:
    """Return pjrpc's dispatcher."""
    registry = pjrpc.server.MethodRegistry()
    registry.add_method(add)
    dispatcher: Any = pjrpc.server.Dispatcher()
    dispatcher.add_methods(registry)
    return lambda message: dispatcher.dispatch(message, None)[0]


def of_jsonrpcserver() -> Dispatch:
    """Return jsonrpcserver's dispatcher."""
    methods = {"add": lambda a, b=10: jsonrpcserver.Success(a + b)}
    return lambda message: jsonrpcserver.dispatch(message, methods=methods)


GJRPC, PJRPC, JSONRPCSERVER = "gjrpc", "pjrpc", "jsonrpcserver"
DISPATCHERS: dict[str, Callable[[], Dispatch]] = {GJRPC: of_gjrpc, PJRPC: of_pjrpc, JSONRPCSERVER: of_jsonrpcserver}


def check(name: str, dispatch: Dispatch) -> None:
    """Check that a dispatcher answers correctly."""
    expected = [{"jsonrpc": "2.0", "result": 3, "id": number} for number in range(BATCH)]
    for message, answer in ((SINGLE, expected[0]), (MANY, expected)):
        if json.loads(dispatch(message)) != answer:
            raise SystemExit(f"{name}: unexpected answer {dispatch(message)!r}")


def measure(dispatch: Dispatch, message: str, calls: int) -> float:
    """Dispatch a message for a while, and return the microseconds per call."""
    count, begin = 0, time.perf_counter()
    while True:
        for _ in range(max(1, BATCH // calls)):  # the clock is read once for many calls
            dispatch(message)
            count += calls
        took = time.perf_counter() - begin
        if took > SLICE:
            return took / count * 1e6


def run(plan: Plan) -> Section:
    """Run the dispatchers in turn, and compare the median microseconds per call."""
    dispatchers = {name: make() for name, make in DISPATCHERS.items()}
    for name, dispatch in dispatchers.items():
        check(name, dispatch)
    kinds = {"single": (SINGLE, 1), "batch": (MANY, BATCH)}
    subjects = {(name, kind): (dispatch, *kinds[kind]) for name, dispatch in dispatchers.items() for kind in kinds}
    subjects[GJRPC, "native"] = (dispatchers[GJRPC], NATIVE, 1)
    times: dict[tuple[str, str], list[float]] = {subject: [] for subject in subjects}
    for _ in range(plan.rounds * 6):
        for subject, work in subjects.items():
            times[subject].append(measure(*work))
    medians = {subject: statistics.median(found) for subject, found in times.items()}
    section = Section(
        "Dispatching a message, without HTTP",
        ["microseconds per call", "one call", f"in a batch of {BATCH}", "relative to gjrpc"],
    )
    section.data = {" ".join(subject): median for subject, median in medians.items()}
    for name in DISPATCHERS:
        found = [(medians[name, kind], medians[name, kind] / medians[GJRPC, kind]) for kind in kinds]
        compared = "" if name == GJRPC else " and ".join(f"{times:.1f}×" for _, times in found)
        section.rows.append([name, *(f"{median:.2f}" for median, _ in found), compared])
    section.rows.append(["gjrpc, native", f"{medians[GJRPC, 'native']:.2f}", "-", ""])
    return section
