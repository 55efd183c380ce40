"""The client's options: their defaults, and the values that can't be used. No socket is needed."""

import inspect
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gjrpc import Client, MisuseError
from gjrpc.client.options import Options


def test_defaults():
    """`Client` has the same defaults as `Options`."""
    parameters = inspect.signature(Client).parameters
    assert {name: parameters[name].default for name in asdict(Options())} == asdict(Options())


@pytest.mark.parametrize(
    ("timeout", "limits"), [(None, (None, None)), (5, (None, 5)), ((1, None), (1, None)), ((None, 2.5), (None, 2.5))]
)
def test_limits(timeout, limits):
    """A timeout limits the whole call, and a pair limits connecting too."""
    assert Options(timeout=timeout).limits == limits


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
        ("timeout", 1e300),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", (1, 2, 3)),
        ("retries", -1),
        ("retries", 1.5),
        ("retries", None),
        ("pool", 0),
        ("pool", True),
        ("max_answer", 0),
        ("auth", "me"),
        ("auth", ("me", "secret", "x")),
        ("auth", ("me", 5)),
        ("verify", None),
        ("verify", "/nowhere/ca.pem"),
        ("verify", __file__),
        ("verify", ""),
        ("cert", "/nowhere/cert.pem"),
        ("cert", ("a", "b", "c")),
        ("cert", 5),
    ],
)
def test_bad_values(option, value):
    """A value that can't be used raises MisuseError, which names the option and shows no password."""
    with pytest.raises(MisuseError, match=option) as raised:
        Options(**{option: value})
    assert "secret" not in str(raised.value)


def test_an_encrypted_key_is_misuse(certificate, tmp_path):
    """A key with a passphrase raises MisuseError at once, without a prompt for the passphrase."""
    key = serialization.load_pem_private_key(Path(certificate.key).read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, form, locked))
    with pytest.raises(MisuseError, match="without a passphrase"):
        Options(cert=(certificate.cert, str(tmp_path / "key.pem")))
