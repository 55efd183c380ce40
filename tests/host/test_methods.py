"""The host methods, on the real machine; what changes a process for good (gevent, a user, a mount) runs in one of its own."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest
from conftest import ROOT

from gjrpc.host import masking, processes, sockets
from gjrpc.host import methods as host

METHODS = {"ping", "uptime", "mount", "iostat", "ifconfig", "cpuinfo", "meminfo", "disk_usage", "netstat"}
METHODS |= {"running_process", "check_process", "get_env"}
SECRET = "hunter2"


def ask(name, *args):
    """Call a host method and give its output and its error as a client would get them."""
    answer = host.registry.find(name).function(*args)
    assert set(answer) == {"output", "error"}
    answer = msgspec.json.decode(msgspec.json.encode(answer))
    assert isinstance(answer["error"], str)
    return answer["output"], answer["error"]


def merged(entries):
    """One object from a list of objects with one key each."""
    assert all(len(entry) == 1 for entry in entries)
    return {key: value for entry in entries for key, value in entry.items()}


def eventually(condition, seconds=30.0):
    """Wait until a condition holds, and give what it gave."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not (held := condition()):
        assert time.monotonic() < end, "the condition never held"
        pause.wait(0.01)
    return held


@contextmanager
def child(*args, code="import sys; print('ready', flush=True); sys.stdin.read()"):
    """A Python process with these arguments, which waits until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout.readline().strip() == b"ready"
            yield process
        finally:
            process.kill()


def script(code, *args, **env):
    """Run Python code in a process of its own and give what it printed, as JSON."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, env=environ, timeout=60, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr.decode()
    return msgspec.json.decode(result.stdout)


# What a script may begin with: mounts that only it sees. It leaves them with its mount namespace, when it ends.
MOUNTS = '''
import ctypes, os, tempfile
NEWNS, NEWUSER, REC, PRIVATE = 0x00020000, 0x10000000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def own_mounts():
    """Leave the mount namespace of everybody else."""
    checked(libc.unshare(NEWNS if os.geteuid() == 0 else NEWNS | NEWUSER))
    checked(libc.mount(b"none", b"/", None, REC | PRIVATE, None))

def mount(kind, target, options=""):
    checked(libc.mount(b"test", os.fsencode(target), kind.encode(), 0, options.encode()))

def dead_mount():
    """A mount point whose file server never answers, and how to end its silence: real where the kernel allows it."""
    target = tempfile.mkdtemp()
    import psutil
    try:
        own_mounts()
        server = os.open("/dev/fuse", os.O_RDWR)
        mount("fuse", target, f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}")
        return target, lambda: os.close(server)
    except OSError:
        silent, end = os.pipe()
        statvfs, partitions = os.statvfs, psutil.disk_partitions
        os.statvfs = lambda path: (os.read(silent, 1) if path == target else None, statvfs(path))[1]
        psutil.disk_partitions = lambda all: [*(p := partitions(all)), p[0]._replace(mountpoint=target, fstype="nfs4")]
        return target, lambda: os.write(end, b"x")
'''


def test_registry_holds_the_twelve():
    """The registry holds exactly the twelve methods, and all but ping run off the loop."""
    introspection = {"list_methods", "method_signature", "method_help"}
    methods = {method.name: method for method in host.registry if method.name not in introspection}
    assert set(methods) == METHODS
    assert [name for name, method in methods.items() if not method.options.blocking] == ["ping"]
    assert all(method.description for method in methods.values())


def test_imports():
    """The module imports neither gevent nor ssl."""
    code = """
    import json, sys
    before = set(sys.modules)  # coverage may have imported gevent
    import gjrpc.host.methods
    print(json.dumps(sorted({"gevent", "ssl"} & (set(sys.modules) - before))))
    """
    assert script(code) == []


def test_ping():
    """A ping is answered with pong."""
    assert host.ping() == "pong"


def test_uptime():
    """The uptime is the line of the uptime command, with the time since boot and the load."""
    line, error = ask("uptime")
    found = re.fullmatch(
        r" \d\d:\d\d:\d\d up (?:(\d+) days?, )?(?: ?(\d+):(\d\d)|(\d+) min), [ \d]\d users?,  load average: \d+\.\d\d, .*", line
    )
    assert found, line
    days, hours, minutes, only = (int(text or 0) for text in found.groups())
    assert abs((days * 24 + hours) * 60 + minutes + only - (time.time() - psutil.boot_time()) / 60) < 2
    assert error == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "0 min"),
        (3599, "59 min"),
        (7380, " 2:03"),
        (86400, "1 day, 0 min"),
        (3 * 86400 + 7380, "3 days,  2:03"),
        (43 * 3600, "1 day, 19:00"),
        (-5, "0 min"),
    ],
)
def test_duration(seconds, text):
    """A duration is written as the uptime command writes it."""
    assert host._duration(seconds) == text


def test_mount():
    """Mounts hold all file systems on devices and none in which the kernel shows itself."""
    mounts, error = ask("mount")
    assert error == ""
    assert all(set(entry) == {"device", "mountpoint", "fstype", "opts"} for entry in mounts)
    assert {p.mountpoint for p in psutil.disk_partitions(all=False)} <= {entry["mountpoint"] for entry in mounts}
    assert not {"proc", "sysfs", "cgroup", "cgroup2", "devpts"} & {entry["fstype"] for entry in mounts}


def test_hostile_mount(monkeypatch):
    """A file system whose user chose bytes that are no text for its names and options is listed like any other."""
    name = os.fsdecode(b"\xff\n\x1b")
    mounts = psutil.disk_partitions(all=True)
    hostile = mounts[0]._replace(device=name, mountpoint=name, fstype=f"fuse.{name}", opts=f"{name},password={SECRET}")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **options: [hostile])
    (first,), error = ask("mount")
    assert (error, first["fstype"]) == ("", "fuse.\ufffd\n\x1b")
    assert SECRET not in first["opts"]
    assert "No such file" in merged(ask("disk_usage")[0])["\ufffd\n\x1b"]["error"]


@pytest.mark.parametrize(
    ("method", "names", "counters"),
    [
        ("iostat", host._DISK, lambda: psutil.disk_io_counters(perdisk=True)),
        ("ifconfig", host._NIC, psutil.net_io_counters),
    ],
)
def test_counters(method, names, counters):
    """The counters of disks and network interfaces are psutil's, entry by entry."""
    before = counters() if method == "iostat" else counters(pernic=True)
    entries, error = ask(method)
    assert error == ""
    assert set(merged(entries)) == set(before)
    for name, entry in merged(entries).items():
        assert tuple(entry) == names
        assert all(entry[field] >= getattr(before[name], field) for field in names)


def test_meminfo():
    """Memory and swap space have py-jrpc's fields and psutil's totals."""
    output, error = ask("meminfo")
    assert error == ""
    assert (tuple(output["memory"]), tuple(output["swap"])) == (host._MEMORY, host._SWAP)
    assert output["memory"]["total"] == psutil.virtual_memory().total
    assert output["swap"]["total"] == psutil.swap_memory().total


def test_lacking_figures_are_null():
    """Figures that a platform lacks are null."""
    assert host._pick(SimpleNamespace(total=1), ("total", "buffers")) == {"total": 1, "buffers": None}


def test_unseen_part():
    """A part that psutil can't see is null, named in the error, and does not spoil the rest."""

    def hidden():
        raise NotImplementedError("can't be read here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psutil, "swap_memory", hidden)
        patch.setattr(psutil, "users", hidden)
        output, error = ask("meminfo")
        assert output["memory"]["total"] > 0
        assert set(output["swap"].values()) == {None}
        assert error == "swap space: can't be read here"
        line, error = ask("uptime")
        assert ",  ? users,  load average" in line
        assert error == "users: can't be read here"


class TestCpu:
    @pytest.fixture(autouse=True)
    def _first_call(self, monkeypatch):
        monkeypatch.setattr(host, "_samples", type(host._samples)(maxlen=1))

    @pytest.fixture
    def waits(self, monkeypatch):
        """The seconds of each wait so far."""
        waited, sleep = [], time.sleep
        monkeypatch.setattr(time, "sleep", lambda seconds: (waited.append(seconds), sleep(seconds)))
        return waited

    def test_first_call(self, waits):
        """The first call already tells of a busy CPU, after one short wait."""
        with child(code="print('ready', flush=True)\nwhile True: pass"):
            output, error = ask("cpuinfo")
        assert waits == [host._SAMPLE_SECONDS]
        assert error == ""
        assert output["no_of_cpu"] == psutil.cpu_count() == len(output["percent_per_cpu"])
        assert max(output["percent_per_cpu"]) >= 30
        assert output["cpu_percent"] >= 30 / output["no_of_cpu"] * 0.8
        assert tuple(output["cputimes"]) == host._CPU
        assert abs(output["cputimes"]["user"] - psutil.cpu_times().user) < 30

    def test_soon_after(self, waits, monkeypatch):
        """A call within a second gets the same figures and does not wait."""
        monkeypatch.setattr(host, "_FRESH_SECONDS", 60.0)  # a busy machine may take more than a second
        first, _ = ask("cpuinfo")
        second, _ = ask("cpuinfo")
        assert len(waits) == 1
        assert first == second

    def test_later(self, waits, monkeypatch):
        """A few seconds later the rate since the last look is told at once."""
        monkeypatch.setattr(host, "_STALE_SECONDS", 60.0)
        ask("cpuinfo")
        sample = host._samples[0]
        host._samples.append(sample._replace(at=sample.at - 3))
        ask("cpuinfo")
        assert len(waits) == 1
        assert host._samples[0].at > sample.at

    def test_much_later(self, waits):
        """A look of an hour ago is not averaged into the rate of now."""
        ask("cpuinfo")
        sample = host._samples[0]
        nothing = [times._make([0.0] * len(times)) for times in sample.times]
        host._samples.append(sample._replace(at=sample.at - 3600, times=nothing))
        ask("cpuinfo")
        assert waits == [host._SAMPLE_SECONDS] * 2

    def test_no_ticks(self, monkeypatch):
        """Where the kernel's CPU times stand still, the rates are null and the error says so."""
        times = psutil.cpu_times()
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu=False: [times] if percpu else times)
        output, error = ask("cpuinfo")
        assert (output["cpu_percent"], output["percent_per_cpu"]) == (None, [None])
        assert "stand still" in error

    def test_guests_count_once(self):
        """The time of virtual guests, which Linux counts under user too, counts once."""
        fields = ("user", "system", "idle", "iowait", "guest", "guest_nice")
        before = SimpleNamespace(_fields=fields, **dict.fromkeys(fields, 0.0))
        now = SimpleNamespace(_fields=fields, user=50.0, system=0.0, idle=40.0, iowait=10.0, guest=50.0, guest_nice=0.0)
        assert host._busy(before, now) == 50.0


class TestDiskUsage:
    def test_figures(self):
        """The use of each file system is what the standard library says."""
        output, _ = ask("disk_usage")
        usage = merged(output)
        assert tuple(usage["/"]) == host._USAGE
        assert usage["/"]["total"] == shutil.disk_usage("/").total
        assert set(usage) == {entry["mountpoint"] for entry in ask("mount")[0]}

    @pytest.fixture
    def nfs(self, monkeypatch, tmp_path):
        """A folder that psutil takes for a mount of NFS."""

        def with_nfs(**options):
            mounts = partitions(**options)
            return [*mounts, mounts[0]._replace(mountpoint=str(tmp_path), fstype="nfs4")]

        partitions = psutil.disk_partitions
        monkeypatch.setattr(psutil, "disk_partitions", with_nfs)
        return str(tmp_path)

    def test_hung_mount(self, monkeypatch, nfs):
        """A hung mount costs one thread and its time limit once, however many ask, and comes back when it answers."""
        silent, end = os.pipe()
        entered, statvfs = [], os.statvfs

        def waiting(path):
            if path == nfs:
                entered.append(path)
                os.read(silent, 1)
            return statvfs(path)

        monkeypatch.setattr(os, "statvfs", waiting)
        monkeypatch.setattr(host, "_MOUNT_SECONDS", 0.3)
        start = time.monotonic()
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda _: ask("disk_usage"), range(5)))
        assert time.monotonic() - start >= 0.3
        for output, error in [*answers, ask("disk_usage")]:
            assert merged(output)[nfs] == {"error": "no answer within 0.3 s"}
            assert merged(output)["/"]["total"] > 0
            assert re.match(r"\d+ of \d+ mount points could not be seen", error)
        assert entered == [nfs]
        os.write(end, b"x")
        eventually(lambda: not host._looks)
        os.write(end, b"x")
        assert merged(ask("disk_usage")[0])[nfs]["total"] > 0
        os.close(silent)
        os.close(end)

    def test_vanished_mount(self, nfs):
        """A mount point that is gone carries the error."""
        os.rmdir(nfs)
        assert "No such file" in merged(ask("disk_usage")[0])[nfs]["error"]

    def test_no_thread(self, monkeypatch):
        """Where no thread can be started each entry carries the error, and nothing hangs or stays behind."""

        def refuse(function, args):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(sys.modules["_thread"], "start_new_thread", refuse)
        output, _ = ask("disk_usage")
        assert {entry["error"] for entry in merged(output).values()} == {"can't start new thread"}
        assert not host._looks

    @pytest.mark.parametrize("patched", ["plain", "gevent"])
    def test_dead_file_server(self, patched):
        """A really dead mount stops neither gevent's loop nor the rest, and a forked child does not inherit its fate."""
        code = """
        import sys
        if sys.argv[1] == "gevent":
            from gevent import monkey; monkey.patch_all()
            import gevent
        import json, time
        from gjrpc.host import methods as host
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
            host._MOUNT_SECONDS = limit
            start = time.monotonic()
            answer = run()
            return answer["output"], time.monotonic() - start
        first, second = timed(0.5), timed(1000)  # the second must not wait: it would take longer than this process may live
        stuck = len(host._looks)
        if sys.argv[1] == "plain":
            child = os.fork()
            if not child:
                host._MOUNT_SECONDS = 0.1
                hung = [e for e in host.disk_usage()["output"] if "error" in e.get(target, {})]
                os._exit("0.1 s" not in hung[0][target]["error"])
            assert os.waitpid(child, 0)[1] == 0
        revive()
        end = time.monotonic() + 30
        while host._looks and time.monotonic() < end:
            time.sleep(0.01)
        libc.umount2(os.fsencode(target), 2)
        os.rmdir(target)
        print(json.dumps([target, first, second, len(ticks), stuck, len(host._looks)]))
        """
        target, first, second, ticks, stuck, left = script(MOUNTS + textwrap.dedent(code), patched)
        assert merged(first[0])[target] == merged(second[0])[target] == {"error": "no answer within 0.5 s"}
        assert merged(first[0])["/"]["total"] > 0
        assert first[1] >= 0.5
        assert (stuck, left) == (1, 0)
        assert patched == "plain" or ticks >= 5


class TestNetstat:
    @pytest.mark.parametrize("source", ["netstat", "other"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_sockets(self, host, source):
        """Listening, connected and UDP sockets are told with ss's words, right addresses, and what waits in the queue."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        anywhere = "::" if ":" in host else "0.0.0.0"
        try:
            listener = socket.create_server((host, 0), family=family)
        except OSError:
            pytest.skip(f"no {host} on this machine")
        with listener, socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((host, 0))
            with socket.create_connection(listener.getsockname()[:2]) as client, closing(listener.accept()[0]) as server:
                client.sendall(b"12345")
                server.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
                ports = [end.getsockname()[1] for end in (listener, client, udp)]
                entries = ask("netstat")[0] if source == "netstat" else list(sockets._other_sockets([]))
        by_ends = {(e["netid"], e["address"][0]["port"], e["address"][1]["port"]): e for e in entries}
        listening, (at, to), datagram = ports[0], (ports[1], ports[0]), ports[2]
        assert by_ends["tcp", listening, None] == entry("tcp", "LISTEN", 0, (host, listening), (anywhere, None), source)
        assert by_ends["tcp", at, to] == entry("tcp", "ESTAB", 0, (host, at), (host, to), source)
        assert by_ends["tcp", to, at] == entry("tcp", "ESTAB", 5, (host, to), (host, at), source)
        assert by_ends["udp", datagram, None] == entry("udp", "UNCONN", 0, (host, datagram), (anywhere, None), source)

    def test_closing(self):
        """The two ends of a connection that is being closed are told as waiting, in ss's spelling."""
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
            server = listener.accept()[0]
            port, own = listener.getsockname()[1], client.getsockname()[1]

            def words():
                told = [e for e in ask("netstat")[0] if e["netid"] == "tcp"]
                ends = {tuple(end["port"] for end in e["address"]): e["state"] for e in told}
                return ends.get((own, port)), ends.get((port, own))

            client.close()
            eventually(lambda: words() == ("FIN-WAIT-2", "CLOSE-WAIT"))
            server.close()
            eventually(lambda: words() == ("TIME-WAIT", None))

    def test_no_tables(self, monkeypatch, tmp_path):
        """Tables that can't be read are named in the error; those of IPv6 may be missing."""
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
        output, error = ask("netstat")
        assert output == []
        assert "tcp: " in error
        assert "udp: " in error
        assert "6:" not in error


def entry(netid, state, waiting, local, peer, source):
    """A socket as netstat tells it; psutil knows no queues and no peer of what has none."""
    queues = (waiting, 0) if source == "netstat" else (None, None)
    peer = peer if source == "netstat" or peer[1] else ("", None)
    ends = [{"local": local[0], "port": local[1]}, {"peer": peer[0], "port": peer[1]}]
    return {"netid": netid, "state": state, "recv-Q": queues[0], "send-Q": queues[1], "address": ends}


class TestProcesses:
    @pytest.fixture
    def marker(self):
        """A text that no other process has in its command line."""
        return f"Marker-{uuid.uuid4().hex}"

    def test_running(self, marker):
        """All processes are listed, each by its command line."""
        with child(marker, "a b"):
            lines, _ = ask("running_process")
        assert [line for line in lines if line.endswith(f"{marker} a b")]
        assert len(lines) >= 2

    def test_check(self, marker):
        """A process is found by any part of its command line in any case, with its figures as numbers."""
        code = "import sys, threading as t; s = t.Thread(target=sys.stdin.read); s.start(); print('ready', flush=True); s.join()"
        with child(marker, code=code) as process:
            (found,), error = ask("check_process", marker[3:].upper())
            start = datetime.fromtimestamp(psutil.Process(process.pid).create_time())
        # Other processes of this machine come and go.
        assert re.fullmatch(r"(\d+ of \d+ processes could not be seen \(\d+ ended meanwhile\))?", error)
        assert tuple(found) == processes.FIGURES
        assert found["pid"] == process.pid
        assert found["user"] == pwd.getpwuid(os.getuid()).pw_name
        assert found["threadcount"] == 2
        assert found["args"].endswith(f"s.join() {marker}")
        assert isinstance(found["pcpu"], float)
        assert 0 <= found["pmem"] < 50
        assert abs(datetime.strptime(found["starttime"], "%a %b %d %H:%M:%S %Y") - start).total_seconds() <= 1

    def test_itself(self):
        """The process that serves the call is not found; where nothing else is, the error says so."""
        assert os.getpid() not in {found["pid"] for found in ask("check_process", "pyt")[0]}
        own = " ".join(psutil.Process().cmdline())
        if not [line for line in ask("running_process")[0] if own in line][1:]:
            output, error = ask("check_process", own)
            assert (output, "except 1 that made or serve this call" in error) == ([], True)

    def test_pcpu(self, marker):
        """The CPU use of a process is over its lifetime."""

        def used():
            return sum(seen.cpu_times()[:2]), time.time() - seen.create_time()

        with child(marker, code="import time; print('ready', flush=True)\nwhile True: pass") as process:
            seen = psutil.Process(process.pid)
            eventually(lambda: used()[0] > 0.5)
            (cpu_before, lived_before), (found,), (cpu_after, lived_after) = used(), ask("check_process", marker)[0], used()
        assert 95 * cpu_before / lived_after <= found["pcpu"] <= 105 * cpu_after / lived_before

    @pytest.mark.parametrize("text", ["", " \t"])
    def test_empty_text(self, text):
        """An empty text finds no process and is said to be empty."""
        assert ask("check_process", text) == ([], "the text to look for is empty")

    @pytest.mark.parametrize("text", ["", "; touch /tmp/x", "$(id)", "[", "*"])
    def test_nothing_found(self, text, marker):
        """A text in no command line finds nothing and the error says so; no character of it has a meaning."""
        output, error = ask("check_process", marker + text)
        assert output == []
        assert error.startswith(f"no process has {marker + text!r}")

    def test_undecodable(self, marker):
        """Bytes of a command line that are no text are replaced, so that JSON can hold it."""
        with child(marker, b"caf\xe9 \xff"):
            (found,), _ = ask("check_process", marker)
        assert found["args"].endswith(f"{marker} caf\ufffd \ufffd")

    def test_masked(self, marker):
        """A secret in a command line is neither shown nor found."""
        with child(marker, f"--password={SECRET}{marker[::-1]}"):
            (found,), _ = ask("check_process", marker)
            lines, _ = ask("running_process")
            assert ask("check_process", SECRET + marker[::-1])[0] == []
        assert found["args"].endswith(f"{marker} --password={masking.MASK}")
        assert not [line for line in lines if marker[::-1] in line]

    def test_long(self, marker):
        """A very long command line is cut, whole argument by whole argument."""
        with child(marker, "x" * 30_000, "y" * 30_000):
            (found,), _ = ask("check_process", marker)
        assert found["args"].endswith("x …")

    def test_zombie(self, marker):
        """A process that has ended but is still in the table is shown as ps shows it."""
        with child(marker) as process:
            process.kill()
            eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
            shown = processes.line_of(psutil.Process(process.pid))
        assert re.fullmatch(r"\[python[\w.-]*\] <defunct>", shown)

    def test_ended(self, marker, monkeypatch):
        """A process that ends before it is looked at is left out and counted, and the others are told."""
        with child(marker) as process:
            process.kill()
        real = psutil.pids
        monkeypatch.setattr(psutil, "pids", lambda: [process.pid, *real()])
        lines, error = ask("running_process")
        assert len(lines) >= 2
        assert re.fullmatch(r"\d+ of \d+ processes could not be seen \(\d+ ended meanwhile\)", error)

    def test_ends_while_seen(self, marker, monkeypatch):
        """A process that ends between two looks keeps its entry, which carries the error."""
        real = processes.line_of
        with child(marker) as process:

            def last_look(looked_at, limit):
                line = real(looked_at, limit)
                if looked_at.pid == process.pid:
                    process.kill()
                    process.wait()
                return line

            monkeypatch.setattr(processes, "line_of", last_look)
            (found,), _ = ask("check_process", marker)
        assert found["error"] == "it ended meanwhile"
        assert (found["pid"], found["user"]) == (process.pid, None)
        assert marker in found["args"]

    def test_denied(self, marker, monkeypatch):
        """A process that may not be looked at is left out and counted; one that may in part has nulls and an error."""
        cmdline = psutil.Process.cmdline

        def denied(process):
            raise psutil.AccessDenied(process.pid)

        with child(marker) as process:
            monkeypatch.setattr(psutil.Process, "memory_percent", denied)
            (found,), _ = ask("check_process", marker)
            assert (found["pmem"], found["threadcount"], found["error"]) == (None, 1, "not permitted to see all of it")
            monkeypatch.setattr(psutil.Process, "cmdline", lambda p: denied(p) if p.pid == process.pid else cmdline(p))
            output, error = ask("check_process", marker)
        assert output == []
        assert "1 not permitted" in error

    def test_hidden(self, monkeypatch):
        """Where the processes of others are hidden, the error says so."""
        monkeypatch.setattr(psutil, "pids", lambda: [os.getpid()])
        assert "hidden" in ask("running_process")[1]


class TestSecrets:
    def test_environment(self, monkeypatch):
        """The environment is an object whose secrets are masked and whose rest is shown."""
        for name in ("DB_PASSWORD", "API_TOKEN", "AWS_SECRET_ACCESS_KEY", "MYSQL_PWD", "AUTH"):
            monkeypatch.setenv(name, f"{SECRET} {SECRET}")
        monkeypatch.setenv("DATABASE_URL", f"postgres://me:{SECRET}@host/db")
        harmless = ("PLAIN", "OLDPWD", "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM", "TLS_KEY_FILE")
        for name in harmless:
            monkeypatch.setenv(name, "shown")
        monkeypatch.setenv("EMPTY_PASSWORD", "")
        monkeypatch.setenv("BYTES", os.fsdecode(b"caf\xe9"))
        shown, error = ask("get_env")
        assert error == ""
        assert set(shown) == {masking.clean(name) for name in os.environ}
        assert SECRET not in str(shown)
        assert shown["DB_PASSWORD"] == shown["MYSQL_PWD"] == shown["AUTH"] == masking.MASK
        assert shown["DATABASE_URL"] == "postgres://me:********@host/db"
        assert {shown[name] for name in harmless} == {"shown"}
        assert (shown["EMPTY_PASSWORD"], shown["BYTES"]) == ("", "caf\ufffd")

    def test_embedding_code(self, monkeypatch):
        """Embedding code adds kinds of secrets, or clears them all to show everything."""
        monkeypatch.setenv("DB_PASSWORD", SECRET)
        monkeypatch.setitem(masking.SECRETS, "badge", re.compile(r"(?P<keep>badge )\d+"))
        assert masking.mask("badge 12345") == f"badge {masking.MASK}"
        for kind in list(masking.SECRETS):
            monkeypatch.delitem(masking.SECRETS, kind)
        assert ask("get_env")[0]["DB_PASSWORD"] == SECRET


EVERYTHING = """
def everything():
    import msgspec
    names = [name for name in host.registry.list_methods() if host.registry.find(name).blocking]
    assert len(names) == 11
    return names, lambda name: msgspec.json.decode(
        msgspec.json.encode(host.registry.find(name).function(*(["python"] if name == "check_process" else [])))
    )
"""


def test_another_user():
    """Without root all methods answer, and say what they could not see."""
    code = """
    import json, warnings
    from gjrpc.host import methods as host
    hidden = None
    if os.geteuid() == 0:
        try:
            own_mounts()
            hidden = os.path.join(tempfile.mkdtemp(), "mounted")
            os.mkdir(hidden)
            mount("tmpfs", hidden)
        except OSError:
            hidden = None
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    names, run = everything()
    print(json.dumps([hidden, os.geteuid(), {name: run(name) for name in names}]))
    """
    hidden, user, answers = script(MOUNTS + EVERYTHING + textwrap.dedent(code))
    if hidden:  # left behind: the user whom the script became may not remove it
        os.rmdir(hidden)
        os.rmdir(Path(hidden).parent)
    assert user != 0
    assert all(answer["output"] for answer in answers.values())
    assert len(answers["running_process"]["output"]) >= 2 or "hidden" in answers["running_process"]["error"]
    if hidden:
        assert "Permission denied" in merged(answers["disk_usage"]["output"])[hidden]["error"]
        assert answers["disk_usage"]["error"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_under_gevent(when):
    """In gevent's thread pool all methods answer several at once, whenever gevent patched, and the loop goes on meanwhile."""
    code = """
    import sys
    if sys.argv[1] == "after":
        from gjrpc.host import methods as host
    from gevent import monkey; monkey.patch_all()
    import gevent, json
    from gjrpc.host import methods as host
    names, run = everything()
    pool = gevent.get_hub().threadpool
    ticks = []
    def tick():
        while True:
            ticks.append(0)
            gevent.sleep(0.01)
    gevent.spawn(tick)
    cpu = pool.spawn(host.cpuinfo)
    cpu.get()
    during = len(ticks)
    results = [pool.spawn(run, name) for name in names * 4]
    answers = [result.get(timeout=30) for result in results]
    on_loop = [run(name) for name in names]
    print(json.dumps([during, len(answers), [a["error"] for a in answers + on_loop if not a["output"]]]))
    """
    during, count, empty = script(EVERYTHING + textwrap.dedent(code), when)
    assert during >= 4
    assert count == 44
    assert empty == []
