"""Properties become moments and lengths on one time line."""

from datetime import datetime

import pytest

from notes2conf_milter.core.contentlines import ContentLine, components, split
from notes2conf_milter.core.instants import (
    EARLIEST,
    LATEST,
    Length,
    Moment,
    between,
    duration,
    end_of,
    late,
    local_time,
    moment,
    moments,
)
from notes2conf_milter.core.zones import FLOATING, UTC, Zone, Zones

ZONES = Zones(components(b"BEGIN:VCALENDAR\nEND:VCALENDAR\n")[0])
BERLIN = ZONES.find(b"Europe/Berlin")
NEW_YORK = ZONES.find(b"America/New_York")


def line(text: str) -> ContentLine:
    return next(split(text.encode()))


def read(text: str, beside: Moment | None = None) -> Moment:
    found = moment(line(text), ZONES, beside)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "local", "zone", "all_day"),
    [
        ("DTSTART:20260301T100000Z", datetime(2026, 3, 1, 10), UTC, False),
        ("DTSTART;TZID=Europe/Berlin:20260301T100000", datetime(2026, 3, 1, 10), BERLIN, False),
        ("DTSTART;TZID=Europe/Berlin:20260301T100000Z", datetime(2026, 3, 1, 10), UTC, False),
        ("DTSTART:20260301T100000", datetime(2026, 3, 1, 10), FLOATING, False),
        ("DTSTART;TZID=Europe/Berlin:20260301", datetime(2026, 3, 1), FLOATING, True),
        ("DTSTART;VALUE=DATE:20260301T100000", datetime(2026, 3, 1), FLOATING, True),
    ],
)
def test_moments(text: str, local: datetime, zone: Zone, all_day: bool) -> None:
    found = read(text)
    assert (found.local, found.zone, found.all_day) == (local, zone, all_day)


@pytest.mark.parametrize(
    ("local", "zone", "skipped"),
    [
        ("20260329T015959", "Europe/Berlin", False),
        ("20260329T020000", "Europe/Berlin", True),
        ("20260329T025959", "Europe/Berlin", True),
        ("20260329T030000", "Europe/Berlin", False),
        ("20261025T023000", "Europe/Berlin", False),
        ("20111230T120000", "Pacific/Apia", True),
        ("20260329T020000", "UTC+01", False),
    ],
)
def test_times_that_clocks_skip(local: str, zone: str, skipped: bool) -> None:
    """An hour in spring, and a whole day once; one that comes twice is none of them."""
    assert read(f"DTSTART;TZID={zone}:{local}").skipped() is skipped


def test_a_time_without_zone_has_that_of_dtstart() -> None:
    start = read("DTSTART;TZID=Europe/Berlin:20260301T100000")
    assert read("DTEND:20260301T110000", start).zone is BERLIN
    assert read("DTEND;TZID=Nowhere:20260301T110000", start).zone is BERLIN
    assert read("DTEND;TZID=America/New_York:20260301T110000", start).zone is NEW_YORK


def test_lists_and_periods() -> None:
    found = moments(
        line("RDATE;VALUE=PERIOD:20260301T100000Z/PT2H,x,20260302T100000Z/20260302T103000Z,20260303"), ZONES, limit=9
    )
    assert [(value.local.day, length) for value, length in found] == [
        (1, Length(0, 7200)),
        (2, Length(1800, 0)),
        (3, None),
    ]
    assert len(list(moments(line("RDATE:" + "20260301," * 50), ZONES, limit=9))) == 9


def test_lengths() -> None:
    start = read("DTSTART;TZID=Europe/Berlin:20260301T100000")
    assert between(start, read("DTEND;TZID=Europe/Berlin:20260301T110000")) == Length(3600, 0)
    assert between(start, read("DTEND:20260301T100000Z")) == Length(0, 3600)
    assert between(start, read("DTEND:20260301T090000Z")) is None
    assert between(read("DTSTART:20260301"), read("DTEND:20260303")) == Length(172_800, 0)
    assert duration(line("DURATION:P1DT1H")) == Length(86_400, 3600)
    assert [duration(line(f"DURATION:{text}")) for text in ("PT0S", "-PT1H", "1H", "20260301")] == [None] * 4


def test_the_wall_clock_and_the_stopwatch_over_a_change() -> None:
    start = read("DTSTART;TZID=Europe/Berlin:20260329T000000")
    assert end_of(start, Length(4 * 3600, 0)) - start.seconds() == 3 * 3600
    assert end_of(start, Length(0, 4 * 3600)) - start.seconds() == 4 * 3600
    skipped = read("DTSTART;TZID=Europe/Berlin:20260329T023000")  # does not exist
    assert end_of(skipped, Length(1800, 0)) - skipped.seconds() == 1800


def test_floating_ends_last() -> None:
    assert [late(read(text)) for text in ("D:20260301T100000Z", "D:20260301T100000", "D:20260301")] == [
        0,
        43_200,
        43_200,
    ]


def test_both_ends_of_time() -> None:
    assert local_time(10**30) == local_time(LATEST)
    assert local_time(-(10**30)) == local_time(EARLIEST)
    last = read("DTSTART;TZID=Europe/Berlin:99001231T235900")
    assert last.seconds() < end_of(last, Length(10**12, 0)) == end_of(last, Length(10**9 * 86_400, 5)) == LATEST
