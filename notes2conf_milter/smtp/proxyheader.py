"""The header of the PROXY protocol, versions 1 and 2: a proxy says who its client is (HAProxy, proxy-protocol.txt).

In:  the first octets of a connection. Out: how many more belong to the header, so that nobody reads beyond it (TLS may
     follow); then the client's address as law 9 wants it. None: the proxy speaks for itself (LOCAL, a health check), or does
     not say for whom (UNKNOWN, UNSPEC, a unix socket).
aiosmtpd's own reader wants a stream to itself, which TLS behind the header does not give, takes headers of 64 KB, and lines
that are none (a port written 1_0).
What else a header says is read over: ports, TLVs (whether the proxy had TLS with the client, its CRC32C).
Fails: ValueError as soon as the octets cannot become a header.
"""

import re
from ipaddress import IPv4Address, IPv6Address

from notes2conf_milter.core.envelope import client_address

MOST = 4096  # octets of a header; HAProxy's own have less than 1,000
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # §2.2
_V1 = b"PROXY "  # §2.1
_V1_MOST = 107
_FIXED = 16  # octets of version 2 before its addresses
_PORT = rb"(?:0|[1-9][0-9]{0,4})"
_TCP = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (%b) (%b)\r\n" % (_PORT, _PORT))
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\n]*)?\r\n")
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESSES = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}  # octets of both addresses and ports

Address = IPv4Address | IPv6Address


def missing(octets: bytes) -> int:
    """Return how many more octets certainly belong to a header that begins so, 0 when it is whole; raises ValueError."""
    if octets[:12] == _SIGNATURE:
        size = _FIXED if len(octets) < _FIXED else _FIXED + _length(octets)
        return size - len(octets)
    if not (octets.startswith(_V1) or _V1.startswith(octets) or _SIGNATURE.startswith(octets)):
        raise ValueError("no PROXY header")
    if len(octets) < len(_SIGNATURE):  # both versions are longer
        return len(_SIGNATURE) - len(octets)
    if octets.endswith(b"\r\n"):
        return 0
    if b"\n" in octets or len(octets) >= _V1_MOST:
        raise ValueError("a line of version 1 that does not end in time")
    return 1


def read_client(header: bytes) -> Address | None:
    """Return the client's address from a whole header; None when it names none. Raises ValueError."""
    return _version_2(header) if header.startswith(_SIGNATURE) else _version_1(header)


def _version_1(header: bytes) -> Address | None:
    if _UNKNOWN.fullmatch(header):
        return None
    match = _TCP.fullmatch(header)
    if match is None or int(match[4]) > 0xFFFF or int(match[5]) > 0xFFFF:
        raise ValueError("a line that is none of version 1")
    kind: type[Address] = IPv4Address if match[1] == b"4" else IPv6Address
    kind(match[3].decode("ascii"))
    return client_address(str(kind(match[2].decode("ascii"))))


def _length(header: bytes) -> int:
    """Return how long the rest of a header of version 2 is, once what stands before it is right."""
    command, family = header[12], header[13]
    length = int.from_bytes(header[14:16], "big")
    if command not in (0x20, 0x21):
        raise ValueError("no command of version 2")
    if _FIXED + length > MOST:
        raise ValueError("a header that is too long")
    if command == 0x21 and length < _ADDRESSES.get(
        family, MOST
    ):  # UDP, and families that do not exist: nothing is enough
        raise ValueError("no address of a stream")
    return length


def _version_2(header: bytes) -> Address | None:
    command, family, rest = header[12], header[13], header[_FIXED:]
    if command == 0x20 or family == _UNSPEC:  # the rest does not count (§2.2)
        return None
    _check_tlvs(rest[_ADDRESSES[family] :])
    if family == _UNIX:
        return None
    found = IPv4Address(rest[:4]) if family == _TCP4 else IPv6Address(rest[:16])
    return client_address(str(found))


def _check_tlvs(octets: bytes) -> None:
    """Raise ValueError unless they are whole TLVs (§2.2.1)."""
    at = 0
    while at + 3 <= len(octets):
        at += 3 + int.from_bytes(octets[at + 1 : at + 3], "big")
    if at != len(octets):
        raise ValueError("a TLV that is cut off")
