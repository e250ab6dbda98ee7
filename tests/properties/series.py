"""Series drawn at random: rules, dates, exceptions and overrides over zones whose clocks change, with a third opinion on them.

The third opinion is the text of the RFC for the rules (bythetext.py) and zoneinfo for the zones; what is added, taken
away and moved is set arithmetic on local times here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from random import Random
from zoneinfo import ZoneInfo

from tests.bythetext import times
from tests.othertimes import Taking, Times, longest

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HALF_A_DAY = 12 * 3600
KNOWN = 5 * 366 * DAY  # how far series without an end are followed
EPOCH = datetime(1970, 1, 1)

# name, then STANDARD and DAYLIGHT: DTSTART, TZOFFSETFROM, TZOFFSETTO, RRULE
_ZONES = {
    "Europe/Berlin": (
        ("19961027T030000", "+0200", "+0100", "BYMONTH=10;BYDAY=-1SU"),
        ("19810329T020000", "+0100", "+0200", "BYMONTH=3;BYDAY=-1SU"),
    ),
    "America/New_York": (
        ("20071104T020000", "-0400", "-0500", "BYMONTH=11;BYDAY=1SU"),
        ("20070311T020000", "-0500", "-0400", "BYMONTH=3;BYDAY=2SU"),
    ),
    "Australia/Sydney": (
        ("20080406T030000", "+1100", "+1000", "BYMONTH=4;BYDAY=1SU"),
        ("20081005T020000", "+1000", "+1100", "BYMONTH=10;BYDAY=1SU"),
    ),
    "Australia/Lord_Howe": (
        ("20080406T020000", "+1100", "+1030", "BYMONTH=4;BYDAY=1SU"),
        ("20081005T020000", "+1030", "+1100", "BYMONTH=10;BYDAY=1SU"),
    ),
    "Asia/Kathmandu": (("19860101T000000", "+0530", "+0545", ""),),
}
NO_ZONES = ("UTC", "floating", "date")
# Around the changes of those clocks.
_NIGHTS = [datetime(2025, *it) for it in ((3, 9), (3, 30), (4, 6), (10, 5), (10, 26), (11, 2))]
_WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
_POSITIONS = ("1", "-1", "2", "-2", "1,-1")


def vtimezone(name: str, tzid: str) -> list[str]:
    """The definition of a zone, with the rules that hold since 2008."""
    lines = ["BEGIN:VTIMEZONE", f"TZID:{tzid}"]
    for kind, (start, before, after, rule) in zip(("STANDARD", "DAYLIGHT"), _ZONES[name], strict=False):
        lines += [f"BEGIN:{kind}", f"DTSTART:{start}", f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}"]
        lines += [f"RRULE:FREQ=YEARLY;{rule}"] * bool(rule) + [f"END:{kind}"]
    return [*lines, "END:VTIMEZONE"]


@dataclass(frozen=True, slots=True)
class Rule:
    """An RRULE: its parts but for the end; count; until in local time; how UNTIL is written ("utc", "local", "date")."""

    parts: str
    count: int | None = None
    until: datetime | None = None
    written: str = ""

    @property
    def endless(self) -> bool:
        return self.count is None and self.until is None

    def times(self, start: datetime) -> list[datetime]:
        """All times in local time, of a rule without an end those of some years."""
        last = self.until or (start + KNOWN if self.endless else datetime.max)
        if self.written == "date":
            last = last.replace(hour=23, minute=59, second=59)
        return list(_times(self.parts, start, self.count, last))

    def cut_off(self, start: datetime, zone: str) -> list[datetime]:
        """The times behind UNTIL on its day; UTC beside a time of no zone may be some day's evening anywhere."""
        if self.until is None or self.written == "date":
            return []
        last = self.until.replace(hour=23, minute=59, second=59)
        last += 14 * HOUR * (zone in ("floating", "date") and self.written == "utc")
        return [local for local in _times(self.parts, start, None, last) if local > self.until]


@lru_cache
def _times(parts: str, start: datetime, count: int | None, last: datetime) -> tuple[datetime, ...]:
    return tuple(takewhile(lambda local: local <= last, islice(times(parts, start), count)))


@dataclass(frozen=True, slots=True)
class Date:
    """An RDATE, EXDATE or RECURRENCE-ID in local time. written: "local", "utc", "date", "period". took: a period's."""

    local: datetime
    written: str
    took: timedelta = HOUR


@dataclass(frozen=True, slots=True)
class Override:
    """An instance of its own. to: where it is moved to; None where it is cancelled."""

    original: Date
    to: datetime | None


@dataclass(frozen=True, slots=True)
class Series:
    """A calendar with one series. zone: of _ZONES or NO_ZONES. length: "", "DTEND", "DTEND utc" or "DURATION"."""

    zone: str
    tzid: str
    start: datetime
    length: str
    took: timedelta
    rules: tuple[Rule, ...]
    rdates: tuple[Date, ...]
    exdates: tuple[Date, ...]
    overrides: tuple[Override, ...]

    # --- as text ---

    def text(self) -> str:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example.org//drawn//EN"]
        lines += vtimezone(self.zone, self.tzid) if self.zone in _ZONES else []
        lines += ["BEGIN:VEVENT", "UID:u", self._dated("DTSTART", self.start), *self._length(self.start, self.took)]
        lines += [f"RRULE:{rule.parts}{self._end(rule)}" for rule in self.rules]
        lines += [self._written("RDATE", date) for date in self.rdates]
        lines += [self._written("EXDATE", date) for date in self.exdates]
        lines += ["END:VEVENT"]
        for override in self.overrides:
            to = override.to or override.original.local
            lines += ["BEGIN:VEVENT", "UID:u", self._written("RECURRENCE-ID", override.original)]
            lines += [self._dated("DTSTART", to), *self._length(to, self.took)]
            lines += ["STATUS:CANCELLED"] * (override.to is None) + ["END:VEVENT"]
        return "\r\n".join([*lines, "END:VCALENDAR", ""])

    def _dated(self, name: str, local: datetime) -> str:
        if self.zone == "date":
            return f"{name};VALUE=DATE:{local:%Y%m%d}"
        if self.zone in _ZONES:
            return f"{name};TZID={self.tzid}:{local:%Y%m%dT%H%M%S}"
        return f"{name}:{local:%Y%m%dT%H%M%S}" + "Z" * (self.zone == "UTC")

    def _utc(self, local: datetime) -> str:
        return f"{EPOCH + timedelta(seconds=self.seconds(local)):%Y%m%dT%H%M%SZ}"

    def _written(self, name: str, date: Date) -> str:
        match date.written:
            case "utc":
                return f"{name}:{self._utc(date.local)}"
            case "date":
                return f"{name};VALUE=DATE:{date.local:%Y%m%d}"
            case "period":
                seconds = date.took // timedelta(seconds=1)
                return f"{self._dated(f'{name};VALUE=PERIOD', date.local)}/PT{seconds}S"
            case _:
                return self._dated(name, date.local)

    def _length(self, start: datetime, took: timedelta) -> list[str]:
        match self.length:
            case "DTEND":
                return [self._dated("DTEND", start + took)]
            case "DTEND utc":
                return [f"DTEND:{self._utc(start + took)}"]
            case "DURATION":
                return [f"DURATION:P{took.days}D" + f"T{took.seconds}S" * bool(took.seconds)]
            case _:
                return []

    def _end(self, rule: Rule) -> str:
        if rule.until is None:
            return f";COUNT={rule.count}" if rule.count else ""
        match rule.written:
            case "utc":
                return f";UNTIL={self._utc(rule.until)}"
            case "date":
                return f";UNTIL={rule.until:%Y%m%d}"
            case _:
                return f";UNTIL={rule.until:%Y%m%dT%H%M%S}"

    # --- the third opinion ---

    def seconds(self, local: datetime) -> int:
        """Seconds since 1970 UTC; an hour that does not exist is what the offset before it makes of it."""
        if self.zone in _ZONES:
            return int(local.replace(tzinfo=ZoneInfo(self.zone)).timestamp())
        return int(local.replace(tzinfo=UTC).timestamp())

    def locals(self) -> dict[datetime, timedelta | None]:
        """What the master says, before anything is taken away: local times, with the length of a period."""
        found: dict[datetime, timedelta | None] = {self.start: None}
        for rule in self.rules:
            found |= dict.fromkeys(rule.times(self.start))
        for date in self.rdates:
            took = date.took if date.written == "period" else None
            if date.local not in found or (took or self._usual()) > (found[date.local] or self._usual()):
                found[date.local] = took
        return found

    def _usual(self) -> timedelta:
        return self.took if self.length else DAY if self.zone == "date" else HOUR

    def times(self) -> Times:
        """When it takes place, of a series without an end for some years."""
        gone = {self.seconds(date.local) for date in self.exdates if date.written != "date"}
        gone |= {self.seconds(override.original.local) for override in self.overrides}
        days = {date.local.date() for date in self.exdates if date.written == "date"}
        endless = any(rule.endless for rule in self.rules)

        def stays(local: datetime) -> bool:
            return self.seconds(local) not in gone and local.date() not in days

        taking = [self._taking(local, took, self.start) for local, took in self.locals().items() if stays(local)]
        taking += [
            self._taking(override.to, None, override.to) for override in self.overrides if override.to is not None
        ]
        later = [
            self._taking(max(cut), None, self.start).over
            for rule in self.rules
            if (cut := [one for one in rule.cut_off(self.start, self.zone) if stays(one)])
        ]
        return Times(longest(taking), endless, max(later, default=None))

    def _taking(self, local: datetime, period: timedelta | None, written: datetime) -> Taking:
        """written: the DTSTART beside the DTEND."""
        start, took = self.seconds(local), self._usual() if period is None else period
        exact = start + took // timedelta(seconds=1)
        end = exact
        if period is None and self.length == "DTEND utc":
            end = start + self.seconds(written + took) - self.seconds(written)
        elif period is None and self.length == "DURATION":  # days on the wall clock, hours on a stopwatch
            end = self.seconds(local + DAY * took.days) + took.seconds
        elif period is None and (self.length == "DTEND" or self.zone == "date"):
            end = self.seconds(local + took)
        end = end if end > start else exact  # it would end in an hour that is skipped
        return Taking(start, end, end + HALF_A_DAY * (self.zone in ("floating", "date")))


# --- drawing ---


def draw(random: Random) -> Series:
    """Draw a series."""
    zone = random.choice([*_ZONES] * 3 + [*NO_ZONES])
    start = _start(random, zone)
    rules = tuple(_rule(random, zone, start) for _ in range(random.choice((0, 1, 1, 1, 1, 1, 1, 2))))
    if rules and random.random() < 0.7 and (times := rules[0].times(start)):  # RFC 5545: DTSTART should fit the rule
        start = times[0]
    rules = tuple(rule for rule in rules if rule.times(start))
    length = random.choice(["", "DTEND", "DTEND", "DTEND", "DURATION", "DURATION"] + ["DTEND utc"] * (zone in _ZONES))
    took = DAY * random.choice((1, 2, 7)) if zone == "date" else random.choice((HOUR, HOUR / 2, 9 * HOUR, 26 * HOUR))
    bare = Series(zone, random.choice([zone, "Ours, 1"]), start, length, took, rules, (), (), ())
    rdates = tuple(_rdate(random, bare) for _ in range(random.choice((0, 0, 0, 1, 3))))
    times = sorted(Series(*_fields(bare)[:6], rdates, (), ()).locals())[:40]
    picked = random.sample(times, min(len(times), random.randrange(6)))
    cut = random.randrange(len(picked) + 1)
    exdates = [Date(local, _writing(random, zone, "date")) for local in picked[:cut]]
    exdates += [Date(start + DAY * random.randrange(60) + HOUR * (zone != "date"), "local")] * (random.random() < 0.2)
    overrides = tuple(_override(random, zone, local) for local in picked[cut:])
    return Series(*_fields(bare)[:6], rdates, tuple(exdates), overrides)


def _fields(series: Series) -> tuple[str, str, datetime, str, timedelta, tuple[Rule, ...]]:
    return series.zone, series.tzid, series.start, series.length, series.took, series.rules


def _start(random: Random, zone: str) -> datetime:
    day = random.choice(_NIGHTS) - DAY * random.randrange(30) if random.random() < 0.7 else _NIGHTS[0]
    day += DAY * random.randrange(300) * (random.random() < 0.3)
    return day if zone == "date" else day + HOUR * random.choice((0, 1, 2, 2.5, 3, 9, 14, 22, 23.75))


def _writing(random: Random, zone: str, *more: str) -> str:
    return random.choice(["local", "local", "utc", "utc", *more]) if zone in _ZONES else "local"


def _rdate(random: Random, series: Series) -> Date:
    day = series.start + DAY * random.randrange(1, 90)
    if series.zone == "date":
        return Date(day, "local")
    written = random.choice(("local", "utc", "period", "period") if series.zone in _ZONES else ("local", "period"))
    return Date(day + HOUR * random.randrange(3), written, HOUR * random.choice((1, 2, 30)))


def _override(random: Random, zone: str, local: datetime) -> Override:
    to = local + DAY * random.randrange(-3, 20) + HOUR * random.randrange(4) * (zone != "date")
    return Override(Date(local, _writing(random, zone)), None if random.random() < 0.3 else to)


def _rule(random: Random, zone: str, start: datetime) -> Rule:
    freq = random.choice(("DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"))
    parts = [f"FREQ={freq}"]
    if random.random() < 0.5:
        parts.append(f"INTERVAL={random.randrange(1, 5)}")
    parts += [part for part in _by(random, freq, zone) if part]
    if random.random() < 0.3:
        parts.append(f"WKST={random.choice(('SU', 'MO', 'TH'))}")
    joined = ";".join(parts)
    kind = random.random()
    if kind < 0.4:
        return Rule(joined, count=random.randrange(1, 30))
    if kind < 0.8:
        written = "local" if zone == "floating" else "utc"
        if zone in _ZONES or zone == "date":
            written = random.choice(("date",) if zone == "date" else ("utc", "utc", "local", "date"))
        early = HOUR * random.choice((0, 0, 0, 1, start.hour)) * (written in ("utc", "local"))  # as producers err
        return Rule(joined, until=start + DAY * random.randrange(1, 900) - early, written=written)
    return Rule(joined)


def _some(random: Random, of: Iterable[object], most: int = 3) -> str:
    choice = list(of)
    return ",".join(map(str, random.sample(choice, random.randrange(1, most + 1))))


def _by(random: Random, freq: str, zone: str) -> list[str]:
    days = f"BYDAY={_some(random, _WEEKDAYS)}"
    months = f"BYMONTH={_some(random, range(1, 13), 4)}"
    monthdays = f"BYMONTHDAY={_some(random, [*range(1, 32), *range(-31, 0)])}"
    nth = f"BYDAY={_some(random, [f'{n}{day}' for n in (1, 2, 3, 4, 5, -1, -2) for day in _WEEKDAYS], 2)}"
    positions = f"BYSETPOS={random.choice(_POSITIONS)}"
    hours = f"BYHOUR={_some(random, range(24), 2)}" if zone != "date" else ""
    match freq:
        case "DAILY":
            # one from the month's beginning: ical.js knows no others here, and searches for ever
            monthdays = f"BYMONTHDAY={random.randrange(1, 32)},{random.choice((1, 15, -1, -10))}"
            return random.choice(([], [], [days], [months], [monthdays], [hours], [months, days]))
        case "WEEKLY":
            return random.choice(([], [days], [days], [days], [days, positions], [months, days], [hours, days]))
        case "MONTHLY":
            return random.choice(
                ([], [monthdays], [monthdays], [nth], [nth], [days], [days, positions], [days, positions])
                + ([monthdays, days], [monthdays, positions], [months, monthdays], [hours, nth])
            )
        case _:
            yeardays = f"BYYEARDAY={_some(random, [1, 60, 100, 200, 365, 366, -1, -2, -100, -366])}"
            weeks = f"BYWEEKNO={_some(random, [1, 2, 10, 20, 52, 53, -1])}"
            return random.choice(
                ([], [months], [months, monthdays], [months, nth], [months, days, positions], [yeardays])
                + ([weeks, days], [months, days], [monthdays], [days, positions], [nth])
            )
