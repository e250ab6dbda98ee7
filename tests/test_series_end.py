"""When a meeting is over after several messages about it: no link is dead before the last date, none lives long after it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from notes2conf_milter.core.meeting import LinkKind, Room, RoomState
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.store import LinkStore, OpenedMeeting
from tests.house import BERTA, DAY, NOW, House, links_open, start_token, token, word
from tests.invitations import invitation

HOUR = 3600
WEEKLY = (b"20260305T090000Z", b"RRULE:FREQ=WEEKLY;COUNT=3")  # 5, 12 and 19 March
ENDLESS = (b"20260305T090000Z", b"RRULE:FREQ=WEEKLY")
OVER = Outcome(Verdict.PASS, Reason.MEETING_OVER)


def at(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%d %H:%M").replace(tzinfo=UTC).timestamp())


def said(stamp: bytes, start: bytes, *lines: bytes, sequence: int = 0) -> bytes:
    """A message of some day in 2026 (`0302`) about an hour that begins at `start`; whole days where that is a date."""
    octets = invitation(b"SUMMARY:Jour fixe", b"SEQUENCE:%d" % sequence, *lines).replace(
        b"20260302T0730", b"2026" + stamp + b"T0730"
    )
    if len(start) == len(b"20260305"):
        end = b"%d" % (int(start) + 1)
        octets = octets.replace(b"DTSTART:", b"DTSTART;VALUE=DATE:").replace(b"DTEND:", b"DTEND;VALUE=DATE:")
    else:
        end = start[:9] + b"%02d" % (int(start[9:11]) + 1) + start[11:]
    return octets.replace(b"20260312T090000Z", start, 1).replace(b"20260312T100000Z", end, 1)


def moved(stamp: bytes, original: bytes, start: bytes, *lines: bytes, sequence: int = 1) -> bytes:
    """A message about one date alone."""
    name = b"RECURRENCE-ID" + (b"" if b";" in original or b":" in original else b":")
    return said(stamp, start, name + original, *lines, sequence=sequence)


def cancelled(octets: bytes) -> bytes:
    return octets.replace(b"REQUEST", b"CANCEL")


class Told:
    """The organizer's messages, as they come; the link is the same in all of them."""

    def __init__(self, house: House) -> None:
        self.house, self.join = house, ""

    def comes(self, octets: bytes, day: str = "") -> Outcome:
        """day: when, as in `0302`; the message goes on with the link, unless its meeting is over or it is a cancellation."""
        if day:
            self.house.now = at(f"2026{day} 08:00")
        outcome = self.house.process(octets)
        if outcome.verdict is Verdict.REWRITE:
            found = token(outcome, octets)
            assert found == (self.join or found)
            self.join = found
        return outcome

    def open(self) -> OpenedMeeting | None:
        def ask() -> OpenedMeeting | None:
            return self.house.vault.web().open(self.join, (LinkKind.JOIN,), self.house.now)

        return self.house.thread.submit(ask).result()

    def end(self) -> str:
        found = self.open()
        return "gone" if found is None else f"{datetime.fromtimestamp(found.expires_at, UTC):%Y%m%d %H:%M}"

    def dates(self) -> list[str]:
        found = self.open()
        return [] if found is None else [f"{datetime.fromtimestamp(one.start, UTC):%m%d}" for one in found.page.times]


@pytest.fixture
def told(house: House) -> Told:
    return Told(house)


def test_a_date_that_was_moved_before_it_was_over_stays_where_it_is(told: Told) -> None:
    """When something else is told of the series, after the day on which the date was: that day is not listed any more."""
    told.comes(said(b"0302", *WEEKLY))
    told.comes(moved(b"0303", b"20260305T090000Z", b"20260326T090000Z"), "0303")
    told.comes(said(b"0310", *WEEKLY, b"COMMENT:new"), "0310")
    assert (told.dates(), told.end()) == (["0312", "0319", "0326"], "20260326 10:00")


def test_a_date_to_come_that_was_moved_and_is_listed_no_more_is_off(told: Told) -> None:
    told.comes(said(b"0302", *WEEKLY))
    told.comes(moved(b"0303", b"20260305T090000Z", b"20260326T090000Z"), "0303")
    told.comes(said(b"0304", *WEEKLY, b"EXDATE:20260305T090000Z"), "0304")
    assert (told.dates(), told.end()) == (["0312", "0319"], "20260319 10:00")


@pytest.mark.parametrize("late", [False, True])
def test_all_dates_from_one_on_are_put_off(told: Told, *, late: bool) -> None:
    """By a message about the first of them: the last one is over later, too; also when the invitation comes once more."""
    onward = moved(b"0303", b";RANGE=THISANDFUTURE:20260312T090000Z", b"20260314T110000Z")
    first = [said(b"0302", *WEEKLY), onward]
    for octets in (onward, first[0]) if late else (*first, first[0]):
        told.comes(octets)
    assert told.end() == "20260321 12:00"
    told.comes(cancelled(moved(b"0304", b"20260319T090000Z", b"20260319T090000Z")))
    assert told.end() == "20260314 12:00"  # the last of those that follow was cancelled
    told.comes(said(b"0305", *WEEKLY, sequence=2))
    assert told.end() == "20260319 10:00"  # all anew


def test_a_longer_date_and_all_that_follow(told: Told) -> None:
    """The same hour, and longer."""
    told.comes(said(b"0302", *WEEKLY))
    onward = moved(b"0303", b";RANGE=THISANDFUTURE:20260312T090000Z", b"20260312T090000Z")
    told.comes(onward.replace(b"20260312T100000Z", b"20260312T113000Z"))
    assert told.end() == "20260319 11:30"


def test_a_date_that_was_moved_to_where_another_one_is(told: Told) -> None:
    """The other one stays when that is cancelled."""
    onto = b"RECURRENCE-ID:20260305T090000Z"
    alone = said(b"0302", b"20260319T090000Z", onto)
    event = alone[alone.index(b"BEGIN:VEVENT") : alone.index(b"END:VCALENDAR")]
    told.comes(said(b"0302", *WEEKLY).replace(b"END:VCALENDAR", event + b"END:VCALENDAR"))
    assert told.dates() == ["0312", "0319"]
    told.comes(cancelled(moved(b"0303", b"20260305T090000Z", b"20260319T090000Z")))
    assert (told.dates(), told.end()) == (["0312", "0319"], "20260319 10:00")


def test_a_series_without_an_end_is_kept_anew_by_a_message_about_a_date(told: Told) -> None:
    """For it is the organizer's newest; who tells of a date of a series with an end does not prolong it."""
    told.comes(said(b"0302", *ENDLESS))
    told.house.now = NOW + 500 * DAY
    told.comes(moved(b"0303", b"20270715T090000Z", b"20270716T090000Z"))
    assert told.open() is not None
    assert told.end() == f"{datetime.fromtimestamp(NOW + (500 + 730) * DAY, UTC):%Y%m%d %H:%M}"


def test_a_series_that_ended_before_its_organizer_says_so(told: Told) -> None:
    """It is gone, as after its end; an older invitation that comes late does not bring it back, a newer one makes a new one."""
    first = said(b"0302", *ENDLESS)
    told.comes(first)
    start = start_token(told.house)
    ended = said(b"0401", ENDLESS[0], b"RRULE:FREQ=WEEKLY;UNTIL=20260326T090000Z", sequence=1)
    told.house.now = at("20260401 08:00")
    assert told.house.process(ended, BERTA) == OVER
    assert links_open(told.house, told.join, start)  # law 9: not by somebody else
    assert told.comes(ended) == OVER
    assert not links_open(told.house, told.join)
    assert not links_open(told.house, start)
    assert told.comes(first) == Outcome(Verdict.PASS, Reason.CANCELLED_BEFORE)
    assert told.comes(ended) == OVER
    again = said(b"0402", *ENDLESS, sequence=2)
    told.join = ""
    assert word(told.comes(again, "0402")) == (Verdict.REWRITE, Reason.LINK_ADDED)


def test_a_last_date_that_is_moved_back_to_yesterday(told: Told) -> None:
    """The end comes forward; with nothing to come it is over."""
    told.comes(said(b"0302", *WEEKLY))
    assert told.comes(moved(b"0313", b"20260319T090000Z", b"20260312T150000Z"), "0313") == OVER
    assert told.end() == "gone"


def test_a_date_that_is_moved_back_while_others_come(told: Told) -> None:
    told.comes(said(b"0302", *WEEKLY))
    assert told.comes(moved(b"0307", b"20260319T090000Z", b"20260306T090000Z"), "0307") == OVER
    assert told.end() == "20260312 10:00"


def test_what_is_over_by_an_older_message_is_not_over(told: Told) -> None:
    told.comes(said(b"0310", *WEEKLY, sequence=1))
    assert told.comes(said(b"0302", b"20260305T090000Z"), "0311") == OVER
    assert told.end() == "20260319 10:00"


def test_what_is_over_stays_for_the_grace_and_while_it_was_extended(told: Told) -> None:
    """As after its end."""
    told.house.settings = replace(told.house.settings, grace_seconds=2 * DAY)
    told.comes(said(b"0302", *WEEKLY))
    assert told.comes(said(b"0306", b"20260305T090000Z", sequence=1), "0306") == OVER
    assert told.end() == "20260307 10:00"
    told.comes(said(b"0306", *WEEKLY, sequence=2))
    start, web = start_token(told.house), told.house.vault.web

    def extend(store: LinkStore) -> bool:
        opened = store.open(start, (LinkKind.START,), told.house.now)
        assert opened is not None
        room = Room(
            opened.page.times[0].start,
            RoomState.OPEN,
            "jitsi",
            "https://meet.example.net/x",
            "x",
            None,
            at("20260309 12:00"),
        )
        return store.set_room(start, room, opened.changed, told.house.now)

    told.house.settings = replace(told.house.settings, grace_seconds=0)
    told.house.now = at("20260309 10:00")
    assert told.house.thread.submit(lambda: extend(web())).result()
    assert told.comes(said(b"0309", b"20260309T080000Z", sequence=3)) == OVER
    assert told.end() == "20260309 12:00"


@pytest.mark.parametrize("name", [b";VALUE=DATE:20260312", b";TZID=Europe/Berlin:20260312T000000", b":20260312T000000"])
def test_a_whole_day_that_is_told_by_its_midnight(told: Told, name: bytes) -> None:
    """In a message about it alone, as Exchange writes it."""
    told.comes(said(b"0302", b"20260305", b"RRULE:FREQ=WEEKLY;COUNT=3"))
    told.comes(moved(b"0303", name, b"20260313"))
    assert told.dates() == ["0305", "0313", "0319"]
    outcome = told.comes(cancelled(moved(b"0304", name, b"20260312", sequence=2)))
    assert outcome == Outcome(Verdict.PASS, Reason.DATE_CANCELLED)
    assert told.dates() == ["0305", "0319"]
