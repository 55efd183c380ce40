"""Bearer tokens: the file, and the command that makes one."""

import hashlib

import pytest

from gjrpc.auth.permissions import Permissions
from gjrpc.auth.tokens import TokenFile, make
from gjrpc.calls.rights import Rights
from gjrpc.errors import SettingsError

HASH = "sha256:" + hashlib.sha256(b"secret").hexdigest()


@pytest.fixture
def read(tmp_path):
    """Make a token file from a text."""
    file = tmp_path / "tokens"

    def reading(text, permissions=None):
        file.write_text(text)
        return TokenFile(str(file), permissions or Permissions({"*": Rights()}))

    return reading


def test_a_made_token_is_found(read):
    """A new token, and no other, is found by its line, which does not contain the token."""
    token, line = make("alice", "stats.* @admin")
    assert token.startswith("gjrpc_")
    assert len(token) > 43
    assert token.removeprefix("gjrpc_") not in line
    caller = read(line).find(token)
    assert (caller.name, caller.rights) == ("alice", Rights(["stats.*"], ["admin"]))
    for wrong in ("", token[:-1], token + "x", token.upper(), line.split()[1], "ä", "\udcff"):
        assert read(line).find(wrong) is None
    assert make("alice")[0] != token


def test_the_file(read):
    """Comments and empty lines are ignored, a name may have several tokens, and each token has its own rights."""
    first, line = make("alice", "ping")
    second, other = make("alice")
    found = read(f"# tokens\n\n{line}  # old\n{other}\n")
    assert found.find(first).rights == Rights(["ping"])
    assert found.find(second).rights == Rights()


def test_a_line_without_rights_has_those_of_its_name(read):
    """A line without rights gets those of its name; a line with rights has only those."""
    permissions = Permissions({"alice": Rights(["ping"])})
    assert read(f"alice {HASH}", permissions).find("secret").rights == Rights(["ping"])
    assert read(f"alice {HASH} add", permissions).find("secret").rights == Rights(["add"])
    assert read(f"bob {HASH}", permissions).find("secret").rights == Rights(())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alice", r":1: expected NAME sha256:HASH \[RIGHTS\].*gjrpc.tokens alice"),
        ("\nalice secret", r":2: expected NAME sha256:HASH"),
        (f"alice {HASH[:-1]}", ":1: expected NAME"),
        (f"alice {HASH.upper()}", ":1: expected NAME"),
        (f"-x {HASH}", ":1: '-x': a name has letters"),
        (f"alice {HASH} @", ":1: '@': expected a pattern"),
        (f"alice {HASH}\nbob {HASH}", ":2: .*:1 has the same token"),
        ("alice 'x", ":1: no closing quotation"),
    ],
)
def test_a_broken_line_is_told(read, text, said):
    """An invalid line is an error that names file and line, and never shows what may be a token."""
    with pytest.raises(SettingsError, match=said) as told:
        read(text)
    assert "secret" not in str(told.value).replace("tokens", "")


def test_the_command(launch, read):
    """The command prints the line for the file on standard output, and the token once, on standard error."""
    made = launch("-m", "gjrpc.tokens", "alice", "stats.*", "@admin")
    assert made.wait() == 0
    token = made.wait_for(r"shown only now: (\S+)")[1]
    line = made.wait_for(r"(?m)^alice .*$")[0]
    assert made.output.count(token) == 1
    assert read(line).find(token).name == "alice"


@pytest.mark.parametrize("arguments", [["a b"], ["alice", "@"], []])
def test_the_command_refuses(launch, arguments):
    """With an invalid name or rights the command exits with code 2."""
    assert launch("-m", "gjrpc.tokens", *arguments).wait() == 2
