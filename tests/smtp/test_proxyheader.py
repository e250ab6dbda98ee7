"""The header of the PROXY protocol: what is one, where it ends, and that any octets are an answer within bounds."""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.smtp.proxyheader import MOST, missing, read_client

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
TCP4 = ip_address("192.0.2.7").packed + ip_address("192.0.2.1").packed + struct.pack("!HH", 4711, 25)
TCP6 = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + struct.pack("!HH", 4711, 25)
UNIX = b"/run/x".ljust(108, b"\0") * 2
LOCAL, PROXY = 0x20, 0x21


def version_2(command: int, family: int, rest: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest) if length is None else length) + rest


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def take(stream: bytes) -> tuple[bytes, bool]:
    """Read as the door does: what has been read, and whether it is a whole header. Raises ValueError."""
    taken = b""
    while more := missing(taken):
        if len(taken) + more > len(stream):
            return taken, False
        taken = stream[: len(taken) + more]
        assert len(taken) <= MOST
    return taken, True


HEADERS = [
    (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", "192.0.2.7"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:db8::7 2001:DB8::1 0 65535\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN 192.0.2.7 192.0.2.1 4711 25\r\n", None),
    (b"PROXY UNKNOWN \xff\x00 anything at all\r\n", None),
    (version_2(PROXY, 0x11, TCP4), "192.0.2.7"),
    (version_2(PROXY, 0x21, TCP6), "2001:db8::7"),
    (version_2(PROXY, 0x21, ip_address("::ffff:192.0.2.7").packed + TCP6[16:]), "192.0.2.7"),
    (version_2(PROXY, 0x11, TCP4 + tlv(4, b"") + tlv(0x20, b"\x01" * 40) + tlv(0xEE, b"x" * 900)), "192.0.2.7"),
    (version_2(PROXY, 0x00, b""), None),
    (version_2(PROXY, 0x00, b"what it likes"), None),
    (version_2(PROXY, 0x31, UNIX), None),
    (version_2(LOCAL, 0x00, b""), None),
    (version_2(LOCAL, 0x11, TCP4), None),
    (version_2(LOCAL, 0x77, b"x" * 30), None),
]


@pytest.mark.parametrize(("header", "client"), HEADERS)
def test_a_header_and_where_it_ends(header: bytes, client: str | None) -> None:
    """What follows is not touched; a header that names nobody is of nobody (law 9), whatever addresses stand in it."""
    for behind in (b"", b"EHLO x\r\n", b"\x16\x03\x01", header):
        assert take(header + behind) == (header, True)
    assert read_client(header) == (None if client is None else ip_address(client))


@pytest.mark.parametrize("header", [header for header, _ in HEADERS])
def test_a_header_that_is_cut_off_is_none_yet(header: bytes) -> None:
    for length in range(len(header)):
        assert take(header[:length])[1] is False


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO client.example\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00",
        b"proxy TCP4 192.0.2.7 192.0.2.1 4711 25\r\n",
        b"PROXY\r\nEHLO client.example\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25 \r\n",
        b"PROXY  TCP4 192.0.2.7 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 65536\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 0x10 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 04711 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
        b"PROXY TCP4 192.0.2.007 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2 4711 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.1 4711 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 4711 25\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 4711 25\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN" + b" " * 200 + b"\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        version_2(0x22, 0x11, TCP4),
        version_2(0x11, 0x11, TCP4),
        version_2(PROXY, 0x12, TCP4),
        version_2(PROXY, 0x32, UNIX),
        version_2(PROXY, 0x10, TCP4),
        version_2(PROXY, 0x01, TCP4),
        version_2(PROXY, 0x41, UNIX),
        version_2(PROXY, 0x11, TCP4[:11]),
        version_2(PROXY, 0x21, TCP4),
        version_2(PROXY, 0x31, UNIX[:215]),
        version_2(PROXY, 0x11, TCP4 + b"\x04"),
        version_2(PROXY, 0x11, TCP4 + b"\x04\x00\x05four"),
        version_2(PROXY, 0x11, TCP4 + tlv(4, b"") + b"\x00\x00"),
        version_2(PROXY, 0x11, b"", 0xFFFF),
        version_2(LOCAL, 0x00, b"", MOST - 15),
    ],
)
def test_what_is_no_header(header: bytes) -> None:
    """Said as soon as it is clear, at the latest where the header would end."""

    def client() -> object:
        taken, whole = take(header)
        return read_client(taken) if whole else "more is wanted"

    with pytest.raises(ValueError):
        client()


@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda octets: b"PROXY " + octets)
    | st.binary(max_size=300).map(lambda octets: SIGNATURE + octets)
    | st.text("PROXYTCUNKW46 0123456789abcdef.:%\r\n", max_size=140).map(lambda text: b"PROXY " + text.encode())
    | st.tuples(st.sampled_from([h for h, _ in HEADERS]), st.integers(0, 60), st.integers(0, 255)).map(
        lambda one: one[0][: one[1]] + bytes([one[2]]) + one[0][one[1] + 1 :]
    )
)
def test_any_octets_are_an_answer(stream: bytes) -> None:
    """Law 4: an address, nobody, ValueError, or more is wanted; nothing beyond the bound is ever read."""
    try:
        taken, whole = take(stream)
        if whole:
            assert isinstance(read_client(taken), IPv4Address | IPv6Address | None)
    except ValueError:
        pass


@given(st.ip_addresses(), st.binary(max_size=40), st.booleans())
def test_whoever_is_named_is_the_client(address: IPv4Address | IPv6Address, value: bytes, old: bool) -> None:
    known = isinstance(address, IPv4Address)
    if old:
        header = f"PROXY TCP{address.version} {address} {address} 1 2\r\n".encode()
    else:
        header = version_2(PROXY, 0x11 if known else 0x21, address.packed * 2 + b"\0\1\0\2" + tlv(0xE0, value))
    mapped = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    assert read_client(take(header + b"220")[0]) == (mapped or address)
