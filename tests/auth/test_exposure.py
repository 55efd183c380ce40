"""Warnings about files with secrets that other users on this host can read or change."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import untraced

from gjrpc.auth import exposure
from gjrpc.auth.passwords import PasswordFile
from gjrpc.auth.permissions import Permissions, read_permissions
from gjrpc.auth.tokens import TokenFile, make
from gjrpc.server import tls

NOBODY = 65534
HASHED = "me:$2b$04$abcdefghijklmnopqrstuuX6dZjqyA3XQ0iGJrl0mmaGYCdfXxYIy\n"


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(exposure, "_warned", set())


@pytest.fixture
def file(tmp_path):
    """Make a file of a mode: `file(0o644)`."""

    def make_file(mode):
        path = tmp_path / "a file"
        path.touch()
        path.chmod(mode)
        return path

    return make_file


@pytest.fixture
def told(caplog):
    """Return the warnings since the last call."""

    def texts():
        found = [record.getMessage() for record in caplog.records if record.name == "gjrpc.auth"]
        caplog.clear()
        return found

    caplog.set_level(logging.WARNING)
    return texts


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (0o644, "everyone on this host can read it"),
        (0o604, "everyone on this host can read it"),
        (0o640, "its group can read it"),
        (0o440, "its group can read it"),
        (0o620, "its group can change it"),
        (0o660, "its group can change it"),
        (0o602, "everyone on this host can change it"),
        (0o666, "everyone on this host can change it"),
        (0o600, None),
        (0o400, None),
        (0o700, None),
        (0o711, None),
    ],
)
def test_modes(file, told, mode, words):
    """A warning names the file, its mode, who can read or change it, and the command that prevents it."""
    path = file(mode)
    exposure.warn("token file", path)
    expected = f"token file {str(path)!r} has mode {mode:03o}: {words}; to prevent that, run: chmod 600 '{path}'"
    assert told() == ([expected] if words else [])


def test_once(file, told):
    """There is one warning for a file, and another one if a later mode exposes it again."""
    path = file(0o644)
    for _ in range(3):
        exposure.warn("token file", path)
    assert len(told()) == 1
    path.chmod(0o600)
    exposure.warn("token file", path)
    assert told() == []
    path.chmod(0o666)
    exposure.warn("token file", path)
    assert len(told()) == 1


def test_not_secret(file, told):
    """A file without secrets causes a warning only if others can change it."""
    exposure.warn("permissions file", file(0o644), secret=False)
    assert told() == []
    exposure.warn("permissions file", file(0o664), secret=False)
    assert len(told()) == 1


def test_what_systemd_hands_over(file, told, monkeypatch):
    """A file in the folder of systemd's credentials causes no warning; one outside of it does."""
    path = file(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    exposure.warn("key file", path)
    assert told() == []
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent / "another"))
    exposure.warn("key file", path)
    assert len(told()) == 1


def test_gone(tmp_path, told):
    """A file that was removed meanwhile is not an error."""
    exposure.warn("key file", tmp_path / "none")
    assert told() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("mode", "words"), [("640", ""), ("660", "chmod 640"), ("644", "chmod 640")])
def test_root_s_file_by_its_group(mode, words):
    """Root's file that a service reads as a member of its group causes no warning; a wider mode does."""
    code = (
        "import sys; from gjrpc.auth import exposure; import logging, os; logging.basicConfig(); os.setgroups([]);"
        f"os.setgid({NOBODY}); os.setuid({NOBODY}); exposure.warn('key file', sys.argv[1])"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        path = Path(folder, "key")
        path.touch()
        os.chown(path, 0, NOBODY)
        path.chmod(int(mode, 8))
        command = [sys.executable, "-c", code, str(path)]
        # coverage could not write as somebody else
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=untraced())
    assert words in done.stderr
    assert bool(done.stderr) == bool(words)


def test_the_loaders_warn(tmp_path, told, certificate):
    """Token, password and permission files and keys are checked when they are read; anyone may read a certificate."""
    tokens, users, rights, key = (tmp_path / name for name in ("tokens", "users", "rights", "key"))
    tokens.write_text(make("me")[1])
    users.write_text(HASHED)
    rights.write_text("me *\n")
    key.write_bytes(Path(certificate.key).read_bytes())
    os.chmod(certificate.cert, 0o644)
    everyone = Permissions({})

    def load():
        TokenFile(str(tokens), everyone)
        PasswordFile(str(users), everyone)
        read_permissions(str(rights))
        tls.server_context(certificate.cert, key)

    for path in (tokens, users, rights, key):
        path.chmod(0o600)
    load()
    assert told() == []
    for path in (tokens, users, rights, key):
        path.chmod(0o666)
    load()
    assert [text.split(" ")[0] for text in told()] == ["token", "htpasswd", "permissions", "key"]


def test_a_key_in_the_certificate_s_file(tmp_path, told, certificate):
    """A certificate file that also contains the key is checked."""
    both = tmp_path / "both.pem"
    both.write_bytes(Path(certificate.cert).read_bytes() + Path(certificate.key).read_bytes())
    both.chmod(0o644)
    tls.server_context(both)
    assert len(told()) == 1
    tls.self_signed()
    assert told() == []


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["one process", "workers"])
def test_a_server_warns_once(launch, tmp_path, workers):
    """A server warns once when it starts, also with several workers, and not again at a reload."""
    tokens = tmp_path / "tokens"
    tokens.write_text(make("me")[1] + "\n")
    tokens.chmod(0o644)
    served = launch("-m", "gjrpc.serve", "--bind", "127.0.0.1:0", "--token-file", str(tokens), *workers)
    served.wait_for("try: curl")
    served.process.send_signal(signal.SIGHUP)
    served.wait_for("new workers serve" if workers else "reloaded the credentials")
    assert served.output.count("has mode 644: everyone on this host can read it") == 1
