"""The revision of an event: which of two messages about it is newer (RFC 5546 §2.1.4, §2.1.5).

In:  a VEVENT. Out: a `Revision`. Fails: never.
"""

import re

from notes2conf_milter.core.contentlines import Component
from notes2conf_milter.core.meeting import Revision


def revision_of(event: Component) -> Revision:
    """Return SEQUENCE (0 when absent, RFC 5545 §3.8.7.4) and the digits of DTSTAMP."""
    sequence, stamp = _ascii(event, b"SEQUENCE"), _ascii(event, b"DTSTAMP")
    number = int(sequence) if sequence.isdigit() and len(sequence) < 10 else 0
    return Revision(number, re.sub(r"\D", "", stamp)[:14])


def _ascii(event: Component, name: bytes) -> str:
    line = event.first(name)
    return "" if line is None else line.value.strip().decode("ascii", "replace")
