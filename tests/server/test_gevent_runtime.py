"""The runtime on gevent: threads for blocking methods, deadlines, batches side by side."""

import asyncio
import gc
import threading
import time
from contextvars import ContextVar

import gevent
import pytest
from gevent.event import Event

from gjrpc.calls.method import Method
from gjrpc.calls.options import MethodOptions
from gjrpc.calls.runtime import FEW
from gjrpc.errors import CallError, DeadlineExceeded
from gjrpc.server.gevent_runtime import WIDTH, Green

PATIENCE = 10
"""Seconds after which anything that waits gives up."""


def method(function, **options):
    """A method with these options."""
    return Method.of("tried", function, MethodOptions(**options))


def call(function, *positional, **options):
    """Call a function as a method with these options."""
    return Green().call(method(function, **options), positional, {})


def test_a_plain_method_runs_in_place():
    """A method that is not blocking runs in the greenlet that calls it, with its arguments, and its exception comes through."""
    assert call(lambda *given: (given, gevent.getcurrent(), threading.get_ident()), 1, 2) == (
        (1, 2),
        gevent.getcurrent(),
        threading.get_ident(),
    )
    assert Green().call(method(lambda a, b: a - b), [5], {"b": 3}) == 2
    with pytest.raises(ZeroDivisionError):
        call(lambda: 1 // 0)


def test_a_blocking_method_runs_in_a_thread():
    """A blocking method runs in another thread while other greenlets go on."""
    opened = threading.Event()
    waiting = gevent.spawn(call, lambda x: (opened.wait(PATIENCE), threading.get_ident(), x), 7, blocking=True)
    gevent.sleep(0.01)
    assert not waiting.ready()
    opened.set()
    done, thread, given = waiting.get(timeout=PATIENCE)
    assert (done, thread != threading.get_ident(), given) == (True, True, 7)


def test_blocking_methods_have_asyncio_loops_of_their_own():
    """Two blocking methods may each run an asyncio event loop at the same time."""
    both = threading.Barrier(2, timeout=PATIENCE)

    async def meet():
        return both.wait() is not None

    calls = [gevent.spawn(call, lambda: asyncio.run(meet()), blocking=True) for _ in range(2)]
    assert [each.get(timeout=PATIENCE) for each in calls] == [True, True]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        SystemExit(3),
        gevent.Timeout(1),
        gevent.GreenletExit(),
        KeyboardInterrupt(),
        BaseException(),
        StopIteration(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("options", [{}, {"blocking": True}, {"deadline": 5}, {"blocking": True, "deadline": 5}], ids=str)
def test_what_a_method_raises_comes_through(error, options, capfd):
    """Whatever a method raises is raised in its caller, the same object, and is not printed."""

    def fail():
        raise error

    with pytest.raises(type(error)) as raised:
        call(fail, **options)
    assert raised.value is error
    assert capfd.readouterr().err == ""


HELD = ContextVar("held", default="nothing")


def test_context_variables_hold_in_threads_and_batches():
    """What the context variables of who calls hold is seen in a thread and by all entries of a batch; a change stays there."""

    def entry(_):
        gevent.sleep(0.001)
        found = HELD.get()
        return found, gevent.getcurrent()

    def ask(value):
        HELD.set(value)
        threaded = call(lambda: (HELD.get(), HELD.set("changed"))[0], blocking=True)
        entries = Green().map(entry, range(40))
        assert len({greenlet for _, greenlet in entries}) > 1
        return threaded, {found for found, _ in entries}, HELD.get()

    asked = {value: gevent.spawn(ask, value) for value in "abc"}
    for value, greenlet in asked.items():
        assert greenlet.get(timeout=PATIENCE) == (value, {value}, value)


def test_a_batch_without_context_variables():
    """A greenlet that has set no context variable hands none on."""
    assert gevent.spawn(lambda: Green().map(lambda _: (gevent.sleep(0.001), HELD.get())[1], range(3))).get() == ["nothing"] * 3


def test_a_few_functions_run_apart():
    """Functions that compute run in threads, a few at a time, while the loop runs; what they raise reaches the caller."""
    green, opened, running, most = Green(), threading.Event(), [], []

    def compute():
        running.append(threading.get_ident())
        most.append(len(running))
        assert opened.wait(PATIENCE)
        running.pop()
        return threading.get_ident()

    waiting = [gevent.spawn(green.apart, compute) for _ in range(6)]
    with gevent.Timeout(PATIENCE):
        while len(running) < FEW:
            gevent.sleep(0.001)
    opened.set()
    assert threading.get_ident() not in [each.get(timeout=PATIENCE) for each in waiting]
    assert max(most) == FEW
    with pytest.raises(ZeroDivisionError):
        green.apart(lambda: 1 / 0)
    assert green.apart(lambda: "free again") == "free again"


def test_a_failed_blocking_call_leaves_no_cycle():
    """The exception of a blocking method is freed with its last reference."""

    class Own(Exception):
        pass

    def fail():
        raise Own

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(Own):
            call(fail, blocking=True)
        gevent.sleep(0)
        assert [found for found in gc.get_objects() if isinstance(found, Own)] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("blocking", [False, True], ids=["in place", "in a thread"])
def test_a_deadline_ends_a_call(blocking):
    """A call beyond its deadline is a DeadlineExceeded that names it; one within it gives its result."""
    opened = threading.Event()
    ended = []

    def wait():
        try:
            if blocking:
                return opened.wait(PATIENCE)
            return gevent.sleep(PATIENCE)
        finally:
            ended.append(True)

    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        call(wait, blocking=blocking, deadline=0.05)
    assert bool(ended) is not blocking
    opened.set()
    assert call(lambda: "done", blocking=blocking, deadline=PATIENCE) == "done"
    gevent.sleep(0.1)
    assert call(lambda: "no timer was left", blocking=blocking) == "no timer was left"


def spin(seconds):
    """Compute for so long, without giving way."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.parametrize("blocking", [False, True], ids=["in place", "in a thread"])
def test_a_late_result_of_what_computes_is_dropped(blocking):
    """A call that computes beyond its deadline is a DeadlineExceeded at its end, whatever it returns or says to the client."""

    def fail():
        spin(0.06)
        raise CallError("too late to say so")

    for function in (lambda: spin(0.06), fail):
        with pytest.raises(DeadlineExceeded, match=r"0\.03 s"):
            call(function, blocking=blocking, deadline=0.03)
    assert call(lambda: spin(0.01), blocking=blocking, deadline=PATIENCE) is None
    with pytest.raises(CallError, match="in time"):
        call(raising(CallError("in time")), blocking=blocking, deadline=PATIENCE)


def raising(error):
    """A function that raises this."""

    def function():
        raise error

    return function


def test_a_deadline_covers_the_wait_for_a_thread():
    """Where all threads are taken a blocking call waits for one, no longer than its deadline."""
    opened, green = threading.Event(), Green(threads=2)
    calls = [gevent.spawn(green.call, method(lambda: opened.wait(PATIENCE), blocking=True), (), {}) for _ in range(2)]
    gevent.sleep(0.01)
    try:
        with pytest.raises(DeadlineExceeded):
            green.call(method(lambda: "never", blocking=True, deadline=0.05), (), {})
        assert green.apart(lambda: "has threads of its own") == "has threads of its own"
    finally:
        opened.set()
    assert [waiting.get(timeout=PATIENCE) for waiting in calls] == [True] * 2
    assert green.call(method(lambda: "free again", blocking=True, deadline=PATIENCE), (), {}) == "free again"
    green.close()


def test_an_outer_timeout_is_not_the_deadline():
    """A timeout of the caller's own passes through a method's deadline as itself."""
    with pytest.raises(gevent.Timeout) as fired, gevent.Timeout(0.05) as outer:
        call(lambda: gevent.sleep(PATIENCE), deadline=PATIENCE)
    assert fired.value is outer


def test_a_deadline_inside_another():
    """If two deadlines are nested, each error names the one that has passed."""

    def outer():
        with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
            call(lambda: gevent.sleep(PATIENCE), deadline=0.05)
        gevent.sleep(PATIENCE)

    with pytest.raises(DeadlineExceeded, match=r"0\.2 s"):
        call(outer, deadline=0.2)


@pytest.mark.parametrize("count", [0, 1, 2, WIDTH, 10 * WIDTH])
def test_items_are_mapped_in_order(count):
    """The results of several items come in their order, whether or not some of them wait."""
    assert Green().map(lambda item: -item, range(count)) == [-item for item in range(count)]

    def wait(item):
        gevent.sleep(0.001 * (item % 3))
        return item

    assert Green().map(wait, list(range(count))) == list(range(count))


def test_items_wait_side_by_side_up_to_a_width():
    """As many items as the width wait at the same time, and no more."""
    opened = Event()
    running = []
    most = []

    def wait(item):
        running.append(item)
        most.append(len(running))
        opened.wait(PATIENCE)
        running.remove(item)
        return item

    mapping = gevent.spawn(Green().map, wait, range(3 * WIDTH))
    with gevent.Timeout(PATIENCE):
        while len(running) < WIDTH:
            gevent.sleep(0)
    for _ in range(5):
        gevent.sleep(0)
    assert len(running) == WIDTH
    opened.set()
    assert mapping.get(timeout=PATIENCE) == list(range(3 * WIDTH))
    assert max(most) == WIDTH


def test_items_that_need_not_wait_take_few_greenlets():
    """Items that don't wait are worked through by a few greenlets, however many they are."""
    seen = []  # kept, so that no two of them are taken for the same
    Green().map(lambda _: seen.append(gevent.getcurrent()), range(1000))
    assert len(set(seen)) <= 3


def test_what_an_item_raises_comes_out_of_the_map():
    """What an item raises is not lost, although others were waiting when it did."""

    def fail(item):
        if item == 3:
            raise ZeroDivisionError
        gevent.sleep(0.01)

    with gevent.Timeout(PATIENCE), pytest.raises(ZeroDivisionError):
        Green().map(fail, range(10))


def test_a_killed_map_ends_its_items():
    """Where the greenlet of a map is killed, by a deadline say, its items end too."""
    ended = []

    def wait(item):
        try:
            gevent.sleep(PATIENCE)
        finally:
            ended.append(item)

    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        Green().map(wait, range(5))
    gevent.sleep(0.01)
    assert sorted(ended) == list(range(5))


def test_a_killed_item_of_a_batch_is_an_answer():
    """A kill ends the greenlet of a call, but in a batch only the entry that it hits; what a method raises is its answer."""
    green, told = Green(), []

    def wait(_=None):
        try:
            gevent.sleep(PATIENCE)
        except gevent.GreenletExit as error:
            told.append(green.passes(error))

    def raises(_=None):
        try:
            raise gevent.GreenletExit
        except gevent.GreenletExit as error:
            told.append(green.passes(error))

    for function in (wait, lambda: green.map(wait, [1]), raises, lambda: green.map(raises, [1])):
        greenlet = gevent.spawn(function)
        gevent.sleep(0)
        greenlet.kill()
    assert told == [True, False, False, False]
