"""Which of two messages about an event is newer."""

import pytest

from notes2conf_milter.core.contentlines import components
from notes2conf_milter.core.meeting import Revision
from notes2conf_milter.core.revision import revision_of
from tests.invitations import calendar


@pytest.mark.parametrize(
    ("line", "sequence"),
    [(b"SEQUENCE:3", 3), (b"SEQUENCE: 4 ", 4), (b"SEQUENCE:x", 0), (b"SEQUENCE:99999999999", 0), (b"X-A:b", 0)],
)
def test_sequence(line: bytes, sequence: int) -> None:
    """0 where there is none, or none that is one (RFC 5545 §3.8.7.4)."""
    (event,) = components(calendar(line))[0].within(b"VEVENT")
    assert revision_of(event) == Revision(sequence, "20260302073000")


def test_without_a_stamp() -> None:
    """The digits of DTSTAMP; none where it is missing."""
    octets = calendar().replace(b"DTSTAMP:20260302T073000Z\r\n", b"")
    (event,) = components(octets)[0].within(b"VEVENT")
    assert revision_of(event) == Revision(0, "")
