"""The server's socket, which is bound only after everything else has been checked."""

import os
import re
import socket

import pytest
from conftest import refuses

from gjrpc.commands.listening import Listening
from gjrpc.commands.settings import Settings
from gjrpc.errors import SettingsError
from gjrpc.server.addresses import Address

APP = """
from gjrpc import Registry
registry = Registry()

def application(environ, start_response):
    return []

def factory():
    raise RuntimeError("out of order")
"""

FAULTS = [
    (["nowhere:registry"], "there is no module 'nowhere'"),
    (["app:missing"], "has no 'missing'"),
    (["app:factory()"], "RuntimeError: out of order"),
    (["broken:registry"], "SyntaxError"),
    (["app:application", "--token-file", "tokens"], "--token-file"),
    (["app:registry", "--cert", "broken.py"], "--cert: certificate file 'broken.py'"),
    (["app:registry", "--self-signed", "--cert", "cert.pem"], "--self-signed"),
    (["app:registry", "--htpasswd", "broken.py"], "--htpasswd: broken.py"),
    (["app:registry", "--token-file", "tokens", "--permissions", "missing"], "--permissions: missing"),
    (["app:registry", "--open", "--token-file", "tokens"], "--open"),
    (["app:registry", "--trusted-proxies", "nonsense"], "nonsense"),
    (["app:registry", "--socket-group", "nobody-has-this"], "--socket-group"),
]


@pytest.fixture
def run(launch, tmp_path):
    """Start the program in a folder with an `app` module, and with one that is broken."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "broken.py").write_text("def")
    (tmp_path / "tokens").write_text("")
    (tmp_path / "tokens").chmod(0o600)
    return lambda *arguments: launch("-m", "gjrpc.serve", *arguments, cwd=tmp_path)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("arguments", "said"), FAULTS)
def test_a_fault_is_reported_though_the_port_is_taken(run, workers, arguments, said):
    """Options, files and the target are checked before the port: their error is reported, in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run(*arguments, "--workers", workers, "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
        assert refused.wait() == 2
    assert re.fullmatch(r"error: .*\n", refused.output)
    assert said in refused.output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_files_are_checked_before_the_target(run, workers):
    """With several faults the first in this order is reported: certificate, credentials, target, port."""
    faults = [["--cert", "missing.pem"], ["--token-file", "absent"], ["app:missing"]]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for number, said in enumerate(("missing.pem", "absent", "has no 'missing'")):
            words = [word for fault in reversed(faults[number:]) for word in fault]
            refused = run(*words, "--workers", workers, "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
            assert refused.wait() == 2
            assert said in refused.output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port(run, workers):
    """If all else is usable, the error is that the port is in use, in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run("app:registry", "--workers", workers, "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
        assert refused.wait() == 2
    said = r"error: can't listen on 127\.0\.0\.1:\d+: .*in use.*; choose another address with --bind\n"
    assert re.fullmatch(said, refused.output)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("arguments", [["app:missing"], ["app:registry", "--cert", "missing.pem"]])
def test_no_socket_file_for_what_can_not_be_served(run, tmp_path, workers, arguments):
    """If something can't be used, no Unix socket's file is made, and a stale one is not replaced."""
    fresh, stale = tmp_path / "fresh.sock", tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    before = os.lstat(stale)
    for path in (fresh, stale):
        assert run(*arguments, "--workers", workers, "--bind", f"unix:{path}").wait() == 2
    assert not fresh.exists()
    assert os.lstat(stale) == before


def test_its_own(tmp_path):
    """A socket for `--bind` refuses connections until `listen`, and `close` removes the file that it made."""
    path = tmp_path / "s.sock"
    listening = Listening(Settings(bind=f"unix:{path}", socket_mode=0o600))
    assert listening.address == Address(path=str(path))
    assert not path.exists()
    listening.listen()
    with listening.socket:
        assert not refuses(path)
        assert path.stat().st_mode & 0o777 == 0o600
    listening.close()
    assert not path.exists()


def test_the_one_of_systemd(monkeypatch):
    """A socket that systemd passes takes precedence over `--bind`, and is not bound again."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        monkeypatch.setattr("gjrpc.process.systemd.inherited", lambda: passed)
        listening = Listening(Settings(bind="nonsense"))
        listening.listen()
        assert listening.socket is passed
        assert listening.address == Address(*passed.getsockname())
        listening.close()


def test_an_address_that_can_not_be_read():
    """An address that can't be read is refused before a socket is made."""
    with pytest.raises(SettingsError, match="expected HOST:PORT"):
        Listening(Settings(bind="nonsense"))
