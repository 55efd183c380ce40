"""The host methods, over psutil: what py-jrpc's example server told of its machine, as a registry of their own.

Owns what each method reports and what must not be shown. It knows no request, no event loop and no shell, and starts no program.
All methods but `ping` wait on the kernel, so they are registered as blocking. They may run in several native threads at once,
with gevent or without it, so they share nothing that needs a lock.

Each but `ping` answers `{"output": ..., "error": ""}`. What could not be seen (a dead mount, a process that ended or belongs to
someone else, a file that a container hides) is left out or null, and `error` says so; figures that a platform lacks are null.

What looks like a secret is shown as `********`; `gjrpc.host.masking` says what does.
"""

import os
import re
import sys
import time
from collections import deque
from typing import Any, NamedTuple, TypedDict, TypeVar

import psutil

from gjrpc.calls import context
from gjrpc.calls.registry import Registry
from gjrpc.host.callers import unrelated
from gjrpc.host.masking import clean, mask
from gjrpc.host.processes import figures, running
from gjrpc.host.sockets import listed
from gjrpc.host.unreadable import UNREADABLE, read

T = TypeVar("T")

registry = Registry()
"""The twelve host methods; `Registry.include` takes them into another."""

SCOPE = "host"
"""What callers must hold for the methods that tell of processes, connections or the environment; see `gjrpc.calls.rights`."""

_DISK = ("read_count", "write_count", "read_bytes", "write_bytes", "read_time", "write_time")
_NIC = ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv", "errin", "errout", "dropin", "dropout")
_CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq")
_MEMORY = ("total", "available", "percent", "used", "free", "active", "inactive", "buffers", "cached")
_SWAP = ("total", "used", "free", "percent", "sin", "sout")
_USAGE = ("total", "used", "free", "percent")

# File systems in which the kernel shows itself. psutil's all=False leaves out more: a container's root (overlay), NFS, tmpfs.
_KERNEL_FILESYSTEMS = re.compile(
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|mqueue|nsfs|proc"
    "|pstore|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs"
)
_SAMPLE_SECONDS = 0.2  # 20 ticks of the kernel's 100 Hz clock: rates in steps of 5 %
_FRESH_SECONDS = 1.0
_STALE_SECONDS = 10.0
_MOUNT_SECONDS = 2.0


class Answer(TypedDict):
    """What each host method but `ping` answers: the output, and a text about what could not be seen, mostly empty."""

    output: Any
    error: str


@registry.method
def ping() -> str:
    """Answer "pong"."""
    return "pong"


@registry.method(blocking=True)
def uptime() -> Answer:
    """Tell the time, how long the host is up, how many users are logged in, and its load, as the `uptime` command does."""
    errors: list[str] = []
    booted = read(errors, "boot time", psutil.boot_time)
    users = read(errors, "users", psutil.users)
    load = read(errors, "load average", psutil.getloadavg)
    count = "?" if users is None else len(users)
    parts = [
        f" {time.strftime('%H:%M:%S')} up {'?' if booted is None else _duration(time.time() - booted)}",
        f"{count:>2} user{'s' * (count != 1)}",
        " load average: " + ("?" if load is None else ", ".join(f"{figure:.2f}" for figure in load)),
    ]
    return _answer(", ".join(parts), errors)


@registry.method(blocking=True)
def mount() -> Answer:
    """List the mounted file systems, but for those in which the kernel shows itself: device, mountpoint, fstype, opts."""
    errors: list[str] = []
    return _answer(
        [
            {"device": mask(m.device), "mountpoint": clean(m.mountpoint), "fstype": clean(m.fstype), "opts": mask(m.opts)}
            for m in _mounts(errors)
        ],
        errors,
    )


@registry.method(blocking=True)
def iostat() -> Answer:
    """Count what each disk has read and written since it came: bytes, operations, and milliseconds spent."""
    errors: list[str] = []
    # nowrap keeps state behind a lock, which gevent may have patched; a kernel's 64-bit counters don't wrap
    disks = read(errors, "disks", lambda: psutil.disk_io_counters(perdisk=True, nowrap=False)) or {}
    return _answer([{clean(disk): _pick(counters, _DISK)} for disk, counters in disks.items()], errors)


@registry.method(blocking=True)
def ifconfig() -> Answer:
    """Count what each network interface has sent and received since it came: bytes, packets, errors, drops."""
    errors: list[str] = []
    nics = read(errors, "network interfaces", lambda: psutil.net_io_counters(pernic=True, nowrap=False)) or {}
    return _answer([{clean(nic): _pick(counters, _NIC)} for nic, counters in nics.items()], errors)


@registry.method(blocking=True)
def cpuinfo() -> Answer:
    """Tell the number of logical CPUs, how busy they are now in percent, together and each, and their seconds since the start."""
    errors: list[str] = []
    sample = read(errors, "CPU times", _sample_cpu)
    if sample is not None and None in sample.percent:
        errors.append("CPU load: the CPU times stand still here")
    output = {
        "no_of_cpu": psutil.cpu_count(),
        "cpu_percent": sample.percent[0] if sample else None,
        "percent_per_cpu": sample.percent[1:] if sample else None,
        "cputimes": _pick(sample.times[0] if sample else None, _CPU),
    }
    return _answer(output, errors)


@registry.method(blocking=True)
def meminfo() -> Answer:
    """Tell the use of memory and swap space, in bytes and percent; `sin` and `sout` are bytes swapped since the start."""
    errors: list[str] = []
    memory = read(errors, "memory", psutil.virtual_memory)
    swap = read(errors, "swap space", psutil.swap_memory)
    return _answer({"memory": _pick(memory, _MEMORY), "swap": _pick(swap, _SWAP)}, errors)


@registry.method(blocking=True)
def disk_usage() -> Answer:
    """Tell the use of each mounted file system, in bytes and percent; one that does not answer within 2 s carries an error."""
    errors: list[str] = []
    looks = {m.mountpoint: _look(m.mountpoint) for m in _mounts(errors)}
    output = [{clean(mountpoint): look.outcome()} for mountpoint, look in looks.items()]
    failed = sum("error" in usage for entry in output for usage in entry.values())
    if failed:
        errors.append(f"{failed} of {len(output)} mount points could not be seen")
    return _answer(output, errors)


@registry.method(blocking=True, scope=SCOPE)
def netstat() -> Answer:
    """List the TCP and UDP sockets as `ss -tua` does; a port is null for any. A listener's send-Q is 0, not its backlog."""
    errors: list[str] = []
    return _answer(listed(errors), errors)


@registry.method(blocking=True, scope=SCOPE)
def running_process() -> Answer:
    """List the command lines of all processes; those without one, as kernel threads, by their name in brackets."""
    errors: list[str] = []
    return _answer([args for _, args in running(errors)], errors)


@registry.method(blocking=True, scope=SCOPE)
def check_process(process: str) -> Answer:
    """Show each process whose command line, as `running_process` shows it, contains the text; case does not matter.

    `pcpu` is its CPU time over its lifetime, in percent; `pmem` its share of the memory. The server itself and the caller's own
    processes are left out as far as they are recognized (`gjrpc.host.callers`), as `curl …/check_process;nginx`
    contains `nginx`.
    """
    if not process.strip():
        return _answer([], ["the text to look for is empty"])
    errors: list[str] = []
    wanted = process.casefold()
    # the masked line is searched: otherwise a caller could find out a secret letter by letter
    found = [one for one in running(errors) if wanted in one[1].casefold()]
    told = unrelated(found, "check_process", process, context.peer())
    if not told:
        besides = f", except {len(found)} that made or serve this call" * bool(found)
        errors.insert(0, f"no process has {process[:100]!r} in its command line{besides}")
    return _answer([figures(*one) for one in told], errors)


@registry.method(blocking=True, scope=SCOPE)
def get_env() -> Answer:
    """Show the environment of the server, with what looks like a secret masked."""
    return _answer({clean(name): mask(f"{name}={value}")[len(name) + 1 :] for name, value in os.environ.items()}, [])


def _answer(output: Any, errors: list[str]) -> Answer:
    return {"output": output, "error": clean("; ".join(errors))}


def _pick(figures: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(figures, name, None) for name in names}


def _duration(seconds: float) -> str:
    days, minutes = divmod(max(0, int(seconds // 60)), 24 * 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:2}:{minutes:02}" if hours else f"{minutes} min"
    return (f"{days} day{'s' * (days != 1)}, " if days else "") + clock


def _native(module: str, name: str) -> Any:
    """An item of the standard library as it is without gevent: in gevent's place a hung system call would stop a whole loop."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey else getattr(sys.modules[module], name)


class _Sample(NamedTuple):
    at: float
    times: list[Any]  # of the whole machine, then of each CPU
    percent: list[float | None]


_samples: deque[_Sample] = deque(maxlen=1)


def _sample_cpu() -> _Sample:
    """How busy the CPUs have been since the sample before, which lies 0.2 to 10 s back; at most 1 s old.

    The kernel counts in the background all the time, so no thread has to: two looks at its counters make a rate. Only where the
    last look is missing or too old to mean "now", this waits for a second one. A thread would not outlive a fork, either.
    """
    before, now = (_samples[-1] if _samples else None), _cpu_times()
    if before is not None and now.at - before.at < _FRESH_SECONDS:
        return before
    if before is None or now.at - before.at > _STALE_SECONDS:
        _native("time", "sleep")(_SAMPLE_SECONDS)
        before, now = now, _cpu_times()
    sample = now._replace(percent=[_busy(*pair) for pair in zip(before.times, now.times, strict=False)])
    _samples.append(sample)
    return sample


def _cpu_times() -> _Sample:
    return _Sample(time.monotonic(), [psutil.cpu_times(), *psutil.cpu_times(percpu=True)], [])


def _busy(before: Any, now: Any) -> float | None:
    """The share of time not spent idle, in percent. Linux counts its guests' time under user and nice already."""
    spent = {name: max(0.0, getattr(now, name) - getattr(before, name)) for name in now._fields}
    total = sum(spent.values()) - spent.get("guest", 0) - spent.get("guest_nice", 0)
    idle = spent["idle"] + spent.get("iowait", 0)
    return round(min(100.0, max(0.0, 100 * (1 - idle / total))), 1) if total > 0 else None


class _Look:
    """One look at a mount point, in a native thread of its own that a dead file server may keep for ever.

    All who ask meanwhile wait for the same look until its time is up, and get its error at once after that, so that a mount
    point never holds more than one thread. A forked child, which has no such thread, looks on its own: hence the process id.
    """

    def __init__(self, mountpoint: str) -> None:
        self.key = (os.getpid(), mountpoint)
        self.ends = time.monotonic() + _MOUNT_SECONDS
        self.usage: dict[str, Any] = {"error": f"no answer within {_MOUNT_SECONDS:g} s"}
        self.done = _native("_thread", "allocate_lock")()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.usage = _pick(psutil.disk_usage(self.key[1]), _USAGE)
        except UNREADABLE as error:
            self.usage = {"error": clean(str(error))}
        finally:
            del _looks[self.key]
            self.done.release()

    def outcome(self) -> dict[str, Any]:
        if self.done.acquire(timeout=max(0.0, self.ends - time.monotonic())):
            self.done.release()  # for the next who waits
        return self.usage


_looks: dict[tuple[int, str], _Look] = {}


def _look(mountpoint: str) -> _Look:
    mine = _Look(mountpoint)
    look = _looks.setdefault(mine.key, mine)
    if look is mine:
        try:
            _native("_thread", "start_new_thread")(look.run, ())
        except RuntimeError as error:  # no thread can be started
            del _looks[look.key]
            look.usage, look.ends = {"error": str(error)}, 0
    return look


def _mounts(errors: list[str]) -> list[Any]:
    found = read(errors, "mounts", lambda: psutil.disk_partitions(all=True)) or []
    return [mounted for mounted in found if not _KERNEL_FILESYSTEMS.fullmatch(mounted.fstype)]
