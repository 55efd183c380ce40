"""Host names, IP addresses and ports as text."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from gjrpc.http.hosts import LOOPBACK, hostname, hostnames, is_loopback, is_port, parse_ip


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.ORG", "example.org"),
        ("example.org:80", "example.org"),
        ("example.org.", "example.org"),
        ("example.org.:80", "example.org"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("example.org:", "example.org:"),
        ("", ""),
    ],
)
def test_a_host_has_one_name(host, name):
    """Case, port and final dot do not distinguish hosts."""
    assert hostname(host) == name


def test_a_star_means_any_host():
    """A list of hosts is their names, and is empty if any host will do."""
    assert hostnames(["A:80", "b."]) == {"a", "b"}
    assert hostnames(["a", "*"]) == hostnames([]) == frozenset()


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "::1%lo"])
def test_loopback(host):
    """Only this machine can reach a loopback host, however it is written."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "192.0.2.1", "0.0.0.0", "::", "", "[::1]"])
def test_not_loopback(host):
    """All other hosts, and all addresses of this machine together, are not loopback."""
    assert not is_loopback(host)


def test_the_loopback_names_are_loopback():
    """Each name that a server on loopback answers for is a loopback name."""
    assert all(is_loopback(name.strip("[]")) for name in LOOPBACK)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", IPv4Address("192.0.2.1")),
        ("::ffff:192.0.2.1", IPv4Address("192.0.2.1")),
        ("2001:db8::1", IPv6Address("2001:db8::1")),
        ("fe80::1%eth0", IPv6Address("fe80::1")),
        ("example.org", None),
        ("192.0.2", None),
        ("192.0.2.1\u0663", None),
        ("[::1]", None),
        ("", None),
    ],
)
def test_an_ip_address(text, address):
    """An address of either family is parsed without its zone; anything else is None."""
    assert parse_ip(text) == address


@pytest.mark.parametrize(
    ("text", "valid"),
    [("0", True), ("65535", True), ("65536", False), ("-1", False), ("", False), ("1\u0663", False), ("000080", False)],
)
def test_a_port(text, valid):
    """A port is up to five ASCII digits, at most 65535."""
    assert is_port(text) is valid
