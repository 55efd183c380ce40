"""Who runs what: tasks on a real gevent hub, without any socket."""

import time

import gevent
import gevent.event
import pytest
from gevent.hub import get_hub

from gjrpc.server.scheduler import Greenlets


class Noted:
    """A task that notes what happens to it, and waits for an event if it has one."""

    def __init__(self, name, notes, gate=None):
        self.name, self.notes, self.gate = name, notes, gate

    def _note(self, what):
        self.notes.append((self.name, what, gevent.getcurrent()))

    def advance(self):
        self._note("begins")
        if self.gate is not None:
            self.gate.wait()
            self._note("goes on")

    def refuse(self):
        self._note("refused")

    def waits(self):
        self._note("waits")


def told(notes):
    """The notes without the greenlets."""
    return [(name, what) for name, what, _ in notes]


@pytest.fixture
def pool():
    """Make and start a pool; it is stopped at the end."""
    pools = []

    def make(**options):
        pools.append(Greenlets(**options))
        pools[-1].start()
        return pools[-1]

    yield make
    for made in pools:
        made.stop()


def turn():
    """Let the loop poll and run what is ready."""
    for _ in range(3):
        gevent.sleep(0.001)


def test_tasks_run_in_order_in_one_greenlet(pool):
    """Tasks that don't wait run one after another in the same greenlet, which is kept for the next ones."""
    notes, greenlets = [], pool()
    for round_ in range(2):
        greenlets.ready.extend(Noted(f"{round_}{name}", notes) for name in "abc")
        turn()
    assert told(notes) == [(name, "begins") for name in ("0a", "0b", "0c", "1a", "1b", "1c")]
    assert len({greenlet for _, _, greenlet in notes}) == 1
    assert greenlets.waiting == 0


def test_a_task_that_waits_holds_nobody_up(pool):
    """If one task waits, its `wait` runs in the hub, and the next one runs in another greenlet."""
    notes, greenlets, gate = [], pool(), gevent.event.Event()
    greenlets.ready.extend([Noted("slow", notes, gate), Noted("quick", notes)])
    turn()
    assert told(notes) == [("slow", "begins"), ("slow", "waits"), ("quick", "begins")]
    assert notes[1][2] is get_hub()
    assert greenlets.waiting == 1
    gate.set()
    turn()
    assert told(notes)[3:] == [("slow", "goes on")]
    assert notes[3][2] is notes[0][2] is not notes[2][2]
    assert greenlets.waiting == 0


def test_no_more_than_so_many_wait(pool):
    """Beyond the limit tasks are refused, and accepted again once one has ended."""
    notes, greenlets, gate = [], pool(most=2), gevent.event.Event()
    greenlets.ready.extend(Noted(name, notes, gate) for name in "abcd")
    turn()
    assert [name for name, what in told(notes) if what == "refused"] == ["c", "d"]
    assert greenlets.waiting == 2
    gate.set()
    turn()
    greenlets.ready.append(Noted("e", notes))
    turn()
    assert told(notes)[-1] == ("e", "begins")
    assert greenlets.waiting == 0


def test_idle_greenlets_are_kept_up_to_a_number(pool):
    """After a crowd, no more greenlets are kept than configured."""
    notes, greenlets, gate = [], pool(keep=3), gevent.event.Event()
    greenlets.ready.extend(Noted(str(number), notes, gate) for number in range(10))
    turn()
    gate.set()
    turn()
    assert sum(not greenlet.dead for greenlet in {greenlet for _, what, greenlet in notes if what == "begins"}) == 3


def test_a_greenlet_that_was_ended_is_replaced(pool):
    """A kept greenlet into which something was thrown, such as a timeout left running, is not used again."""
    notes, greenlets = [], pool(most=1)
    greenlets.ready.append(Noted("a", notes))
    turn()
    notes[0][2].kill()
    greenlets.ready.append(Noted("b", notes))
    turn()
    assert told(notes)[-1] == ("b", "begins")
    assert notes[0][2] is not notes[1][2]


def test_a_stopped_pool_runs_nothing(pool):
    """After a stop nothing more is run, and no greenlet stays."""
    notes, greenlets = [], pool()
    greenlets.ready.append(Noted("a", notes))
    turn()
    greenlets.stop()
    greenlets.ready.append(Noted("b", notes))
    turn()
    assert told(notes) == [("a", "begins")]
    assert notes[0][2].dead


def test_who_waits_aside_is_not_counted(pool):
    """A task that waits for a client, and not for the server's own work, leaves its place to others."""
    notes, greenlets, gate = [], pool(most=1), gevent.event.Event()

    class Aside(Noted):
        def advance(self):
            self._note("begins")
            with greenlets.aside():
                gate.wait()

    greenlets.ready.append(Aside("a", notes))
    turn()
    assert greenlets.waiting == 0
    greenlets.ready.append(Noted("b", notes))
    turn()
    gate.set()
    turn()
    assert ("b", "begins") in told(notes)
    assert greenlets.waiting == 0


def test_tasks_that_compute_for_long_are_refused_before_they_begin(pool):
    """Of tasks that took long in the last round, no more begin than may wait; of quick ones, any number."""
    notes, greenlets = [], pool(most=2)

    class Slow(Noted):
        def advance(self):
            self._note("begins")
            end = time.perf_counter() + 0.002
            while time.perf_counter() < end:
                pass

    for kind, refused in ((Noted, 0), (Slow, 0), (Slow, 8)):
        notes.clear()
        greenlets.ready.extend(kind(str(number), notes) for number in range(10))
        turn()
        assert [what for _, what in told(notes)].count("refused") == refused, kind
