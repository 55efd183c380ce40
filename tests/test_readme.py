"""The README is true: its examples run as shown, and its table of options is the settings'."""

import ast
import contextlib
import doctest
import importlib
import io
import json
import re

import pytest
from conftest import ROOT, curl

from gjrpc import Application, Registry
from gjrpc.auth.credentials import guard
from gjrpc.auth.tokens import make
from gjrpc.commands.settings import table
from gjrpc.http.messages import Head, Request

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the README's code blocks in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def block(language, word):
    """Return the only code block in this language that contains this word."""
    (found,) = [one for one in blocks(language) if word in one]
    return found


def get(application, target, token=None):
    """Return the body of the answer to a GET."""
    headers = () if token is None else (("authorization", f"Bearer {token}"),)
    return application.respond(Request(Head("GET", target, headers=headers))).body.decode()


def test_the_first_example_comes_after_the_install():
    """Only the install command is between the introduction and the first example."""
    sections = re.findall(r"^## (.*)$", README, re.MULTILINE)
    assert sections[:2] == ["Install", "First example"]


def test_first_example(launch, tmp_path):
    """The first example serves, and answers curl and the client as shown."""
    (tmp_path / "app.py").write_text(blocks("python")[0])
    server = launch("-m", "gjrpc.serve", "app:registry", "--bind", "127.0.0.1:0", cwd=tmp_path)
    url = server.wait_url()
    session = blocks("console")[0]
    shown = re.findall(r"^\$ (curl .*)\n(.*)$", session, re.MULTILINE)
    assert len(shown) > 3
    for command, answer in shown:
        assert curl(command.replace("localhost:9999", url.removeprefix("http://"))) == answer, command
    printed = server.output.replace(url, "http://127.0.0.1:9999")
    assert "".join(re.findall(r"^(?:gjrpc|try:).*\n", session, re.MULTILINE)) in printed
    python = block("python", ">>>").replace("http://localhost:9999", url)
    test = doctest.DocTestParser().get_doctest(python, {}, "README.md", None, None)
    assert len(test.examples) > 3
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def test_arguments_of_a_get_are_text():
    """Without annotations a GET's arguments stay text, with the answer that the README shows."""
    function, target, answer = re.search(r"`(def join.*?)` answers `(.*?)` with `(.*?)`", README, re.DOTALL).groups()
    names = {}
    exec(function, names)
    registry = Registry()
    registry.method(names["join"])
    assert get(Application(registry), target) == answer


def test_observers():
    """The observer of the README gets each failed call's method, time, error and caller."""
    registry = Registry()
    names = {"registry": registry}
    exec(block("python", "observers="), names)
    registry.register(lambda: 1 / 0, "fail")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        get(names["application"], "/list_methods")
        get(names["application"], "/fail")
    assert re.fullmatch(r"fail [\d.e-]+ the method failed.* None\n", output.getvalue())


@pytest.mark.parametrize(
    ("caller", "permitted"),
    [
        ("alice", {"wipe", "stats.cpu"}),
        ("bob", {"wipe", "stats.cpu", "ping", "list_hosts"}),
        ("probe", {"ping"}),
        ("anyone", {"list_hosts"}),
    ],
)
def test_permissions(tmp_path, caller, permitted):
    """The lines of permissions in the README let each caller call what the comments beside them say."""
    (tmp_path / "permissions").write_text(block("text", "@admin"))
    token, line = make(caller)
    (tmp_path / "tokens").write_text(line)
    registry = Registry()
    exec(block("python", "context.caller"), {"registry": registry})
    for name in ("stats.cpu", "ping", "list_hosts"):
        registry.register(lambda path: path, name)
    known = guard(token_file=str(tmp_path / "tokens"), permissions=str(tmp_path / "permissions"))
    application = Application(registry, guard=known)
    answers = {name: get(application, f"/{name}?path=x", token) for name in ("wipe", "stats.cpu", "ping", "list_hosts")}
    assert {name for name, answer in answers.items() if answer.startswith(f'{{"{name}":')} == permitted
    assert ("wipe" in permitted) == (answers["wipe"] == f'{{"wipe":"{caller} wiped x"}}')
    listed = json.loads(get(application, "/list_methods", token))["list_methods"]
    assert set(listed) == permitted | {"list_methods", "method_help", "method_signature"}


@pytest.mark.parametrize("block", [block for block in blocks("python") if ">>>" not in block], ids=lambda block: block[:30])
def test_python_blocks_parse(block):
    """Each block of Python is valid Python."""
    assert ast.parse(block).body


def test_options():
    """The table of options is the one that the settings give."""
    assert table() in README


def test_names():
    """Each name that the README imports from gjrpc, and each module that it names, exists."""
    gjrpc = importlib.import_module("gjrpc")
    imported = [name.strip() for line in re.findall(r"from gjrpc import (.*)", README) for name in line.split(",")]
    assert imported
    assert [name for name in imported if not hasattr(gjrpc, name)] == []
    for dotted in set(re.findall(r"`gjrpc((?:\.\w+)+)", README)):
        assert (ROOT / "gjrpc" / f"{dotted[1:].replace('.', '/')}.py").exists() or hasattr(gjrpc, dotted.split(".")[1]), dotted
