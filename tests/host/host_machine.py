"""What the tests of the host methods share: calls, child processes, and scripts with mounts of their own."""

import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import msgspec
from conftest import ROOT

from gjrpc.host import methods as host

WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
"""The code of a child that waits until it is killed."""


def ask(name, *args):
    """Call a host method and return its output and its error, as a client would get them."""
    answer = host.registry.find(name).function(*args)
    assert set(answer) == {"output", "error"}
    answer = msgspec.json.decode(msgspec.json.encode(answer))
    assert isinstance(answer["error"], str)
    return answer["output"], answer["error"]


def merged(entries):
    """Merge a list of objects with one key each into one object."""
    assert all(len(entry) == 1 for entry in entries)
    return {key: value for entry in entries for key, value in entry.items()}


@contextmanager
def child(*args, code=WAIT, **options):
    """Start a Python process with these arguments, and kill it at the end of the block; its code prints `ready` first."""
    command = [sys.executable, "-c", code, *args]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        try:
            assert process.stdout.readline().strip() == b"ready"
            yield process
        finally:
            process.kill()


def script(code, *args, **env):
    """Run Python code in a process of its own and return the JSON that it printed."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, env=environ, timeout=60, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr.decode()
    return msgspec.json.decode(result.stdout)


# The beginning of a script that makes mounts which only it sees. They disappear with its mount namespace when it ends.
MOUNTS = '''
import ctypes, os, tempfile
NEWNS, NEWUSER, REC, PRIVATE = 0x00020000, 0x10000000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def own_mounts():
    """Enter a mount namespace of its own."""
    checked(libc.unshare(NEWNS if os.geteuid() == 0 else NEWNS | NEWUSER))
    checked(libc.mount(b"none", b"/", None, REC | PRIVATE, None))

def mount(kind, target, options=""):
    checked(libc.mount(b"test", os.fsencode(target), kind.encode(), 0, options.encode()))

def dead_mount():
    """Return a mount point whose file server never answers, real if the kernel allows it, and a function that ends the wait."""
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


# Another beginning: call all blocking methods.
EVERYTHING = """
def everything():
    import msgspec
    names = [name for name in host.registry.list_methods() if host.registry.find(name).options.blocking]
    assert len(names) == 11
    return names, lambda name: msgspec.json.decode(
        msgspec.json.encode(host.registry.find(name).function(*(["python"] if name == "check_process" else [])))
    )
"""
