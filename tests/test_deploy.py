"""The files in deploy/, except the proxies': each passes its checker, and is run if this machine can."""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import kubernetes_validate
import pytest
import requests
import yaml
from conftest import ROOT, TIMEOUT, wait_until
from needs import need
from sample_app import APP

from gjrpc.commands.settings import Settings

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
GRACE = Settings().grace


def run(*command):
    """Run a program and return its exit code and output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    return done.returncode, done.stdout + done.stderr


def manifest(kind):
    """Return the manifest of this kind."""
    (found,) = [made for made in (yaml.safe_load(path.read_text(encoding="utf-8")) for path in MANIFESTS) if made["kind"] == kind]
    return found


def instructions(name):
    """Return the arguments of an instruction in the last stage of the Dockerfile."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stage = text[text.rindex("\nFROM ") :]
    return re.findall(rf"^{name} +(.*)$", stage, re.MULTILINE)


@pytest.fixture
def units(tmp_path):
    """The units, with this Python and an existing folder, and systemd's checker."""
    program = need("systemd-analyze", "/bin/kill")  # /bin/kill reloads the service
    for name in ("gjrpc.service", "gjrpc.socket"):
        text = (DEPLOY / name).read_text(encoding="utf-8").replace("/opt/gjrpc/bin/python", sys.executable)
        (tmp_path / name).write_text(text.replace("/srv/gjrpc", str(tmp_path)))
    return program, str(tmp_path / "gjrpc.service"), str(tmp_path / "gjrpc.socket")


def test_the_units(units):
    """Systemd reports no problem in the service and its socket, and rates the service's exposure as OK."""
    program, service, activation = units
    code, said = run(program, "verify", service, activation)
    assert (code, [line for line in said.splitlines() if "gjrpc" in line]) == (0, [])
    _, said = run(program, "security", "--offline=true", "--no-pager", service)
    found = re.search(r"Overall exposure level for gjrpc.service: ([0-9.]+) OK", said)
    assert found is not None, said
    assert float(found[1]) <= 2.0


def test_the_dockerfile():
    """Hadolint reports no problem in the Dockerfile."""
    assert run(str(Path(sys.executable).parent / "hadolint"), str(DEPLOY / "Dockerfile")) == (0, "")


def test_the_commands_of_the_image(launch, tmp_path):
    """The image's commands need no shell and no root, and its health check passes only while the server runs."""
    (user,), (entry,), (health,) = instructions("USER"), instructions("ENTRYPOINT"), instructions("HEALTHCHECK")
    assert user.split(":")[0].isdigit()
    assert int(user.split(":")[0]) > 0
    (tmp_path / "app.py").write_text(APP)
    program, *arguments = json.loads(entry)
    assert program == "python"
    server = launch(*arguments, "app:registry", "--bind", "127.0.0.1:0", cwd=tmp_path)
    url = server.wait_url().replace("127.0.0.1", "localhost")
    program, *arguments = json.loads(health.partition("CMD ")[2])
    check = [sys.executable, *(argument.replace("http://localhost:9999", url) for argument in arguments)]
    assert check[2] != arguments[1], "the check must use the port on which the image serves"
    assert run(*check) == (0, "")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert run(*check)[0] == 1


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_each_manifest_is_valid(path):
    """Each manifest is valid by the schema of its kind, which refuses unknown fields."""
    version = kubernetes_validate.latest_version()
    for made in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        kubernetes_validate.validate(made, version, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError, match="nonsense"):
            kubernetes_validate.validate({**made, "nonsense": 1}, version, strict=True)


def test_the_manifests_fit_each_other():
    """Service, budget and scaler select the pods of the Deployment, and its mounts and ports exist."""
    deployment = manifest("Deployment")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        manifest("Service")["spec"]["selector"],
        manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pod["metadata"]["labels"].items()
    assert manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert manifest("Service")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert manifest("ConfigMap")["metadata"]["name"] == pod["spec"]["volumes"][0]["configMap"]["name"]
    job = manifest("Job")["spec"]["template"]["spec"]["containers"][0]
    assert job["args"][job["args"].index("--host") + 1] == f"http://{manifest('Service')['metadata']['name']}"


def test_supervisors_wait_for_the_grace_period():
    """Each supervisor waits longer for the server to stop than the server waits for its calls."""
    spec = manifest("Deployment")["spec"]["template"]["spec"]
    before = float(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    (grace,) = [float(entry["value"]) for entry in spec["containers"][0]["env"] if entry["name"] == "GJRPC_GRACE"]
    assert spec["terminationGracePeriodSeconds"] > before + grace
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["gjrpc"]
    assert float(compose["stop_grace_period"].removesuffix("s")) > float(compose["environment"]["GJRPC_GRACE"])
    unit = (DEPLOY / "gjrpc.service").read_text(encoding="utf-8")
    found = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert found is not None
    assert float(found[1]) > GRACE


def test_the_application_of_the_manifests(launch, tmp_path):
    """The application in the ConfigMap has the methods that the load job calls."""
    (tmp_path / "app.py").write_text(manifest("ConfigMap")["data"]["app.py"])
    (target,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    url = launch("-m", "gjrpc.serve", target, "--bind", "127.0.0.1:0", cwd=tmp_path).wait_url()
    assert requests.get(f"{url}/ping", timeout=60).text == '{"ping":"pong"}'
    assert requests.post(url, data='{"add":[1,2]}', timeout=60).text == '{"add":3}'


def test_the_containers_are_confined():
    """No container runs as root, gains privileges, or writes to its root file system."""
    for kind in ("Deployment", "Job"):
        pod = manifest(kind)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_gunicorn(tmp_path):
    """Gunicorn accepts its configuration and loads an application with it."""
    (tmp_path / "app.py").write_text(APP)
    command = [sys.executable, "-m", "gunicorn", "--check-config", "--chdir", str(tmp_path)]
    code, said = run(*command, "-c", str(DEPLOY / "gunicorn.conf.py"), "app:application")
    assert code == 0, said


def test_uwsgi(launch, tmp_path):
    """uWSGI accepts a large head, and answers a call in flight at SIGTERM before it ends."""
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    shipped = (DEPLOY / "uwsgi.ini").read_text(encoding="utf-8")
    (tmp_path / "uwsgi.ini").write_text(shipped.replace("127.0.0.1:9999", where))
    command = shlex.split("uwsgi.ini --module app:application")
    server = launch(*command, program=str(Path(sys.executable).parent / "uwsgi"), cwd=tmp_path)
    server.wait_for("gracefully_kill_them_all")
    wait_until(lambda: answers(where), "an answer")
    assert requests.get(f"http://{where}/ping", headers={"X-Filler": "x" * 30_000}, timeout=60).json() == {"ping": "pong"}
    told = []
    caller = threading.Thread(target=lambda: told.append(requests.get(f"http://{where}/nap?seconds=0.7", timeout=60).json()))
    caller.start()
    server.wait_for("napping")
    server.process.send_signal(signal.SIGTERM)
    caller.join(TIMEOUT)
    assert told == [{"nap": 0.7}]
    server.wait()


def answers(where):
    """Return whether a server answers."""
    try:
        return requests.get(f"http://{where}/ping", timeout=60).ok
    except requests.RequestException:
        return False


def test_the_readme():
    """The table in deploy/README.md has exactly the files of the folder."""
    rows = re.findall(r"^\| (`.*?) \|", (DEPLOY / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(.*?)`", row)}
    files = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    listed = {str(path.relative_to(DEPLOY)) for name in named for path in DEPLOY.glob(name)}
    assert all(list(DEPLOY.glob(name)) for name in named)
    assert files - {"README.md"} == listed
