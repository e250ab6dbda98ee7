"""The offsets from UTC that a message itself defines (VTIMEZONE, RFC 5545 §3.6.5).

In:  a VTIMEZONE component. Out: a function from local time to seconds east of UTC, or None when nothing in it can be used.
Fails: never; observances that cannot be read are left out. Bounded: by an `Allowance` for all zones of a calendar.

Only yearly rules are computed, by own arithmetic: they are what producers write, and no rule of this form can run away.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice

from icalendar.prop import vRecur

from notes2conf_milter.core import values
from notes2conf_milter.core.contentlines import Component, ContentLine
from notes2conf_milter.core.values import LAST_YEAR

_MOST_MONTHS = 2  # of one rule; more is no time zone
MAX_RULE = 500  # octets
_OFFSET = re.compile(r"([+-]?)([0-9]{2}|[0-9](?=:|..$)):?([0-5][0-9]):?([0-5][0-9])?")  # WebEx: -700
_WEEKDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LEAP_CYCLE = 8  # years: the longest wait for a 29 February

OffsetAt = Callable[[datetime], int]


@dataclass(frozen=True, slots=True)
class _Yearly:
    """A yearly rule: the days of `months` that are one of `weekdays` (ordinal or 0, weekday) and one of `days`."""

    months: tuple[int, ...]
    weekdays: tuple[tuple[int, int], ...]
    days: tuple[int, ...]
    at: timedelta  # after midnight
    interval: int
    until: datetime  # local, inclusive

    def onsets(self, year: int) -> Iterator[datetime]:
        """Yield the onsets of `year`, in order."""
        for month in self.months:
            for day in self._days_in(*monthrange(year, month)):
                onset = datetime(year, month, day) + self.at
                if onset <= self.until:
                    yield onset

    def _days_in(self, first: int, length: int) -> list[int]:
        """Return the days that match in a month of `length` days whose first is the weekday `first`."""
        by_number = {day if day > 0 else length + 1 + day for day in self.days}
        by_weekday: set[int] = set()
        for ordinal, weekday in self.weekdays:
            found = range(1 + (weekday - first) % 7, length + 1, 7)
            if ordinal == 0:
                by_weekday.update(found)
            elif abs(ordinal) <= len(found):
                by_weekday.add(found[ordinal - 1 if ordinal > 0 else ordinal])
        both = by_number & by_weekday if self.days and self.weekdays else by_number | by_weekday
        return sorted(day for day in both if 1 <= day <= length)


@dataclass(frozen=True, slots=True)
class _Observance:
    """STANDARD or DAYLIGHT: from each onset (local time under `before`) the offset is `after`, seconds east of UTC."""

    standard: bool
    start: datetime
    before: int
    after: int
    rule: _Yearly | None
    extra: tuple[datetime, ...]

    def around(self, year: int) -> Iterator[datetime]:
        """Yield the onsets in `year`, and the last one before it."""
        listed = [self.start, *self.extra]
        yield from (onset for onset in listed if onset.year == year)
        before = [onset for onset in listed if onset.year < year]
        if self.rule is not None:
            if year > self.start.year and (year - self.start.year) % self.rule.interval == 0:
                yield from self.rule.onsets(year)
            before += self._last_year(self.rule, year - 1)
        if before:
            yield max(before)

    def _last_year(self, rule: _Yearly, year: int) -> list[datetime]:
        year = min(year, rule.until.year)
        year -= (year - self.start.year) % rule.interval
        for back in range(_LEAP_CYCLE + 1):
            if year - back * rule.interval <= self.start.year:
                return []
            if found := list(rule.onsets(year - back * rule.interval)):
                return found
        return []


@dataclass(slots=True)
class Allowance:
    """What the zones of one calendar may still cost: observances and RDATE values read, onsets computed."""

    observances: int = 600
    listed: int = 3_000
    onsets: int = 20_000


def offsets(component: Component, known: OffsetAt | None = None, allowance: Allowance | None = None) -> OffsetAt | None:
    """Return the function from local time to seconds east of UTC that a VTIMEZONE defines, None when it defines nothing.

    known: what the zone data says under the same name. It counts before the first onset and, where the message only lists a
    few years' onsets (Sabre: those around the first occurrence), after the last; and when the allowance is used up.

    A local time that occurs twice is its first occurrence, one that does not occur has the offset before the gap
    (RFC 5545 §3.3.5).
    """
    parts = (part for part in component.components if part.name in (b"STANDARD", b"DAYLIGHT"))
    allowed = allowance or Allowance()
    observances: list[_Observance] = []
    for part in islice(parts, allowed.observances):
        allowed.observances -= 1
        if (found := _observance(part, allowed)) is not None:
            observances.append(found)
    if not observances:
        return None
    cost = sum(1 + len(observance.extra) // 50 for observance in observances)
    since = min(observance.start for observance in observances)
    until = _last_onset(observances)
    first = next((one.after for one in observances if one.standard), observances[0].after)
    years: dict[int, list[tuple[datetime, int]]] = {}

    def offset_at(local: datetime) -> int:
        if known is not None and not since <= local <= until:
            return known(local)
        steps = years.get(local.year)
        if steps is None:
            if allowed.onsets < cost:
                return first if known is None else known(local)
            allowed.onsets -= cost
            steps = years[local.year] = _steps(observances, local.year)
        return next((after for since, after in reversed(steps) if since <= local), first)

    return offset_at


def _last_onset(observances: list[_Observance]) -> datetime:
    """Return after which local time the observances are silent: datetime.max where a rule goes on, or nothing changes."""
    rules = [observance.rule.until for observance in observances if observance.rule is not None]
    if datetime.max in rules or len({observance.after for observance in observances}) == 1:
        return datetime.max
    return max([*rules, *(onset for observance in observances for onset in (observance.start, *observance.extra))])


def _steps(observances: list[_Observance], year: int) -> list[tuple[datetime, int]]:
    """Return the changes that matter in `year`, in order: the local time since when, and the offset from then on."""
    onsets = [
        (onset - timedelta(seconds=observance.before), observance)
        for observance in observances
        for onset in observance.around(year)
    ]
    onsets.sort(key=lambda found: found[0])
    return [
        (utc + timedelta(seconds=max(observance.before, observance.after)), observance.after)
        for utc, observance in onsets
    ]


def _observance(part: Component, allowed: Allowance) -> _Observance | None:
    after = _seconds(part.first(b"TZOFFSETTO"))
    start = next(_times(part.all(b"DTSTART"), 1), None)
    if after is None or start is None or after % 60:  # Apple: Moscow at +02:30:17, as it was before there were zones
        return None
    before = _seconds(part.first(b"TZOFFSETFROM"))
    before = after if before is None else before
    extra = tuple(_times(part.all(b"RDATE"), allowed.listed))
    allowed.listed -= len(extra)
    line = part.first(b"RRULE")
    rule = None if line is None else _yearly(line.value[:MAX_RULE], start, before)
    return _Observance(part.name == b"STANDARD", start, before, after, rule, extra)


def _seconds(line: ContentLine | None) -> int | None:
    """Return a UTC-OFFSET (RFC 5545 §3.3.14) in seconds east of UTC."""
    found = None if line is None else _OFFSET.fullmatch(line.value.decode("ascii", "ignore").strip())
    if found is None or int(found[2]) > 23:
        return None
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0)
    return -seconds if found[1] == "-" else seconds


def _times(lines: Iterable[ContentLine], limit: int) -> Iterator[datetime]:
    """Yield the times among the first `limit` values."""
    for line in islice(lines, limit):
        parts = line.value.split(b",", limit)[:limit]
        limit -= len(parts)
        for value in parts:
            text = value.decode("ascii", "ignore").partition("/")[0]
            found = values.read(text.strip().rstrip("Zz"))
            if isinstance(found, datetime):
                yield found
            elif isinstance(found, date):
                yield datetime.combine(found, time())


@lru_cache(maxsize=64)  # a house's calendars all bring the same few
def _yearly(value: bytes, start: datetime, before: int) -> _Yearly | None:
    """Return the rule when it is one that repeats yearly, else None: then DTSTART and RDATE alone count."""
    try:
        parts = vRecur.from_ical(value.decode("ascii", "ignore"))
        months = tuple(sorted({int(month) for month in parts.get("BYMONTH", ())}))
        freq = str(*parts.get("FREQ", ()))
        if freq != "YEARLY" and not (freq == "MONTHLY" and months):
            return None
        days = tuple(int(day) for day in parts.get("BYMONTHDAY", ()))
        weekdays = tuple(_weekday(str(day)) for day in parts.get("BYDAY", ()))
        interval = max(1, int(parts.get("INTERVAL", (1,))[0])) if freq == "YEARLY" else 1
        # Notes: BYMINUTE=0;BYHOUR=2 first, the same time as DTSTART
        at = timedelta(
            hours=int(parts.get("BYHOUR", (start.hour,))[0]) % 24,
            minutes=int(parts.get("BYMINUTE", (start.minute,))[0]) % 60,
            seconds=start.second,
        )
        until = _until(parts, start, interval, before)
    except (ValueError, TypeError, OverflowError):
        return None
    if len(months) > _MOST_MONTHS or not all(1 <= month <= 12 for month in months):
        return None
    if not days and any(ordinal == 0 for ordinal, _ in weekdays):  # each week
        return None
    if not days and not weekdays:
        days = (start.day,)
    return _Yearly(months or (start.month,), weekdays, days, at, interval, until)


def _weekday(text: str) -> tuple[int, int]:
    found = _WEEKDAY.fullmatch(text.strip().upper())
    if found is None:
        raise ValueError(text)
    return int(found[1] or 0), _WEEKDAYS.index(found[2])


def _until(parts: vRecur, start: datetime, interval: int, before: int) -> datetime:
    """Return the local time of the last onset that a rule allows; a COUNT is one onset a year."""
    if count := parts.get("COUNT"):
        return datetime(min(LAST_YEAR, start.year + (max(1, int(count[0])) - 1) * interval), 12, 31, 23, 59, 59)
    until = parts.get("UNTIL", (None,))[0]
    if isinstance(until, datetime):
        if until.year > LAST_YEAR:
            return datetime.max
        local = until.replace(tzinfo=None)
        return local if until.tzinfo is None else local + timedelta(seconds=before)  # RFC 5545 §3.3.10: UTC here
    return datetime.max if until is None else datetime(until.year, until.month, until.day, 23, 59, 59)
