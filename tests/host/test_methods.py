"""The host methods, on the real machine; tests that change their process for good run in one of their own."""

import os
import pwd
import re
import textwrap
import time
import uuid
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from conftest import wait_until
from host_machine import EVERYTHING, MOUNTS, ask, child, merged, script

from gjrpc.host import masking, processes
from gjrpc.host import methods as host

METHODS = {"ping", "uptime", "mount", "iostat", "ifconfig", "cpuinfo", "meminfo", "disk_usage", "netstat"}
METHODS |= {"running_process", "check_process", "get_env"}
SECRET = "hunter2"


def test_registry_holds_the_twelve():
    """The registry has exactly the twelve methods, and all but ping are blocking."""
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
    """A ping returns pong."""
    assert host.ping() == "pong"


def test_uptime():
    """The uptime is a line as the uptime command prints it, with the time since boot and the load."""
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


@pytest.mark.parametrize(
    ("method", "names", "counters"),
    [
        ("iostat", host._DISK, lambda: psutil.disk_io_counters(perdisk=True)),
        ("ifconfig", host._NIC, psutil.net_io_counters),
    ],
)
def test_counters(method, names, counters):
    """The counters of disks and network interfaces are psutil's."""
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
    """A part that psutil can't read is null and named in the error; the rest is there."""

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
        """A process is found by any part of its command line, in any case, and its figures are numbers."""
        code = "import sys, threading as t; s = t.Thread(target=sys.stdin.read); s.start(); print('ready', flush=True); s.join()"
        with child(marker, code=code) as process:
            (found,), error = ask("check_process", marker[3:].upper())
            start = datetime.fromtimestamp(psutil.Process(process.pid).create_time())
        # Other processes of this machine come and go.
        assert re.fullmatch(r"(\d+ of \d+ processes could not be read \(\d+ ended meanwhile\))?", error)
        assert tuple(found) == processes.FIGURES
        assert found["pid"] == process.pid
        assert found["user"] == pwd.getpwuid(os.getuid()).pw_name
        assert found["threadcount"] == 2
        assert found["args"].endswith(f"s.join() {marker}")
        assert isinstance(found["pcpu"], float)
        assert 0 <= found["pmem"] < 50
        assert abs(datetime.strptime(found["starttime"], "%a %b %d %H:%M:%S %Y") - start).total_seconds() <= 1

    def test_itself(self):
        """The process that serves the call is left out; if there is no other, the error says so."""
        assert os.getpid() not in {found["pid"] for found in ask("check_process", "pyt")[0]}
        own = " ".join(psutil.Process().cmdline())
        if not [line for line in ask("running_process")[0] if own in line][1:]:
            output, error = ask("check_process", own)
            assert (output, "except 1 that made or serve this call" in error) == ([], True)

    def test_pcpu(self, marker):
        """The CPU use of a process is averaged over its lifetime."""

        def used():
            return sum(seen.cpu_times()[:2]), time.time() - seen.create_time()

        with child(marker, code="import time; print('ready', flush=True)\nwhile True: pass") as process:
            seen = psutil.Process(process.pid)
            wait_until(lambda: used()[0] > 0.5, "half a second of CPU time")
            (cpu_before, lived_before), (found,), (cpu_after, lived_after) = used(), ask("check_process", marker)[0], used()
        assert 95 * cpu_before / lived_after <= found["pcpu"] <= 105 * cpu_after / lived_before

    @pytest.mark.parametrize("text", ["", " \t"])
    def test_empty_text(self, text):
        """An empty text finds no process, and the error says that it is empty."""
        assert ask("check_process", text) == ([], "the text to search for is empty")

    @pytest.mark.parametrize("text", ["", "; touch /tmp/x", "$(id)", "[", "*"])
    def test_nothing_found(self, text, marker):
        """A text that no command line contains finds nothing, and the error says so; none of its characters is special."""
        output, error = ask("check_process", marker + text)
        assert output == []
        assert error.startswith(f"no process has {marker + text!r}")

    def test_undecodable(self, marker):
        """Bytes of a command line that can't be decoded are replaced, so that JSON can hold it."""
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
        """A very long command line is cut between two arguments."""
        with child(marker, "x" * 30_000, "y" * 30_000):
            (found,), _ = ask("check_process", marker)
        assert found["args"].endswith("x …")

    def test_zombie(self, marker):
        """A process that has ended but is still in the process table is shown as `ps` shows it."""
        with child(marker) as process:
            process.kill()
            wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
            shown = processes.line_of(psutil.Process(process.pid))
        assert re.fullmatch(r"\[python[\w.-]*\] <defunct>", shown)

    def test_ended(self, marker, monkeypatch):
        """A process that ends before it is read is left out and counted; the others are listed."""
        with child(marker) as process:
            process.kill()
        real = psutil.pids
        monkeypatch.setattr(psutil, "pids", lambda: [process.pid, *real()])
        lines, error = ask("running_process")
        assert len(lines) >= 2
        assert re.fullmatch(r"\d+ of \d+ processes could not be read \(\d+ ended meanwhile\)", error)

    def test_ends_while_seen(self, marker, monkeypatch):
        """A process that ends between two reads keeps its entry, which has the error."""
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
        assert found["error"] == "the process ended meanwhile"
        assert (found["pid"], found["user"]) == (process.pid, None)
        assert marker in found["args"]

    def test_denied(self, marker, monkeypatch):
        """A process that may not be read is left out and counted; one that may be read in part has nulls and an error."""
        cmdline = psutil.Process.cmdline

        def denied(process):
            raise psutil.AccessDenied(process.pid)

        with child(marker) as process:
            monkeypatch.setattr(psutil.Process, "memory_percent", denied)
            (found,), _ = ask("check_process", marker)
            assert (found["pmem"], found["threadcount"], found["error"]) == (None, 1, "not permitted to read all figures")
            monkeypatch.setattr(psutil.Process, "cmdline", lambda p: denied(p) if p.pid == process.pid else cmdline(p))
            output, error = ask("check_process", marker)
        assert output == []
        assert "1 not permitted" in error

    def test_hidden(self, monkeypatch):
        """If the processes of other users are hidden, the error says so."""
        monkeypatch.setattr(psutil, "pids", lambda: [os.getpid()])
        assert "hidden" in ask("running_process")[1]


class TestSecrets:
    def test_environment(self, monkeypatch):
        """The environment is returned as an object; its secrets are masked, and the rest is shown."""
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
        """Embedding code can add kinds of secrets, or clear them all to show everything."""
        monkeypatch.setenv("DB_PASSWORD", SECRET)
        monkeypatch.setitem(masking.SECRETS, "badge", re.compile(r"(?P<keep>badge )\d+"))
        assert masking.mask("badge 12345") == f"badge {masking.MASK}"
        for kind in list(masking.SECRETS):
            monkeypatch.delitem(masking.SECRETS, kind)
        assert ask("get_env")[0]["DB_PASSWORD"] == SECRET


def test_another_user():
    """Without root all methods answer, and say what they could not read."""
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
    """All methods run in gevent's thread pool, several at once, whenever gevent patched, and the loop continues meanwhile."""
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
