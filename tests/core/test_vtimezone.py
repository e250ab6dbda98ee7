"""VTIMEZONEs as producers write them, against the zone data of the same place."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notes2conf_milter.core.contentlines import components
from notes2conf_milter.core.vtimezone import Allowance, OffsetAt, offsets


def zone(*parts: str, known: OffsetAt | None = None) -> OffsetAt | None:
    body = "".join(
        f"BEGIN:{name}\n" + "\n".join(lines) + f"\nEND:{name}\n" for name, *lines in (part.split("|") for part in parts)
    )
    (calendar,) = components(f"BEGIN:VTIMEZONE\nTZID:x\n{body}END:VTIMEZONE\n".encode())
    return offsets(calendar, known)


def observance(name: str, start: str, before: str, after: str, *more: str) -> str:
    return "|".join([name, f"DTSTART:{start}", f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", *more])


def shapes(rule: str) -> OffsetAt | None:
    return zone(
        observance("STANDARD", "16011028T030000", "+0200", "+0100", rule.format(hour=3, month=10)),
        observance("DAYLIGHT", "16010325T020000", "+0100", "+0200", rule.format(hour=2, month=3)),
    )


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=YEARLY;BYMONTH={month};BYDAY=-1SU",
        "RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR={hour};BYDAY=-1SU;BYMONTH={month}",
        "RRULE:FREQ=YEARLY;WKST=MO;INTERVAL=1;BYMONTH={month};BYDAY=-1SU",
        "RRULE:FREQ=YEARLY;BYMONTH={month};BYMONTHDAY=25,26,27,28,29,30,31;BYDAY=SU",
        "RRULE:FREQ=YEARLY;BYMONTH={month};BYMONTHDAY=-1,-2,-3,-4,-5,-6,-7;BYDAY=SU",
        "RRULE:FREQ=YEARLY;BYDAY=-1SU",
        "RRULE:FREQ=MONTHLY;BYMONTH={month};BYDAY=-1SU",
    ],
)
def test_every_hour_of_some_years_is_that_of_berlin(rule: str) -> None:
    found = shapes(rule)
    assert found is not None
    berlin = ZoneInfo("Europe/Berlin")
    local = datetime(2024, 1, 1)
    while local.year < 2027:
        offset = local.replace(tzinfo=berlin).utcoffset()
        assert offset == timedelta(seconds=found(local)), local
        local += timedelta(hours=1, minutes=30) if local.day > 24 else timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("-0700", -25_200), ("-700", -25_200), ("700", 25_200), ("+0530", 19_800), ("-07:00", -25_200), ("+010000", 3600)],
)
def test_offsets_as_producers_write_them(written: str, seconds: int) -> None:
    """WebEx leaves out the zero that RFC 5545 §3.3.14 wants."""
    found = zone(f"STANDARD|DTSTART:19700101T000000|TZOFFSETTO:{written}")
    assert found is not None
    assert found(datetime(2026, 1, 1)) == seconds


def test_the_south_has_its_summer_over_new_year() -> None:
    found = zone(
        observance("STANDARD", "19700405T030000", "+1100", "+1000", "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU"),
        observance("DAYLIGHT", "19701004T020000", "+1000", "+1100", "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=1SU"),
    )
    assert found is not None
    assert [found(datetime(2026, month, 15)) // 3600 for month in (1, 3, 4, 9, 10, 12)] == [11, 11, 10, 10, 11, 11]


def test_rules_end_with_until_or_count() -> None:
    for end in ("UNTIL=20061029T010000Z", "UNTIL=20061029T030000", "UNTIL=20061029", "COUNT=7"):
        found = zone(
            observance(
                "STANDARD", "20001029T030000", "+0200", "+0100", f"RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;{end}"
            ),
            observance("DAYLIGHT", "20000326T020000", "+0100", "+0200", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"),
        )
        assert found is not None
        assert found(datetime(2006, 12, 1)) == 3600
        assert found(datetime(2007, 12, 1)) == 7200


def test_listed_onsets() -> None:
    found = zone(
        observance("STANDARD", "20251026T030000", "+0200", "+0100", "RDATE:20261025T030000,20271031T030000"),
        observance("DAYLIGHT", "20250330T020000", "+0100", "+0200", "RDATE:20260329T020000"),
    )
    assert found is not None
    assert [found(datetime(year, 7, 1)) // 3600 for year in (2024, 2025, 2026, 2027)] == [1, 2, 2, 1]


def test_listed_onsets_that_end_are_continued_by_the_zone_data() -> None:
    parts = (
        observance("STANDARD", "20251026T010000", "+0200", "+0100"),
        observance("DAYLIGHT", "20250330T010000", "+0100", "+0200"),
    )
    alone, both = zone(*parts), zone(*parts, known=lambda _: 42)
    assert alone is not None
    assert both is not None
    assert [found(datetime(year, 7, 1)) for found in (alone, both) for year in (2025, 2026)] == [7200, 3600, 7200, 42]
    assert both(datetime(2024, 7, 1)) == 42
    one = zone(parts[0], known=lambda _: 42)  # nothing changes: somebody switched summer time off
    assert one is not None
    assert one(datetime(2026, 7, 1)) == 3600


@pytest.mark.parametrize(
    "part",
    [
        "STANDARD",
        "STANDARD|DTSTART:19700101T000000",
        "STANDARD|TZOFFSETTO:+0100",
        "STANDARD|DTSTART:x|TZOFFSETTO:+0100",
        "STANDARD|DTSTART:19700101T000000|TZOFFSETTO:+01",
        "STANDARD|DTSTART:19700101T000000|TZOFFSETTO:+2500",
        "STANDARD|DTSTART:19700101T000000|TZOFFSETTO:+01000",
        "STANDARD|DTSTART:20010101T000000|TZOFFSETTO:+023017",  # Apple's Moscow: local mean time
        "OTHER|DTSTART:19700101T000000|TZOFFSETTO:+0100",
    ],
)
def test_what_defines_nothing(part: str) -> None:
    assert zone(part) is None


@pytest.mark.parametrize(
    "rule",
    ["FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=13", "FREQ=YEARLY;BYDAY=XX", "FREQ=YEARLY;INTERVAL=999999999999", "x", "=;=",
     "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=3", "FREQ=YEARLY;COUNT=99999999"],
)  # fmt: skip
def test_rules_made_to_hurt(rule: str) -> None:
    found = zone(observance("STANDARD", "19700101T000000", "+0000", "+0100", f"RRULE:{rule}"))
    assert found is not None
    assert all(found(datetime(year, 7, 1)) == 3600 for year in (1970, 2026, 9900))


def test_an_allowance_that_is_used_up_leaves_the_zone_data() -> None:
    part = observance(
        "STANDARD", "19700101T000000", "+0000", "+0100", "RRULE:FREQ=YEARLY", "RDATE:" + "20010101," * 700
    )
    text = (
        "BEGIN:VTIMEZONE\n"
        + "".join(f"BEGIN:{part}\nEND:STANDARD\n".replace("|", "\n") for _ in range(300))
        + "END:VTIMEZONE\n"
    )
    allowance = Allowance(onsets=1000)
    found = offsets(components(text.encode())[0], lambda _: 42, allowance)
    assert found is not None
    assert [found(datetime(year, 7, 1)) for year in range(2000, 2005)] == [3600, 3600, 42, 42, 42]
    assert (allowance.observances, allowance.listed) == (300, 0)


def test_times_at_both_ends_of_the_calendar() -> None:
    found = shapes("RRULE:FREQ=YEARLY;BYMONTH={month};BYDAY=-1SU")
    assert found is not None
    assert {found(datetime(1000, 1, 1)), found(datetime(9900, 12, 31))} == {3600}
