"""Marks of a message and of what it says, to tell a resent invitation from a changed one and from another try of the same.

In:  a message, its invitation. Out: two marks; no way leads back from them.
Fails: never.
"""

import hashlib

from notes2conf_milter.core.invitation import Invitation
from notes2conf_milter.core.message import header_fields

# What changes whenever a calendar is sent: stamps, counters, the makers' own.
_PASSING = (b"DTSTAMP", b"SEQUENCE", b"LAST-MODIFIED", b"CREATED")


def marks(message: bytes, invitation: Invitation) -> tuple[str, str]:
    """Return a mark of the message (its Message-ID, else all of it), and one of what its event says."""
    fields = (one for one in header_fields(message).fields if one.name.lower() == b"message-id")
    named = next((message[one.value_start : one.value_end].strip() for one in fields), message)
    lines = [
        line.name + b":" + line.text
        for event in invitation.copies[0].events
        for line in event.lines
        if line.name not in _PASSING and not line.name.startswith(b"X-")
    ]
    return _mark(named), _mark(b"\n".join(lines))


def _mark(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()[:16]
