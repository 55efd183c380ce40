"""Where in a command line secrets are: after names, after the options of known programs, and in random words."""

import pytest

from gjrpc.host.secret_places import drawn, named, short_options


def found(finder, *words):
    """The pieces of a command line that a finder returns."""
    text = "\0".join(words)
    return [text[at:end] for at, end in finder(text)]


@pytest.mark.parametrize(
    ("words", "secrets"),
    [
        (["x", "--password", "a b", "c"], ["a b"]),
        (["x", "--password=a b", "c"], ["a b"]),
        (["PASSWORD=a b"], ["a b"]),
        (["sh", "-c", "run --password 'a b' c"], ["'a b'"]),
        (["sh", "-c", "cd x; TOKEN=abc run"], ["abc"]),
        (["curl", "-H", "Authorization: Bearer abc"], ["Bearer abc"]),
        (["nmcli", "password", "abc"], ["abc"]),
        (["x", "--password", "--verbose"], []),
        (["x", "--user", "me"], []),
        (["ls", "x/token:y"], []),
    ],
)
def test_named(words, secrets):
    """The value after a name that marks a secret is found, to the end of its argument or word."""
    assert found(named, *words) == secrets


@pytest.mark.parametrize(
    ("words", "secrets"),
    [
        (["mysql", "-u", "me", "-pabc", "db"], ["abc"]),
        (["/usr/bin/mysqldump", "-pabc"], ["abc"]),
        (["sshpass", "-p", "abc", "ssh", "-p", "22", "host"], ["abc"]),
        (["curl", "-u", "me:abc", "host"], ["me:abc"]),
        (["htpasswd", "-b", "file", "me", "abc"], ["abc"]),
        (["sh", "-c", "cd /tmp; mysql -pabc; ls -p abc"], ["abc"]),
        (["ssh", "-p", "22", "host"], []),
        (["mkdir", "-p", "abc"], []),
    ],
)
def test_short_options(words, secrets):
    """A short option counts only after the name of a program whose option holds a secret."""
    assert found(short_options, *words) == secrets


@pytest.mark.parametrize(
    ("word", "is_found"),
    [
        ("k3J9xQ2mV7bT1pZ8w4Y6nR5c", True),
        ("0123456789abcdef0123456789abcdef", False),
        ("a-long-name-with-many-plain-words", False),
        ("k3J9xQ2mV7", False),
    ],
)
def test_drawn(word, is_found):
    """A long random word is found anywhere; a hash, a name or a short word is not."""
    assert found(drawn, "x", word) == [word] * is_found
