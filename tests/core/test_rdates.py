"""A list of dates in an event becomes a rule where that says the very same, and stays otherwise."""

import pytest

from notes2conf_milter.core.occurrences import Schedule, schedule
from notes2conf_milter.core.rdates import Ruled, ruled
from tests.invitations import CALENDAR, message, part, read_ok, repaired

ROMANCE = (
    b"BEGIN:VTIMEZONE\r\nTZID:Romance\r\n"
    b"BEGIN:STANDARD\r\nDTSTART:19501029T020000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n"
    b"RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n"
    b"BEGIN:DAYLIGHT\r\nDTSTART:19500326T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n"
    b"RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
)
LOCAL = b'DTSTART;TZID="Romance":20260323T110000\r\nDTEND;TZID="Romance":20260323T114500'
AT_ONE = b'DTSTART;TZID="Romance":20260327T010000\r\nDURATION:PT1H'  # two days before 02:00 is skipped
IN_UTC = b"RDATE;VALUE=PERIOD:20260323T100000Z/20260323T104500Z,20260330T090000Z/20260330T\r\n 094500Z"
BEFORE = 1_772_436_600  # 2026-03-02


def event(*lines: bytes) -> bytes:
    fixed = (b"UID:uid-1", b"DTSTAMP:20260302T073000Z", b"ORGANIZER:mailto:anna@example.org")
    return b"".join(line + b"\r\n" for line in (b"BEGIN:VEVENT", *fixed, *lines, b"END:VEVENT"))


def series(*lines: bytes, zone: bytes = ROMANCE, more: bytes = b"") -> bytes:
    body = zone + event(*lines) + more
    return b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:Lotus\r\nMETHOD:REQUEST\r\n" + body + b"END:VCALENDAR\r\n"


def invited(*calendars: bytes) -> bytes:
    return message(*(part(one, CALENDAR) for one in calendars), kind=b"mixed")


def planned(octets: bytes) -> tuple[object, ...]:
    """What the store is told of the times; a list in UTC is shown in UTC, so that the names of zones may differ."""
    found = read_ok(octets)
    when: Schedule = schedule(found.copies[0].calendar, found.uid, BEFORE)
    times = [(one.start, one.end, one.all_day) for one in when.times]
    return times, when.over_at, when.recurring, when.exact, when.partial, when.replaced


OVERRIDE = event(
    b"RECURRENCE-ID:20260330T090000Z",
    b'DTSTART;TZID="Romance":20260331T110000',
    b'DTEND;TZID="Romance":20260331T114500',
)


@pytest.mark.parametrize(
    ("calendar", "rule"),
    [
        (series(LOCAL, IN_UTC), b"FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (series(LOCAL, IN_UTC, more=OVERRIDE), b"FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (series(LOCAL, IN_UTC.replace(b"20260323T100000Z/20260323T104500Z,", b"")), b"FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (series(LOCAL, IN_UTC.replace(b"20260323T104500Z", b"PT45M")), b"FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (series(LOCAL.replace(b"END", b"END;X=1"), IN_UTC), b"FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (series(LOCAL, b"RDATE:20260324T100000Z", b"RDATE:20260325T100000Z"), b"FREQ=DAILY;COUNT=3"),
        (series(LOCAL, b"RDATE;TZID=Romance:20260324T110000,20260325T110000"), b"FREQ=DAILY;COUNT=3"),
        (series(LOCAL, b"RDATE;VALUE=PERIOD;TZID=Romance:20260324T110000/PT45M"), b"FREQ=DAILY;COUNT=2"),
        (
            series(b"DTSTART:20260323T100000Z", b"DURATION:PT1H", b"RDATE:20260324T100000Z", zone=b""),
            b"FREQ=DAILY;COUNT=2",
        ),
        (
            series(
                b"DTSTART:20260323T100000Z", b"DURATION:PT1H", b"RDATE;VALUE=PERIOD:20260324T100000Z/PT1H", zone=b""
            ),
            b"FREQ=DAILY;COUNT=2",
        ),
        (series(b"DTSTART:20260323T100000", b"RDATE:20260330T100000", zone=b""), b"FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (
            series(b"DTSTART;VALUE=DATE:20260323", b"RDATE;VALUE=DATE:20260420,20260518", zone=b""),
            b"FREQ=WEEKLY;COUNT=3;INTERVAL=4;BYDAY=MO",
        ),
    ],
    ids=[
        "utc over a change",
        "moved instance",
        "dtstart not listed",
        "duration in the period",
        "odd parameter",
        "two lists",
        "same zone",
        "period in the zone",
        "all in utc",
        "period in utc",
        "floating",
        "days",
    ],
)
def test_a_list_becomes_a_rule(calendar: bytes, rule: bytes) -> None:
    """In every copy, in the place of the first list; when it takes place is the same as before, for the store, too."""
    octets = invited(calendar, calendar)
    result, said = repaired(octets)
    assert said == ["rdate:done"]
    assert result.count(b"RRULE:" + rule + b"\r\n") == 2
    assert b"RDATE" not in result
    assert planned(result) == planned(octets)


@pytest.mark.parametrize(
    ("calendars", "word"),
    [
        ([series(LOCAL, IN_UTC), series(LOCAL, b"RDATE:20260324T100000Z")], "copies"),
        ([series(LOCAL, IN_UTC), series(LOCAL)], "copies"),
        ([series(LOCAL, IN_UTC, more=event(LOCAL, IN_UTC))], "More than one"),
        ([series(LOCAL, IN_UTC, b"EXDATE:20260330T090000Z")], "EXDATE"),
        ([series(LOCAL, IN_UTC, b"RECURRENCE-ID:20260330T090000Z")], "RECURRENCE-ID"),
        ([series(LOCAL, IN_UTC, zone=b"")], "zone"),
        ([series(LOCAL, IN_UTC, zone=ROMANCE.replace(b"TZOFFSETTO:+0200", b"TZOFFSETTO:+0300"))], "zone"),
        ([series(LOCAL, b"RDATE;TZID=Pacific:20260324T110000")], "zone"),
        ([series(LOCAL, b"RDATE:20260324T110000")], "zone"),
        ([series(LOCAL, b"RDATE;VALUE=DATE:20260324")], "form"),
        ([series(LOCAL, b"RDATE:20260324T100000Z", b"RDATE;VALUE=PERIOD:20260325T100000Z/PT45M")], "form"),
        ([series(LOCAL, b"RDATE:20260324T100000Z,soon")], "form"),
        ([series(LOCAL, IN_UTC, b"COMMENT:" + b"x" * 900 + b"\0")], "form"),
        ([series(LOCAL, b"RDATE:20260324T100000Z,")], "form"),
        ([series(LOCAL, b"RDATE:20260324T100000Z/20260324T104500Z")], "form"),
        ([series(LOCAL, b"RDATE;VALUE=PERIOD:20260324T100000Z")], "form"),
        ([series(AT_ONE, b"RDATE;VALUE=PERIOD:20260328T000000Z/PT1H,20260329T000000Z/PT1H")], "as long"),
        ([series(AT_ONE, b"RDATE;VALUE=PERIOD:20260329T000000Z/20260329T010000Z")], "as long"),
        ([series(AT_ONE.replace(b"T01", b"T02"), b"RDATE:20260328T010000Z,20260329T010000Z")], "zone"),
        ([series(LOCAL, IN_UTC.replace(b"\r\n 0945", b"\r\n 1000"))], "as long"),
        ([series(LOCAL.partition(b"\r\n")[0], IN_UTC)], "as long"),
        ([series(LOCAL, b"DURATION:PT45M", IN_UTC)], "as long"),
        ([series(LOCAL, IN_UTC.replace(b"T090000Z", b"T100000Z").replace(b"0945", b"1045"))], "No simple rule"),
        ([series(LOCAL, b"RDATE:20260316T100000Z")], "No simple rule"),
        ([series(LOCAL, b"RDATE:20260323T100000Z")], "No simple rule"),
        ([series(LOCAL, b"RDATE:" + b",".join([b"20260324T100000Z"] * 1_000))], "No simple rule"),
        (
            [
                series(
                    LOCAL.replace(b"20260323T11", b"20261024T02").replace(b"T1145", b"T0245"),
                    b"RDATE:20261025T010000Z",
                )
            ],
            "zone",
        ),
    ],
)
def test_a_list_that_stays_and_why(calendars: list[bytes], word: str) -> None:
    """Where two readers could differ, or the edit would have to guess."""
    octets = invited(*calendars)
    why = ruled(read_ok(octets))
    assert isinstance(why, str)
    assert word in why
    result, said = repaired(octets)
    assert said == ["rdate:not-possible"]
    assert result.count(b"RDATE") == octets.count(b"RDATE")


def test_what_is_no_fault() -> None:
    """A rule, a rule with further dates, a single date."""
    for lines in ((b"RRULE:FREQ=DAILY;COUNT=2",), (b"RRULE:FREQ=DAILY;COUNT=2", b"RDATE:20260327T100000Z"), ()):
        assert ruled(read_ok(invited(series(LOCAL, *lines)))) is None


def test_the_hour_that_comes_twice_the_first_time() -> None:
    """At its first coming it is what a rule means (RFC 5545 §3.3.5); Notes' own zones set the clocks an hour too early."""
    exact = ROMANCE.replace(b"1029T02", b"1029T03").replace(
        b"BYHOUR=2;BYDAY=-1SU;BYMONTH=10", b"BYHOUR=3;BYDAY=-1SU;BYMONTH=10"
    )
    start = LOCAL.replace(b"20260323T11", b"20261024T02").replace(b"20260323T1145", b"20261024T0245")
    found = ruled(read_ok(invited(series(start, b"RDATE:20261025T000000Z", zone=exact))))
    assert isinstance(found, Ruled)
    assert found.rule == b"RRULE:FREQ=DAILY;COUNT=2"
    for again in (b"20261025T010000Z", b"20261025T003000Z"):
        assert isinstance(ruled(read_ok(invited(series(start, b"RDATE:" + again, zone=exact)))), str)
