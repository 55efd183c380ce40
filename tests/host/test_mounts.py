"""The mounted file systems and their use, by the host methods `mount` and `disk_usage`; some of them don't answer."""

import os
import re
import shutil
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from conftest import wait_until
from host_machine import MOUNTS, ask, merged, script

from gjrpc.host import mounts

SECRET = "hunter2"


def test_mount():
    """All file systems on devices are listed, and none that shows the kernel's own data."""
    mounts, error = ask("mount")
    assert error == ""
    assert all(set(entry) == {"device", "mountpoint", "fstype", "opts"} for entry in mounts)
    assert {p.mountpoint for p in psutil.disk_partitions(all=False)} <= {entry["mountpoint"] for entry in mounts}
    assert not {"proc", "sysfs", "cgroup", "cgroup2", "devpts"} & {entry["fstype"] for entry in mounts}


def test_hostile_mount(monkeypatch):
    """A file system with names and options that can't be decoded is listed like any other."""
    name = os.fsdecode(b"\xff\n\x1b")
    mounts = psutil.disk_partitions(all=True)
    hostile = mounts[0]._replace(device=name, mountpoint=name, fstype=f"fuse.{name}", opts=f"{name},password={SECRET}")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **options: [hostile])
    (first,), error = ask("mount")
    assert (error, first["fstype"]) == ("", "fuse.\ufffd\n\x1b")
    assert SECRET not in first["opts"]
    assert "No such file" in merged(ask("disk_usage")[0])["\ufffd\n\x1b"]["error"]


def test_figures():
    """The use of each file system is what the standard library says."""
    output, _ = ask("disk_usage")
    usage = merged(output)
    assert tuple(usage["/"]) == ("total", "used", "free", "percent")
    assert usage["/"]["total"] == shutil.disk_usage("/").total
    assert set(usage) == {entry["mountpoint"] for entry in ask("mount")[0]}


@pytest.fixture
def nfs(monkeypatch, tmp_path):
    """A folder that psutil lists as an NFS mount."""

    def with_nfs(**options):
        mounts = partitions(**options)
        return [*mounts, mounts[0]._replace(mountpoint=str(tmp_path), fstype="nfs4")]

    partitions = psutil.disk_partitions
    monkeypatch.setattr(psutil, "disk_partitions", with_nfs)
    return str(tmp_path)


def test_hung_mount(monkeypatch, nfs):
    """A hung mount costs one thread, and its time limit once, however many calls ask; it is read again when it answers."""
    silent, end = os.pipe()
    entered, statvfs = [], os.statvfs

    def waiting(path):
        if path == nfs:
            entered.append(path)
            os.read(silent, 1)
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", waiting)
    monkeypatch.setattr(mounts, "_SECONDS", 0.3)
    start = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: ask("disk_usage"), range(5)))
    assert time.monotonic() - start >= 0.3
    for output, error in [*answers, ask("disk_usage")]:
        assert merged(output)[nfs] == {"error": "no answer within 0.3 s"}
        assert merged(output)["/"]["total"] > 0
        assert re.match(r"\d+ of \d+ mount points could not be read", error)
    assert entered == [nfs]
    os.write(end, b"x")
    wait_until(lambda: not mounts._queries, "the query has ended")
    os.write(end, b"x")
    assert merged(ask("disk_usage")[0])[nfs]["total"] > 0
    os.close(silent)
    os.close(end)


def test_vanished_mount(nfs):
    """A mount point that has disappeared has an error."""
    os.rmdir(nfs)
    assert "No such file" in merged(ask("disk_usage")[0])[nfs]["error"]


def test_no_thread(monkeypatch):
    """If no thread can be started, each entry has the error, and nothing hangs or stays behind."""

    def refuse(function, args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(sys.modules["_thread"], "start_new_thread", refuse)
    output, _ = ask("disk_usage")
    assert {entry["error"] for entry in merged(output).values()} == {"can't start new thread"}
    assert not mounts._queries


@pytest.mark.parametrize("patched", ["plain", "gevent"])
def test_dead_file_server(patched):
    """A really dead mount blocks neither gevent's loop nor the other entries, and a forked child can read its own mounts."""
    code = """
    import sys
    if sys.argv[1] == "gevent":
        from gevent import monkey; monkey.patch_all()
        import gevent
    import json, time
    from gjrpc.host import methods as host, mounts
    target, revive = dead_mount()
    ticks = []
    if sys.argv[1] == "gevent":
        def tick():
            while True:
                ticks.append(time.monotonic())
                gevent.sleep(0.01)
        gevent.spawn(tick)
        run = lambda: gevent.get_hub().threadpool.spawn(host.disk_usage).get()
    else:
        run = host.disk_usage
    def timed(limit):
        mounts._SECONDS = limit
        start = time.monotonic()
        answer = run()
        return answer["output"], time.monotonic() - start
    first, second = timed(0.5), timed(1000)  # the second must not wait: it would take longer than this process may live
    stuck = len(mounts._queries)
    if sys.argv[1] == "plain":
        child = os.fork()
        if not child:
            mounts._SECONDS = 0.1
            hung = [e for e in host.disk_usage()["output"] if "error" in e.get(target, {})]
            os._exit("0.1 s" not in hung[0][target]["error"])
        assert os.waitpid(child, 0)[1] == 0
    revive()
    end = time.monotonic() + 30
    while mounts._queries and time.monotonic() < end:
        time.sleep(0.01)
    libc.umount2(os.fsencode(target), 2)
    os.rmdir(target)
    print(json.dumps([target, first, second, len(ticks), stuck, len(mounts._queries)]))
    """
    target, first, second, ticks, stuck, left = script(MOUNTS + textwrap.dedent(code), patched)
    assert merged(first[0])[target] == merged(second[0])[target] == {"error": "no answer within 0.5 s"}
    assert merged(first[0])["/"]["total"] > 0
    assert first[1] >= 0.5
    assert (stuck, left) == (1, 0)
    assert patched == "plain" or ticks >= 5
