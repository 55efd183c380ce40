"""Native threads and the queue for them: order, bounds, and calls that are dropped before they start."""

import base64
import contextlib
import threading
from contextlib import nullcontext

import bcrypt
import gevent
import pytest
from conftest import TIMEOUT, wait_until

from gjrpc import Application, Registry
from gjrpc.auth.guard import Authenticators, Guard
from gjrpc.auth.passwords import PasswordFile
from gjrpc.auth.permissions import read_permissions
from gjrpc.auth.throttle import LoginThrottle
from gjrpc.calls.runtime import FEW
from gjrpc.errors import Overloaded
from gjrpc.process.threads import Threads
from gjrpc.server.gevent_runtime import _QUEUED_APART

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
BLOCK = b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n"


class Stuck:
    """A function that blocks until it is released, and counts how often it was started."""

    def __init__(self):
        self.begun = 0
        self.free = threading.Event()

    def __call__(self):
        self.begun += 1
        assert self.free.wait(TIMEOUT)
        return "done"


@pytest.fixture
def stuck():
    """A blocking function that is released at the end of the test."""
    made = Stuck()
    yield made
    made.free.set()


class Requester:
    """A client that waits for an answer, and whether it has disconnected."""

    left = False

    def has_left(self):
        return self.left

    def aside(self):
        return nullcontext()


def ask(threads, function, requester=None):
    """Run a function in a new greenlet, for a client."""
    greenlet = gevent.Greenlet(threads.run, function)
    greenlet.task = requester
    greenlet.start()
    gevent.sleep(0.01)
    return greenlet


def test_calls_wait_in_order_up_to_a_bound(stuck):
    """If all threads are busy, calls wait; if the queue is full, they are refused; they start in their order of arrival."""
    threads, order = Threads(1, 3), []
    first = ask(threads, stuck)
    waiting = [ask(threads, lambda number=number: order.append(number)) for number in range(3)]
    assert threads.waiting == 3
    with pytest.raises(Overloaded, match="all 1 threads are busy, and 3 calls wait for one"):
        threads.run(order.clear)
    stuck.free.set()
    assert first.get(timeout=TIMEOUT) == "done"
    gevent.joinall(waiting, timeout=TIMEOUT)
    assert (order, threads.waiting) == ([0, 1, 2], 0)
    assert threads.run(lambda: "free again") == "free again"
    threads.close()
    assert threads.run(lambda: "a new thread") == "a new thread"
    threads.close()


@pytest.mark.parametrize("when", ["while it waits", "before its turn"])
def test_nobody_s_calls_are_dropped(stuck, when):
    """A call whose client disconnects before it starts never starts, and takes no slot."""
    threads, requester = Threads(1), Requester()
    first = ask(threads, stuck)
    dropped = ask(threads, pytest.fail, requester)
    requester.left = True
    if when == "before its turn":
        stuck.free.set()
    with pytest.raises(Overloaded, match="disconnected before a thread was free"):
        dropped.get(timeout=TIMEOUT)
    assert threads.waiting == 0
    stuck.free.set()
    assert first.get(timeout=TIMEOUT) == "done"
    assert threads.run(lambda: "free again") == "free again"
    threads.close()


@pytest.mark.parametrize("when", ["while it waits", "as its turn comes"])
def test_a_killed_wait_takes_no_place(stuck, when):
    """A call that is killed while it waits, or just when its turn comes, occupies no thread."""
    threads = Threads(1)
    ask(threads, stuck)
    killed = ask(threads, pytest.fail)
    if when == "as its turn comes":
        stuck.free.set()
        while threads.waiting:
            gevent.get_hub().loop.run_callback(lambda: None)
            gevent.sleep(0)
    killed.kill()
    stuck.free.set()
    assert threads.run(lambda: "free again") == "free again"
    assert threads.waiting == 0
    threads.close()


@pytest.fixture
def registry(stuck):
    """Methods, some of which block."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    registry.register(stuck, "block", blocking=True)
    return registry


def test_stuck_threads_stop_no_plain_call(serve, registry, stuck):
    """While all threads are stuck and the queue is full, other methods are answered, however small --max-calls is."""
    served = serve(Application(registry), threads=2, max_queued=3, max_calls=2)
    with contextlib.ExitStack() as stack:
        threads = served.server.application.dispatcher.runtime._threads
        for count in range(1, 6):
            stack.enter_context(served.wire()).send(BLOCK)
            wait_until(lambda count=count: threads.waiting + stuck.begun == count, "it is taken")
        further = stack.enter_context(served.wire())
        refused = further.ask(BLOCK)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert further.ask(PING).status == 200
        wait_until(lambda: served.server.greenlets.waiting == 0, "none of them counts as a call in flight")
        assert stuck.begun == 2
        stuck.free.set()


def test_a_batch_of_blocking_calls_counts_once(serve, registry, stuck):
    """The blocking entries of a batch have the same bound, each gets its own error beyond it, and other calls are unaffected."""
    served = serve(Application(registry), threads=1, max_queued=1)
    body = b",".join(b'{"jsonrpc":"2.0","method":"block","id":%d}' % number for number in range(4))
    with served.wire() as batch, served.wire() as other:
        batch.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n[%b]" % (len(body) + 2, body))
        wait_until(lambda: stuck.begun == 1, "one has begun")
        assert other.ask(PING).status == 200
        stuck.free.set()
        answers = batch.answer().json()
    assert [one["id"] for one in answers] == [0, 1, 2, 3]
    assert sum("result" in one for one in answers) == 2
    assert all(-32099 <= one["error"]["code"] <= -32000 for one in answers if "error" in one)


def test_calls_of_clients_that_left_do_not_begin(serve, registry, stuck):
    """Calls that wait for a thread end with their client's connection and never start."""
    served = serve(Application(registry), threads=1)
    with served.wire() as first:
        first.send(BLOCK)
        wait_until(lambda: stuck.begun == 1, "one has begun")
        threads = served.server.application.dispatcher.runtime._threads
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(served.wire()).send(BLOCK)
            wait_until(lambda: threads.waiting == 5, "the others wait")
        wait_until(lambda: served.connections == 1, "the others are gone")
        stuck.free.set()
        assert first.answer().status == 200
    assert stuck.begun == 1


def test_who_sends_no_more_is_answered_all_the_same(serve, registry, stuck):
    """A client that has shut down its sending side gets 503 for a waiting call, and the answer of a running one."""
    served = serve(Application(registry), threads=1)
    with served.wire() as first:
        first.send(BLOCK)
        wait_until(lambda: stuck.begun == 1, "one has begun")
        assert served.exchange(BLOCK).startswith(b"HTTP/1.1 503 ")
        stuck.free.set()
        assert first.answer().status == 200
    assert b'"done"' in served.exchange(BLOCK)


def test_passwords_are_checked_while_methods_hang(serve, registry, stuck, tmp_path):
    """Password checks have their own threads: they work although all threads for methods are stuck."""
    path = tmp_path / "users"
    path.write_text("alice:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode() + "\n")
    guard = Guard(lambda: Authenticators(basic=PasswordFile(str(path), read_permissions(None))), LoginThrottle(10))
    served = serve(Application(registry, guard=guard), threads=1)
    line = b"Authorization: Basic " + base64.b64encode(b"alice:secret") + b"\r\n\r\n"
    with served.wire() as busy, served.wire() as other:
        busy.send(BLOCK[:-2] + line)
        wait_until(lambda: stuck.begun == 1, "the thread is taken")
        guard.reload()  # nothing is remembered
        assert other.ask(PING[:-2] + line).status == 200
        stuck.free.set()


class SlowPasswords:
    """Blocks each password check until it is released."""

    def __init__(self, stuck):
        self.stuck = stuck

    def find(self, credentials, blocked, apart):
        apart(self.stuck)


def test_a_flood_of_passwords_is_bounded(serve, registry, stuck):
    """If too many password checks wait, a further one gets 503; checks do not count as calls in flight."""
    guard = Guard(lambda: Authenticators(basic=SlowPasswords(stuck)), LoginThrottle(10))
    served = serve(Application(registry, guard=guard), max_calls=10)
    request = PING[:-2] + b"Authorization: Basic eDp5\r\n\r\n"
    with contextlib.ExitStack() as stack:
        apart = served.server.application.dispatcher.runtime._apart
        for count in range(1, FEW + _QUEUED_APART + 1):
            stack.enter_context(served.wire()).send(request)
            wait_until(lambda count=count: apart.waiting + stuck.begun == count, "it waits")
        with served.wire() as further:
            refused = further.ask(request)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert further.ask(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        stuck.free.set()
