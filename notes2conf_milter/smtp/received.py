"""The trace field that a relay puts before a message (RFC 5321 §4.4), in the form in which Postfix writes it.

In:  what is known of the client's session, a time. Out: one Received field with its CRLF.
A name in EHLO may be anything: what does not look like one is left out, so that it cannot say more than it should.
Fails: never.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from notes2conf_milter.core.encryption import Address, Tls

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[0-9A-Fa-f.:IPv]{2,60}\]")


@dataclass(frozen=True, slots=True)
class Hop:
    """One message's way to us. greeting: what the client called itself; protocol: as in RFC 3848, without its S for TLS."""

    greeting: str
    client: Address | None
    tls: Tls | None
    protocol: str
    utf8: bool = False  # SMTPUTF8 was asked for (RFC 6531 §4.3)


def received(hop: Hop, by: str, name: str, recipient: bytes, now: float) -> bytes:
    """Return the field. by: our name; name: the message's in our log; recipient: the only one, b"" when there are several.

    Several are not named, so that they do not learn of one another (RFC 5321 §7.2). now: seconds since 1970 UTC.
    """
    greeting = hop.greeting if _NAME.fullmatch(hop.greeting) else "unknown"
    protocol = "UTF8" + hop.protocol.removeprefix("E") if hop.utf8 else hop.protocol
    lines = [f"Received: from {greeting} ({_literal(hop.client)})"]
    if hop.tls is not None:
        lines.append(f"(using {hop.tls.version} with cipher {hop.tls.cipher} ({hop.tls.bits}/{hop.tls.bits} bits))")
        protocol += "S"
    date = format_datetime(datetime.fromtimestamp(int(now), UTC))
    address = recipient.decode("ascii") if re.fullmatch(rb"[!-;=?-~]{1,254}", recipient) else ""
    lines.append(f"by {by} (notes2conf) with {protocol} id {name}")
    if address:
        lines.append(f"for <{address}>")
    return ("\r\n\t".join(lines) + f"; {date}\r\n").encode("ascii")


def _literal(client: Address | None) -> str:
    if client is None:
        return "[unknown]"
    return f"[IPv6:{client}]" if client.version == 6 else f"[{client}]"  # RFC 5321 §4.1.3
