"""gunicorn with gjrpc's worker: `gunicorn -k gjrpc.worker.Worker app:application`, and gunicorn's settings."""

import re
import signal
import socket
import threading

import psutil
import pytest
import requests
from conftest import read_all, wait_until

APP = """
import os, time
from gevent import monkey
patched = monkey.is_module_patched("socket")
from gjrpc import Application, Registry

registry = Registry()

@registry.method
def pid():
    return os.getpid()

@registry.method
def early():
    return patched

@registry.method
def fail(text):
    raise ValueError(text)

@registry.method
def drop(text):
    import gevent
    gevent.spawn(fail, text)

@registry.method
def nap(seconds: float):
    print("napping", flush=True)
    time.sleep(seconds)
    return seconds

application = Application(registry)

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.multiprocess']} {environ['SERVER_PORT']}".encode()]
"""


@pytest.fixture
def gunicorn(launch, tmp_path):
    """Start gunicorn in a folder with an `app` module."""
    (tmp_path / "app.py").write_text(APP)

    def start(*arguments, target="app:application"):
        options = ["-k", "gjrpc.worker.Worker", "-b", "127.0.0.1:0", "--no-control-socket", *arguments]
        server = launch("-m", "gunicorn", target, *options, cwd=tmp_path)
        server.wait_url()
        server.wait_for("Booting worker")
        return server

    return start


def test_serves(gunicorn, tmp_path):
    """It serves, patched first, with gunicorn's access log and pid file, and stops gracefully."""
    pidfile = tmp_path / "pid"
    server = gunicorn(
        "-w", "2", "--access-logfile", "-", "--access-logformat", "%(t)s %(r)s %(s)s %({user-agent}i)s", "-p", str(pidfile)
    )
    assert requests.get(f"{server.url}/early", headers={"User-Agent": "me"}, timeout=60).json() == {"early": True}
    server.wait_for(r"\n\[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:]{8} [-+]\d{4}\] GET /early HTTP/1.1 200 me\n")
    assert int(pidfile.read_text()) == server.process.pid
    answers = []
    caller = threading.Thread(target=lambda: answers.append(requests.get(f"{server.url}/nap?seconds=1", timeout=60)))
    caller.start()
    server.wait_for("napping")
    server.process.terminate()
    caller.join(60)
    assert answers[0].json() == {"nap": 1.0}
    assert server.wait() == 0
    assert not pidfile.exists()


def test_a_line_cannot_be_forged(gunicorn):
    """Neither a header nor an exception's text can begin a line of gunicorn's logs, or put control characters into it."""
    server = gunicorn("--access-logfile", "-", "--access-logformat", "<%({x-evil}i)s>")
    evil = "a\x85b\xa0"
    headers = {"X-Evil": evil.encode("latin-1")}
    failed = requests.get(f"{server.url}/fail", params={"text": "x\n2026 FORGED\x1b"}, headers=headers, timeout=60)
    assert failed.status_code == 500
    server.wait_for(r"<a\\x85b\\xa0>\n")
    server.wait_for(r"\n    2026 FORGED\\x1b\n")
    requests.get(f"{server.url}/drop", params={"text": "x\n2026 DROPPED\x1b"}, timeout=10)
    server.wait_for(r"Greenlet failed: ValueError\n(    .*\n)+    2026 DROPPED\\x1b\n")


def test_a_page_behind_a_proxy(gunicorn):
    """Proxies that gunicorn trusts report the scheme, so that pages behind them have the same origin; other peers do not."""
    page = {"Host": "rpc.example", "Origin": "https://rpc.example", "X-Forwarded-Proto": "https"}
    for allowed, status in (("127.0.0.1", 200), ("*", 200), ("10.0.0.1", 403)):
        server = gunicorn("--forwarded-allow-ips", allowed)
        assert requests.get(f"{server.url}/list_methods", headers=page, timeout=10).status_code == status


def test_any_wsgi(gunicorn):
    """Any WSGI callable is served, and its environ says that there are other processes."""
    server = gunicorn("-w", "2", target="app:wsgi")
    assert requests.get(server.url, timeout=60).text == f"True {server.url.rpartition(':')[2]}"


def test_tls(gunicorn, certificate):
    """gunicorn's certificate is served."""
    server = gunicorn("--certfile", certificate.cert, "--keyfile", certificate.key)
    url = server.url.replace("127.0.0.1", "localhost")
    assert requests.get(f"{url}/early", verify=certificate.ca, timeout=60).json() == {"early": True}


def test_max_requests(gunicorn):
    """After `max_requests` answers a worker stops gracefully, and another replaces it."""
    server = gunicorn("--max-requests", "3")
    with requests.Session() as session:
        answers = [session.get(f"{server.url}/pid", timeout=60) for _ in range(3)]
        assert len({answer.json()["pid"] for answer in answers}) == 1
    wait_until(lambda: requests.get(f"{server.url}/pid", timeout=60).json() != answers[0].json(), "another worker")
    server.wait_for("ends after 3 answers")


def test_limits(gunicorn):
    """gunicorn's limits and timeouts hold, and there is a warning for each setting without effect."""
    server = gunicorn(
        "--limit-request-line",
        "100",
        "--limit-request-fields",
        "10",
        "--keep-alive",
        "1",
        "--threads",
        "3",
        "--forwarded-allow-ips",
        "*",
    )
    assert requests.get(f"{server.url}/{'x' * 100}", timeout=60).status_code == 414
    assert requests.get(f"{server.url}/pid", headers={f"x-{number}": "" for number in range(10)}, timeout=60).status_code == 431
    assert re.findall(r"(\w+) has no effect on Worker", server.output) == ["threads", "forwarded_allow_ips"]
    with requests.Session() as session:
        session.get(f"{server.url}/pid", timeout=60)
        (worker,) = psutil.Process(server.process.pid).children()
        wait_until(lambda: len(worker.net_connections()) == 1, "the end of the idle connection")


def closes(server):
    """Whether a connection ends after the first of two requests: of HTTP/1.1, and of HTTP/1.0 with keep-alive."""
    told = []
    for version, extra in (("1.1", ""), ("1.0", "Connection: keep-alive\r\n"), ("1.1", "X-Id: 1\r\n")):
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=60) as connection:
            request = f"GET /pid HTTP/{version}\r\nHost: localhost\r\n{extra}\r\n".encode()
            connection.sendall(request * 2 + b"GET /pid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answers = read_all(connection)
            told.append(answers.count(b"HTTP/1.1 200") == 1 and b"Connection: close" in answers)
    return told


@pytest.mark.parametrize("target", ["app:application", "app:wsgi"])
def test_without_keep_alive(gunicorn, target):
    """With `--keep-alive 0` each answer ends its connection; with any other number it does not."""
    assert closes(gunicorn("--keep-alive", "0", target=target)) == [True] * 3
    assert closes(gunicorn("--keep-alive", "5", target=target)) == [False] * 3


def test_zero_means_what_gunicorn_says(gunicorn):
    """A limit or timeout of 0 means the same as in gunicorn: none, or its largest value."""
    server = gunicorn(
        "--limit-request-line",
        "0",
        "--limit-request-fields",
        "0",
        "--timeout",
        "0",
        "--graceful-timeout",
        "0",
        "--max-requests",
        "0",
    )
    assert requests.get(f"{server.url}/pid?{'x' * 100_000}", timeout=60).status_code == 400  # not 414: pid takes no arguments
    headers = {f"x-{number}": "" for number in range(1000)}
    assert requests.get(f"{server.url}/pid", headers=headers, timeout=60).status_code == 200
    server.process.terminate()
    assert server.wait() == 0


def test_reload_and_kill(gunicorn):
    """gunicorn replaces a killed worker, and on SIGHUP all workers."""
    server = gunicorn()
    (first,) = psutil.Process(server.process.pid).children()
    first.kill()
    server.wait_for("(?s)Booting worker.*Booting worker")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("(?s)(Booting worker.*){3}")
    assert requests.get(f"{server.url}/pid", timeout=60).json()["pid"] != first.pid
