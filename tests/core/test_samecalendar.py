"""Only the properties that were meant to change may differ between two calendars."""

import pytest

from notes2conf_milter.core.meant import Meant
from notes2conf_milter.core.samecalendar import calendar_complaint
from tests.invitations import LINK, calendar, invitation, meaning

BEFORE = calendar(b"LOCATION:Room", b"BEGIN:VALARM", b"ACTION:DISPLAY", b"DESCRIPTION:x", b"END:VALARM")
PLAIN = meaning(invitation())
MEANT = Meant(PLAIN.uid, (*PLAIN.insertions, b"\\; " + LINK), (*PLAIN.lines, b"CONFERENCE:" + LINK), PLAIN.own)
LINE = b"CONFERENCE:" + LINK + b"\r\n"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"LOCATION:Room\r\n", b"LOCATION:Room\r\n", None),
        (b"LOCATION:Room\r\n", b"LOCATION:Room\\; " + LINK + b"\r\n", None),
        (b"LOCATION:Room\r\n", b"LOCATION:Room\\; " + LINK[:9] + b"\r\n " + LINK[9:] + b"\r\n", None),
        (b"END:VEVENT", LINE + b"END:VEVENT", None),
        (b"END:VEVENT", LINE * 2 + b"END:VEVENT", "calendar-new-line"),
        (b"END:VEVENT", LINE.replace(b"/j/", b"/k/") + b"END:VEVENT", "calendar-new-line"),
        (b"END:VCALENDAR", LINE + b"END:VCALENDAR", "calendar-line"),
        (b"END:VALARM", LINE + b"END:VALARM", "calendar-line"),
        (b"DESCRIPTION:x", b"DESCRIPTION:y", "calendar-line"),
        (b"UID:uid-1", b"UID:uid-2", "calendar-line"),
        (b"LOCATION:Room", b"LOCATION:Moor", "calendar-value"),
        (b"END:VCALENDAR\r\n", b"", "calendar-lost-line"),
    ],
)
def test_the_word_for_the_difference(old: bytes, new: bytes, word: str | None) -> None:
    """None where only the link is new."""
    assert BEFORE.count(old) == 1
    assert calendar_complaint(BEFORE, BEFORE.replace(old, new), MEANT) == word


def test_an_event_of_another_meeting_is_not_ours() -> None:
    """The link may stand in no event with another UID."""
    other = BEFORE.replace(b"uid-1", b"uid-9")
    assert calendar_complaint(other, other.replace(b"END:VEVENT", LINE + b"END:VEVENT"), MEANT) == "calendar-line"
