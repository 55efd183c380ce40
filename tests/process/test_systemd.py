"""systemd's protocols, with real sockets: socket activation and notifications."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
import requests

from gjrpc.process.systemd import Notifier, inherited

APP = """
from gjrpc import Registry
registry = Registry()
registry.register(lambda: "pong", "ping")
"""
# Becomes a program as systemd would start it: the socket is descriptor 3, and LISTEN_PID is its own number.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
MODES = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def manager(tmp_path):
    """The socket on which a service manager receives notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.bind(str(tmp_path / "notify"))
        notes.settimeout(60)
        yield notes


def until(notes, wanted):
    """Read notifications until the wanted one, and return those before it."""
    told = []
    while (note := notes.recv(1000).decode()) != wanted:
        told.append(note)
    return told


@MODES
def test_notes(launch, tmp_path, manager, workers):
    """A server reports that it is ready, reloading, alive and stopping, with one process and with several."""
    (tmp_path / "app.py").write_text(APP)
    environ = {**os.environ, "NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000"}
    arguments = ["app:registry", "--workers", workers, "--bind", "127.0.0.1:0", "--self-signed"]
    server = launch("-m", "gjrpc.serve", *arguments, cwd=tmp_path, env=environ)
    assert set(until(manager, "READY=1")) <= {"WATCHDOG=1"}
    until(manager, "WATCHDOG=1")
    until(manager, "WATCHDOG=1")
    server.process.send_signal(signal.SIGHUP)
    if workers == "2":  # one process has no file here to read again, and tells nothing
        told = until(manager, "READY=1")
        assert any(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", note) for note in told)
    server.process.terminate()
    until(manager, "STOPPING=1")
    assert server.wait() == 0


@MODES
def test_activation(launch, tmp_path, workers):
    """A socket that systemd passes is used instead of --bind, and a Unix socket's file stays at the end."""
    (tmp_path / "app.py").write_text(APP)
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        arguments = ["-m", "gjrpc.serve", "app:registry", "--workers", workers]
        server = launch("-c", ACTIVATE, str(listener.fileno()), *arguments, cwd=tmp_path, pass_fds=[listener.fileno()])
        assert server.wait_url() == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        server.process.terminate()
        assert server.wait() == 0
    assert path.exists()


@pytest.mark.needs("systemd-socket-activate")
@MODES
def test_systemds_own_tool(launch, tmp_path, workers):
    """systemd's own tool starts the server on the first connection, which is answered."""
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gjrpc.serve", "app:registry", "--workers", workers]
    keep = [f"--setenv={name}" for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ]
    tool = launch(f"--listen=127.0.0.1:{port}", *keep, *command, program="systemd-socket-activate", cwd=tmp_path)
    tool.wait_for("Listening on")
    assert requests.get(f"http://127.0.0.1:{port}/ping", timeout=60).json() == {"ping": "pong"}
    tool.process.terminate()
    assert tool.wait() == 0


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os.environ.update(LISTEN_FDS='2')", "LISTEN_FDS is 2; expected one socket"),
        ("import os; os.dup2(os.open('/dev/null', os.O_RDONLY), 3)", "descriptor 3 is not a socket"),
        ("import os, socket; s = socket.socket(); os.dup2(s.fileno(), 3)", "does not listen; use ListenStream="),
    ],
)
def test_refused(program, said):
    """A descriptor that is not a listening socket, or several of them, are refused with a message that says so."""
    rest = "os.environ['LISTEN_PID'] = str(os.getpid()); from gjrpc.process.systemd import inherited; inherited()"
    environ = {**os.environ, "LISTEN_FDS": "1"}
    command = [sys.executable, "-c", f"{program}; {rest}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, check=False)
    assert re.search(rf"SettingsError: socket activation: .*{said}", done.stderr)


def test_of_another_process():
    """Variables for another process are ignored."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert inherited(environ) is None
    assert environ == {"LISTEN_PID": "1", "LISTEN_FDS": "1"}


def test_no_watchdog():
    """The watchdog is active only if it is configured for this process and there is a notification socket."""
    wanted = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000000"}
    assert Notifier(dict(wanted)).interval == 0.5
    assert Notifier({**wanted, "WATCHDOG_PID": "1"}).interval is None
    assert Notifier({"WATCHDOG_USEC": "1000000"}).interval is None
    assert Notifier({"NOTIFY_SOCKET": "/nowhere"}).interval is None


def test_nobody_listens(caplog):
    """A missing service manager causes one line in the log, and the variables are removed from the environment."""
    environ = {"NOTIFY_SOCKET": "@gjrpc-nobody-is-here"}
    notifier = Notifier(environ)
    notifier.ready()
    assert "could not notify systemd of READY=1" in caplog.text
    assert not environ


def test_nobody_reads(tmp_path, caplog):
    """A service manager that never reads blocks nothing; each series of failures causes one line in the log."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": notes.getsockname()})
        for turn in (1, 2):
            for _ in range(2000):  # the kernel keeps 10 by default, and some systems more
                notifier.ready()
            assert caplog.text.count("could not notify systemd of READY=1") == turn
            notes.setblocking(False)
            with suppress(BlockingIOError):
                while notes.recv(1000):
                    pass
