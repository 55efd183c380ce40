"""The OpenAPI document: it is valid, and schemathesis finds nothing that a server does otherwise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import contract_app
import openapi_spec_validator
import pytest
from conftest import ROOT, untraced

from gjrpc.app.application import Application
from gjrpc.auth.credentials import guard
from gjrpc.auth.tokens import make
from gjrpc.calls.registry import Registry
from gjrpc.errors import Forbidden
from gjrpc.http.messages import Head, Request
from gjrpc.http.problems import status_of


def page(registry, **options):
    """The document of an application, as it is served."""
    response = Application(registry, **options).respond(Request(Head("GET", "/-/openapi.json", [("host", "localhost")])))
    assert response.status == 200
    return json.loads(response.body)


@pytest.mark.parametrize("options", [{}, {"allowed_hosts": ["localhost"]}], ids=["any host", "one host"])
def test_valid(options):
    """The document is valid OpenAPI 3.1, and lists 421 if hosts can be refused."""
    written = page(contract_app.registry, **options)
    openapi_spec_validator.validate(written)
    assert written["openapi"] == "3.1.1"
    assert ("421" in written["paths"]["/add"]["get"]["responses"]) == bool(options)
    assert "securitySchemes" not in written["components"]


def test_valid_with_credentials(tmp_path):
    """The document of an application with a guard is valid too, and lists the accepted credentials."""
    token, line = make("alice")
    (tmp_path / "tokens").write_text(line)
    head = Head("GET", "/-/openapi.json", [("authorization", f"Bearer {token}")])
    application = Application(contract_app.registry, guard=guard(token_file=str(tmp_path / "tokens"), certificates=True))
    written = json.loads(application.respond(Request(head)).body)
    openapi_spec_validator.validate(written)
    assert written["paths"]["/add"]["get"]["security"] == [{"bearer": []}, {"certificate": []}]
    assert "Retry-After" in written["components"]["responses"]["429"]["headers"]


def test_schemathesis(launch, tmp_path):
    """schemathesis, with all its checks, finds nothing wrong with a server and its document."""
    served = launch("-m", "gjrpc.serve", "contract_app:registry", "--bind", "127.0.0.1:0", cwd=ROOT / "tests")
    url = served.wait_url()
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", f"{url}/-/openapi.json", "--max-examples", "15", "--seed", "1", "--no-color"]
    paths = os.pathsep.join(path for path in (str(ROOT / "tests"), os.environ.get("PYTHONPATH")) if path)
    environment = untraced(SCHEMATHESIS_HOOKS="schemathesis_hooks", PYTHONPATH=paths)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout


def test_operations():
    """Each method has a POST, and a GET if all its required parameters can be named."""
    paths = page(contract_app.registry)["paths"]
    assert set(paths["/add"]) == {"get", "post"}
    assert set(paths["/walk"]) == {"post"}
    assert paths["/total"]["post"]["deprecated"]
    assert "504" in paths["/stats.cost"]["post"]["responses"]
    assert "504" in paths["/add"]["post"]["responses"]  # at a stop
    assert [value["name"] for value in paths["/add"]["get"]["parameters"]] == ["a", "b"]


def test_a_method_that_no_query_reaches_allows_no_get():
    """A GET of a method with positional-only arguments is a 405, and OPTIONS agrees; the form with `;` works."""
    registry = Registry()
    registry.register(lambda a, /: a, "same")
    application = Application(registry)
    refused = application.respond(Request(Head("GET", "/same")))
    assert (refused.status, dict(refused.headers)["Allow"]) == (405, "POST, OPTIONS")
    assert dict(application.respond(Request(Head("OPTIONS", "/same"))).headers)["Allow"] == "POST, OPTIONS"
    assert application.respond(Request(Head("GET", "/same;x"))).body == b'{"same":"x"}'


def test_declared_errors():
    """Declared errors are listed under their status, each with an example of the response."""
    responses = page(contract_app.registry)["paths"]["/load"]["get"]["responses"]
    assert {"403", "404", "409"} <= set(responses)
    example = responses["403"]["content"]["application/problem+json"]["examples"]["example 1"]["value"]
    assert (example["status"], example["detail"], example["data"]) == (403, "not yours", {"owner": "root"})


def test_the_status_of_a_class_is_that_of_its_errors():
    """A class of errors has the same status as its instances."""
    for kind in (contract_app.NoSuchHost, Forbidden):
        assert status_of(kind) == status_of(kind("no"))


def test_a_document_that_can_not_be_written(monkeypatch, caplog):
    """If an annotation raises an exception, the page is a 500 with a ref, and the log has the exception."""
    application = Application(Registry())
    monkeypatch.setattr("gjrpc.contracts.documents.describe", lambda registry: 1 / 0)
    response = application.respond(Request(Head("GET", "/-/openapi.json")))
    assert response.status == 500
    assert json.loads(response.body)["ref"] in caplog.text
    assert "ZeroDivisionError" in caplog.text
