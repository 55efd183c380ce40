"""The CPU time of a call: gjrpc alone, and behind each proxy of deploy/; deploy/SCALING.md calculates with it.

Run `python -m bench.scaling [SECONDS]`; it needs wrk, and measures those of nginx, HAProxy and Caddy that are installed. It
counts the CPU time of the processes themselves, user and system, so other work on the machine matters little; the calls a second,
also shown, depend on it very much. The proxies run as shipped, terminating TLS, in front of two processes.
"""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import requests
import trustme

DEPLOY = Path(__file__).parent.parent / "deploy"
HOST = "rpc.example.org"
APP = """
from gjrpc import Registry
registry = Registry()
registry.register(lambda: "pong", "ping")
registry.register(lambda a, b: a + b, "add")
"""
POST = "wrk.method = 'POST'\nwrk.body = '{\"add\":[1,2]}'\n"

# The file of each proxy, and the command that runs it in the foreground.
PROXIES = {
    "nginx": ("nginx.conf", ["nginx", "-e", "stderr", "-g", "daemon off;", "-c"]),
    "haproxy": ("haproxy.cfg", ["haproxy", "-db", "-f"]),
    "caddy": ("Caddyfile", ["caddy", "run", "--adapter", "caddyfile", "--config"]),
}


def spent(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children."""
    times = [each.cpu_times() for each in [process, *process.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[psutil.Process]:
    """Run a program until the end of the block."""
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(400):
        with suppress(requests.ConnectionError):
            if requests.get(f"{url}/ping", verify=False, timeout=5, headers={"Host": HOST}).ok:  # noqa: S501  our own throw-away one
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers at {url}")


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens."""
    with ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


def backend(port: int, folder: Path, *options: str) -> list[str]:
    """Return the command of one gjrpc process."""
    command = [sys.executable, "-m", "gjrpc.serve", "app:registry", "--bind", f"127.0.0.1:{port}", "--allowed-hosts", HOST]
    return [*command, "--trusted-proxies", "127.0.0.1", *options]


def measure(
    name: str, url: str, servers: list[psutil.Process], proxy: psutil.Process | None, script: list[str], seconds: int
) -> str:
    """Load a URL and return a row of the table: calls a second, and microseconds of CPU time per call."""
    before, ahead = sum(map(spent, servers)), spent(proxy) if proxy else 0.0
    command = ["wrk", "-t1", "-c64", f"-d{seconds}", "-H", f"Host: {HOST}", *script, url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    calls, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec: +([\d.]+)", said)
    if calls is None or rate is None or "Non-2xx" in said:
        raise SystemExit(f"{name} did not answer correctly:\n{said}")
    server = (sum(map(spent, servers)) - before) / int(calls[1]) * 1e6
    front = (spent(proxy) - ahead) / int(calls[1]) * 1e6 if proxy else 0.0
    told = f"| {front:.0f} | {1e6 / front:,.0f} |" if proxy else "| | |"
    return f"| {name} | {float(rate[1]):,.0f} | {server:.0f} | {1e6 / server:,.0f} {told}"


def placed(name: str, folder: Path, ports: list[int]) -> Path:
    """Write a shipped configuration with these ports and this folder's paths, and return its path."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    secure, plain, one, two = ports
    places = {
        "127.0.0.1:9001": f"127.0.0.1:{one}",
        "127.0.0.1:9002": f"127.0.0.1:{two}",
        "listen 443": f"listen 127.0.0.1:{secure}",
        "bind :443": f"bind 127.0.0.1:{secure}",
        "https://:443 {": f"https://:{secure} {{\n\tbind 127.0.0.1",
        "listen 80": f"listen 127.0.0.1:{plain}",
        "bind :80": f"bind 127.0.0.1:{plain}",
        "/etc/ssl/gjrpc": str(folder),
        "/run/haproxy": str(folder),
        "/run/nginx": str(folder / "nginx"),
        "/var/log/nginx": str(folder),
        "/var/lib/nginx": str(folder),
    }
    for shipped, here in places.items():
        text = text.replace(shipped, here)
    (folder / name).write_text(text)
    return folder / name


def main(seconds: int = 4, show: Callable[[str], None] = print) -> None:
    """Measure, and show the rows of a Markdown table one by one."""
    show("| what | calls a second | gjrpc: µs per call | per core-second | proxy: µs per call | per core-second |")
    show("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, ExitStack() as processes:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        (folder / "post.lua").write_text(POST)
        leaf = trustme.CA().issue_cert("localhost", "127.0.0.1")
        leaf.private_key_pem.write_to_path(folder / "key.pem")
        leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        leaf.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
        secure, plain, one, two, tls = free_ports(5)
        servers = [processes.enter_context(running(backend(port, folder), folder)) for port in (one, two)]
        for port in (one, two):
            wait_for(f"http://127.0.0.1:{port}")
        post = ["-s", str(folder / "post.lua")]
        show(measure("one process, GET", f"http://127.0.0.1:{one}/ping", servers, None, [], seconds))
        show(measure("one process, POST", f"http://127.0.0.1:{one}/", servers, None, post, seconds))
        options = ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
        with running(backend(tls, folder, *options), folder) as server:
            wait_for(f"https://127.0.0.1:{tls}")
            show(measure("one process that terminates TLS, GET", f"https://127.0.0.1:{tls}/ping", [server], None, [], seconds))
        for program, (shipped, command) in PROXIES.items():
            path = shutil.which(program)
            if path is None:
                show(f"| {program} is not installed | | | | | |")
                continue
            configuration = placed(shipped, folder, [secure, plain, one, two])
            with running([path, *command[1:], str(configuration)], folder) as proxy:
                wait_for(f"https://127.0.0.1:{secure}")
                show(
                    measure(
                        f"behind {program}, which terminates TLS, GET",
                        f"https://127.0.0.1:{secure}/ping",
                        servers,
                        proxy,
                        [],
                        seconds,
                    )
                )


if __name__ == "__main__":
    requests.packages.urllib3.disable_warnings()
    main(*map(int, sys.argv[1:]))
