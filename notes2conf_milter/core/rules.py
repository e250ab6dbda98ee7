"""Recurrence rules as values (RFC 5545 §3.3.10): what an RRULE says, and whether it may be expanded at all.

In:  the octets of an RRULE. Out: a `Rule` with its `Verdict`, reached by analysis alone; nothing is expanded here.
Fails: never; what cannot be read is a Rule with the verdict UNSAFE.
"""

import re
from calendar import MONDAY
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from dateutil import rrule
from icalendar.prop import vRecur

from notes2conf_milter.core.values import FIRST_YEAR, LAST_YEAR

MAX_RULE = 1_000  # octets
_MOST_TIMES = 24  # a day
_MOST_POSITIONS = 10
_WEEKDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAYS_IN = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FREQ = {"DAILY": rrule.DAILY, "WEEKLY": rrule.WEEKLY, "MONTHLY": rrule.MONTHLY, "YEARLY": rrule.YEARLY}


class Verdict(Enum):
    """What may be done with a rule."""

    EXPAND = "expand"
    NEVER = "never"  # no date fits: DTSTART alone takes place
    UNSAFE = "unsafe"  # sub-daily, other calendars, combinations that are no longer one set


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as read; the lists are sorted, and hold what can match only. until: date, local or UTC date-time, or None."""

    freq: int | None = None  # dateutil's number; None: below a day, or unknown
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    wkst: int = MONDAY
    months: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()  # (ordinal or 0, weekday)
    monthdays: tuple[int, ...] = ()
    yeardays: tuple[int, ...] = ()
    weeknumbers: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    verdict: Verdict = Verdict.UNSAFE


def read(value: bytes, *, all_day: bool = False) -> Rule:
    """Return the RRULE `value` (RFC 5545 §3.8.5.3); what cannot be read is a rule with the verdict UNSAFE.

    all_day: DTSTART is a DATE, so that times of the day do not count.
    """
    if len(value) > MAX_RULE:
        return Rule()
    try:
        parts = vRecur.from_ical(re.sub(r"\s+", "", value.decode("ascii", "ignore")).upper())
        return _rule(parts, all_day)
    except (ValueError, TypeError, OverflowError, ArithmeticError, LookupError, AttributeError):
        return Rule(until=_loose_until(value))


def _loose_until(value: bytes) -> date | datetime | None:
    """Return the UNTIL of a rule that cannot be read otherwise."""
    found = re.search(rb"UNTIL=([0-9TZ]{8,16})(?:;|\s*$)", value, re.IGNORECASE)
    try:
        until = (
            None if found is None else vRecur.from_ical(found[0].strip(b"; \t").decode("ascii")).get("UNTIL", [None])[0]
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return _sane(until)


def _sane(until: object) -> date | datetime | None:
    """Return an UNTIL that can be computed with; one after LAST_YEAR means no end."""
    return until if isinstance(until, date) and FIRST_YEAR <= until.year <= LAST_YEAR else None


def _rule(parts: vRecur, all_day: bool) -> Rule:
    def numbers(key: str, low: int, high: int) -> tuple[int, ...]:
        return tuple(sorted({number for item in parts.get(key, ()) if low <= (number := int(item)) <= high}))

    def first(key: str) -> str:
        return str(next(iter(parts.get(key, ())), ""))

    days = [] if all_day else ["BYHOUR", "BYMINUTE", "BYSECOND"]  # RFC 5545 §3.3.10: not with a DATE
    freq = _FREQ.get(first("FREQ"))
    wkst = _WEEKDAYS.index(first("WKST")) if "WKST" in parts else MONDAY
    rule = Rule(
        freq=freq,
        interval=max(1, int(first("INTERVAL") or 1)),
        count=max(1, int(first("COUNT"))) if "COUNT" in parts else None,
        until=_sane(parts.get("UNTIL", (None,))[0]),
        wkst=wkst,
        months=numbers("BYMONTH", 1, 12),
        weekdays=_weekdays(parts, freq),
        monthdays=tuple(day for day in numbers("BYMONTHDAY", -31, 31) if day),
        yeardays=tuple(day for day in numbers("BYYEARDAY", -366, 366) if day),
        weeknumbers=tuple(week for week in numbers("BYWEEKNO", -53, 53) if week),
        positions=tuple(place for place in numbers("BYSETPOS", -366, 366) if place),
        hours=numbers("BYHOUR", 0, 23) if days else (),
        minutes=numbers("BYMINUTE", 0, 59) if days else (),
        seconds=numbers("BYSECOND", 0, 59) if days else (),
    )
    fields = {
        "BYMONTH": rule.months,
        "BYDAY": rule.weekdays,
        "BYMONTHDAY": rule.monthdays,
        "BYYEARDAY": rule.yeardays,
        "BYWEEKNO": rule.weeknumbers,
        "BYSETPOS": rule.positions,
    } | dict(zip(days, (rule.hours, rule.minutes, rule.seconds), strict=False))
    emptied = any(key in parts and not values for key, values in fields.items())
    # RFC 7529: other calendars, their leap months, and dates that are moved instead of left out
    strange = first("RSCALE") not in ("", "GREGORIAN") or first("SKIP").rpartition(".")[2] not in ("", "OMIT")
    strange = strange or any(getattr(month, "leap", False) for month in parts.get("BYMONTH", ()))
    return _with_verdict(rule, Verdict.UNSAFE if strange else Verdict.NEVER if emptied else None)


def _with_verdict(rule: Rule, verdict: Verdict | None) -> Rule:
    values = {name: getattr(rule, name) for name in Rule.__slots__}
    return Rule(**values | {"verdict": Verdict.UNSAFE if rule.freq is None else verdict or _judge(rule)})


def _weekdays(parts: vRecur, freq: int | None) -> tuple[tuple[int, int], ...]:
    """Return BYDAY; ordinals count in months and years only (RFC 5545 §3.3.10), and those past the end never match."""
    furthest = 53 if freq == rrule.YEARLY and "BYMONTH" not in parts else 5
    found: set[tuple[int, int]] = set()
    for item in parts.get("BYDAY", ()):
        match = _WEEKDAY.fullmatch(str(item))
        if match is None:
            raise ValueError(item)
        ordinal = int(match[1] or 0) if freq in (rrule.MONTHLY, rrule.YEARLY) else 0
        if abs(ordinal) <= furthest:
            found.add((ordinal, _WEEKDAYS.index(match[2])))
    return tuple(sorted(found))


def _judge(rule: Rule) -> Verdict:
    """Decide by analysis alone whether dateutil may see the rule."""
    by_date = rule.months or rule.monthdays or rule.weekdays
    if (rule.yeardays or rule.weeknumbers) and (rule.freq != rrule.YEARLY or rule.positions):
        return Verdict.UNSAFE
    if rule.yeardays and (by_date or rule.weeknumbers):
        return Verdict.UNSAFE
    if rule.weeknumbers and (rule.months or rule.monthdays or any(ordinal for ordinal, _ in rule.weekdays)):
        return Verdict.UNSAFE
    if rule.freq == rrule.WEEKLY and rule.monthdays:  # RFC 5545 §3.3.10: not allowed
        return Verdict.UNSAFE
    if _times_a_day(rule) > _MOST_TIMES or len(rule.positions) > _MOST_POSITIONS:
        return Verdict.UNSAFE
    if not _some_date_fits(rule):
        return Verdict.NEVER
    if rule.positions and min(abs(place) for place in rule.positions) > _largest_set(rule):
        return Verdict.NEVER
    return Verdict.EXPAND


def _times_a_day(rule: Rule) -> int:
    return max(1, len(rule.hours)) * max(1, len(rule.minutes)) * max(1, len(rule.seconds))


def _some_date_fits(rule: Rule) -> bool:
    """Tell whether BYMONTH, BYMONTHDAY and an ordinal BYDAY leave any day of any year."""
    if not rule.monthdays:
        return True
    lengths = [_DAYS_IN[month - 1] for month in rule.months or range(1, 13)]
    days = [day for day in rule.monthdays if abs(day) <= max(lengths)]
    if rule.freq == rrule.YEARLY and not rule.months:
        return bool(days)
    return any(_ordinal_fits(ordinal, day) for day in days for ordinal, _ in rule.weekdays or ((0, 0),))


def _ordinal_fits(ordinal: int, day: int) -> bool:
    if ordinal == 0 or (ordinal > 0) != (day > 0):
        return True  # from different ends of the month: the budget decides
    return (abs(day) - 1) // 7 + 1 == abs(ordinal)


def _largest_set(rule: Rule) -> int:
    """Return the most times that one period can hold, for BYSETPOS."""
    months = len(rule.months) or 12
    in_month = 31
    if rule.monthdays:
        in_month = min(in_month, len(rule.monthdays))
    if rule.weekdays:
        in_month = min(in_month, sum(1 if ordinal else 5 for ordinal, _ in rule.weekdays))
    match rule.freq:
        case rrule.DAILY:
            size = 1
        case rrule.WEEKLY:
            size = max(1, len(rule.weekdays))
        case rrule.MONTHLY:
            size = in_month if rule.monthdays or rule.weekdays else 1
        case _:
            size = 366 if any(ordinal for ordinal, _ in rule.weekdays) else in_month * months
    return size * _times_a_day(rule)
