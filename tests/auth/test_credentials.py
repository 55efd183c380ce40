"""Authentication in running servers: from the command line, and of an application under gunicorn and waitress."""

import base64
import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest
import requests
from conftest import curl, read_all

from gjrpc import Client, RemoteError
from gjrpc.auth.credentials import certificate_name, guard
from gjrpc.auth.tokens import make
from gjrpc.errors import SettingsError

APP = """
import gevent
from gjrpc import Application, Registry, context
from gjrpc.auth.credentials import guard

registry = Registry()

@registry.method
def who():
    return context.caller

@registry.method(blocking=True)
def apart():
    return context.caller

@registry.method(deadline=5.0)
def late():
    gevent.sleep(0.01)
    return context.caller

@registry.method
def waits():
    gevent.sleep(0.01)
    return context.caller

@registry.method(scope="admin")
def wipe():
    return "wiped"
"""
GUNICORN = """
application = Application(registry, guard=guard(token_file="tokens", htpasswd="htpasswd", certificates=True))
"""


@pytest.fixture
def files(tmp_path):
    """A folder with an application and files of credentials; the tokens of alice, who has the scope admin, and of bob."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "mounted.py").write_text(APP + GUNICORN)
    made = [make("alice", "* @admin"), make("bob", "who apart late waits")]
    (tmp_path / "tokens").write_text("".join(line + "\n" for _, line in made))
    (tmp_path / "htpasswd").write_text(f"carol:{bcrypt.hashpw(b'secret', bcrypt.gensalt(10)).decode()}\n")
    return [token for token, _ in made]


@pytest.fixture
def run(launch, tmp_path):
    """Start the server in that folder, on a port that the kernel chooses."""

    def start(*arguments, bind="127.0.0.1:0"):
        return launch("-m", "gjrpc.serve", *arguments, "--bind", bind, cwd=tmp_path)

    return start


def get(url, token=None, **options):
    """Send a GET, with a token if there is one; return the status and the decoded body."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = requests.get(url, headers=headers, timeout=60, **options)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        ({}, None),
        ({"subject": ((("countryName", "AT"),), (("commonName", "probe"),))}, "probe"),
        ({"subject": ((("commonName", "group"),), (("commonName", "probe"),))}, "probe"),
        ({"subject": (), "subjectAltName": (("DNS", "probe.example"), ("DNS", "other"))}, "probe.example"),
        ({"subject": ((("commonName", "a"),),), "subjectAltName": (("DNS", "b"),)}, "a"),
        ({"subject": ((("organizationName", "x"),),)}, None),
    ],
)
def test_the_name_in_a_certificate(certificate, name):
    """A certificate's name is its most specific common name, else the first of its alternative names."""
    assert certificate_name(certificate) == name


def test_without_files_nobody_is_asked():
    """Without files of credentials there is no guard, and permissions alone are an error."""
    assert guard() is None
    with pytest.raises(SettingsError, match="--permissions needs authenticated callers"):
        guard(permissions="x")


def test_tokens(run, files, tmp_path):
    """A server with a token file answers the callers in it, and refuses all others, in each dialect."""
    alice, bob = files
    server = run("app:registry", "--token-file", "tokens", "--access-log", "json")
    url = server.wait_url()
    assert get(f"{url}/who")[0] == 401
    assert get(f"{url}/who", "gjrpc_wrong")[0] == 401
    assert get(f"{url}/who", bob) == (200, {"who": "bob"})
    assert get(f"{url}/wipe", bob)[0] == 403
    assert get(f"{url}/wipe", alice) == (200, {"wipe": "wiped"})
    assert get(f"{url}/-/ready")[0] == 200
    server.wait_for('"target":"/-/ready"')
    logged = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    told = [(line["target"], line["status"], line["caller"]) for line in logged]
    assert told == [
        ("/who", 401, None),
        ("/who", 401, None),
        ("/who", 200, "bob"),
        ("/wipe", 403, "bob"),
        ("/wipe", 200, "alice"),
        ("/-/ready", 200, None),
    ]
    with Client(url, headers={"Authorization": f"Bearer {bob}"}) as client:
        assert client.who() == "bob"
        with pytest.raises(RemoteError, match="'bob' may not call 'wipe'"):
            client.wipe()
    assert alice not in server.output
    assert bob not in server.output
    assert "who" in curl(server.wait_for(r"try: (curl .*)")[1].replace("TOKEN", bob))


def test_each_entry_of_a_batch_knows_its_caller(run, files):
    """Concurrent batches of different callers are never mixed up, even if entries wait, run in threads or have deadlines."""
    server = run("app:registry", "--token-file", "tokens")
    url = server.wait_url()
    batch = [{"jsonrpc": "2.0", "method": name, "id": i} for i, name in enumerate(["waits", "apart", "late", "who"] * 10)]

    def ask(who):
        """Return the callers that the entries saw, in batches sent by two callers in turn on one connection."""
        told = []
        with requests.Session() as session:
            for token in (files[who], files[1 - who]) * 2:
                response = session.post(url, json=batch, headers={"Authorization": f"Bearer {token}"}, timeout=60)
                told.append({answer["result"] for answer in response.json()})
        return told

    names = ({"alice"}, {"bob"})
    with ThreadPoolExecutor(6) as pool:
        for who, told in zip((0, 1) * 3, pool.map(ask, (0, 1) * 3), strict=True):
            assert told == [names[who], names[1 - who]] * 2


def test_tokens_are_read_again_on_sighup(run, files, tmp_path):
    """SIGHUP reloads the files: removed callers are refused, on open connections too; an invalid file changes nothing."""
    alice, bob = files
    server = run("app:registry", "--token-file", "tokens")
    url = server.wait_url() + "/who"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {bob}"
        assert session.get(url, timeout=60).status_code == 200
        lines = (tmp_path / "tokens").read_text().splitlines()
        (tmp_path / "tokens").write_text(lines[0])
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded the credentials")
        assert session.get(url, timeout=60).status_code == 401
    (tmp_path / "tokens").write_text("nonsense")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("the old ones stay in use: --token-file: tokens:1: expected NAME")
    assert get(url, alice) == (200, {"who": "alice"})


def test_passwords(run, files):
    """Names and passwords of an htpasswd file are checked by HTTP Basic, which requests and curl support."""
    server = run("app:registry", "--htpasswd", "htpasswd", "--max-failures", "2", "--access-log", "common")
    url = server.wait_url() + "/who"
    refused = requests.get(url, timeout=60)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="gjrpc", charset="UTF-8"')
    assert get(url, auth=("carol", "secret")) == (200, {"who": "carol"})
    server.wait_for(r'127\.0\.0\.1 - carol \[.*\] "GET /who HTTP/1\.1" 200')
    with Client(server.url, auth=("carol", "secret")) as client:
        assert client.who() == "carol"
    for status in (401, 401, 429):
        wrong = requests.get(url, auth=("carol", "guess"), timeout=60)
        assert wrong.status_code == status
    assert wrong.headers["Retry-After"] == "60"
    assert get(url, auth=("carol", "secret"))[0] == 429
    assert "guess" not in server.output


def test_a_password_check_holds_up_nobody(serve, tmp_path):
    """While bcrypt checks a password, which is slow, the event loop answers other clients."""
    from gjrpc import Application, Registry

    (tmp_path / "htpasswd").write_text(f"carol:{bcrypt.hashpw(b'secret', bcrypt.gensalt(12)).decode()}\n")
    registry = Registry()
    registry.register(lambda: 1, "one")
    served = serve(Application(registry, guard=guard(htpasswd=str(tmp_path / "htpasswd"), max_failures=100)))
    wrong = base64.b64encode(b"carol:wrong").decode()
    with served.wire() as slow, served.wire() as quick:
        slow.send(f"GET /one HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {wrong}\r\n\r\n".encode())
        slow.socket.settimeout(0)
        answers = 0
        while True:
            assert quick.ask(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
            answers += 1
            try:
                told = slow.socket.recv(65536)
                break
            except BlockingIOError:
                continue
        assert told.startswith(b"HTTP/1.1 401")
        assert answers > 2  # a check takes 100 times as long as an answer, so a loop that it held would have given one or two


@pytest.fixture
def client_files(certificate, tmp_path):
    """A client certificate with the common name `probe`, signed by the server's client CA."""
    leaf = certificate.authority.issue_cert("probe@example.org", common_name="probe")
    path = tmp_path / "client.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


def tls(certificate):
    """Return the options of a server that requests client certificates."""
    return ["--cert", certificate.cert, "--key", certificate.key, "--client-ca", certificate.ca]


def test_client_certificates(run, files, certificate, client_files, tmp_path):
    """A client certificate authenticates the caller, and the permissions apply to it; without one the handshake fails."""
    (tmp_path / "permissions").write_text("probe who\n")
    server = run("app:registry", *tls(certificate), "--permissions", "permissions")
    url = server.wait_url()
    with requests.Session() as session:
        options = {"verify": certificate.ca, "cert": client_files, "timeout": 20}
        for _ in range(2):
            assert session.get(f"{url}/who", **options).json() == {"who": "probe"}
        assert session.get(f"{url}/apart", **options).status_code == 403
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/who", verify=certificate.ca, timeout=60)


def test_a_certificate_or_a_token(run, files, certificate, client_files, tmp_path):
    """With a token file too, a certificate is optional: any credentials are enough, also after a reload."""
    server = run("app:registry", *tls(certificate), "--token-file", "tokens")
    url = server.wait_url() + "/who"
    for _ in range(2):
        assert get(url, verify=certificate.ca)[0] == 401
        assert get(url, files[0], verify=certificate.ca) == (200, {"who": "alice"})
        assert get(url, verify=certificate.ca, cert=client_files) == (200, {"who": "probe"})
        assert get(url, files[0], verify=certificate.ca, cert=client_files) == (200, {"who": "alice"})
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("new connections use the certificate")


@pytest.mark.parametrize("worker", ["gevent", "gthread", "sync"])
def test_under_gunicorn(launch, files, tmp_path, certificate, client_files, worker):
    """Under gunicorn the application authenticates callers, also by client certificates, in each worker class."""
    arguments = ["-k", worker, "--bind", "127.0.0.1:0", "--threads", "2", "--cert-reqs", "1", "--ca-certs", certificate.ca]
    arguments += ["--certfile", certificate.cert, "--keyfile", certificate.key, "mounted:application"]
    server = launch("-m", "gunicorn", *arguments, cwd=tmp_path)
    url = server.wait_url() + "/"
    options = {"verify": certificate.ca}
    assert get(url + "who", **options)[0] == 401
    for name in ("who", "apart"):
        assert get(url + name, files[1], **options) == (200, {name: "bob"})
        assert get(url + name, auth=("carol", "secret"), **options) == (200, {name: "carol"})
    assert get(url + "wipe", files[1], **options)[0] == 403
    assert get(url + "wipe", files[0], **options)[0] == 200
    assert get(url + "who", cert=client_files, **options) == (200, {"who": "probe"})


def test_under_waitress(launch, files, tmp_path):
    """Under waitress the application authenticates callers, and counts failures by the address that waitress passes on."""
    (tmp_path / "run.py").write_text(
        "import sys\nfrom waitress.server import create_server\nfrom mounted import application\n"
        "server = create_server(application, host='127.0.0.1', port=0, threads=4)\n"
        "print(f'http://127.0.0.1:{server.effective_port}', flush=True)\nserver.run()\n"
    )
    server = launch("run.py", cwd=tmp_path)
    url = server.wait_url() + "/who"
    assert get(url, files[1]) == (200, {"who": "bob"})
    assert get(url, auth=("carol", "secret")) == (200, {"who": "carol"})
    statuses = [get(url, "gjrpc_wrong")[0] for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert get(url, files[1])[0] == 200


HOST = ["netstat", "running_process", "check_process;python", "get_env"]


def test_host_methods_on_loopback(run):
    """On a loopback address anyone on this host may call the host methods."""
    url = run().wait_url()
    assert [get(f"{url}/{name}")[0] for name in HOST] == [200] * 4


def test_host_methods_on_other_addresses(run):
    """On another address without authentication, methods that reveal processes, connections or the environment are closed."""
    server = run(bind="0.0.0.0:0")
    url = server.wait_for(r"http://0\.0\.0\.0(:\d+)")[1]
    url = f"http://127.0.0.1{url}"
    server.wait_for("without authentication")
    assert [get(f"{url}/{name}")[0] for name in HOST] == [403] * 4
    assert [get(f"{url}/{name}")[0] for name in ("ping", "meminfo")] == [200] * 2
    _, told = get(f"{url}/get_env")
    assert "--open" in told["detail"]
    assert "get_env" not in get(f"{url}/list_methods")[1]["list_methods"]


def test_host_methods_that_are_opened(run):
    """With --open the host methods are open on any address."""
    server = run("--open", bind="0.0.0.0:0")
    url = "http://127.0.0.1" + server.wait_for(r"http://0\.0\.0\.0(:\d+)")[1]
    assert [get(f"{url}/{name}")[0] for name in HOST] == [200] * 4


def test_host_methods_with_credentials(run, tmp_path):
    """With authentication the host methods need their scope on any address, and without TLS the server warns."""
    made = [make("ops", "@host"), make("guest")]
    (tmp_path / "tokens").write_text("".join(line + "\n" for _, line in made))
    server = run("--token-file", "tokens", bind="0.0.0.0:0")
    url = "http://127.0.0.1" + server.wait_for(r"http://0\.0\.0\.0(:\d+)")[1]
    for (token, _), status in zip(made, (200, 403), strict=True):
        assert {get(f"{url}/{name}", token)[0] for name in HOST} == {status}
        assert get(f"{url}/meminfo", token)[0] == 200
    assert "without authentication" not in server.output
    server.wait_for("without TLS: credentials can be read on the network")


def test_an_application_without_credentials_is_served(run, files):
    """An application's own methods are open on any address, with a warning; those with a scope are closed."""
    server = run("app:registry", bind="0.0.0.0:0")
    url = "http://127.0.0.1" + server.wait_for(r"http://0\.0\.0\.0(:\d+)")[1]
    server.wait_for("listening on a non-loopback address without authentication")
    assert get(f"{url}/who") == (200, {"who": None})
    assert get(f"{url}/wipe")[0] == 403


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app:registry", "--token-file", "missing"], "missing: No such file"),
        (["app:registry", "--htpasswd", "tokens"], "tokens:1: the hash of 'alice sha256' is not bcrypt's"),
        (["app:registry", "--permissions", "tokens"], "--permissions needs authenticated callers"),
        (["app:registry", "--open", "--token-file", "tokens"], "--open lets anyone call"),
        (["app:registry", "--max-failures", "0"], "0 is not in the range"),
        (["mounted:application", "--token-file", "tokens"], "protect a Registry, but the target is an application"),
    ],
)
def test_what_can_not_be_used_is_told(run, files, arguments, said):
    """With a file that can't be used, or contradictory options, the server exits with code 2 and says why."""
    server = run(*arguments)
    assert server.wait() == 2
    assert said in server.output


def test_no_credential_reaches_the_log(run, files):
    """No token or password, correct or wrong, well-formed or not, is in any log, even at the debug level."""
    options = ("--token-file", "tokens", "--htpasswd", "htpasswd", "--access-log", "json", "--log-level", "debug")
    server = run("app:registry", *options)
    host, port = server.wait_url().removeprefix("http://").split(":")
    basic, wrong = (base64.b64encode(f"carol:{password}".encode()).decode() for password in ("secret", "Wr0ngPassword"))
    lines = [f"Authorization: Bearer {token}" for token in (files[0], "gjrpc_guessed", f"{files[0]} {files[1]}")]
    lines += [f"Authorization: Basic {text}" for text in (basic, wrong, f"{wrong}!")]
    lines += [f"Authorization: Bearer {files[0]}\r\nAuthorization: Bearer {files[1]}", f"Authorization: {files[0]}"]
    lines += [f"Authorization : Bearer {files[0]}", f"Authorization: Bearer {files[0]}\x00", f"Authorization Bearer {files[0]}"]
    for line in lines:
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET /who HTTP/1.1\r\nHost: localhost\r\n{line}\r\nConnection: close\r\n\r\n".encode("latin-1"))
            assert read_all(connection).startswith(b"HTTP/1.1 ")
    get(f"http://{host}:{port}/-/ready")
    server.wait_for('"target":"/-/ready"')
    for secret in (*files, basic, wrong, "guessed", "Wr0ngPassword"):
        assert secret not in server.output
