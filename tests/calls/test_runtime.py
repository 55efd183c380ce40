"""Running methods that block or have a deadline."""

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gjrpc import Application, CallError
from gjrpc.calls.method import Method
from gjrpc.calls.options import MethodOptions
from gjrpc.calls.registry import Registry
from gjrpc.calls.runtime import FEW, Plain
from gjrpc.errors import DeadlineExceeded
from gjrpc.http.messages import Head, Request


def test_plain_runs_a_method_in_place():
    """The plain runtime calls the function with its arguments, and lets its exceptions through."""
    method = Method.of("divmod", divmod_named, MethodOptions(blocking=True, deadline=1))
    assert Plain().call(method, [7], {"b": 2}) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        Plain().call(method, [7, 0], {})


def test_plain_drops_what_is_late():
    """With the plain runtime a late result or CallError becomes DeadlineExceeded, and any other exception is raised."""
    calls = [(lambda: time.sleep(0.02), DeadlineExceeded), (tell_late, DeadlineExceeded), (fail_late, ZeroDivisionError)]
    for function, error in calls:
        with pytest.raises(error):
            Plain().call(Method.of("late", function, MethodOptions(deadline=0.01)), [], {})


def fail_late():
    """Fail after the deadline."""
    time.sleep(0.02)
    return 1 / 0


def tell_late():
    """Raise an error for the client after the deadline."""
    time.sleep(0.02)
    raise CallError("late")


@pytest.mark.parametrize("options", [{}, {"blocking": True}], ids=str)
def test_both_dialects_answer_what_is_late(options):
    """A late result is a 504 in a native call, and in JSON-RPC 2.0 a -32003 for its entry alone."""
    registry = Registry()
    registry.register(lambda: time.sleep(0.02), "late", deadline=0.01, **options)
    application = Application(registry)
    for request in (Request(Head("GET", "/late")), Request(Head("POST", "/"), b'{"late":[]}')):
        response = application.respond(request)
        assert (response.status, json.loads(response.body)["detail"]) == (504, "the call took longer than its deadline of 0.01 s")
    body = b'[{"jsonrpc":"2.0","method":"late","id":1},{"jsonrpc":"2.0","method":"list_methods","id":2}]'
    late, listed = json.loads(application.respond(Request(Head("POST", "/"), body)).body)
    assert late["error"]["code"] == -32003
    assert listed["result"]


def divmod_named(a, b):
    """A method to call."""
    return divmod(a, b)


def test_plain_maps_in_order():
    """The plain runtime returns the results of several calls in order."""
    assert list(Plain().map(str, [1, 2, 3])) == ["1", "2", "3"]


def test_plain_runs_a_few_apart():
    """The plain runtime lets a few threads compute at the same time, and others wait."""
    plain, entered, go = Plain(), threading.Semaphore(0), threading.Event()
    running = []

    def compute():
        running.append(1)
        entered.release()
        assert go.wait(60)
        most = len(running)
        running.pop()
        return most

    with ThreadPoolExecutor(6) as pool:
        results = [pool.submit(plain.apart, compute) for _ in range(6)]
        for _ in range(FEW):
            assert entered.acquire(timeout=60)
        assert len(running) == FEW
        go.set()
        assert max(result.result(20) for result in results) <= FEW


def caught(function):
    """The exception that a function raises."""
    with pytest.raises(BaseException) as raised:  # noqa: PT011  of any class
        function()
    return raised.value


def raising(kind):
    """A function that raises."""

    def fail():
        raise kind

    return fail


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException, ValueError])
def test_what_a_method_raises_is_its_answer(kind):
    """Whatever a method raises itself is an error of its call."""
    assert not Plain().passes(caught(raising(kind)))


def test_an_interrupt_of_the_process_is_no_answer():
    """A KeyboardInterrupt from a SIGINT is not an error of the call, unless the program handles the signal itself."""

    def interrupted():
        signal.raise_signal(signal.SIGINT)

    error = caught(interrupted)
    assert Plain().passes(error)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        assert not Plain().passes(error)
    finally:
        signal.signal(signal.SIGINT, before)


ASK = """
loaded = "gevent" in sys.modules
print(type(runtime.running()).__name__, ("gevent" in sys.modules) == loaded)
"""


@pytest.mark.parametrize(
    ("before", "kind"),
    [("", "Plain"), ("import gevent.monkey", "Plain"), ("import gevent.monkey; gevent.monkey.patch_all()", "Green")],
    ids=["without gevent", "gevent imported", "gevent patched"],
)
def test_the_runtime_fits_the_process(before, kind):
    """gevent's runtime is chosen if gevent has patched the process, and choosing does not import gevent."""
    program = f"{before}\nimport sys\nfrom gjrpc.calls import runtime\n{ASK}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"{kind} True"
