"""The date as a file: read by another library, without anybody in it."""

from dataclasses import replace
from datetime import date, datetime

import icalendar

from notes2conf_milter.core.meeting import NOWHERE, LinkKind, Occurrence, Page
from notes2conf_milter.core.waitingroom import view
from notes2conf_milter.store.links import OpenedMeeting
from notes2conf_milter.web.calendar import calendar_file
from notes2conf_milter.web.visits import Shown
from tests.web.house import HOUR, MONDAY, page

URL = "https://conf.example.org/j/" + "a" * 32


def event(meeting: Page) -> icalendar.Event:
    found = view(meeting, None, MONDAY)
    assert found is not None
    shown = Shown("a" * 32, OpenedMeeting(1, LinkKind.JOIN, meeting, None, 1, 2, 2), found, last=True)
    octets = calendar_file(shown, URL, MONDAY)
    assert calendar_file(shown, URL, MONDAY) == octets
    calendar = icalendar.Calendar.from_ical(octets)
    assert calendar["METHOD"] == "PUBLISH"
    (one,) = calendar.walk("VEVENT")
    assert "ATTENDEE" not in one and "ORGANIZER" not in one
    assert isinstance(one, icalendar.Event)
    return one


def test_a_time() -> None:
    one = event(page())
    assert one["DTSTART"].dt.timestamp() == MONDAY and one["DTEND"].dt.timestamp() == MONDAY + HOUR
    assert (one["SUMMARY"], one["LOCATION"], one["URL"]) == ("Quarterly planning", URL, URL)
    assert "a" * 32 not in one["UID"]


def test_what_is_saved_again_is_the_same_date() -> None:
    """A single meeting that was moved is moved in the calendar, too; each date of a series is one of its own."""
    times = [Occurrence(MONDAY + HOUR * number, MONDAY + HOUR * (number + 1)) for number in range(2)]
    assert len({event(page(times=(one,)))["UID"] for one in times}) == 1
    assert len({event(replace(page(times=(one,)), recurring=True))["UID"] for one in times}) == 2


def test_a_whole_day() -> None:
    days = Occurrence(MONDAY - 8 * HOUR, MONDAY + 40 * HOUR, all_day=True)
    one = event(page(times=(days,)))
    assert (one["DTSTART"].dt, one["DTEND"].dt) == (date(2026, 5, 4), date(2026, 5, 6))


def test_a_time_in_nobodys_zone_stays_so() -> None:
    one = event(page(times=(Occurrence(MONDAY, MONDAY + HOUR, NOWHERE),)))
    assert one["DTSTART"].dt == datetime(2026, 5, 4, 8)


def test_a_subject_that_would_break_out() -> None:
    one = event(replace(page(), subject="a\r\nATTENDEE:mailto:x@example.org;,\\ \ud800"))
    assert "ATTENDEE" not in one
    assert event(page(" "))["SUMMARY"] == "Meeting"
