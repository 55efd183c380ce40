"""The README is true: its first example runs as it stands there, and its table is the settings'."""

import re

from conftest import ROOT, curl

from gjrpc import Client, MisuseError
from gjrpc.commands.settings import table

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The README's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_first_example(launch, tmp_path):
    """The first example serves, answers curl as shown, and the client as shown."""
    (tmp_path / "app.py").write_text(blocks("python")[0])
    server = launch("-m", "gjrpc.serve", "app:registry", "--bind", "127.0.0.1:0", cwd=tmp_path)
    url = server.wait_url()
    session = blocks("console")[0]
    for command, shown in re.findall(r"^\$ (curl .*)\n(\{.*)$", session, re.MULTILINE):
        assert curl(command.replace("localhost:9999", url)) == shown, command
    said = server.output.replace(url, "http://127.0.0.1:9999")
    assert "".join(re.findall(r"^(?:gjrpc|try:).*\n", session, re.MULTILINE)) in said
    with Client(url) as client:
        assert client.add(a=1, b=2) == 3
        try:
            client.add(1, b=2)
        except MisuseError:
            pass
        else:
            raise AssertionError("a call with both kinds of arguments was sent")


def test_options():
    """The table of options is the one that the settings give."""
    assert table() in README


def test_names():
    """Each name that the README imports from gjrpc is there."""
    import gjrpc

    for line in re.findall(r"from gjrpc import (.*)", README):
        for name in line.split(","):
            assert hasattr(gjrpc, name.strip())
