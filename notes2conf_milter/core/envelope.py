"""What a door knows of a message besides its octets.

In:  the facts of one SMTP transaction, gathered by a door (milter macros, or our own SMTP session).
Out: an `Envelope`, the same type from every door, so that policy needs to know no door.
Fails: never; unknown facts are None or empty, and policy treats unknown as not allowed (law 9).
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from notes2conf_milter.core.encryption import Hop, Tls


class Door(Enum):
    """The way a message came in."""

    MILTER = "milter"
    SMTP = "smtp"
    CONFERENCE = "conference"  # addressed to a conference address: delivered here
    COMMAND = "command"  # `notes2conf-milter rewrite`


@dataclass(frozen=True, slots=True)
class Envelope:
    """The SMTP envelope and the client's facts (RFC 5321 §2.3.1; law 9).

    sender: the reverse-path without angle brackets, raw octets; b"" is the null reverse-path.
    recipients: the forward-paths without angle brackets, raw octets.
    client: the address of the SMTP client; None when it is unknown (that is never an allowed client).
    authenticated: the client authenticated itself (RFC 4954).
    queue_id: Postfix's queue id, for the log; "" when there is none yet.
    tls: how the client's session was encrypted; None when it was not, or, where `hop` is not SEEN, when nobody knows.
    """

    door: Door
    sender: bytes
    recipients: tuple[bytes, ...] = ()
    client: IPv4Address | IPv6Address | None = None
    authenticated: bool = False
    queue_id: str = ""
    tls: Tls | None = None
    hop: Hop = Hop.SEEN


@lru_cache(64)  # few servers send most of the mail
def client_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read a client address as Postfix's `{client_addr}` or a socket gives it; None when it is not one.

    An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, a dual-stack socket's spelling) is the IPv4 address it means.
    """
    try:
        address = ip_address(text.removeprefix("IPv6:"))  # Sendmail's spelling of IPv6 in macros
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
