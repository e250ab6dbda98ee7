"""When a meeting takes place and when it is over: each form that producers write, rules made to run away, and any octets."""

import email
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notes2conf_milter.core.contentlines import CalendarError, Component, components
from notes2conf_milter.core.instants import EARLIEST, LATEST, local_time
from notes2conf_milter.core.occurrences import MAX_DATES, Schedule, ScheduleError, schedule

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
DAY = 86_400
CAP = 730 * DAY

BERLIN = """BEGIN:VTIMEZONE
TZID:W. Europe
BEGIN:STANDARD
DTSTART:19501029T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=3;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19500326T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def at(text: str) -> int:
    """Return seconds since 1970 of `2026-03-01 12:00` in UTC."""
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def calendar(*events: str, head: str = "") -> Component:
    body = "".join(f"BEGIN:VEVENT\nUID:u\n{event}\nEND:VEVENT\n" for event in events)
    return components(f"BEGIN:VCALENDAR\n{head}{body}END:VCALENDAR\n".encode())[0]


def told(*events: str, now: str = "2026-01-01 00:00", head: str = "", most: int = 50) -> Schedule:
    return schedule(calendar(*events, head=head), b"u", at(now), max_times=most)


def starts(found: Schedule) -> list[str]:
    return [f"{local_time(time.start):%m-%d %H:%M}" for time in found.times]


# one meeting


def test_a_plain_meeting_ends_when_it_says() -> None:
    found = told("DTSTART:20260301T100000Z\nDTEND:20260301T113000Z")
    assert [(time.start, time.end, time.zone, time.offset) for time in found.times] == [
        (at("2026-03-01 10:00"), at("2026-03-01 11:30"), "UTC", 0)
    ]
    assert (found.over_at, found.recurring, found.exact, found.partial) == (at("2026-03-01 11:30"), False, True, False)


@pytest.mark.parametrize(
    ("lines", "end", "exact"),
    [
        ("DTSTART:20260301T100000Z", "2026-03-01 11:00", True),
        ("DTSTART:20260301T100000Z\nDURATION:PT45M", "2026-03-01 10:45", True),
        ("DTSTART:20260301T100000Z\nDURATION:P1DT1H", "2026-03-02 11:00", True),
        ("DTSTART:20260301T100000Z\nDTEND:20260301T100000Z", "2026-03-01 11:00", False),
        ("DTSTART:20260301T100000Z\nDTEND:20260301T090000Z", "2026-03-01 11:00", False),
        ("DTSTART:20260301T100000Z\nDURATION:-PT1H", "2026-03-01 11:00", False),
        ("DTSTART:20260301T100000Z\nDTEND:soon", "2026-03-01 11:00", False),
        ("DTSTART:20260301T100000Z\nDTEND:soon\nDURATION:PT2H", "2026-03-01 12:00", True),
        ("DTSTART:20260301T1000Z\nDTEND:20260301T1030Z", "2026-03-01 10:30", True),
        ("DTSTART:20260301T100000Z\nDURATION:P999999999D", "9904-11-11 03:33", False),
        # floating times and whole days are over when they are over at UTC-12
        ("DTSTART:20260301T100000\nDTEND:20260301T110000", "2026-03-01 23:00", True),
        ("DTSTART;TZID=Nowhere:20260301T100000\nDTEND;TZID=Nowhere:20260301T110000", "2026-03-01 23:00", True),
        ("DTSTART;VALUE=DATE:20260301", "2026-03-02 12:00", True),
        ("DTSTART;VALUE=DATE:20260301T000000", "2026-03-02 12:00", True),
        ("DTSTART:20260301\nDTEND:20260303", "2026-03-03 12:00", True),
        ("DTSTART;VALUE=DATE:20260301\nDURATION:P3D", "2026-03-04 12:00", True),
    ],
)
def test_how_long(lines: str, end: str, exact: bool) -> None:
    found = told(lines)
    assert found.exact is exact
    assert found.over_at // 60 == at(end) // 60


def test_a_meeting_that_is_over_is_its_last_occurrence() -> None:
    found = told("DTSTART:20250301T100000Z\nRRULE:FREQ=DAILY;COUNT=3")
    assert starts(found) == ["03-03 10:00"]
    assert found.over_at == at("2025-03-03 11:00")


def test_the_current_one_is_still_listed() -> None:
    assert starts(told("DTSTART:20260101T100000Z\nRRULE:FREQ=DAILY;COUNT=3", now="2026-01-02 10:59")) == [
        "01-02 10:00",
        "01-03 10:00",
    ]
    assert starts(told("DTSTART:20260101T100000Z\nRRULE:FREQ=DAILY;COUNT=3", now="2026-01-02 11:00")) == ["01-03 10:00"]


@pytest.mark.parametrize(
    "lines", ["SUMMARY:x", "DTSTART:tomorrow", "DTSTART:", "DTSTART:00010101T000000Z", "DTSTART:PT1H"]
)
def test_without_a_start_there_is_no_schedule(lines: str) -> None:
    with pytest.raises(ScheduleError):
        told(lines)


def test_only_the_events_of_the_meeting_count() -> None:
    two = calendar("DTSTART:20260301T100000Z")
    with pytest.raises(ScheduleError):
        schedule(two, b"another", 0)
    assert schedule(two, b" u ", 0).times


# zones


@pytest.mark.parametrize(
    ("tzid", "head", "hour", "zone", "offset"),
    [
        ("W. Europe", BERLIN, "08:00", "Europe/Berlin", 7200),
        ('"W. Europe"', BERLIN, "08:00", "Europe/Berlin", 7200),
        ("W. Europe", BERLIN.replace("TZID:W. Europe", 'TZID:"W. Europe":'), "08:00", "Europe/Berlin", 7200),
        (
            "Our Zone",
            BERLIN.replace("TZID:W. Europe", "TZID:Our Zone\nX-LIC-LOCATION:Europe/Rome"),
            "08:00",
            "Europe/Rome",
            7200,
        ),
        ("Misspelt", BERLIN, "08:00", "Europe/Berlin", 7200),
        ("Europe/Berlin", "", "08:00", "Europe/Berlin", 7200),
        ("/mozilla.org/20050126_1/Europe/Berlin", "", "08:00", "Europe/Berlin", 7200),
        ("Romance Standard Time", "", "08:00", "Europe/Paris", 7200),
        ("Romance", "", "08:00", "Europe/Paris", 7200),
        ("Pacific", "", "17:00", "America/Los_Angeles", -7 * 3600),
        ("GMT", "PRODID:-//Lotus Development Corporation//NONSGML Notes 9.0//EN\n", "09:00", "Europe/London", 3600),
        ("GMT", "", "10:00", "GMT", 0),
        ("UTC+01", "", "09:00", "", 3600),
        ('"tzone://Microsoft/Utc"', "", "10:00", "UTC", 0),
        ("../../etc/passwd", "", "10:00", "floating", 0),
        ("localtime", "", "10:00", "floating", 0),
    ],
)
def test_zones(tzid: str, head: str, hour: str, zone: str, offset: int) -> None:
    found = told(f"DTSTART;TZID={tzid}:20260701T100000\nDTEND;TZID={tzid}:20260701T110000", head=head)
    assert starts(found) == [f"07-01 {hour}"]
    assert (found.times[0].zone, found.times[0].offset) == (zone, offset)


def test_a_series_keeps_its_hour_when_the_clock_changes() -> None:
    lines = "DTSTART;TZID=W. Europe:20260322T100000\nDURATION:PT1H\nRRULE;TZID=W. Europe:FREQ=WEEKLY;COUNT=3"
    assert starts(told(lines, head=BERLIN)) == ["03-22 09:00", "03-29 08:00", "04-05 08:00"]


def test_a_meeting_ends_at_the_hour_it_names_also_in_the_night_of_the_change() -> None:
    lines = "DTSTART;TZID=W. Europe:20261017T220000\nDTEND;TZID=W. Europe:20261018T050000\nRRULE:FREQ=WEEKLY;COUNT=2"
    assert [time.end - time.start for time in told(lines, head=BERLIN).times] == [7 * 3600, 8 * 3600]
    lines = lines.replace("DTEND;TZID=W. Europe:20261018T050000", "DURATION:PT7H")
    assert [time.end - time.start for time in told(lines, head=BERLIN).times] == [7 * 3600, 7 * 3600]


def test_hours_of_a_duration_are_hours_in_the_night_of_the_change_however_many() -> None:
    """RFC 5545 §3.3.6: a day is a day on the calendar, 24 hours are 24 hours."""
    lines = "DTSTART;TZID=W. Europe:20261024T220000\nDURATION:{}"
    lasts = dict.fromkeys(("P1D", "PT24H", "P1DT2H", "PT26H", "PT1560M"), 0)
    for text in lasts:
        (time,) = told(lines.format(text), head=BERLIN).times
        lasts[text] = (time.end - time.start) // 3600
    assert lasts == {"P1D": 25, "PT24H": 24, "P1DT2H": 27, "PT26H": 26, "PT1560M": 26}


# series


@pytest.mark.parametrize(
    ("lines", "times", "over"),
    [
        ("RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4", "01-05 01-07 01-12 01-14", "01-14 11:00"),
        ("RRULE:FREQ=WEEKLY;UNTIL=20260119T100000Z", "01-05 01-12 01-19", "01-19 11:00"),
        ("RRULE:FREQ=WEEKLY;UNTIL=20260118T235959Z", "01-05 01-12", "01-12 11:00"),
        ("RRULE:FREQ=WEEKLY;UNTIL=20260119", "01-05 01-12 01-19", "01-19 11:00"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3", "01-05 01-19 02-02", "02-02 11:00"),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", "01-05 01-30 02-27", "02-27 11:00"),
        ("RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", "01-05 01-30 02-27", "02-27 11:00"),
        ("RRULE:FREQ=WEEKLY;BYDAY=MO,FR;BYSETPOS=1;COUNT=2", "01-05 01-12", "01-12 11:00"),
        ("RRULE:FREQ=DAILY;COUNT=2\nRRULE:FREQ=DAILY;INTERVAL=3;COUNT=2", "01-05 01-06 01-08", "01-08 11:00"),
        ("RRULE:FREQ=DAILY;COUNT=4\nEXDATE:20260106T100000Z,20260108T100000Z", "01-05 01-07", "01-07 11:00"),
        ("RRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20260107", "01-05 01-06", "01-06 11:00"),
        ("RRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=Europe/Berlin:20260107T110000", "01-05 01-06", "01-06 11:00"),
        ("RDATE:20260107T100000Z,20260109T100000Z", "01-05 01-07 01-09", "01-09 11:00"),
        ("RDATE;VALUE=PERIOD:20260105T100000Z/20260105T110000Z,20260107T120000Z/PT3H", "01-05 01-07", "01-07 15:00"),
        ("RDATE;VALUE=DATE:20260109", "01-05 01-09", "01-09 11:00"),
        ("RRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260105T100000Z", "01-06", "01-06 11:00"),
    ],
)
def test_series(lines: str, times: str, over: str) -> None:
    found = told(f"DTSTART:20260105T100000Z\nDTEND:20260105T110000Z\n{lines}")
    assert [text[:5] for text in starts(found)] == times.split()
    assert found.over_at == at(f"2026-{over}")
    assert found.recurring
    assert found.exact


def test_dates_in_utc_are_told_on_the_clocks_of_the_series() -> None:
    """Notes lists a rescheduled series in UTC: its pages show one zone, and an excluded day is a day of that zone."""
    lines = "DTSTART;TZID=Australia/Sydney:20260105T080000\nDURATION:PT1H\nRDATE:20260106T210000Z,20260107T210000Z"
    found = told(lines)
    assert starts(found) == ["01-04 21:00", "01-06 21:00", "01-07 21:00"]
    assert {(time.zone, time.offset) for time in found.times} == {("Australia/Sydney", 11 * 3600)}
    assert starts(told(lines + "\nEXDATE;VALUE=DATE:20260107")) == ["01-04 21:00", "01-07 21:00"]


def test_a_date_in_utc_that_local_time_cannot_tell_stays_in_utc() -> None:
    lines = "DTSTART;TZID=Europe/Berlin:20261001T023000\nRDATE:20261025T003000Z,20261025T013000Z"
    found = told(lines)
    assert starts(found) == ["10-01 00:30", "10-25 00:30", "10-25 01:30"]
    assert [time.zone for time in found.times] == ["Europe/Berlin", "Europe/Berlin", "UTC"]


def test_until_is_local_where_dtstart_is() -> None:
    lines = "DTSTART;TZID=America/New_York:20260105T183000\nRRULE:FREQ=WEEKLY;UNTIL=20260119T183000"
    assert len(told(lines).times) == 3
    assert len(told(lines + "Z").times) == 2


BERLINERS = "DTSTART;TZID=Europe/Berlin:20261005T090000\nDURATION:PT1H\n"


@pytest.mark.parametrize(
    ("lines", "listed", "over"),
    [
        (BERLINERS + "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20261012T000000", 1, "10-12 08:00"),
        (BERLINERS + "RRULE:FREQ=WEEKLY;UNTIL=20261026T070000Z", 3, "10-26 09:00"),
        (BERLINERS + "RRULE:FREQ=WEEKLY;UNTIL=20261011T235959", 1, "10-05 08:00"),
        (
            BERLINERS + "RRULE:FREQ=WEEKLY;UNTIL=20261012T000000\nEXDATE;TZID=Europe/Berlin:20261012T090000",
            1,
            "10-05 08:00",
        ),
        (BERLINERS + "RRULE:FREQ=WEEKLY;UNTIL=20261012T000000\nRRULE:FREQ=DAILY;COUNT=9", 9, "10-13 08:00"),
        (BERLINERS + "RRULE:FREQ=WEEKLY;COUNT=1;UNTIL=20261012T000000", 1, "10-05 08:00"),
        (BERLINERS + "RRULE:FREQ=DAILY;BYHOUR=9,15;UNTIL=20261006T090000", 3, "10-06 14:00"),
        ("DTSTART;VALUE=DATE:20261005\nRRULE:FREQ=WEEKLY;UNTIL=20261011T230000Z", 1, "10-13 12:00"),
        ("DTSTART:20261005T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;UNTIL=20261011T230000Z", 1, "10-12 22:00"),
        ("DTSTART;VALUE=DATE:20261005\nRRULE:FREQ=WEEKLY;UNTIL=20261011", 1, "10-06 12:00"),
    ],
    ids=[
        "midnight",
        "an hour short",
        "day before",
        "excluded",
        "longer anyway",
        "count",
        "twice a day",
        "days and utc",
        "no zone and utc",
        "days",
    ],
)
def test_a_date_that_until_cuts_off_within_its_day_is_not_shown_and_yet_counts(
    lines: str, listed: int, over: str
) -> None:
    """Midnight of the last day, an hour that the clocks were set by, UTC beside no zone: in doubt the later end counts."""
    found = told(lines)
    assert len(found.times) == listed
    assert found.over_at == at(f"2026-{over}")
    assert told(lines, now="2026-11-01 00:00").times == found.times[-1:]


def test_a_series_without_an_end_ends_with_the_cap() -> None:
    found = told("DTSTART:20200106T100000Z\nRRULE:FREQ=WEEKLY", most=3)
    assert starts(found) == ["01-05 10:00", "01-12 10:00", "01-19 10:00"]
    assert found.over_at == at("2026-01-01 00:00") + CAP
    assert not found.exact


@pytest.mark.parametrize("until", ["99991231T235959Z", "99991231"])
def test_the_end_of_time_is_no_end(until: str) -> None:
    found = told(f"DTSTART:20260105T100000Z\nRRULE:FREQ=WEEKLY;UNTIL={until}")
    assert found.over_at == at("2026-01-01 00:00") + CAP


def test_the_cap_is_never_before_the_next_occurrence() -> None:
    found = told("DTSTART:20300105T100000Z\nRRULE:FREQ=YEARLY")
    assert starts(found) == ["01-05 10:00"]
    assert found.over_at == at("2030-01-05 11:00")


def test_a_long_series_with_an_end_is_searched_from_both_ends() -> None:
    found = told("DTSTART:20050103T100000Z\nRRULE:FREQ=DAILY;UNTIL=20601231T100000Z", most=2)
    assert starts(found) == ["01-01 10:00", "01-02 10:00"]
    assert (found.over_at, found.exact) == (at("2060-12-31 11:00"), True)


def test_a_long_series_over_long_ago() -> None:
    found = told("DTSTART:19700105T100000Z\nRRULE:FREQ=DAILY;UNTIL=20201231T100000Z\nEXDATE:20201231T100000Z")
    assert (starts(found), found.over_at, found.exact) == (["12-30 10:00"], at("2020-12-30 11:00"), True)


# instances

SERIES = (
    "DTSTART;TZID=Europe/Berlin:20260105T100000\nDTEND;TZID=Europe/Berlin:20260105T110000\nRRULE:FREQ=WEEKLY;COUNT=3"
)


def test_a_moved_instance_replaces_its_own_and_may_be_the_last() -> None:
    found = told(SERIES, "RECURRENCE-ID:20260112T090000Z\nDTSTART;TZID=Europe/Berlin:20260301T100000\nDURATION:PT2H")
    assert starts(found) == ["01-05 09:00", "01-19 09:00", "03-01 09:00"]
    assert (found.over_at, found.exact, found.partial) == (at("2026-03-01 11:00"), True, False)
    assert found.replaced == (at("2026-01-12 09:00"),)


def test_a_cancelled_instance_does_not_take_place() -> None:
    found = told(SERIES, "RECURRENCE-ID:20260119T090000Z\nDTSTART:20260119T090000Z\nSTATUS:CANCELLED")
    assert (starts(found), found.over_at) == (["01-05 09:00", "01-12 09:00"], at("2026-01-12 10:00"))


def test_an_instance_alone_is_partial() -> None:
    found = told("RECURRENCE-ID:20260112T090000Z\nDTSTART:20260113T090000Z")
    assert (starts(found), found.recurring, found.partial) == (["01-13 09:00"], True, True)
    assert (found.over_at, found.replaced) == (at("2026-01-13 10:00"), (at("2026-01-12 09:00"),))


def test_a_cancelled_instance_alone() -> None:
    found = told("RECURRENCE-ID:20260112T090000Z\nDTSTART:20260112T090000Z\nSTATUS:cancelled")
    assert (found.times, found.partial, found.replaced) == ((), True, (at("2026-01-12 09:00"),))


def test_an_instance_that_cannot_be_read_changes_nothing() -> None:
    assert len(told(SERIES, "RECURRENCE-ID:20260112T090000Z\nDTSTART:later").times) == 3


def test_this_and_future_moves_the_end() -> None:
    found = told(SERIES, "RECURRENCE-ID;RANGE=THISANDFUTURE:20260112T090000Z\nDTSTART:20260112T120000Z\nDURATION:PT2H")
    assert starts(found) == ["01-05 09:00", "01-12 12:00", "01-19 09:00"]
    assert (found.over_at, found.exact) == (at("2026-01-19 14:00"), False)


def test_a_cancelled_meeting_takes_no_place() -> None:
    found = told("DTSTART:20260105T100000Z\nSTATUS:CANCELLED")
    assert (found.times, found.over_at, found.exact) == ((), at("2026-01-01 00:00"), True)


def test_whole_days_moved_by_their_midnight() -> None:  # Exchange writes RECURRENCE-ID of a DATE series as a time
    days = "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=3"
    for original in (";TZID=W. Europe Standard Time:20260112T000000", ":20260111T230000Z", ";VALUE=DATE:20260112"):
        found = told(days, f"RECURRENCE-ID{original}\nDTSTART;VALUE=DATE:20260113")
        assert starts(found) == ["01-05 00:00", "01-13 00:00", "01-19 00:00"]
        assert all(time.all_day for time in found.times)


# hostile

HOSTILE = """
FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30
FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30
FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30
FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30
FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30
FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30
FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30
FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-31
FREQ=DAILY;BYMONTH=4,6,9,11;BYMONTHDAY=31
FREQ=SECONDLY
FREQ=SECONDLY;INTERVAL=7;COUNT=999999999
FREQ=MINUTELY;BYHOUR=25
FREQ=HOURLY;INTERVAL=2;BYHOUR=1,3
FREQ=MINUTELY;INTERVAL=120;BYMINUTE=1
FREQ=DAILY;INTERVAL=7;BYDAY=TU
FREQ=DAILY;INTERVAL=14;BYDAY=SA,SU
FREQ=DAILY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29;BYDAY=FR
FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29
FREQ=DAILY;BYMONTHDAY=31;BYMONTH=2
FREQ=WEEKLY;INTERVAL=5218;BYMONTH=2
FREQ=WEEKLY;BYMONTH=13
FREQ=MONTHLY;INTERVAL=12;BYMONTH=3
FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31;BYMONTH=2
FREQ=MONTHLY;BYDAY=6MO
FREQ=MONTHLY;BYDAY=-6MO
FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1
FREQ=MONTHLY;BYDAY=5MO;BYMONTH=2
FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=-1
FREQ=MONTHLY;BYSETPOS=32
FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6
FREQ=MONTHLY;BYMONTHDAY=1,2;BYSETPOS=3
FREQ=YEARLY;BYSETPOS=366
FREQ=YEARLY;BYMONTH=1;BYDAY=MO;BYSETPOS=100
FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1
FREQ=YEARLY;BYYEARDAY=366;INTERVAL=2
FREQ=YEARLY;BYYEARDAY=-366
FREQ=YEARLY;BYYEARDAY=367
FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6
FREQ=YEARLY;BYWEEKNO=54
FREQ=YEARLY;BYWEEKNO=20;BYYEARDAY=1
FREQ=YEARLY;BYDAY=54MO
FREQ=YEARLY;BYDAY=53MO;BYMONTH=2
FREQ=YEARLY;BYEASTER=9999
FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29
FREQ=YEARLY;INTERVAL=100;BYMONTH=2;BYMONTHDAY=29
FREQ=YEARLY;INTERVAL=9999
FREQ=DAILY;INTERVAL=999999999
FREQ=DAILY;INTERVAL=99999999999999999999999999
FREQ=WEEKLY;INTERVAL=999999999;BYDAY=MO,WE
FREQ=MONTHLY;INTERVAL=999999999
FREQ=DAILY;INTERVAL=0
FREQ=DAILY;INTERVAL=-1
FREQ=DAILY;COUNT=999999999
FREQ=DAILY;COUNT=0
FREQ=YEARLY;COUNT=9999
FREQ=MONTHLY;COUNT=99999;BYDAY=FR;BYMONTHDAY=13
FREQ=DAILY;UNTIL=99001231T000000Z
FREQ=DAILY;UNTIL=98991231T000000Z;BYMONTH=2;BYMONTHDAY=29;INTERVAL=3
FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;BYMINUTE=0,1,2,3,4,5,6,7;BYSECOND=0,1
FREQ=YEARLY;BYSETPOS=1,2,3,4,5,6,7,8,9,10,11,12,-1,-2,-3,-4,-5,-6,-7,-8,-9
FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=-366
FREQ=YEARLY;WKST=XX
FREQ=NEVER
FREQ=
COUNT=5
RSCALE=CHINESE;FREQ=YEARLY
FREQ=YEARLY;SKIP=FORWARD;RSCALE=GREGORIAN;BYMONTH=2;BYMONTHDAY=30
FREQ=YEARLY;BYMONTH=5L;RSCALE=HEBREW
FREQ=DAILY;FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30
""".strip().splitlines()


def run_hostile() -> None:
    """Walk every hostile rule from several starts; the test below runs this where it can be killed."""
    for rule in HOSTILE:
        for start in ("20260105T100000Z", "19700228T100000", "10000101T000000", "98991231T235900Z"):
            for end in ("", ";UNTIL=20300101T000000Z", ";COUNT=4000"):
                found = told(f"DTSTART:{start}\nRRULE:{rule}{end}")
                assert found.times, rule
                assert EARLIEST < found.over_at <= LATEST, rule
    every_week = BERLIN.replace("BYDAY=-1SU", "BYDAY=MO,TU,WE,TH,FR").splitlines(keepends=True)
    heavy = "".join([*every_week[:2], *every_week[2:-1] * 300, every_week[-1]])
    assert len(told("DTSTART;TZID=W. Europe:20260105T100000\nRRULE:FREQ=YEARLY;COUNT=200", head=heavy).times) == 50
    assert told(*["DTSTART:20260105T100000Z\nRRULE:FREQ=DAILY;COUNT=4000"] * 5000).times
    assert told("DTSTART:20260105T100000Z\nEXDATE:20260106T100000Z" + ",20260107T100000Z" * 100_000).times


def test_no_rule_runs_away() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['run_hostile']()"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, __file__], check=True, timeout=300, env=environment)


@pytest.mark.parametrize("rule", HOSTILE)
def test_hostile_rules_never_end_a_meeting_before_its_first_occurrence(rule: str) -> None:
    found = told(f"DTSTART:20260105T100000Z\nRRULE:{rule}")
    assert found.over_at >= at("2026-01-05 11:00")


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=HOURLY", "FREQ=MONTHLY;BYYEARDAY=1", "FREQ=NEVER", "x"]
)
def test_rules_that_are_not_expanded_end_with_until_or_the_cap(rule: str) -> None:
    found = told(f"DTSTART:20260105T100000Z\nDURATION:PT2H\nRRULE:{rule};UNTIL=20260601T000000Z")
    assert (starts(found), found.over_at, found.exact) == (["01-05 10:00"], at("2026-06-01 02:00"), False)
    found = told(f"DTSTART:20260105T100000Z\nRRULE:{rule}")
    assert (found.over_at, found.exact) == (at("2026-01-01 00:00") + CAP, False)


def test_more_than_is_looked_at_ends_with_the_cap() -> None:
    dates = ",".join(
        f"{2000 + day // 300}{day // 25 % 12 + 1:02}{day % 25 + 1:02}T100000Z" for day in range(MAX_DATES + 5)
    )
    for lines in (f"RDATE:{dates}", "RRULE:FREQ=DAILY;COUNT=1\n" * 5, "RRULE:FREQ=DAILY;COUNT=60000"):
        found = told(f"DTSTART:20260105T100000Z\n{lines}")
        assert (found.over_at, found.exact) == (at("2026-01-01 00:00") + CAP, False)
    found = schedule(calendar(*["DTSTART:20260105T100000Z"] * 2000), b"u", at("2026-01-01 00:00"))
    assert (found.over_at, found.exact) == (at("2026-01-01 00:00") + CAP, False)


VALUES = st.one_of(
    st.binary(max_size=40),
    st.from_regex(rb"[0-9]{8}(T[0-9]{6}Z?)?", fullmatch=True),
    st.from_regex(rb"[+-]?P[0-9]{0,12}[WDTHMS0-9]{0,8}", fullmatch=True),
    st.from_regex(rb"20[0-9]{6}T[0-2][0-9]0000Z?(/PT[0-9]H)?(,20[0-9]{6}T100000Z?)*", fullmatch=True),
)
RULES = st.lists(
    st.one_of(
        st.sampled_from([f"FREQ={name}" for name in ("SECONDLY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")]),
        st.builds(
            "{}={}".format,
            st.sampled_from(
                [
                    "COUNT",
                    "INTERVAL",
                    "BYMONTH",
                    "BYMONTHDAY",
                    "BYYEARDAY",
                    "BYWEEKNO",
                    "BYSETPOS",
                    "BYHOUR",
                    "BYMINUTE",
                ]
            ),
            st.lists(st.integers(-400, 400) | st.integers(1, 12), min_size=1, max_size=4).map(
                lambda n: ",".join(map(str, n))
            ),
        ),
        st.sampled_from(
            ["UNTIL=20270101", "UNTIL=20270101T000000Z", "BYDAY=MO", "BYDAY=-1FR,5SA", "WKST=SU", "BYDAY=1X"]
        ),
        st.text(max_size=6),
    ),
    max_size=6,
).map(lambda parts: ";".join(parts).encode())
NAMES = b"DTSTART DTEND DURATION RRULE RDATE EXDATE RECURRENCE-ID STATUS EXRULE".split()
PARAMS = st.sampled_from(
    [b"", b";TZID=Europe/Berlin", b';TZID="W. Europe"', b";VALUE=DATE", b";RANGE=THISANDFUTURE", b";TZID=x"]
)
LINES = st.tuples(st.sampled_from(NAMES), PARAMS, VALUES | RULES | st.just(b"CANCELLED")).map(
    lambda it: it[0] + it[1] + b":" + it[2]
)
ZONE_LINES = st.tuples(
    st.sampled_from(b"DTSTART RRULE RDATE TZOFFSETFROM TZOFFSETTO".split()),
    VALUES | RULES | st.from_regex(rb"[+-][0-9]{4}", fullmatch=True),
).map(b":".join)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=3),
    st.lists(ZONE_LINES, max_size=6),
    VALUES,
    st.integers(-(10**12), 10**12),
)
def test_any_octets_are_a_schedule_or_none(
    events: list[list[bytes]], zone: list[bytes], start: bytes, now: int
) -> None:
    body = [b"BEGIN:VTIMEZONE", b"TZID:W. Europe", b"BEGIN:STANDARD", *zone, b"END:STANDARD", b"END:VTIMEZONE"]
    for event in events:
        body += [b"BEGIN:VEVENT", b"UID:u", *event, b"DTSTART:" + start, b"END:VEVENT"]
    clean = [line.replace(b"\n", b" ").replace(b"\r", b" ") for line in body]
    found = components(b"\n".join([b"BEGIN:VCALENDAR", *clean, b"END:VCALENDAR", b""]))
    try:
        result = schedule(found[0], b"u", now)
    except ScheduleError:
        return
    assert list(result.times) == sorted(result.times, key=lambda time: time.start)
    assert len(result.times) <= 50
    assert all(time.start <= time.end for time in result.times)


# the corpus


def corpus_calendars(path: Path) -> list[bytes]:
    octets = path.read_bytes()
    if path.suffix == ".ics":
        return [octets]
    message = email.message_from_bytes(octets.split(b"\n", 1)[1] if octets.startswith(b"From ") else octets)
    parts = (part for part in message.walk() if part.get_content_type() == "text/calendar")
    return [octets for part in parts if isinstance(octets := part.get_payload(decode=True), bytes)]


@pytest.mark.skipif(
    not CORPUS.is_dir() and os.environ.get("CI") != "true", reason="the corpus is not beside the checkout"
)
def test_the_whole_corpus() -> None:
    read = meetings = 0
    for path in sorted([*CORPUS.glob("calendars/*.ics"), *CORPUS.glob("messages/*.eml")]):
        for octets in corpus_calendars(path):
            try:
                found = components(octets)
            except CalendarError:
                continue
            for one in found:
                uids = {line.value.strip() if (line := event.first(b"UID")) else b"" for event in one.within(b"VEVENT")}
                for uid in uids:
                    meetings += 1
                    try:
                        result = schedule(one, uid, at("2015-01-01 00:00"))
                    except ScheduleError:
                        continue
                    read += 1
                    assert all(result.over_at >= time.end for time in result.times), path.name
    assert read > 380
    assert meetings - read < 40


def test_a_daily_series_without_an_end_is_listed_to_its_end() -> None:
    """As far as it is kept, and no further."""
    found = schedule(calendar("DTSTART:20260105T100000Z\nRRULE:FREQ=DAILY"), b"u", at("2026-01-01"), max_times=800)
    assert len(found.times) == 726
    assert found.times[-1].end <= found.over_at < found.times[-1].end + 86_400


def test_a_series_that_nobody_computed_may_have_no_times() -> None:
    """Its first date is excluded, and the others are not known; it is not over for that."""
    now = at("2026-01-01")
    found = schedule(calendar("DTSTART:20260105T100000Z\nRRULE:FREQ=HOURLY\nEXDATE:20260105T100000Z"), b"u", now)
    assert (found.times, found.over_at > now, found.recurring) == ((), True, True)
