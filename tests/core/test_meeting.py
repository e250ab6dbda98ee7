"""Which of two revisions is newer."""

from itertools import pairwise

from notes2conf_milter.core.meeting import LinkKind, Revision, RoomState


def test_revisions_are_ordered_as_itip_has_it() -> None:
    """RFC 5546 §2.1.5: SEQUENCE first, then DTSTAMP; Notes raises DTSTAMP alone."""
    order = [
        Revision(),
        Revision(0, "20260301"),
        Revision(0, "20260302"),
        Revision(1, ""),
        Revision(10, "2"),
        Revision(11, "1"),
    ]
    assert all(older < newer for older, newer in pairwise(order))


def test_values_that_stand_in_the_database() -> None:
    """A changed word would make what is stored unreadable."""
    assert [kind.value for kind in LinkKind] == ["join", "start", "attendee"]
    assert [state.value for state in RoomState] == ["closed", "open", "paused", "ended"]
