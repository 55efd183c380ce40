"""The host methods, over psutil: those of py-jrpc's example server, as a registry.

Owns what each method returns, and which need a scope. The other modules of this package read the machine and mask secrets. It
knows no request, no event loop and no shell, and starts no program. All methods but `ping` wait for the kernel, so they are
registered as blocking. They may run in several native threads at once, with gevent or without it, so they share nothing that
needs a lock.

Each method but `ping` returns `{"output": ..., "error": ""}`. What can't be read (a file system that does not answer, a process
that ended or belongs to another user, a file that a container hides) is left out or null, and `error` says so. Figures that a
platform lacks are null. Text that looks like a secret is shown as `********`; `gjrpc.host.masking` has the rules.
"""

import os
import time
from typing import Any, TypedDict

import psutil

from gjrpc.calls import context
from gjrpc.calls.registry import Registry
from gjrpc.host import cpu, mounts
from gjrpc.host.callers import unrelated
from gjrpc.host.masking import clean, mask
from gjrpc.host.processes import figures, running
from gjrpc.host.sockets import listed
from gjrpc.host.unreadable import try_read

registry = Registry()
"""The twelve host methods; `Registry.include` adds them to another registry."""

SCOPE = "host"
"""The scope that callers need for the methods that show processes, connections or the environment; see `gjrpc.calls.rights`."""

_DISK = ("read_count", "write_count", "read_bytes", "write_bytes", "read_time", "write_time")
_NIC = ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv", "errin", "errout", "dropin", "dropout")
_CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq")
_MEMORY = ("total", "available", "percent", "used", "free", "active", "inactive", "buffers", "cached")
_SWAP = ("total", "used", "free", "percent", "sin", "sout")


class Answer(TypedDict):
    """What each host method but `ping` returns: the output, and a text about what could not be read, usually empty."""

    output: Any
    error: str


@registry.method
def ping() -> str:
    """Return "pong"."""
    return "pong"


@registry.method(blocking=True)
def uptime() -> Answer:
    """Return what the `uptime` command prints: the time, how long the host has been up, the number of users, and the load."""
    errors: list[str] = []
    booted = try_read(errors, "boot time", psutil.boot_time)
    users = try_read(errors, "users", psutil.users)
    load = try_read(errors, "load average", psutil.getloadavg)
    count = "?" if users is None else len(users)
    parts = [
        f" {time.strftime('%H:%M:%S')} up {'?' if booted is None else _duration(time.time() - booted)}",
        f"{count:>2} user{'s' * (count != 1)}",
        " load average: " + ("?" if load is None else ", ".join(f"{figure:.2f}" for figure in load)),
    ]
    return _answer(", ".join(parts), errors)


@registry.method(blocking=True)
def mount() -> Answer:
    """List the mounted file systems, without the kernel's own such as `/proc`: device, mountpoint, fstype, opts."""
    errors: list[str] = []
    return _answer(
        [
            {"device": mask(m.device), "mountpoint": clean(m.mountpoint), "fstype": clean(m.fstype), "opts": mask(m.opts)}
            for m in mounts.mounted(errors)
        ],
        errors,
    )


@registry.method(blocking=True)
def iostat() -> Answer:
    """Count what each disk has read and written since it was attached: bytes, operations, and milliseconds spent."""
    errors: list[str] = []
    # nowrap keeps state behind a lock, which gevent may have patched; the kernel's 64-bit counters don't wrap
    disks = try_read(errors, "disks", lambda: psutil.disk_io_counters(perdisk=True, nowrap=False)) or {}
    return _answer([{clean(disk): _pick(counters, _DISK)} for disk, counters in disks.items()], errors)


@registry.method(blocking=True)
def ifconfig() -> Answer:
    """Count what each network interface has sent and received since it was created: bytes, packets, errors, drops."""
    errors: list[str] = []
    nics = try_read(errors, "network interfaces", lambda: psutil.net_io_counters(pernic=True, nowrap=False)) or {}
    return _answer([{clean(nic): _pick(counters, _NIC)} for nic, counters in nics.items()], errors)


@registry.method(blocking=True)
def cpuinfo() -> Answer:
    """Return the number of logical CPUs, how busy all and each are now, in percent, and the CPU times since boot, in seconds."""
    errors: list[str] = []
    sample = try_read(errors, "CPU times", cpu.sample)
    if sample is not None and None in sample.percent:
        errors.append("CPU load: the CPU times do not advance on this host")
    output = {
        "no_of_cpu": psutil.cpu_count(),
        "cpu_percent": sample.percent[0] if sample else None,
        "percent_per_cpu": sample.percent[1:] if sample else None,
        "cputimes": _pick(sample.times[0] if sample else None, _CPU),
    }
    return _answer(output, errors)


@registry.method(blocking=True)
def meminfo() -> Answer:
    """Return the use of memory and swap space, in bytes and percent; `sin` and `sout` are bytes swapped in and out since boot."""
    errors: list[str] = []
    memory = try_read(errors, "memory", psutil.virtual_memory)
    swap = try_read(errors, "swap space", psutil.swap_memory)
    return _answer({"memory": _pick(memory, _MEMORY), "swap": _pick(swap, _SWAP)}, errors)


@registry.method(blocking=True)
def disk_usage() -> Answer:
    """Return the use of each mounted file system, in bytes and percent; one that does not answer within 2 s has an `error`."""
    errors: list[str] = []
    mountpoints = list(dict.fromkeys(mount.mountpoint for mount in mounts.mounted(errors)))
    usages = mounts.usage(mountpoints)
    failed = sum("error" in usage for usage in usages)
    if failed:
        errors.append(f"{failed} of {len(usages)} mount points could not be read")
    return _answer([{clean(name): usage} for name, usage in zip(mountpoints, usages, strict=True)], errors)


@registry.method(blocking=True, scope=SCOPE)
def netstat() -> Answer:
    """List the TCP and UDP sockets, as `ss -tua` does. A null port means any. A listener's send-Q is 0, not its backlog."""
    errors: list[str] = []
    return _answer(listed(errors), errors)


@registry.method(blocking=True, scope=SCOPE)
def running_process() -> Answer:
    """List the command lines of all processes; one without a command line, such as a kernel thread, by its name in brackets."""
    errors: list[str] = []
    return _answer([args for _, args in running(errors)], errors)


@registry.method(blocking=True, scope=SCOPE)
def check_process(process: str) -> Answer:
    """List the processes whose command line, as `running_process` shows it, contains the text; case does not matter.

    `pcpu` is the CPU time over the lifetime of the process, in percent, and `pmem` its share of the memory. The server's own
    processes and the caller's are left out, if they are recognized (see `gjrpc.host.callers`): the command line of
    `curl …/check_process;nginx` contains `nginx` too.
    """
    if not process.strip():
        return _answer([], ["the text to search for is empty"])
    errors: list[str] = []
    wanted = process.casefold()
    # Search the masked line: otherwise a caller could find out a secret letter by letter.
    found = [one for one in running(errors) if wanted in one[1].casefold()]
    shown = unrelated(found, "check_process", process, context.peer())
    if not shown:
        besides = f", except {len(found)} that made or serve this call" * bool(found)
        errors.insert(0, f"no process has {process[:100]!r} in its command line{besides}")
    return _answer([figures(*one) for one in shown], errors)


@registry.method(blocking=True, scope=SCOPE)
def get_env() -> Answer:
    """Return the environment variables of the server; what looks like a secret is masked."""
    return _answer({clean(name): mask(f"{name}={value}")[len(name) + 1 :] for name, value in os.environ.items()}, [])


def _answer(output: Any, errors: list[str]) -> Answer:
    return {"output": output, "error": clean("; ".join(errors))}


def _pick(figures: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(figures, name, None) for name in names}


def _duration(seconds: float) -> str:
    """Write a duration as the `uptime` command does."""
    days, minutes = divmod(max(0, int(seconds // 60)), 24 * 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:2}:{minutes:02}" if hours else f"{minutes} min"
    return (f"{days} day{'s' * (days != 1)}, " if days else "") + clock
