"""Child processes of methods: started and waited for in any thread, each with its own exit status."""

import os
import signal
import subprocess
import sys
import textwrap

import gevent
import pytest
from conftest import TIMEOUT
from gevent.event import AsyncResult

from gjrpc import Client
from gjrpc.process.children import Child, Loop

APP = """
    import multiprocessing
    import os
    import subprocess

    from gjrpc import Registry


    def run():
        return subprocess.run("echo said; exit 3", shell=True, capture_output=True, text=True).returncode


    def output():
        return subprocess.check_output(["echo", "said"], text=True)


    def killed():
        process = subprocess.Popen(["sleep", "60"])
        try:
            process.communicate(timeout=0.01)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait()


    def missing():
        try:
            subprocess.run(["/no/such/program"])
        except FileNotFoundError as error:
            return str(error)


    def system():
        return os.waitstatus_to_exitcode(os.system("exit 4"))


    def popen():
        with os.popen("echo said") as pipe:
            return pipe.read()


    def spawned():
        return os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 5")


    def forked():
        process = multiprocessing.get_context("fork").Process(target=os._exit, args=(6,))
        process.start()
        process.join()
        return process.exitcode


    registry = Registry()
    for way in (run, output, killed, missing, system, popen, spawned, forked):
        registry.register(way)
        registry.register(way, f"threaded_{way.__name__}", blocking=True)
"""

EXPECTED = {
    "run": 3,
    "output": "said\n",
    "killed": -signal.SIGKILL,
    "missing": "[Errno 2] No such file or directory: '/no/such/program'",
    "system": 4,
    "popen": "said\n",
    "spawned": 5,
    "forked": 6,
}


def test_a_method_may_start_programs_in_any_thread(tmp_path, launch):
    """Each way to start a program returns its output and exit status, with and without `blocking=True`, also concurrently."""
    (tmp_path / "programs.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    server = launch("-m", "gjrpc.serve", "programs:registry", "--bind", "127.0.0.1:0", cwd=tmp_path)
    with Client(server.wait_url(), timeout=TIMEOUT) as client:
        for prefix in ("", "threaded_"):
            assert {name: client.call(prefix + name) for name in EXPECTED} == EXPECTED, server.output
        for _ in range(3):
            with client.batch() as batch:
                results = [(name, batch.call(f"{prefix}{name}")) for name in EXPECTED for prefix in ("", "threaded_")] * 2
            assert [(name, result.result()) for name, result in results] == [(name, EXPECTED[name]) for name, _ in results]
    assert "Traceback" not in server.output


@pytest.fixture
def child():
    """A program that exits with 7, and the event loop that watches it."""
    process = subprocess.Popen(["sh", "-c", "exit 7"])
    yield process
    process.returncode = 7  # reaped in the test


def ended(watcher):
    """Wait until a watcher reports that its child has ended."""
    told = AsyncResult()
    watcher.start(told.set, watcher)
    assert told.get(timeout=TIMEOUT) is watcher
    return watcher.rpid, os.waitstatus_to_exitcode(watcher.rstatus), watcher.active


@pytest.mark.parametrize("descriptors", [True, False])
def test_each_watcher_learns_the_status(child, descriptors, monkeypatch):
    """All watchers of one child get its status, with or without a descriptor for the process."""
    if not descriptors:
        monkeypatch.delattr(os, "pidfd_open")
    loop = gevent.get_hub().loop
    watchers = [Child(loop, child.pid, True) for _ in range(2)]
    waits = [gevent.spawn(ended, watcher) for watcher in watchers]
    assert [wait.get(timeout=TIMEOUT) for wait in waits] == [(child.pid, 7, False)] * 2
    assert repr(watchers[0]) == f"<Child {child.pid}, not watched>"


def test_any_child(child):
    """A watcher of any child, which `os.waitpid(-1, 0)` uses, reports which one ended."""
    with Child(gevent.get_hub().loop, 0, True) as watcher:
        assert ended(watcher) == (child.pid, 7, False)


def test_a_child_that_was_waited_for_elsewhere(child, caplog):
    """If something else has reaped the child, its status is 255, and the log says so."""
    os.waitpid(child.pid, 0)
    assert ended(Child(gevent.get_hub().loop, child.pid, True)) == (child.pid, 255, False)
    assert "its exit status is lost" in caplog.text


def test_a_stopped_watcher_says_nothing(child):
    """A stopped watcher is not called, and keeps no descriptor open."""
    before = set(os.listdir("/proc/self/fd"))
    watcher = Child(gevent.get_hub().loop, child.pid, True)
    watcher.start(pytest.fail, "told")
    assert watcher.active
    watcher.close()
    assert set(os.listdir("/proc/self/fd")) == before
    os.waitpid(child.pid, 0)
    gevent.idle()


def test_the_loops_of_threads_watch_children_too():
    """Event loops that are made after gjrpc's server was imported watch children this way, without a SIGCHLD handler."""
    code = """
        import signal
        from gevent import monkey; monkey.patch_all()
        from gjrpc import Server
        import gevent, subprocess
        from gjrpc.process.children import Loop
        assert type(gevent.get_hub().loop) is Loop
        assert gevent.get_hub().threadpool.apply(lambda: type(gevent.get_hub().loop)) is Loop
        assert subprocess.run(["true"]).returncode == 0
        with open("/proc/self/status") as status:
            caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
        assert not caught & 1 << signal.SIGCHLD - 1
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=TIMEOUT, check=False).returncode == 0
    assert Loop.install_sigchld(gevent.get_hub().loop) is None
