"""The watchdog, on a real server whose methods hold its event loop."""

import logging
import threading
import time

import gevent
import pytest
from conftest import TIMEOUT, wait_until

from gjrpc import Application, Registry
from gjrpc.server.watchdog import Watchdog

LIMIT = 0.1


def hold(ends, pause=lambda: None):
    """Hold the loop until something is so: by computing, or by a pause that blocks."""
    end = time.perf_counter() + TIMEOUT
    while not ends():
        assert time.perf_counter() < end
        pause()
    return "held"


def hold_until_noticed(watchdog, name, pause=lambda: None):
    """Block the loop until the watchdog has counted it."""
    count = watchdog.stalls[name]
    return hold(lambda: watchdog.stalls[name] > count, pause)


@pytest.fixture
def watchdog():
    """What the tests are about."""
    return Watchdog(LIMIT)


@pytest.fixture
def registry(watchdog):
    """Methods that hold the loop until that is noticed, and others that wait."""
    made = Registry()
    made.register(lambda: hold_until_noticed(watchdog, "method hold"), "hold")
    made.register(lambda: hold_until_noticed(watchdog, "method sleep", lambda: time.sleep(0.01)), "sleep")
    made.register(lambda seconds: gevent.sleep(float(seconds)), "wait")
    made.register(lambda: "pong", "ping")
    return made


def get(path):
    """A GET of a path."""
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path


@pytest.mark.parametrize("name", ["hold", "sleep"])
def test_a_stall_is_named_once_and_counted(serve, registry, watchdog, caplog, name):
    """A method that holds the loop, by computing or by blocking, is named once with its stack, and counted each time."""
    caplog.set_level(logging.WARNING, "gjrpc.server")
    served = serve(Application(registry), watchdog=watchdog)
    with served.wire() as wire:
        for count in (1, 2):
            assert wire.ask(get(b"/%b" % name.encode())).status == 200
            assert watchdog.stalls == {f"method {name}": count}
    wait_until(lambda: caplog.records, "the line")
    (record,) = caplog.records
    assert f"method {name} has blocked the event loop for more than 0.1 s" in record.message
    assert "blocking=True" in record.message
    assert "in hold_until_noticed" in record.stack_info
    assert "dispatch.py" not in record.message


def test_what_waits_or_is_quick_is_no_stall(serve, registry, watchdog):
    """Calls that wait, many quick calls, and a loop with nothing to do are not taken for a stall."""
    served = serve(Application(registry), watchdog=watchdog)
    with served.wire() as wire:
        assert wire.ask(get(b"/wait?seconds=0.3")).status == 200
        wire.send(get(b"/ping") * 2000)
        assert {wire.answer().status for _ in range(2000)} == {200}
        assert wire.ask(get(b"/wait?seconds=0.2")).status == 200
    assert not watchdog.stalls


def test_a_method_that_stalls_again_and_again_goes_to_a_thread(serve, caplog):
    """With `offload`, a method that has blocked the loop three times runs in a thread, and the log says so."""
    watchdog = Watchdog(LIMIT, offload=True)
    begun, released = threading.Event(), threading.Event()

    def stall():
        if watchdog.stalls["method stall"] < 3:
            return hold_until_noticed(watchdog, "method stall")
        begun.set()
        return hold(released.is_set)

    registry = Registry()
    registry.register(stall)
    registry.register(lambda: "pong", "ping")
    served = serve(Application(registry), watchdog=watchdog)
    with served.wire() as wire, served.wire() as other:
        for _ in range(3):
            assert wire.ask(get(b"/stall")).status == 200
        said = "has blocked the event loop 3 times and runs in a thread from now on"
        wait_until(lambda: said in caplog.text, "the line that says so")
        assert registry.find("stall").options.blocking
        wire.send(get(b"/stall"))
        assert begun.wait(TIMEOUT)
        assert other.ask(get(b"/ping")).status == 200
        released.set()
        assert wire.answer().json() == {"stall": "held"}
    assert watchdog.stalls["method stall"] == 3


def test_a_foreign_application_is_named_by_its_request(serve, watchdog):
    """Where another WSGI application holds the loop, the request is named."""

    def application(environ, start_response):
        hold(lambda: watchdog.stalls)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serve(application, watchdog=watchdog).wire() as wire:
        assert wire.ask(get(b"/slow?a=1")).status == 200
    assert list(watchdog.stalls) == ["the application, /slow?a=1,"]


def test_it_ends_with_the_server(serve, registry, watchdog):
    """The thread ends when the server stops."""
    served = serve(Application(registry), watchdog=watchdog)
    served.stop()
    served.join()
    wait_until(lambda: not watchdog._alive, "it has stopped")
