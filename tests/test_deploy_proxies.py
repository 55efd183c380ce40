"""The proxies of deploy/, run as shipped except for ports and paths, in front of two processes that stop and start."""

import contextlib
import http.client
import os
import random
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import ROOT, TIMEOUT, wait_until
from needs import need

DEPLOY = ROOT / "deploy"
HOST = "rpc.example.org"
CALLER = "127.0.0.7"  # the client's address; the proxies themselves connect from 127.0.0.1

APP = """
import time
from gjrpc import Registry

registry = Registry()

@registry.method
def ping():
    return "pong"

@registry.method
def nap():
    time.sleep(0.05)

@registry.method
def measure(text: str):
    return len(text)
"""

# How each program runs in the foreground, and how it checks a configuration.
USER = "user root; " if os.geteuid() == 0 else ""  # so that nginx's processes can read the test's folder
PROGRAMS = {
    "nginx": (["-e", "stderr", "-g", f"{USER}daemon off;", "-c"], ["-e", "stderr", "-t", "-c"]),
    "haproxy": (["-db", "-f"], ["-c", "-f"]),
    "caddy": (["run", "--adapter", "caddyfile", "--config"], ["validate", "--adapter", "caddyfile", "--config"]),
}
FILES = {"nginx.conf": "nginx", "haproxy.cfg": "haproxy", "haproxy-passthrough.cfg": "haproxy", "Caddyfile": "caddy"}
ENDING_TLS = ["nginx.conf", "haproxy.cfg", "Caddyfile"]


def free_ports(count):
    """Return free ports outside the kernel's range for outgoing connections."""
    with contextlib.ExitStack() as held:
        found = []
        while len(found) < count:
            port = random.randrange(12_000, 32_000)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
        return found


class Site:
    """A shipped configuration with this test's ports and paths, the two processes behind it, and the proxy."""

    def __init__(self, name, folder, certificate, launch):
        self.name, self.folder, self.launch = name, folder, launch
        self.program = FILES[name]
        self.path = need(self.program)
        self.port, self.plain, *self.ports = free_ports(4)
        self.trust = ssl.create_default_context(cafile=certificate.ca)
        self.options = ["--trusted-proxies", "127.0.0.1", "--allowed-hosts", HOST, "--access-log", "common"]
        if "passthrough" in name:
            self.options += ["--proxy-protocol", "--cert", certificate.cert, "--key", certificate.key]
        both = folder / "both.pem"
        both.write_bytes(Path(certificate.cert).read_bytes() + Path(certificate.key).read_bytes())
        (folder / "app.py").write_text(APP)
        self.configuration = folder / name
        self.configuration.write_text(self._placed(certificate, both))
        self._run, self._check = PROGRAMS[self.program]

    def _placed(self, certificate, both):
        """Return the shipped text with this site's ports and paths."""
        text = (DEPLOY / self.name).read_text(encoding="utf-8")
        secure, plain = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.plain}"
        places = {
            "127.0.0.1:9001": f"127.0.0.1:{self.ports[0]}",
            "127.0.0.1:9002": f"127.0.0.1:{self.ports[1]}",
            "listen 443": f"listen {secure}",
            "bind :443": f"bind {secure}",
            "https://:443 {": f"https://:{self.port} {{\n\tbind 127.0.0.1",
            "listen 80": f"listen {plain}",
            "bind :80": f"bind {plain}",
            "/etc/ssl/gjrpc/cert.pem": certificate.cert,
            "/etc/ssl/gjrpc/key.pem": certificate.key,
            "/etc/ssl/gjrpc/both.pem": str(both),
            "/run/nginx.pid": str(self.folder / "pid"),
            "/run/haproxy/admin.sock": str(self.folder / "sock"),
            "/var/log/nginx": str(self.folder),
            "/var/lib/nginx": str(self.folder),
        }
        for shipped, here in places.items():
            text = text.replace(shipped, here)
        return text

    @property
    def environment(self):
        """The environment, with folders to which the proxy may write."""
        return os.environ | {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}

    def check(self):
        """Run the proxy's checker; return the exit code and the output."""
        command = [self.path, *self._check, str(self.configuration)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=self.environment)
        return done.returncode, done.stdout + done.stderr

    def serve(self, number):
        """Start a gjrpc process."""
        where = f"127.0.0.1:{self.ports[number]}"
        return self.launch("-m", "gjrpc.serve", "app:registry", "--bind", where, *self.options, cwd=self.folder)

    def start(self):
        """Start both processes and the proxy, and return the processes once a call succeeds."""
        backends = [self.serve(0), self.serve(1)]
        for backend in backends:
            backend.wait_url()
        self.proxy = self.launch(*self._run, str(self.configuration), program=self.path, env=self.environment)
        wait_until(self._answers, f"an answer through {self.program}")
        return backends

    def _answers(self):
        assert self.proxy.process.poll() is None, self.proxy.output
        connection = self.connect()
        try:
            return call(connection, "/ping") == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def connect(self):
        """Return a client's connection, which opens with its first request."""
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=TIMEOUT, context=self.trust, source_address=(CALLER, 0)
        )


def call(connection, target, verb="GET", body=None, **headers):
    """Make a call and return the status."""
    connection.request(verb, target, body, {"Host": HOST, **headers})
    answer = connection.getresponse()
    answer.read()
    return answer.status


class Load:
    """Threads that call over kept connections until the block ends; half of the calls take a while."""

    def __init__(self, site, threads=6):
        self._site = site
        self._ended = threading.Event()
        self.failures = []
        self.counts = [0] * threads
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def _call(self, number):
        connection = self._site.connect()
        target = "/nap" if number % 2 else "/ping"
        while not self._ended.is_set():
            try:
                status = call(connection, target)
            except (OSError, http.client.HTTPException) as error:
                status = repr(error)
                connection.close()
            if status != 200:
                self.failures.append((target, status))
            self.counts[number] += 1
        connection.close()

    def go_on(self, calls=10):
        """Wait until each thread has made this many more calls."""
        wanted = [count + calls for count in self.counts]
        wait_until(lambda: all(map(int.__ge__, self.counts, wanted)), "more calls")


@pytest.fixture
def site(tmp_path, certificate, launch):
    """Create a site from a shipped configuration."""
    return lambda name: Site(name, tmp_path, certificate, launch)


@pytest.mark.parametrize("name", FILES)
def test_each_configuration_passes_its_checker(site, name):
    """Each proxy's checker reports no problem in its configuration."""
    code, said = site(name).check()
    assert code == 0, said
    assert "[warn]" not in said.lower(), said
    assert "[warning]" not in said.lower(), said


@pytest.mark.parametrize("name", ENDING_TLS)
def test_no_idempotent_call_is_lost(site, name):
    """While one process drains and restarts, and the other is killed, each GET under load is answered with 200."""
    place = site(name)
    one, two = place.start()
    with Load(place) as load:
        load.go_on()
        one.process.terminate()
        assert one.wait() == 0
        load.go_on()
        one = place.serve(0)
        one.wait_for('"GET /nap')
        two.process.kill()
        two.wait()
        load.go_on()
    assert load.failures == []


@pytest.mark.parametrize("name", FILES)
def test_the_access_log_names_the_client(site, name):
    """The access log behind each proxy has the client's address, not the proxy's and not one that the client claims."""
    place = site(name)
    backends = place.start()
    connection = place.connect()
    claims = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    for _ in range(2):
        assert call(connection, "/ping", **claims) == 200
    connection.close()
    wait_until(lambda: sum(backend.output.count('"GET /ping') for backend in backends) >= 3, "lines in the access log")
    lines = [line for backend in backends for line in backend.output.splitlines() if '"GET /ping' in line]
    assert {line.split()[0] for line in lines} == {CALLER}


@pytest.mark.parametrize("name", ENDING_TLS)
def test_the_proxy_accepts_what_the_server_accepts(site, name):
    """A head and a body just below the server's limits pass through the proxy; a larger body is refused."""
    place = site(name)
    place.start()
    connection = place.connect()
    filler = {f"X-Filler-{number}": "x" * 7000 for number in range(4)}
    assert call(connection, "/ping", **filler) == 200
    assert call(connection, "/measure", "POST", b'"%b"' % (b"x" * (1024 * 1024 - 2))) == 200
    connection.close()
    connection = place.connect()
    try:
        # It is refused while it is sent, so the answer may be lost in the reset, for the proxy (502) or for the client.
        assert call(connection, "/measure", "POST", b'"%b"' % (b"x" * (1024 * 1024))) in (413, 502)
    except OSError:
        pass
    finally:
        connection.close()
