"""`python -m gjrpc.serve` as a process: what it serves, prints and refuses, and how it stops."""

import contextlib
import json
import re
import resource
import signal
import socket
import sys
import threading
from pathlib import Path

import psutil
import pytest
import requests
import sample_app
from conftest import assert_socket_taken_over, curl, link_local

from gjrpc import Client

APP = (
    sample_app.APP
    + """
@registry.method
def drop():
    import gevent
    gevent.spawn(fail)

@registry.method
def fail():
    raise ValueError("a secret")

@registry.method
def interrupt():
    raise KeyboardInterrupt

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from wsgi"]

def factory():
    return registry
"""
)


@pytest.fixture
def run(launch, tmp_path):
    """Start the program in a folder with an `app` module, on a port of the kernel's."""
    (tmp_path / "app.py").write_text(APP)

    def start(*arguments, bind="127.0.0.1:0", **options):
        return launch("-m", "gjrpc.serve", *arguments, "--bind", bind, cwd=tmp_path, **options)

    return start


def test_host_methods(run):
    """Without a target it serves methods about this host, and prints a curl command that works."""
    server = run()
    server.wait_url()
    told = json.loads(curl(server.wait_for(r"try: (curl .*)")[1]))
    assert told["cpuinfo"]["output"]["no_of_cpu"] == psutil.cpu_count()
    assert re.search(r"serves \d+ methods of this host on http://127\.0\.0\.1:\d+", server.output)


@pytest.mark.parametrize(
    ("target", "path", "answer"),
    [
        ("app:registry", "/ping", '{"ping":"pong"}'),
        ("app:factory()", "/ping", '{"ping":"pong"}'),
        ("app:application", "/ping", '{"ping":"pong"}'),
        ("app:wsgi", "/", "hello from wsgi"),
    ],
)
def test_targets(run, target, path, answer):
    """A registry, a factory, an Application and any WSGI callable are served from the current folder."""
    assert requests.get(run(target).wait_url() + path, timeout=60).text == answer


def test_console_script(launch, tmp_path):
    """The console script finds modules of the current folder too, and completes for a shell."""
    (tmp_path / "app.py").write_text(APP)
    script = str(Path(sys.executable).parent / "gjrpc-serve")
    server = launch("app:registry", "--bind", "127.0.0.1:0", program=script, cwd=tmp_path)
    assert requests.get(server.wait_url() + "/ping", timeout=60).json() == {"ping": "pong"}
    completion = launch(program=script, env={"_GJRPC_SERVE_COMPLETE": "zsh_source"})
    assert completion.wait() == 0
    assert "#compdef gjrpc-serve" in completion.output


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_tells_of_itself(launch, option):
    """Help and version are printed to standard output, with exit code 0."""
    told = launch("-m", "gjrpc.serve", option)
    assert told.wait() == 0
    assert {"--help": "--max-body N", "--version": "gjrpc, version 0."}[option] in told.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere:x"], "no module 'nowhere'"),
        (["app:missing"], "it has the registry 'registry'"),
        (["app"], "expected MODULE:NAME"),
        (["app:registry", "--bind", "nonsense"], "expected HOST:PORT"),
        (["app:registry", "--cert", "missing.pem"], "missing.pem"),
        (["app:registry", "--key", "key.pem"], "give --cert too"),
        (["app:registry", "--self-signed", "--cert", "x"], "leave out --cert"),
        (["app:registry", "--config", "app.py"], "not a readable TOML file"),
        (["app:registry", "--bind", "192.0.2.1:1"], "192.0.2.1:1"),
        (["app:registry", "--bind", "unix:app.py"], "a file that is not a socket is in the way"),
        (["app:missing", "--bind", "unix:s.sock"], "it has the registry"),
        (["app:registry", "--token-file", "nope"], "error: --token-file: nope"),
        (["app:registry", "--htpasswd", "nope"], "error: --htpasswd: nope"),
        (["app:registry", "--token-file", "/dev/null", "--permissions", "nope"], "error: --permissions: nope"),
        (["app:registry", "--cert", "nope"], "error: --cert: certificate file 'nope'"),
        (["app:registry", "--cert", "app.py", "--key", "nope"], "error: --key: key file 'nope'"),
        (["app:factory"], "write factory()"),
    ],
)
def test_refused(launch, tmp_path, arguments, said):
    """An error at the start is one clear line and exit code 2, without a traceback."""
    (tmp_path / "app.py").write_text(APP)
    refused = launch("-m", "gjrpc.serve", *arguments, cwd=tmp_path)
    assert refused.wait() == 2
    assert re.fullmatch(r"error: .*\n", refused.output)
    assert said in refused.output
    assert not (tmp_path / "s.sock").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--access-log", "on"], "common is Apache's"),
        (["--log-level", "warn"], "warning for warn"),
        (["--port", "80"], "use --bind HOST:PORT"),
        (["--host=::1"], "use --bind HOST:PORT"),
        (["--reload"], "use --workers 2 or more, and send SIGHUP to reload the code"),
    ],
)
def test_hints(launch, arguments, said):
    """For an option or a word of another program, the error names the one to use here."""
    refused = launch("-m", "gjrpc.serve", *arguments)
    assert refused.wait() == 2
    assert said in refused.output


def test_an_application_is_announced_as_a_registry_is(run):
    """The printed curl command calls a method of an Application; for a foreign one it requests the first page."""
    server = run("app:application")
    server.wait_for(r"serves \d+ methods of app:application")
    assert curl(server.wait_for(r"try: (curl .*)")[1]) == '{"ping":"pong"}'
    server = run("app:wsgi")
    assert curl(server.wait_for(r"try: (curl .*)")[1]) == "hello from wsgi"


def test_a_reload_of_one_process(run):
    """At SIGHUP the log says that a single process keeps its code, and how to be able to reload it."""
    server = run("app:registry")
    server.wait_url()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("SIGHUP: a single process can't reload its code; to reload code, start the server with --workers 2 or more")


def test_a_refused_origin_and_host_are_logged(run):
    """For an origin or a host that is not on the list, the log says what to do."""
    server = run("app:registry")
    url = server.wait_url()
    assert requests.get(f"{url}/ping", headers={"Origin": "https://else.example"}, timeout=10).status_code == 403
    server.wait_for("WARNING gjrpc.auth: refused: the origin 'https://else.example' may not call .*--allowed-origins")
    assert requests.get(f"{url}/ping", headers={"Host": "else.example"}, timeout=10).status_code == 421
    server.wait_for("WARNING gjrpc.auth: refused: .*'else.example'.*--allowed-hosts")


def test_taken_port(run):
    """A port in use is one clear line and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run("app:registry", bind=f"127.0.0.1:{taken.getsockname()[1]}")
        assert refused.wait() == 2
        assert re.fullmatch(r"error: can't listen on .*--bind\n", refused.output)


@pytest.mark.skipif(link_local() is None, reason="no interface here has a link-local IPv6 address")
def test_a_link_local_address(run):
    """A link-local address is served and shown with its scope: the printed curl line reaches it."""
    server = run("app:registry", "--allowed-hosts", "*", bind=f"[{link_local()}]:0")
    assert curl(server.wait_for(r"try: (curl .*)")[1].replace("curl", "curl -g", 1)) == '{"ping":"pong"}'


def test_self_signed(run):
    """A temporary certificate is served under the printed fingerprint, and the printed curl line trusts it."""
    server = run("app:registry", "--self-signed")
    server.wait_url()
    assert curl(server.wait_for(r"try: (curl .*)")[1]) == '{"ping":"pong"}'
    assert re.search(r"SHA-256 fingerprint ([0-9A-F]{2}:){31}[0-9A-F]{2}", server.output)


def test_certificate_and_reload(run, certificate, tmp_path):
    """The given certificate is served, mutual TLS refuses other clients, and SIGHUP keeps it if the new one is broken."""
    cert = tmp_path / "cert.pem"
    cert.write_text(Path(certificate.cert).read_text() + Path(certificate.key).read_text())
    server = run("app:registry", "--cert", str(cert), "--client-ca", certificate.ca)
    url = server.wait_url().replace("127.0.0.1", "localhost")
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(f"{url}/ping", verify=certificate.ca, timeout=60)
    mine = tmp_path / "client.pem"
    leaf = certificate.authority.issue_cert("me@example.org")
    mine.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    with Client(url, verify=certificate.ca, cert=str(mine)) as client:
        assert client.ping() == "pong"
    cert.write_text("broken")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("SIGHUP: the old certificate stays in use")
    with Client(url, verify=certificate.ca, cert=str(mine)) as client:
        assert client.ping() == "pong"
    assert "Traceback" not in server.output


def test_unix_socket(run, tmp_path):
    """A Unix socket is served, the printed curl line reaches it, and its file is gone at the end."""
    path = tmp_path / "s.sock"
    server = run("app:registry", bind=f"unix:{path}")
    server.wait_url()
    assert curl(server.wait_for(r"try: (curl .*)")[1]) == '{"ping":"pong"}'
    server.process.terminate()
    assert server.wait() == 0
    assert not path.exists()


def test_another_takes_the_unix_socket_over(run, tmp_path):
    """`kill OLD; start NEW` on one Unix socket leaves the new server's socket, with the requested mode."""
    assert_socket_taken_over(lambda *options, bind: run("app:registry", *options, bind=bind), tmp_path / "s.sock")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(run, number):
    """A signal lets the call in flight end, refuses new connections, and the exit code is 0."""
    server = run("app:registry")
    url = server.wait_url()
    answers = []
    caller = threading.Thread(target=lambda: answers.append(requests.get(f"{url}/nap?seconds=1", timeout=60)))
    with requests.Session() as idle:
        idle.get(f"{url}/ping", timeout=60)
        caller.start()
        server.wait_for("napping")
        server.process.send_signal(number)
        server.wait_for("stopping; calls in flight have 30 s")
    caller.join(60)
    assert [answer.json() for answer in answers] == [{"nap": 1.0}]
    assert answers[0].headers["Connection"] == "close"
    assert server.wait() == 0


def test_a_method_is_no_signal(run):
    """A method that raises KeyboardInterrupt gets 500, in a worker too, and the server keeps running until a SIGINT."""
    for workers in ("1", "2"):
        server = run("app:registry", "--workers", workers)
        url = server.wait_url()
        assert [requests.get(f"{url}/interrupt", timeout=10).status_code for _ in range(4)] == [500] * 4
        assert requests.get(f"{url}/ping", timeout=10).status_code == 200
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0


def test_second_signal(run):
    """A second signal does not wait for the calls in flight."""
    server = run("app:registry")
    url = server.wait_url()
    with contextlib.closing(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))) as caller:
        caller.sendall(b"GET /nap?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.wait_for("napping")
        server.process.terminate()
        server.wait_for("stopping; calls")
        server.process.terminate()
        assert server.wait() == 0
        assert b" 504 " in caller.recv(1000)
    assert "again: stopping at once" in server.output


def test_logs(run):
    """The access log has a line for each answer, and an exception's text is in the log under the ref that the client got."""
    server = run("app:registry", "--access-log", "json")
    url = server.wait_url()
    failed = requests.get(f"{url}/fail", timeout=60)
    assert failed.status_code == 500
    assert "secret" not in failed.text
    server.wait_for(f"ref {failed.json()['ref']}")
    server.wait_for("    ValueError: a secret")
    requests.get(f"{url}/drop", timeout=10)
    server.wait_for(r"ERROR gjrpc.process: Greenlet failed: ValueError\n    Traceback")
    assert "the server's log" in failed.json()["detail"]
    assert "the server's log" not in server.output
    line = json.loads(server.wait_for(r'(\{"time".*\})')[1])
    assert (line["verb"], line["target"], line["status"], line["peer"]) == ("GET", "/fail", 500, "127.0.0.1")
    assert requests.post(url, data='{"ping": []}', timeout=10).status_code == 200
    server.wait_for(r'"target":"/","status":200,.*"method":"ping"\}')


def test_allowed_hosts_of_an_application(run):
    """An application without its own hosts answers for loopback names on a loopback address, or for those of the option."""
    server = run("app:application", "--allowed-hosts", "rpc.example")
    url = server.wait_url()
    for host, status in (("rpc.example", 200), ("localhost", 421)):
        assert requests.get(f"{url}/ping", headers={"Host": host}, timeout=60).status_code == status
    assert "no effect" not in server.output
    url = run("app:application").wait_url()
    for host, status in (("rpc.example", 421), ("localhost", 200)):
        assert requests.get(f"{url}/ping", headers={"Host": host}, timeout=60).status_code == status


def test_allowed_hosts(run):
    """On loopback it answers only for the loopback names, unless an option names others."""
    url = run("app:registry").wait_url()
    assert requests.get(f"{url}/ping", headers={"Host": "evil.example"}, timeout=60).status_code == 421
    url = run("app:registry", "--allowed-hosts", "*").wait_url()
    assert requests.get(f"{url}/ping", headers={"Host": "evil.example"}, timeout=60).status_code == 200


def test_open_address(run):
    """Without authentication, an address that others can reach causes a warning."""
    server = run("app:registry", bind="0.0.0.0:0")
    server.wait_for("WARNING.*non-loopback address without authentication")


def test_early_imports(launch):
    """Nothing that gevent patches is imported before it patches."""
    told = launch("-W", "error", "-X", "importtime", "-m", "gjrpc.serve", "--version")
    assert told.wait() == 0
    assert "MonkeyPatchWarning" not in told.output
    order = re.findall(r"\|\s+(\S+)$", told.output, re.MULTILINE)
    assert order.index("gevent.monkey") < min(
        order.index(name) for name in ("gjrpc.server.server", "gjrpc.calls.registry", "click")
    )


def test_descriptor_limit(run):
    """The limit of open files is raised to what the process may have."""

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2048))

    server = run("app:registry", preexec_fn=lower)
    server.wait_url()
    assert psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (2048, 2048)
