"""How a server in a program of the user's own stops: signals, `stop`, and what it says."""

import signal
import socket

import pytest
from conftest import TIMEOUT, Wire, wait_until

PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
PROGRAM = """
import logging, os, signal, sys, threading
from gevent import monkey
import gevent, gevent.event
from gjrpc import Application, Registry, Server, SimpleTCPServer
from gjrpc.limits import Timeouts
gate = gevent.event.Event()
begun = lambda: print("begun", flush=True)
def wait():
    begun()
    gate.wait({seconds})
    return "waited"
def ping():
    return "pong"
{before}
if {compat}:
    server = SimpleTCPServer(("127.0.0.1", 0))
    server.register_function(wait)
    server.register_function(ping)
    print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
else:
    registry = Registry()
    registry.register(wait)
    registry.register(ping)
    server = Server(("127.0.0.1", 0), Application(registry))
    registry.register(lambda: gevent.spawn(server.stop) and None, "stop")
{serve}
print("it has returned", flush=True)
{after}
"""


@pytest.fixture
def program(launch, tmp_path):
    """Start a program that serves, with lines of its own before, and instead of, serving."""

    def start(*, before="", serve="server.serve_forever()", after="", compat=False, seconds=0.3):
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(before=before, serve=serve, after=after, compat=compat, seconds=seconds))
        running = launch(str(script))
        running.wait_url()
        return running

    return start


def wire(running):
    """A connection to a program."""
    host, port = running.url.rpartition("/")[2].split(":")
    return Wire(socket.create_connection((host, int(port)), timeout=TIMEOUT))


@pytest.mark.parametrize("compat", [False, True], ids=["Server", "SimpleTCPServer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_loses_no_call(program, number, compat):
    """The first signal lets calls in flight end; `serve_forever` returns, and the log says where it served and that it stops."""
    running = program(compat=compat)
    with wire(running) as busy:
        busy.send(WAIT)
        running.wait_for("begun")
        running.process.send_signal(number)
        answer = busy.answer()
    assert (answer.status, answer.json()) == (200, {"wait": "waited"})
    assert running.wait() == 0
    said = [
        "serving on http://127.0.0.1:",
        f"{number.name}: stopping; calls in flight have 30 s to end",
        "stopped",
        "it has returned",
    ]
    places = [running.output.index(text) for text in said]
    assert places == sorted(places)
    assert "Traceback" not in running.output


def test_a_second_signal_ends_at_once(program):
    """The second signal waits for no call."""
    running = program(seconds=100)
    with wire(running) as busy:
        busy.send(WAIT)
        running.wait_for("begun")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("SIGTERM: stopping")
        running.process.send_signal(signal.SIGINT)
        assert busy.answer().status == 504
    assert running.wait() == 0
    assert "SIGINT again: stopping at once" in running.output


def test_a_call_that_holds_the_loop_can_be_ended(program):
    """If a call blocks the event loop forever, the second signal ends the process."""
    before = "def spin():\n    begun()\n    while True: pass\nwait = spin"
    running = program(before=before)
    with wire(running) as busy:
        busy.send(b"GET /spin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        running.wait_for("begun")
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: running.process.send_signal(signal.SIGINT) or running.process.poll() is not None, "it ends")
    assert running.wait() == 128 + signal.SIGINT
    assert "SIGINT again while a call blocks the event loop: exiting at once" in running.output


def test_signals_end_a_child(program):
    """A child that a method forks is no server: SIGTERM ends it, and the server keeps running."""
    before = (
        "import time\n"
        "def wait():\n"
        "    child = os.fork()\n"
        "    if not child:\n        print('begun', flush=True)\n        time.sleep(100)\n        os._exit(0)\n"
        "    gevent.sleep(0.1)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )
    running = program(before=before)
    with wire(running) as asking:
        assert asking.ask(WAIT).json() == {"wait": -signal.SIGTERM}
        assert asking.ask(PING).status == 200
    assert "stopping" not in running.output


def test_stop_ends_serve_forever(program):
    """`stop` from another greenlet, a method's say, ends `serve_forever`, and the call that did it is answered."""
    running = program()
    with wire(running) as asking:
        asking.send(b"GET /stop HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert asking.answer().status == 200
    assert running.wait() == 0
    assert "it has returned" in running.output


OWN = {
    "a handler": 'signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))',
    "ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
}


@pytest.mark.parametrize("before", OWN.values(), ids=OWN)
def test_the_application_s_own_handlers_stay(program, before):
    """A signal that the application handles itself, or ignores, is left to it; the other one stops the server."""
    running = program(before=before)
    with wire(running) as kept:
        running.process.send_signal(signal.SIGTERM)
        if "mine" in before:
            running.wait_for("mine")
        assert kept.ask(PING).status == 200
        assert "stopping" not in running.output
    running.process.send_signal(signal.SIGINT)
    assert running.wait() == 0


def test_the_log_is_used_where_there_is_one(program):
    """If the application has set up logging, these lines go there, and nothing else is printed."""
    running = program(before='logging.basicConfig(level="INFO", format="%(name)s: %(message)s")')
    running.wait_for(r"gjrpc\.server: serving on http")
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    assert running.output.count("serving on") == running.output.count("gjrpc.server: serving on") == 1
    assert "gjrpc.server: SIGTERM: stopping" in running.output
    assert "gjrpc.server: stopped" in running.output


def test_signals_are_as_before_afterwards(program):
    """Once a server has stopped, the signals mean what they meant: SIGINT is a KeyboardInterrupt."""
    after = "try: os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt: print('interrupted', flush=True)"
    running = program(after=after)
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    assert "interrupted" in running.output


def test_two_servers_in_one_process(program):
    """Each of two servers stops by the signal, and one that has stopped before takes nothing from the other."""
    two = (
        "other = Server(('127.0.0.1', 0), Application(Registry()))\n"
        "second = gevent.spawn(other.serve_forever)\n"
        "gevent.spawn_later(0.05, other.stop)\n"
        "second.link(lambda _: print('one is left', flush=True))\n"
        "server.serve_forever()"
    )
    running = program(serve=two)
    running.wait_for("one is left")
    urls = [line.rpartition(" ")[2] for line in running.output.splitlines() if line.startswith("serving on")]
    assert len(urls) == 2
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    assert "it has returned" in running.output


def test_in_another_thread_signals_are_left_alone(program):
    """In a thread of the program's own the server leaves the signals to the main thread, and stops by `stop`."""
    threaded = (
        "thread = threading.Thread(target=server.serve_forever, daemon=True)\n"
        "thread.start()\n"
        "thread.join(0.3)\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    signal.pause()\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)"
    )
    running = program(serve=threaded)
    assert running.wait() == 0
    assert "interrupted" in running.output


LATE = """
import threading
def serve():
    from gjrpc import Application, Registry
    from gjrpc.server.server import Server
    server = Server(("127.0.0.1", 0), Application(Registry()))
    server.start()
    print(server.url, flush=True)
    server.serve_forever()
thread = threading.Thread(target=serve)
thread.start()
thread.join()
"""


def test_in_a_thread_that_imports_gevent(launch, tmp_path):
    """A server serves in a thread that was the first to import gevent, which takes it for the main one."""
    (tmp_path / "late.py").write_text(LATE)
    running = launch(str(tmp_path / "late.py"))
    running.wait_url()
    with wire(running) as connection:
        assert connection.ask(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
    assert "Traceback" not in running.output
    running.process.kill()
