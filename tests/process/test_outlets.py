"""Standard output and error that never block: with a pipe that nobody reads, a full disk, a reader that has closed its end."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import TIMEOUT, Wire, wait_until

from gjrpc.process.outlets import MOST, Outlet

APP = """
import multiprocessing, os, sys
from gjrpc import Registry

registry = Registry()

@registry.method
def ping():
    return "pong"

@registry.method
def fail():
    raise ValueError("x" * 1000)

@registry.method
def say(size: int):
    print("x" * size)

def child():
    print("from a child")

@registry.method
def fork():
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return process.exitcode

from gjrpc import Application
application = Application(registry)
"""
SAY = b"GET /say?size=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"


def outlet_on(descriptor):
    """A separate outlet."""
    return Outlet(descriptor, "the test")


@contextlib.contextmanager
def pipe():
    """The two ends of a pipe."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as opened:
        yield opened, writer


def test_bounded_and_told():
    """Unread output is bounded; when it is read at last, it is in order, followed by a report of dropped lines."""
    with pipe() as (reader, writer):
        outlet = outlet_on(writer)
        line = b"%07d\n"
        for number in range(400_000):
            outlet.write(line % number)
        assert outlet._size <= MOST
        lines, told = [], None
        while told is None:
            read = reader.readline()
            told = re.search(rb"(\d+) lines of the test were dropped: nobody read them in time", read)
            lines.append(read)
        kept = lines[:-1]
        assert kept == [line % number for number in range(len(kept))]
        assert len(kept) + int(told[1]) == 400_000
        outlet.settle(TIMEOUT)
        outlet.write(b"again\n")
        assert reader.readline() == b"again\n"
        outlet.settle(TIMEOUT)
        os.close(writer)


def test_a_full_disk_is_told_once_there_is_room():
    """Lines that can't be written are counted, and reported once writing works again."""
    full = os.open("/dev/full", os.O_WRONLY)
    with pipe() as (reader, writer):
        outlet = outlet_on(full)
        outlet.write(b"a\nb\n")
        wait_until(lambda: not outlet._writing, "the failed write")
        os.dup2(writer, full)
        outlet.write(b"c\n")
        assert reader.readline() == b"c\n"
        assert b"2 lines of the test were dropped: No space left on device" in reader.readline()
        outlet.settle(TIMEOUT)
        os.close(full)
        os.close(writer)


def test_a_descriptor_that_does_not_block_loses_nothing():
    """Writing works also if another process has made the shared descriptor non-blocking."""
    with pipe() as (reader, writer):
        os.set_blocking(writer, False)
        outlet = outlet_on(writer)
        outlet.write(b"x" * 500_000)
        assert reader.read(500_000) == b"x" * 500_000
        outlet.settle(TIMEOUT)
        os.close(writer)


@pytest.fixture
def deaf(tmp_path):
    """Start a server whose standard output and error are a pipe that nobody reads after its first line."""
    (tmp_path / "app.py").write_text(APP)
    with contextlib.ExitStack() as stack:

        def start(*command):
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.stdout.close)
            stack.callback(process.wait, TIMEOUT)
            stack.callback(process.kill)
            port = None
            while port is None:
                line = process.stdout.readline()
                assert line, "it has ended"
                port = re.search(rb"http://127.0.0.1:(\d+)", line)
            return process, int(port[1])

        yield start


OURS = ["-m", "gjrpc.serve", "app:registry", "--bind", "127.0.0.1:0", "--access-log", "common", "--grace", "5"]
GUNICORN = ["-m", "gunicorn", "app:application", "-k", "gjrpc.worker.Worker", "-b", "127.0.0.1:0", "--no-control-socket"]


@pytest.mark.parametrize(
    ("command", "rounds"),
    [
        (OURS, 50),
        ([*OURS, "--workers", "2"], 15),
        ([*GUNICORN, "--access-logfile", "-"], 10),
        ([*GUNICORN, "--access-logfile", "/dev/stdout", "--error-logfile", "/dev/stderr"], 10),
    ],
    ids=["one process", "workers", "gunicorn", "gunicorn's files"],
)
def test_nobody_reads(deaf, command, rounds):
    """Thousands of calls that print, fail or are in the access log are answered, and SIGTERM stops the server."""
    process, port = deaf(*command)
    callers = [Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) for _ in range(4)]
    for _ in range(rounds):
        for caller in callers:
            caller.send(SAY % 3000 * 45 + b"GET /fail HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        for caller in callers:
            assert [caller.answer().status for _ in range(50)] == [200] * 45 + [500] * 5
    for caller in callers:
        caller.socket.close()
    process.terminate()
    assert process.wait(TIMEOUT) == 0


COMPAT = """
import sys
from gjrpc import SimpleTCPServer
server = SimpleTCPServer(("127.0.0.1", 0))
server.register_function(lambda size: "x" * size, "say")
print("http://127.0.0.1:%d" % server.server_address[1], file=sys.stderr, flush=True)
server.serve_forever()
"""


def test_nobody_reads_from_py_jrpcs_server(deaf, tmp_path):
    """A program written for py-jrpc, which logs each answer to standard error, is not blocked either."""
    (tmp_path / "main.py").write_text(COMPAT)
    process, port = deaf("main.py")
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) as caller:
        for _ in range(40):
            caller.send((SAY % 1).replace(b" HTTP", b"&size=1" * 500 + b" HTTP") * 10)
            assert [caller.answer().status for _ in range(10)] == [400] * 10
    process.terminate()
    assert process.wait(TIMEOUT) == 0


LIBRARY = """
import logging, sys
from gevent import monkey
monkey.patch_all()
{setup}
from app import registry
from gjrpc import Application, Server
server = Server(("127.0.0.1", 0), Application(registry))
server.start()
print(server.url, file=sys.stderr, flush=True)
server.serve_forever()
print("the end", file=sys.stdout)
print("#" * 1_500_000)
"""


@pytest.mark.parametrize("setup", ["", "logging.basicConfig()", "logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)"])
def test_nobody_reads_from_the_library(deaf, tmp_path, setup):
    """A `Server` in a user's own program is not blocked either, with logging configured or not, and it stops."""
    (tmp_path / "main.py").write_text(LIBRARY.format(setup=setup))
    process, port = deaf("main.py")
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) as caller:
        for _ in range(10):
            caller.send(SAY % 20_000 * 10 + b"GET /fail HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
            assert [caller.answer().status for _ in range(15)] == [200] * 10 + [500] * 5
    process.terminate()
    after = process.stdout.read().partition(b"the end\n")[2]  # what is reported of dropped lines may stand in between
    assert after.count(b"#") == 1_500_000
    assert process.wait(TIMEOUT) == 0


def test_a_slow_reader_is_told_what_it_missed(deaf):
    """A reader that continues finds the lines in order, and how many it has missed."""
    process, port = deaf(*OURS)
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) as caller:
        for _ in range(5):
            caller.send(SAY % 50_000 * 20)
            assert [caller.answer().status for _ in range(20)] == [200] * 20
        while b"lines of standard output were dropped: nobody read them in time" not in (line := process.stdout.readline()):
            assert line, "it was not told"
        caller.send(SAY % 3)
        assert caller.answer().status == 200
        while process.stdout.readline() != b"xxx\n":
            pass


@pytest.mark.parametrize("number", [1, 2])
def test_a_closed_descriptor(tmp_path, number):
    """A server without standard output or error works, and no connection or listener gets their descriptors."""
    (tmp_path / "app.py").write_text(APP)
    path = tmp_path / "s.sock"
    command = [sys.executable, "-m", "gjrpc.serve", "app:registry", "--bind", f"unix:{path}", "--access-log", "common"]
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {number}>&-', "sh", *command], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        wait_until(path.exists, "the socket")
        with socket.socket(socket.AF_UNIX) as connection:
            wait_until(lambda: connection.connect_ex(str(path)) == 0, "the server")
            caller = Wire(connection)
            assert caller.ask(SAY % 10).status == 200
            assert caller.ask(b"GET /fail HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 500
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()


def test_a_reader_that_has_gone(deaf):
    """A server keeps running after the reader of its output has closed the pipe."""
    process, port = deaf(*OURS)
    process.stdout.close()
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) as caller:
        assert [caller.ask(SAY % 10).status for _ in range(20)] == [200] * 20
    process.terminate()
    assert process.wait(TIMEOUT) == 0


def test_the_last_words_are_written(launch, tmp_path):
    """Output just before the end is written, from a method and from a child that it forked."""
    (tmp_path / "app.py").write_text(APP)
    server = launch("-m", "gjrpc.serve", "app:registry", "--bind", "127.0.0.1:0", cwd=tmp_path)
    port = int(server.wait_url().rpartition(":")[2])
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) as caller:
        assert caller.ask(b"GET /fork HTTP/1.1\r\nHost: localhost\r\n\r\n").json() == {"fork": 0}
        assert caller.ask(SAY % 300_000).status == 200
    server.process.terminate()
    assert server.wait() == 0
    assert server.output.count("from a child") == 1
    assert server.output.count("x") >= 300_000  # lines of the log may come in between: both go to one pipe


def test_a_signal_handler_may_write_while_its_thread_writes():
    """A signal handler that writes in the middle of a write does not deadlock."""
    with pipe() as (reader, writer):
        outlet = outlet_on(writer)
        taken = []
        threading.Thread(target=lambda: taken.append(reader.read()), daemon=True).start()
        before = signal.signal(signal.SIGALRM, lambda *_: outlet.write(b"!"))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                outlet.write(b".")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        outlet.settle(TIMEOUT)
        os.close(writer)
        wait_until(lambda: taken, "the end of the pipe")
        assert b"!" in taken[0]
