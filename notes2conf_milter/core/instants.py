"""Dates, times and durations of a calendar as moments on one time line (RFC 5545 §3.3.4-§3.3.9).

In:  content lines, and the zones of their calendar. Out: `Moment`s (local time and zone) and `Length`s.
Fails: never; what cannot be read is None. Years 1000 to 9900 only, so that no arithmetic on them passes datetime's ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from notes2conf_milter.core import values
from notes2conf_milter.core.contentlines import ContentLine
from notes2conf_milter.core.zones import FLOATING, UTC, Zone, Zones

EPOCH = datetime(1970, 1, 1)
EARLIEST = -30_700_000_000  # seconds since 1970, in the year 997
LATEST = 250_400_000_000  # in the year 9904
_IN_DAYS = re.compile(r"([0-9]+)([DW])")
_DAYS = {"D": 1, "W": 7}
WHERE_DAYS_END_LAST = 12 * 3600  # seconds west of UTC; somebody may read a floating time or a date there


@dataclass(frozen=True, slots=True)
class Length:
    """How long an occurrence lasts, in seconds: first on the wall clock, then on a stopwatch.

    They differ where the zone changes its offset meanwhile. A DTEND in the zone of DTSTART and the days of a DURATION are
    wall clock, the hours of a DURATION are not (RFC 5545 §3.8.5.3 would have DTEND exact; calendars show the hour it names).
    """

    wall: int
    exact: int

    def approximately(self) -> int:
        """Return the seconds when the offset stays."""
        return self.wall + self.exact


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as written: local time, its zone, and whether it is a whole day (a DATE)."""

    local: datetime
    zone: Zone
    all_day: bool = False

    def seconds(self) -> int:
        """Return seconds since 1970 UTC; a floating time or a date counts as if it were UTC."""
        return seconds(self.local) - self.zone.offset_at(self.local)

    def at(self, local: datetime) -> "Moment":
        """Return another local time of the same kind in the same zone."""
        return Moment(local, self.zone, self.all_day)

    def skipped(self) -> bool:
        """Say whether the clocks never show this time: put forward they show a later one at this very moment."""
        later = self.zone.offset_at(self.local + timedelta(days=1))
        shown = self.local + timedelta(seconds=later - self.zone.offset_at(self.local))
        return shown > self.local and self.zone.offset_at(shown) == later  # RFC 5545 §3.3.5: the offset before the gap

    def on_clock(self, zone: Zone) -> "Moment":
        """Return the same time on the clocks of `zone`; itself where they do not tell it (the second of two equal hours)."""
        if zone is self.zone or zone.floating or self.zone.floating:
            return self
        found = Moment(on_clock(self.local - timedelta(seconds=self.zone.offset_at(self.local)), zone), zone)
        return found if found.seconds() == self.seconds() else self


def seconds(local: datetime) -> int:
    """Return the seconds from 1970 to `local`, as if it were UTC."""
    return (local - EPOCH) // timedelta(seconds=1)


def local_time(instant: int) -> datetime:
    """Return the date and time in UTC, without zone, of seconds since 1970; the years 997 to 9904 are the ends."""
    return EPOCH + timedelta(seconds=min(max(instant, EARLIEST), LATEST))


def on_clock(utc: datetime, zone: Zone) -> datetime:
    """Return the local time in `zone` at a time in UTC, both without tzinfo."""
    offset = zone.offset_at(utc)
    return utc + timedelta(seconds=zone.offset_at(utc + timedelta(seconds=offset)))


def moment(line: ContentLine, zones: Zones, beside: Moment | None = None) -> Moment | None:
    """Return the date or date-time of a property. beside: DTSTART, whose zone is meant where the property names none."""
    return next((found for found, _ in moments(line, zones, beside, limit=1)), None)


def moments(
    line: ContentLine, zones: Zones, beside: Moment | None = None, *, limit: int
) -> Iterator[tuple[Moment, Length | None]]:
    """Yield the first `limit` values of RDATE, EXDATE and the like, with the length of a period (RFC 5545 §3.3.9)."""
    params = line.params()
    zone = zones.find(params[b"TZID"]) if b"TZID" in params else FLOATING
    if zone.floating and beside is not None:
        zone = beside.zone
    as_date = params.get(b"VALUE", b"").upper() == b"DATE"
    for raw in line.value.split(b",", limit)[:limit]:
        start, _, end = raw.decode("ascii", "ignore").strip().upper().partition("/")
        found = _moment(start, zone, as_date)
        if found is not None:
            yield found, _period(found, end) if end else None


def _period(start: Moment, end: str) -> Length | None:
    if end.startswith(("P", "+P", "-P")):
        return _duration(end)
    until = _moment(end, start.zone, False)
    return None if until is None else between(start, until)


def duration(line: ContentLine) -> Length | None:
    """Return a DURATION (RFC 5545 §3.3.6), None when it is none or not positive."""
    return _duration(line.value.decode("ascii", "ignore").strip().upper())


def _duration(text: str) -> Length | None:
    found = values.read(text)
    if not isinstance(found, timedelta) or found <= timedelta(0):
        return None
    days = sum(int(number) * _DAYS[unit] for number, unit in _IN_DAYS.findall(text.partition("T")[0]))
    return Length(days * 86_400, found // timedelta(seconds=1) - days * 86_400)  # PT36H is no day and twelve hours


def between(start: Moment, end: Moment) -> Length | None:
    """Return how long it is from start to end, None unless positive."""
    if start.all_day:
        took = (end.local.date() - start.local.date()).days * 86_400
        return Length(took, 0) if took > 0 else None
    if start.zone is end.zone or start.zone.floating or end.zone.floating:
        took = (end.local - start.local) // timedelta(seconds=1)
        return Length(took, 0) if took > 0 else None
    took = end.seconds() - start.seconds()
    return Length(0, took) if took > 0 else None


def end_of(start: Moment, length: Length) -> int:
    """Return when an occurrence that begins at `start` ends, in seconds since 1970 UTC, at most LATEST."""
    begin = start.seconds()
    end = begin + length.approximately()
    if length.wall and not start.zone.floating and end < LATEST:
        there = start.at(start.local + timedelta(seconds=length.wall)).seconds() + length.exact
        end = there if there > begin else end  # not so where the end lies in an hour that is skipped
    return min(end, LATEST)


def late(start: Moment) -> int:
    """Return the seconds from `end_of` until it is over for everybody: floating times and dates end last at UTC-12."""
    return WHERE_DAYS_END_LAST if start.all_day or start.zone.floating else 0


def _moment(text: str, zone: Zone, as_date: bool) -> Moment | None:
    found = values.read(text.partition("T")[0] if as_date else text)
    if isinstance(found, datetime):
        if found.tzinfo is not None:
            return Moment(found.replace(tzinfo=None), UTC)
        return Moment(found, zone)
    return Moment(datetime.combine(found, time()), FLOATING, all_day=True) if isinstance(found, date) else None
