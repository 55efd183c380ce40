"""Which names mark their values as secrets, and which values look like secrets."""

import pytest

from gjrpc.host.secret_names import (
    is_any,
    is_drawn,
    is_made_up,
    is_password,
    is_random,
    is_strong_password,
    is_word,
    judge_of,
    judge_of_bare,
)

RANDOM = "k3J9xQ2mV7bT1pZ8"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DB_PASSWORD", is_any),
        ("walletpassphrase", is_any),
        ("apiKey", is_word),
        ("--auth-token", is_word),
        ("MYSQLPWD", is_word),
        ("SESSION_ID", is_word),
        ("session", is_made_up),
        ("sort_key", None),
        ("KEY_PASSPHRASE", is_any),
        ("key", is_random),
        ("public_key", None),
        ("token_file", None),
        ("ASKPASS", None),
        ("ask_password", None),
        ("compass", None),
        ("user", None),
        ("", None),
    ],
)
def test_names(name, expected):
    """Each name has a rank: any value is a secret, only one that looks like one, or none."""
    assert judge_of(name) is expected


@pytest.mark.parametrize(("name", "expected"), [("password", is_any), ("input_pw", is_made_up), ("name", is_random)])
def test_names_as_arguments(name, expected):
    """A name as a separate argument marks the next argument, but more rarely than an option does."""
    assert judge_of_bare(name) is expected


@pytest.mark.parametrize(
    ("judges", "value"),
    [
        ({is_any, is_word}, "secret"),
        ({is_any}, "12345"),
        ({is_any, is_word}, "123456"),
        ({is_any, is_word, is_made_up}, "hunter-two"),
        ({is_any, is_word, is_made_up, is_password}, "hunter2"),
        ({is_any, is_word, is_made_up, is_password, is_strong_password}, "Hunter22"),
        ({is_any, is_word, is_made_up, is_password, is_strong_password, is_random, is_drawn}, RANDOM),
        (set(), "true"),
        (set(), "12"),
        (set(), "$PASSWORD"),
        (set(), "/run/secrets/password"),
        (set(), "server.pem"),
        (set(), "****"),
        (set(), ""),
    ],
)
def test_values(judges, value):
    """The judges accept fewer and fewer values: from anything but settings and references to random ones."""
    every = (is_any, is_word, is_made_up, is_password, is_strong_password, is_random, is_drawn)
    assert {each for each in every if each(value)} == judges


def test_only_the_beginning_counts():
    """Further characters of a long value change nothing."""
    assert is_random(RANDOM * 1000)
    assert is_any("x" * 1_000_000)
