"""XFORWARD: what Postfix says of the client from which it had a message (Postfix XFORWARD_README).

In:  the command's argument. Out: `Forwarded`: the client's address as law 9 wants it, Postfix's queue id, and the attributes as
     they came, to be passed on. Nothing but an address in the usual notation is one; [UNAVAILABLE] is an unknown client.
Fails: ValueError for an argument that is no list of attributes.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from notes2conf_milter.core.envelope import client_address

ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_ATTRIBUTE = re.compile(r"([A-Za-z]{1,20})=([!-~]{1,1000})")
_MOST = 32  # attributes in all; there are seven


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What has been said for the next message. attributes: name in upper case and value, in the order in which they came."""

    client: IPv4Address | IPv6Address | None = None
    queue_id: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    def to_pass_on(self, offered: Collection[str]) -> bytes:
        """Return the command for a server that offers these attributes; b"" when there is nothing to be said."""
        said = " ".join(f"{name}={value}" for name, value in self.attributes if name in offered)
        return f"XFORWARD {said}\r\n".encode("ascii") if said else b""


def read_xforward(argument: str, before: Forwarded) -> Forwarded:
    """Read `NAME=value ...`; before: what earlier commands said for the same message. Raises ValueError."""
    found = dict(before.attributes)
    pairs = argument.split(" ")
    for pair in pairs:
        match = _ATTRIBUTE.fullmatch(pair)
        if match is None or len(found) > _MOST:
            raise ValueError("no list of attributes")
        found[match[1].upper()] = match[2]
    ident = _xtext(found.get("IDENT", ""))
    queue_id = ident if re.fullmatch(r"[A-Za-z0-9]{1,40}", ident) else ""
    return Forwarded(client_address(_xtext(found.get("ADDR", ""))), queue_id, tuple(found.items()))


def _xtext(value: str) -> str:
    return _HEX.sub(lambda match: chr(int(match[1], 16)), value)  # RFC 3461 §4
