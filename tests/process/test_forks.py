"""Processes that a method forks: no part of the server runs in them."""

import os
import signal
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from conftest import TIMEOUT, wait_until

APP = """
    import multiprocessing
    import os
    import stat
    import time
    from pathlib import Path

    from gjrpc import Registry

    HERE = Path(__file__).parent


    def pid():
        return os.getpid()


    def late():
        time.sleep(0.3)  # a fork happens meanwhile
        with (HERE / "late").open("a") as file:
            file.write("x")
        return os.getpid()


    def fork(seconds=0.6):
        child = os.fork()
        if not child:
            time.sleep(seconds)
        return child  # the child comes back, too


    def last():
        child = os.fork()
        return os.waitpid(child, 0)[1] if child else 0


    def stuck():
        child = os.fork()
        if not child:
            __import__("gevent.event").event.Event().wait()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


    def process():
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.05,))
        child.start()
        child.join()
        return child.exitcode


    def sleeps(pid):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


    def terminated(waiting=False):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        while waiting and not sleeps(child.pid):
            time.sleep(0.01)
        child.terminate()
        child.join(5)
        child.kill()
        return child.exitcode


    def is_socket(descriptor):
        try:
            return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:
            return False


    def sockets():
        reader, writer = os.pipe()
        if not os.fork():
            os.write(writer, str(sum(map(is_socket, range(256)))).encode())
            os._exit(0)
        os.close(writer)
        return int(os.read(reader, 9))


    registry = Registry()
    for way in (pid, late, fork, last, stuck, process, terminated, sockets):
        registry.register(way)
        registry.register(way, f"threaded_{way.__name__}", blocking=True)
"""


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def server(request, tmp_path, launch):
    """A server of methods that fork."""
    (tmp_path / "forking.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    options = ("--bind", "127.0.0.1:0", "--workers", str(request.param))
    launched = launch("-m", "gjrpc.serve", "forking:registry", *options, cwd=tmp_path)
    launched.wait_url()
    return launched


def call(server, name, query=""):
    """Call a method on a new connection."""
    answer = requests.get(f"{server.url}/{name}{query}", timeout=TIMEOUT)
    assert answer.status_code == 200, (answer.text, server.output)
    return answer.json()[name]


def has_ended(pid):
    """Return whether a process has ended, even if its parent has not reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("prefix", ["", "threaded_"])
def test_a_forked_child_serves_nobody(server, tmp_path, prefix):
    """A child that waits and then returns answers no request, runs no other call, and then ends."""
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(call, server, "late") for _ in range(4)]
        child = call(server, f"{prefix}fork")
        answered = {call(server, "pid") for _ in range(100)}
        assert child not in answered | {each.result() for each in waiting}
    wait_until(lambda: has_ended(child), "the child is gone")
    assert (tmp_path / "late").read_text() == "xxxx"
    assert "Traceback" not in server.output
    assert not any(map(has_ended, answered)), "the processes that serve go on"


@pytest.mark.parametrize("prefix", ["", "threaded_"])
def test_what_a_forked_child_has(server, prefix):
    """A child has no socket of the server, can be terminated, ends by itself, and its parent gets its status."""
    with requests.Session() as idle:
        assert idle.get(f"{server.url}/pid", timeout=TIMEOUT).ok
        assert call(server, f"{prefix}sockets") == 0
        assert call(server, f"{prefix}process") == 0
        assert call(server, f"{prefix}terminated") == -signal.SIGTERM
        assert call(server, f"{prefix}terminated", "?waiting=true") == -signal.SIGTERM
        assert idle.get(f"{server.url}/pid", timeout=TIMEOUT).ok


@pytest.mark.parametrize("prefix", ["", "threaded_"])
def test_a_child_that_never_waits(server, prefix):
    """A child that returns from its method without waiting exits with 0 and writes nothing."""
    assert call(server, f"{prefix}last") == 0, server.output
    assert "Traceback" not in server.output


def test_a_child_with_nothing_to_wait_for(server):
    """A child that waits for something that can never happen exits with 1."""
    assert call(server, "stuck") == 1
    wait_until(lambda: "LoopExit" in server.output, "the child says why it ends")


def test_a_stop_leaves_children_alone(server):
    """A child that outlives the server does not keep the server's address in use."""
    answer = requests.post(f"{server.url}/fork", json=[60], timeout=TIMEOUT)
    child = answer.json()["fork"]
    try:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(TIMEOUT) == 0  # and not for the end of its output, which the child has too
        with pytest.raises(requests.ConnectionError):
            call(server, "pid")
        assert not has_ended(child)
    finally:
        os.kill(child, signal.SIGKILL)
