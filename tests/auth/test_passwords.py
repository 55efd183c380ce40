"""Names and passwords from an htpasswd file."""

import base64

import bcrypt
import pytest

from gjrpc.auth import passwords
from gjrpc.auth.passwords import REMEMBERED, PasswordFile
from gjrpc.auth.permissions import Permissions
from gjrpc.calls.rights import Rights
from gjrpc.errors import SettingsError


def hashed(password):
    """Return a hash as `htpasswd -B` writes it, with the lowest cost."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


def basic(name, password):
    """Return credentials as RFC 7617 encodes them."""
    return base64.b64encode(f"{name}:{password}".encode()).decode()


class Counted:
    """Runs checks directly, and counts them."""

    count = 0

    def __call__(self, function):
        self.count += 1
        return function()


@pytest.fixture
def read(tmp_path):
    """Make a password file from a text."""
    file = tmp_path / "htpasswd"

    def reading(text, **options):
        file.write_text(text)
        return PasswordFile(str(file), Permissions({"*": Rights(), "bob": Rights(["ping"])}), **options)

    return reading


def never():
    """Block no address."""
    return False


def find(users, credentials, blocked=never, apart=None):
    """Return the name of the caller with these credentials, or None."""
    caller = users.find(credentials, blocked, apart or Counted())
    return caller and caller.name


LONG = "x" * 100


@pytest.mark.parametrize("password", ["secret", "", "a:b", "pässword", LONG])
def test_the_right_password_is_found(read, password):
    """A name is found with its password, whatever characters it has, and not with another one."""
    users = read(f"# users\n\nalice:{hashed(password)}\nbob:{hashed('other')}\n")
    assert find(users, basic("alice", password)) == "alice"
    for wrong in (basic("alice", "wrong"), basic("bob", password), basic("mallory", password), basic("", password)):
        assert find(users, wrong) is None


def test_rights_come_by_name(read):
    """A name has the rights that the permissions give it."""
    users = read(f"bob:{hashed('x')}")
    assert users.find(basic("bob", "x"), never, Counted()).rights == Rights(["ping"])


@pytest.mark.parametrize(
    "credentials", ["", "x", "!!!!", base64.b64encode(b"alice").decode(), base64.b64encode(b"\xff:\xff").decode(), "ä", "YTpiCg"]
)
def test_malformed_credentials_are_nobodys(read, credentials):
    """Credentials that are not a name and a password in Base64 find no caller, and no hash is computed."""
    apart = Counted()
    assert find(read(f"alice:{hashed('x')}"), credentials, apart=apart) is None
    assert apart.count == 0


def test_a_nul_is_in_no_password(read):
    """A password with a NUL is different from the part before the NUL."""
    assert find(read(f"alice:{hashed('x')}"), basic("alice", "x\0y")) is None


def test_an_empty_file_knows_nobody(read):
    """A file without users finds no caller."""
    assert find(read(""), basic("alice", "x")) is None


def test_a_right_password_is_remembered_for_a_while(read):
    """A correct password is not checked again until it expires; a wrong one is checked each time."""
    now = [0.0]
    users, apart = read(f"alice:{hashed('x')}", clock=lambda: now[0]), Counted()
    for _ in range(5):
        assert find(users, basic("alice", "x"), apart=apart) == "alice"
    assert apart.count == 1
    now[0] += REMEMBERED
    for _ in range(5):
        assert find(users, basic("alice", "x"), apart=apart) == "alice"
    assert apart.count == 2
    for _ in range(2):
        assert find(users, basic("alice", "y"), apart=apart) is None
    assert apart.count == 4


def test_an_unknown_name_is_checked_too(read):
    """An unknown name costs a check like a known one, so that the time does not reveal it."""
    apart = Counted()
    find(read(f"alice:{hashed('x')}"), basic("mallory", "x"), apart=apart)
    assert apart.count == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_wrong_password_takes_the_same_time_for_each_name(read, monkeypatch, order):
    """With a wrong password, names with cheap hashes, with expensive hashes and unknown ones cost the same rounds of bcrypt."""
    costs = {"cheap": 4, "middle": 5, "dear": 7}
    lines = [f"{name}:{bcrypt.hashpw(b'x', bcrypt.gensalt(cost)).decode()}\n" for name, cost in costs.items()]
    users = read("".join(lines[::order]))
    rounds = []
    check = bcrypt.checkpw

    def count(password, hashed):
        rounds.append(2 ** int(hashed[4:6]))
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", count)
    for name in (*costs, "mallory", "", "x" * 1000):
        rounds.clear()
        assert find(users, basic(name, "wrong")) is None
        assert sum(rounds) == 2**7, name
    for name, cost in costs.items():
        rounds.clear()
        assert find(users, basic(name, "x")) == name
        assert rounds == [2**cost]


def test_who_is_blocked_finds_nothing(read):
    """From a blocked address not even a remembered password is accepted, and no waiting check is run."""
    users, apart = read(f"alice:{hashed('x')}"), Counted()
    assert find(users, basic("alice", "x"), apart=apart) == "alice"
    assert find(users, basic("alice", "x"), blocked=lambda: True, apart=apart) is None
    assert apart.count == 1
    answers = iter([False, True])
    assert find(read(f"alice:{hashed('x')}"), basic("alice", "x"), blocked=lambda: next(answers)) is None


def test_no_password_is_kept(read):
    """Neither a password nor its unkeyed hash is kept."""
    users = read(f"alice:{hashed('a-secret')}")
    find(users, basic("alice", "a-secret"))
    assert "a-secret" not in repr(vars(users))


def test_memory_is_bounded(read, monkeypatch):
    """The number of remembered passwords is bounded."""
    monkeypatch.setattr(passwords, "_ENTRIES", 2)
    names = "abcd"
    users = read("".join(f"{name}:{hashed('x')}\n" for name in names))
    for name in names:
        assert find(users, basic(name, "x")) == name
        assert len(users._right) <= 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alice", ":1: expected NAME:HASH"),
        (":x", ":1: expected NAME:HASH"),
        ("\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", ":2: the hash of 'alice' is not bcrypt's, .*htpasswd -B"),
        ("alice:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", ":1: the hash of 'alice' is not bcrypt's"),
        ("alice:secret", ":1: the hash of 'alice' is not bcrypt's"),
        ("alice:$2y$05$tooshort", ":1: the hash of 'alice' is not bcrypt's"),
        ("alice:$2y$05$" + "z" * 53, ":1: the hash of 'alice' is not bcrypt's"),
        (f"a:{hashed('x')}\na:{hashed('y')}", ":2: 'a' already has a line"),
    ],
)
def test_a_broken_line_is_told(read, text, said):
    """A hash that is not bcrypt's, or an invalid line, is an error that names file and line, and shows no hash."""
    with pytest.raises(SettingsError, match=said) as told:
        read(text)
    assert "secret" not in str(told.value)
