"""`python -m gjrpc.diff`: what it prints, how it exits, and how it reaches a server."""

import json

import contract_app
import pytest
from openrpc_trees import ROOT, chained, method, nested, parameter, tree

from gjrpc import Application
from gjrpc.auth.credentials import guard
from gjrpc.auth.tokens import make
from gjrpc.diff import main as diff_main
from gjrpc.server.tls import server_context
from gjrpc.stub import main as stub_main

A, B = parameter("a"), parameter("b")


@pytest.fixture
def saved(tmp_path):
    """Save a document: `saved(name, *methods, components=…)` returns its path."""

    def save(name, *methods, **more):
        (tmp_path / name).write_text(json.dumps(tree(*methods, **more)))
        return str(tmp_path / name)

    return save


def test_command(launch, saved):
    """The command prints the changes, one line each, and a summary, and exits with 1 if any breaks callers."""
    launched = launch("-m", "gjrpc.diff", saved("old", method(A)), saved("new", method(A, B, summary="s")))
    assert launched.wait() == 1
    assert launched.output.splitlines() == [
        "breaking    add: parameter 'b' is new and required",
        "compatible  add: the method has another summary",
        "1 breaking, 1 compatible",
    ]


def test_command_without_a_breaking_change(launch, saved):
    """The command exits with 0 if nothing breaks callers; --json prints the same as lines of JSON."""
    launched = launch("-m", "gjrpc.diff", "--json", saved("old", method(A)), saved("new", method(A), method(name="sub")))
    assert launched.wait() == 0
    assert [json.loads(line) for line in launched.output.splitlines()] == [
        {"breaking": False, "kind": "method-added", "method": "sub", "what": "the method is new"},
        {"breaking_changes": 0, "compatible_changes": 1},
    ]


def test_command_with_unusable_input(launch, saved):
    """The command exits with 2 and one line if a document can't be read, and with 2 if an argument is missing."""
    launched = launch("-m", "gjrpc.diff", saved("old"), "nope\n.json")
    assert launched.wait() == 2
    assert launched.output.startswith("error: nope\\n.json: No such file or directory; expected")
    assert launched.output.count("\n") == 1
    assert launch("-m", "gjrpc.diff", saved("old")).wait() == 2


def test_command_with_a_server(launch, serve, saved):
    """The command reads a server's document."""

    def application(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps(tree(method(A))).encode()]

    launched = launch("-m", "gjrpc.diff", saved("old"), serve(application).url)
    assert launched.wait() == 0
    assert launched.output == "compatible  add: the method is new\n0 breaking, 1 compatible\n"


APP = """
from gjrpc import Registry

old, new = Registry(), Registry()

def add(a: int, b: int = 1) -> int: ...
old.register(add)

def add(a: int, b: int, c: str) -> str: ...
new.register(add)
"""


def test_command_with_two_servers_of_our_own(launch, tmp_path):
    """Between two versions of an application a new required parameter and a changed result are reported as breaking."""
    (tmp_path / "app.py").write_text(APP)
    servers = [launch("-m", "gjrpc.serve", f"app:{name}", "--bind", "127.0.0.1:0", cwd=tmp_path) for name in ("old", "new")]
    old, new = [server.wait_url() for server in servers]
    launched = launch("-m", "gjrpc.diff", old, new)
    assert launched.wait() == 1
    assert launched.output.splitlines() == [
        "breaking    add: parameter 'b' is required, was optional",
        "breaking    add: parameter 'c' is new and required",
        "breaking    add: the result is string, was integer (string does not fit integer)",
        "compatible  the document's title is 'app:new', was 'app:old'",
        "3 breaking, 1 compatible",
    ]
    assert launch("-m", "gjrpc.diff", old, old).wait() == 0


def test_two_guarded_servers(capsys, serve, certificate, tmp_path):
    """Between two servers with TLS and authentication, the command sends the token to both."""
    token, line = make("me")
    (tmp_path / "tokens").write_text(line)
    (tmp_path / "token").write_text(token + "\n")
    for path in (tmp_path / "tokens", tmp_path / "token"):
        path.chmod(0o600)
    application = Application(contract_app.registry, guard=guard(token_file=str(tmp_path / "tokens")))
    context = server_context(certificate.cert, certificate.key, None)
    urls = [serve(application, ssl_context=context).url.replace("127.0.0.1", "localhost") for _ in range(2)]
    with pytest.raises(SystemExit) as ended:
        diff_main.main([*urls, "--ca", certificate.ca, "--token-file", str(tmp_path / "token")])
    assert ended.value.code == 0
    assert capsys.readouterr() == ("0 breaking, 0 compatible\n", "")


HOSTILE = {
    "chained references": lambda leaf: (ROOT, chained(3000, leaf)),
    "references in arrays": lambda leaf: (ROOT, chained(3000, leaf, lambda inner: {"type": "array", "items": inner})),
    "deep references": lambda leaf: (ROOT, chained(30, leaf, lambda inner: nested(85, inner))),
    "alternatives": lambda leaf: (ROOT, chained(40, leaf, lambda inner: {"anyOf": [nested(1, inner), nested(2, inner)]})),
    "a circle": lambda leaf: (ROOT, {"S0": {"$ref": "#/components/schemas/S1"}, "S1": ROOT, "S2": leaf}),
    "itself": lambda leaf: (ROOT, {"S0": {"anyOf": [ROOT, leaf]}}),
    "the whole": lambda leaf: ({"$ref": "#"}, {"S0": leaf}),
    "out of the document": lambda leaf: ({"$ref": "http://h/#/x"}, {"S0": leaf}),
    "a long reference": lambda leaf: ({"$ref": "#/" + "a/" * 100_000}, {"S0": leaf}),
    "large numbers": lambda leaf: ({"type": "integer", "multipleOf": 5e-324, "maximum": 10**4000, "enum": [10**4000, 1e300]}, {}),
    "odd keywords": lambda leaf: ({"type": 5, "enum": 7, "anyOf": {}, "properties": [], "$ref": 5, **leaf}, {}),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", ["diff", "diff back", "diff itself", "stub"])
def test_a_hostile_document(saved, capsys, make, command):
    """Whatever a document contains, `diff` and `stub` finish, or exit with one line and code 2."""
    old, new = [
        saved(name, method(parameter("a", make({"type": leaf})[0])), components=make({"type": leaf})[1])
        for name, leaf in (("old", "string"), ("new", "integer"))
    ]
    runs = {"diff": (diff_main, [old, new]), "diff back": (diff_main, [new, old]), "diff itself": (diff_main, [old, old])}
    main, arguments = runs.get(command, (stub_main, [old]))
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    if ended.value.code == 2:
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert len(err) < 1000
    else:
        assert not err
        assert ended.value.code == (0 if "0 breaking" in out or command == "stub" else 1)


def test_what_is_printed_is_safe(saved, capsys):
    """Names and texts of a document reach the terminal without characters that it would act on, in lines and in JSON."""
    bad = "\x1b[2J\u202e\x9b\n"
    old = saved("old", method(name=f"a{bad}"), method(name="b"))
    new = saved("new", method(parameter(bad, {"enum": [bad], "pattern": bad}), name="b", summary=bad))
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            diff_main.main([old, new, *options])
        assert ended.value.code == 1
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable()
    assert {json.loads(line).get("method") for line in out.splitlines()} == {f"a{bad}", "b", None}
