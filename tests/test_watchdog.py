"""The watchdog, on a real server whose methods hold its event loop."""

import logging
import time

import gevent
import pytest
from conftest import wait_until

from gjrpc import Application, Registry
from gjrpc.watchdog import Watchdog

LIMIT = 0.1


def hold(seconds):
    """Compute for so many seconds."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return "held"


@pytest.fixture
def registry():
    """Methods that hold the loop, and one that waits."""
    made = Registry()
    made.register(lambda seconds: hold(float(seconds)), "hold")
    made.register(lambda seconds: time.sleep(float(seconds)), "sleep")
    made.register(lambda seconds: gevent.sleep(float(seconds)), "wait")
    made.register(lambda: "pong", "ping")
    return made


def get(path):
    """A GET of a path."""
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path


@pytest.mark.parametrize("name", ["hold", "sleep"])
def test_a_stall_is_named_once_and_counted(serve, registry, caplog, name):
    """A method that holds the loop, by computing or by blocking, is named once with its stack, and counted each time."""
    caplog.set_level(logging.WARNING, "gjrpc.watchdog")
    watchdog = Watchdog(LIMIT)
    served = serve(Application(registry), watchdog=watchdog)
    with served.wire() as wire:
        for count in (1, 2):
            assert wire.ask(get(b"/%b?seconds=1" % name.encode())).status == 200
            assert watchdog.stalls == {f"method {name}": count}
    (record,) = caplog.records
    assert f"method {name} holds the event loop for more than 0.1 s" in record.message
    assert "blocking=True" in record.message
    assert f"in {'hold' if name == 'hold' else '<lambda>'}" in record.stack_info
    assert "dispatch.py" not in record.message


def test_what_waits_or_is_quick_is_no_stall(serve, registry, caplog):
    """Calls that wait, many quick calls, and a loop with nothing to do are not taken for a stall."""
    watchdog = Watchdog(LIMIT)
    served = serve(Application(registry), watchdog=watchdog)
    with served.wire() as wire:
        assert wire.ask(get(b"/wait?seconds=0.3")).status == 200
        wire.send(get(b"/ping") * 2000)
        assert {wire.answer().status for _ in range(2000)} == {200}
        assert wire.ask(get(b"/wait?seconds=0.2")).status == 200
    assert not watchdog.stalls


def test_a_method_that_stalls_again_and_again_goes_to_a_thread(serve, registry, caplog):
    """Where it is asked for, a method that has held the loop three times is run in a thread, and the log says so."""
    watchdog = Watchdog(LIMIT, offload=True)
    served = serve(Application(registry), watchdog=watchdog)
    with served.wire() as wire, served.wire() as other:
        for _ in range(3):
            assert wire.ask(get(b"/hold?seconds=0.8")).status == 200
        assert registry.find("hold").blocking
        assert "has held the event loop 3 times and is run in a thread from now on" in caplog.text
        wire.send(get(b"/sleep?seconds=0"))
        assert wire.answer().status == 200
        wire.send(get(b"/hold?seconds=0.8"))
        begin = time.monotonic()
        assert other.ask(get(b"/ping")).status == 200
        assert time.monotonic() - begin < 0.8
        assert wire.answer().status == 200
    assert watchdog.stalls["method hold"] == 3


def test_a_foreign_application_is_named_by_its_request(serve, caplog):
    """Where another WSGI application holds the loop, the request is named."""

    def application(environ, start_response):
        hold(1.0)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    watchdog = Watchdog(LIMIT)
    with serve(application, watchdog=watchdog).wire() as wire:
        assert wire.ask(get(b"/slow?a=1")).status == 200
    assert list(watchdog.stalls) == ["the application, /slow?a=1,"]


def test_it_ends_with_the_server(serve, registry):
    """The thread ends when the server stops."""
    watchdog = Watchdog(LIMIT)
    served = serve(Application(registry), watchdog=watchdog)
    served.stop()
    served.join()
    wait_until(lambda: not watchdog._alive, "it has stopped")
