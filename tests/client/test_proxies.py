"""Which proxy the client uses, and which hosts `no_proxy` excepts."""

import pytest

from gjrpc.client.proxies import excepts, is_this_machine, proxies_for


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("*", "anything", 80),
        ("example.com", "example.com", 80),
        ("example.com", "a.b.example.com", 80),
        (".example.com", "a.example.com", 80),
        (".example.com", "example.com", 80),
        ("*.example.com", "a.example.com", 80),
        ("EXAMPLE.com", "a.example.COM", 80),
        ("example.com.", "example.com", 80),
        ("example.com", "example.com.", 80),
        ("example.com:8080", "example.com", 8080),
        ("höst.de", "xn--hst-sna.de", 80),
        ("10.0.0.1", "10.0.0.1", 80),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("10.0.0.0/8", "10.1.2.3", 80),
        ("10.1.2.3/8", "10.9.9.9", 80),
        ("10.0.0.0/8:80", "10.1.2.3", 80),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 80),
        ("10.0.0.0/8", "10.1", 80),
        ("fd00::/8", "fd00::5", 80),
        ("FD00::/8", "fd00:0::5", 80),
        ("fd00::5", "fd00::5", 80),
        ("[fd00::5]", "fd00::5", 80),
        ("[fd00::5]:80", "fd00::5", 80),
        ("[fd00::]/8", "fd00::5", 80),
        ("[fd00::]/8:80", "fd00::5", 80),
        ("fe80::1", "fe80::1%lo", 80),
        ("fe80::1%lo", "fe80::1%lo", 80),
        ("[fe80::1%25lo]", "fe80::1%25lo", 80),
        ("fe80::/10", "fe80::1%lo", 80),
    ],
)
def test_what_an_entry_excepts(entry, host, port):
    """Each common form of an entry excepts what it names."""
    assert excepts(entry, host, port)


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("example.com", "notexample.com", 80),
        ("example.com", "example.com.evil.org", 80),
        ("a.example.com", "example.com", 80),
        ("example.com:8080", "example.com", 80),
        ("10.0.0.0/8", "11.0.0.1", 80),
        ("10.0.0.1", "10.0.0.10", 80),
        ("10.0.0.0/8:81", "10.0.0.1", 80),
        ("1.2", "8.8.1.2", 80),
        ("fd00::/8", "fe00::5", 80),
        ("fd00::/8", "10.0.0.1", 80),
        ("fd00::5", "fd00::6", 80),
        ("[fd00::5]:81", "fd00::5", 80),
        ("fe80::1%lo", "fe80::1%eth0", 80),
        ("10.0.0.0/99", "10.0.0.1", 80),
        ("fd00::/200", "fd00::1", 80),
        ("a/8", "a", 80),
        ("[", "a", 80),
        (".", "a", 80),
        ("/8", "10.0.0.1", 80),
        (":80", "a", 80),
    ],
)
def test_what_an_entry_does_not_except(entry, host, port):
    """An entry excepts nothing else; one that can't be parsed excepts nothing."""
    assert not excepts(entry, host, port)


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("listed", ["a,fd00::/8 ", "a fd00::/8", " a , fd00::/8,", "*"])
def test_the_environment(monkeypatch, name, listed):
    """Entries are separated by commas or blanks, in `no_proxy` or `NO_PROXY`."""
    monkeypatch.setenv(name, listed)
    assert proxies_for("http://[fd00::5]:9999/") == {}


def test_what_is_not_excepted_has_a_proxy(monkeypatch):
    """A host that no entry names has a proxy; without a port in the URL, the scheme's default counts."""
    monkeypatch.setenv("no_proxy", "fd00::/8,b.org:80")
    assert proxies_for("http://a.org/")["http"] == proxies_for("http://b.org:81/")["http"] == "http://proxy:3128"
    assert proxies_for("http://b.org/") == {}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.2",
        "127.1",
        "0x7f.1",
        "2130706433",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
    ],
)
def test_loopback_has_no_proxy(host):
    """This machine is never called through a proxy, however its name is written."""
    assert is_this_machine(host)
    assert proxies_for(f"http://[{host}]/" if ":" in host else f"http://{host}/") == {}


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example.org", "notlocalhost", "128", "", "host", "fd00::1"])
def test_what_is_not_loopback(host):
    """A host whose name only resembles that of this machine is another one."""
    assert not is_this_machine(host)
