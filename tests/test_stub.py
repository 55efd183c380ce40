"""`python -m gjrpc.stub`: what it prints, how it exits, and how it reaches a guarded server."""

import json
import re

import pytest
from openrpc_trees import method, parameter, tree

from gjrpc import Application, Registry
from gjrpc.auth.credentials import guard
from gjrpc.auth.tokens import make
from gjrpc.server.tls import server_context
from gjrpc.stub import main
from gjrpc.tools.openrpc_document import Document
from gjrpc.tools.stubs import stub


def test_a_saved_document(launch, tmp_path):
    """The command writes the stub of a saved document to standard output."""
    document = tree(method(parameter("a")))
    (tmp_path / "saved").write_text(json.dumps(document))
    launched = launch("-m", "gjrpc.stub", str(tmp_path / "saved"))
    assert launched.wait() == 0
    assert launched.output == stub(Document(document, "test"))


def test_what_can_not_be_read(launch):
    """A server that can't be reached is one line and exit code 2."""
    launched = launch("-m", "gjrpc.stub", "http://127.0.0.1:1")
    assert launched.wait() == 2
    assert re.fullmatch(r"error: http://127\.0\.0\.1:1/-/openrpc\.json: can't connect: Connection refused; .*\n", launched.output)


@pytest.fixture
def run(capsys):
    """Run the command in this process: `run(*arguments)` returns its exit code, and what it printed to both outputs."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.main(list(arguments))
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def guarded(serve, certificate, tmp_path):
    """A server with TLS that authenticates by token, as a URL; the token is in the file `token`."""
    token, line = make("me")
    for name, text in (("tokens", line), ("token", f"{token}\n"), ("wrong", "gjrpc_wrong")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    registry = Registry()
    registry.register(len, "size")
    application = Application(registry, guard=guard(token_file=str(tmp_path / "tokens")))
    served = serve(application, ssl_context=server_context(certificate.cert, certificate.key, None))
    return served.url.replace("127.0.0.1", "localhost")


def test_a_guarded_server(run, guarded, certificate, tmp_path):
    """With the server's authority and a token, the stub of a guarded server with TLS is written."""
    code, out, err = run(guarded, "--ca", certificate.ca, "--token-file", str(tmp_path / "token"))
    assert (code, err) == (0, "")
    assert "def size(" in out


def test_headers(run, serve):
    """Headers are sent with the request, and so is a header with other credentials than a token."""
    received = []

    def application(environ, start_response):
        received.append((environ["HTTP_X_TENANT"], environ["HTTP_AUTHORIZATION"]))
        start_response("200 OK", [])
        return [json.dumps(tree()).encode()]

    code, _, err = run(serve(application).url, "--header", "X-Tenant: blue", "--header", "Authorization: Basic eA==")
    assert (code, err) == (0, "")
    assert received == [("blue", "Basic eA==")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token-file", "token"], r"the server's certificate can't be verified .* --ca ca\.pem on the command line"),
        (["--ca", "{ca}"], r"\(HTTP 401\); --token-file names the file"),
        (["--ca", "{ca}", "--token-file", "wrong"], "unknown token .HTTP 401"),
        (["--ca", "{ca}", "--token-file", "tokens"], "this is the server's file, which has only hashes"),
        (["--ca", "token"], "--ca 'token': expected a PEM file of certificate authorities"),
        (["--ca", "{ca}", "--header", "X-Trace"], "--header 'X-Trace': expected NAME:VALUE"),
    ],
)
def test_a_guarded_server_refuses(run, guarded, certificate, tmp_path, monkeypatch, arguments, said):
    """Without the authority or the token, or with unusable ones, the command says what is missing, in one line."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run(guarded, *[word.format(ca=certificate.ca) for word in arguments])
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"error: .*{said}.*\n", err)
