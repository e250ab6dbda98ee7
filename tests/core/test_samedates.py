"""The self-check's reader of dates: a yes only where a rule gives the very same."""

import pytest

from notes2conf_milter.core.samedates import same_dates
from tests.core.test_rdates import IN_UTC, LOCAL, ROMANCE

ZONE = ROMANCE.decode().split("\r\n")
RULE = "RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=MO"
EVENT = ["UID:1", *LOCAL.decode().split("\r\n"), IN_UTC.decode().replace("\r\n ", "")]


def same(event: list[str], rule: str = RULE, zone: list[str] = ZONE) -> bool:
    return same_dates([line.encode() for line in event], [line.encode() for line in (*zone, *event)], rule.encode())


def changed(old: str, new: str) -> list[str]:
    assert old in "\n".join(EVENT)
    return "\n".join(EVENT).replace(old, new).split("\n")


def test_a_list_in_utc_over_a_change_of_the_clocks() -> None:
    """As Notes writes it."""
    assert same(EVENT)


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO",
        "RRULE:FREQ=WEEKLY;COUNT=1;BYDAY=MO",
        "RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=TU",
        "RRULE:FREQ=WEEKLY;COUNT=2;INTERVAL=2;BYDAY=MO",
        "RRULE:FREQ=DAILY;COUNT=2",
        "RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=4MO",
        "RRULE:FREQ=WEEKLY;BYDAY=MO",
        "RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=MO;BYSETPOS=1",
        "RRULE:FREQ=WEEKLY;COUNT=0;BYDAY=MO",
        "RRULE:FREQ=WEEKLY;UNTIL=20260330T090000Z;BYDAY=MO",
        "RRULE;X=1:FREQ=WEEKLY;COUNT=2;BYDAY=MO",
        "FREQ=WEEKLY;COUNT=2;BYDAY=MO",
        "RRULE:",
    ],
)
def test_another_rule(rule: str) -> None:
    """Other dates, or a form that no edit of ours has."""
    assert not same(EVENT, rule)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("20260330T090000Z", "20260330T100000Z"),
        ("20260330T090000Z", "20260331T090000Z"),
        ("20260330T094500Z", "20260330T100000Z"),
        ("20260323T114500", "20260323T120000"),
        ("DTEND;TZID=", "DTEND;TZID=X"),
        ("/20260330T094500Z", ""),
        ("/20260330T094500Z", "/PT1H"),
        ("/20260330T094500Z", "/P"),
        ("VALUE=PERIOD", "VALUE=DATE"),
        ("DTSTART;TZID", "DTSTART;X"),
        ('DTSTART;TZID="Romance"', 'DTSTART;TZID="Pacific"'),
        ("20260330T090000Z/", "20260330/"),
        ("UID:1", "EXDATE:20260330T090000Z"),
        ("UID:1", 'EXDATE;X="a:20260330T090000Z'),
        ("UID:1", "RRULE:FREQ=DAILY"),
        ("UID:1", "DTSTART:20260323T100000Z"),
        ("UID:1", "DURATION:PT45M"),
        ("20260323T110000", "10260323T110000"),
        ("20260323T110000", "20260399T110000"),
    ],
)
def test_another_event(old: str, new: str) -> None:
    """Other dates, lengths or zones, or what is not computed with."""
    assert not same(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("TZOFFSETTO:+0200", "TZOFFSETTO:+0300"),
        ("TZOFFSETTO:+0200", "TZOFFSETTO:"),
        ("BYMONTH=3", "BYMONTH=4"),
        ("BYMONTH=3", "BYMONTH=13"),
        ("FREQ=YEARLY;BYMINUTE=0", "FREQ=SECONDLY;BYMINUTE=0"),
        ("BYDAY=-1SU;BYMONTH=3", "BYDAY=5SU;BYMONTH=2"),
        ("DTSTART:19500326T020000", "DTSTART:2050"),
        ("TZID:Romance", "TZID:Roman"),
        ("END:DAYLIGHT", "RDATE:20260324T020000\nEND:DAYLIGHT"),
        ("END:VTIMEZONE", "END:VTIMEZONE\nBEGIN:VTIMEZONE\nTZID:Romance\nEND:VTIMEZONE"),
    ],
)
def test_another_zone(old: str, new: str) -> None:
    """Where the clocks go otherwise, or nobody can say how they go; it takes no time to say so."""
    text = "\n".join(ZONE)
    assert old in text
    assert not same(EVENT, zone=text.replace(old, new).split("\n"))


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (["DTSTART:20260323T100000Z", "RDATE:20260324T100000Z"], "RRULE:FREQ=DAILY;COUNT=2"),
        (
            ["DTSTART:20260323T100000Z", "DURATION:PT1H", "RDATE;VALUE=PERIOD:20260324T100000Z/PT60M"],
            "RRULE:FREQ=DAILY;COUNT=2",
        ),
        (["DTSTART;VALUE=DATE:20260323", "RDATE;VALUE=DATE:20260330"], "RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
        (["DTSTART;TZID=X:20260323T100000", "RDATE;TZID=X:20260330T100000"], "RRULE:FREQ=WEEKLY;COUNT=2;BYDAY=MO"),
    ],
)
def test_without_a_zone_to_compute(event: list[str], rule: str) -> None:
    """All in UTC, whole days, or all in one zone whatever it is."""
    assert same(event, rule, zone=[])
