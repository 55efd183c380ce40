"""The PROXY protocol's headers."""

import struct

import pytest

from gjrpc.http.proxy_protocol import MAX_HEADER, SIGNATURE, ProxyHeaderError, header_end, source


def v2(family, addresses, command=0x21, more=b""):
    """Return a PROXY protocol header of version 2."""
    return SIGNATURE + struct.pack(">BBH", command, family, len(addresses + more)) + addresses + more


IPV4 = v2(0x11, bytes([192, 0, 2, 1, 198, 51, 100, 1]) + struct.pack(">HH", 5, 443))
IPV6 = v2(0x21, bytes.fromhex("20010db8" + "00" * 11 + "01") * 2 + struct.pack(">HH", 5, 443))


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", ("192.0.2.1", 56324)),
        (b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", ("2001:db8::1", 56324, 0, 0)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
        (IPV4, ("192.0.2.1", 5)),
        (IPV6, ("2001:db8::1", 5, 0, 0)),
        (v2(0x11, IPV4[16:], more=b"\x04\x00\x01\x00"), ("192.0.2.1", 5)),  # with a TLV behind
        (v2(0x11, IPV4[16:], command=0x20), None),
        (v2(0x00, b""), None),
        (v2(0x31, b"/run/x".ljust(216, b"\0")), None),
    ],
)
def test_a_header_byte_by_byte(header, address):
    """A header of either version is complete at its last byte, not before and not after, and names the client."""
    for count in range(len(header)):
        assert header_end(header[:count]) is None, count
    assert header_end(header) == header_end(header + b"GET / HTTP/1.1\r\n\r\n") == len(header)
    assert source(header) == address


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "expected a PROXY protocol header, got b'GET"),
        (b"\x16\x03\x01", "make the proxy send one"),
        (b"PROXY\tTCP4", "expected a PROXY protocol header"),
        (b"PROXY " + b"x" * 101, "no CRLF within the 107 bytes"),
        (v2(0x11, b"\0" * MAX_HEADER), "the limit is 4096"),
    ],
)
def test_what_is_no_header(data, said):
    """Bytes that can't become a header are refused as soon as that is known."""
    with pytest.raises(ProxyHeaderError, match=said):
        header_end(data)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"PROXY \r\n", "malformed"),
        (b"PROXY TCP4\r\n", "malformed"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", "malformed"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n", "malformed"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n", "malformed"),
        (b"PROXY TCP4 2001:db8::1 ::1 56324 443\r\n", "malformed"),
        (b"PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n", "malformed"),
        (b"PROXY TCP6 fe80::1%\n\x1b[31m ::1 56324 443\r\n", "malformed"),
        (b"PROXY TCP6 ::1 fe80::1%\n 56324 443\r\n", "malformed"),
        (b"PROXY UDP4 192.0.2.1 198.51.100.1 56324 443\r\n", "malformed"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.1  56324 443\r\n", "malformed"),
        (v2(0x11, IPV4[16:], command=0x11), "version and command 0x11"),
        (v2(0x11, IPV4[16:], command=0x22), "version and command 0x22"),
        (v2(0x12, IPV4[16:]), "family and transport 0x12"),
        (v2(0x21, IPV4[16:]), "too few for its two addresses"),
    ],
)
def test_a_malformed_header(header, said):
    """A complete but malformed header is refused, and the error says what is wrong."""
    assert header_end(header) == len(header)
    with pytest.raises(ProxyHeaderError, match=said):
        source(header)
