"""What is found in a message, and what is edited for it, by what the administrator wants."""

import pytest

from notes2conf_milter.core.mending import Mending, mend
from notes2conf_milter.core.repairs import Fault, Mode, Repair, Repairs, State
from tests.core.test_rdates import IN_UTC, LOCAL, series
from tests.core.test_related import HTML, related
from tests.invitations import CALENDAR, invitation, part, read_ok, repaired

BOTH = related(HTML, part(series(LOCAL, IN_UTC), CALENDAR))


def mended(octets: bytes, wanted: Repairs) -> Mending:
    return mend(octets, read_ok(octets), wanted)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Repairs(), ["multipart-related:report", "rdate:report"]),
        (Repairs(Mode.ON, Mode.ON), ["multipart-related:done", "rdate:done"]),
        (Repairs(Mode.ON), ["multipart-related:done", "rdate:report"]),
        (Repairs(Mode.OFF, Mode.ON), ["rdate:done"]),
        (Repairs(Mode.REPORT, Mode.OFF), ["multipart-related:report"]),
        (Repairs(Mode.OFF, Mode.OFF), []),
    ],
)
def test_each_repair_has_its_own_mode(wanted: Repairs, said: list[str]) -> None:
    """Off says nothing, report edits nothing, on does it."""
    found = mended(BOTH, wanted)
    assert list(map(str, found.repairs)) == said
    assert (found.unwraps, found.rule is not None) == ("multipart-related:done" in said, "rdate:done" in said)
    assert bool(found.calendars) == ("rdate:done" in said)


def test_a_sound_invitation_has_nothing_to_repair() -> None:
    """And gets its link as ever."""
    assert mended(invitation(), Repairs(Mode.ON, Mode.ON)).repairs == ()


def test_a_link_that_is_present_does_not_hinder() -> None:
    """An invitation that has its link already is repaired all the same."""
    linked, said = repaired(BOTH, Repairs())
    assert said == ["multipart-related:report", "rdate:report"]
    again, said = repaired(linked)
    assert said == ["multipart-related:done", "rdate:done"]
    assert again == repaired(BOTH)[0]


def test_what_is_said_where_the_self_check_did_not_agree() -> None:
    """What was to be done has failed; the rest is as it was."""
    done, report = Repair(Fault.RDATE, State.DONE), Repair(Fault.MULTIPART_RELATED, State.REPORT)
    found = Mending(read_ok(invitation()), repairs=(report, done))
    assert list(map(str, found.failed())) == ["multipart-related:report", "rdate:failed"]
