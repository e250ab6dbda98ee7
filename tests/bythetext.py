"""A recurrence rule by the text of RFC 5545 §3.3.10: every day of every period is asked, as plain and slow as it can be.

In:  the parts of an RRULE without COUNT and UNTIL, and DTSTART in local time. Out: all its times until the year LAST_YEAR.
It is here to decide where two implementations differ. What the RFC leaves open: a day belongs to the period that it lies in,
so that the days of week 1 that lie in December are that year's.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import count, product

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LAST_YEAR = 2150
DAY = timedelta(days=1)
Parts = dict[str, list[str]]


def times(rule: str, start: datetime) -> Iterator[datetime]:
    """Yield the times of `rule` from `start` on."""
    parts = {name: value.split(",") for name, _, value in (part.partition("=") for part in rule.split(";"))}
    clocks = sorted(
        time(*clock)
        for clock in product(
            numbers(parts, "BYHOUR", start.hour),
            numbers(parts, "BYMINUTE", start.minute),
            numbers(parts, "BYSECOND", start.second),
        )
    )
    explicit = filled(parts, start)
    for days in periods(parts, start.date()):
        found = [datetime.combine(day, clock) for day in days if fits(day, explicit) for clock in clocks]
        places = numbers(parts, "BYSETPOS")
        if places:
            found = [one for at, one in enumerate(found) if at + 1 in places or at - len(found) in places]
        yield from (one for one in found if one >= start)


def numbers(parts: Parts, name: str, otherwise: int | None = None) -> list[int]:
    return [int(number) for number in parts[name]] if name in parts else [] if otherwise is None else [otherwise]


def filled(parts: Parts, start: datetime) -> Parts:
    """Return the parts with those that are taken from DTSTART."""
    days = {"BYDAY", "BYMONTHDAY", "BYYEARDAY"} & set(parts)
    weekday, monthday = {"BYDAY": [DAYS[start.weekday()]]}, {"BYMONTHDAY": [str(start.day)]}
    match parts["FREQ"][0]:
        case "WEEKLY" if not days:
            return parts | weekday
        case "MONTHLY" if not days:
            return parts | monthday
        case "YEARLY" if not days and "BYWEEKNO" in parts:
            return parts | weekday
        case "YEARLY" if not days:
            return {"BYMONTH": [str(start.month)]} | parts | monthday
    return parts


def periods(parts: Parts, start: date) -> Iterator[list[date]]:
    """Yield the days of each INTERVALth period, from that of DTSTART on."""
    interval = numbers(parts, "INTERVAL", 1)[0]
    week = start - DAY * ((start.weekday() - DAYS.index(parts.get("WKST", ["MO"])[0])) % 7)
    for at in count(step=interval):
        match parts["FREQ"][0]:
            case "DAILY":
                first, last = start + DAY * at, start + DAY * at
            case "WEEKLY":
                first, last = week + 7 * DAY * at, week + 7 * DAY * at + 6 * DAY
            case "MONTHLY":
                first, last = month(start.year, start.month + at), month(start.year, start.month + at + 1) - DAY
            case _:
                first, last = date(start.year + at, 1, 1), date(start.year + at, 12, 31)
        if first.year > LAST_YEAR:
            return
        yield [first + DAY * day for day in range((last - first).days + 1)]


def month(year: int, number: int) -> date:
    """Return the first of a month; the 13th is January of the next year."""
    return date(year + (number - 1) // 12, (number - 1) % 12 + 1, 1)


def fits(day: date, parts: Parts) -> bool:
    """Tell whether a day is what every part of the rule asks for."""
    return (
        ("BYMONTH" not in parts or day.month in numbers(parts, "BYMONTH"))
        and ("BYMONTHDAY" not in parts or counted(day, *month_of(day), numbers(parts, "BYMONTHDAY")))
        and ("BYYEARDAY" not in parts or counted(day, *year_of(day), numbers(parts, "BYYEARDAY")))
        and ("BYWEEKNO" not in parts or in_week(day, parts))
        and ("BYDAY" not in parts or on_weekday(day, parts))
    )


def month_of(day: date) -> tuple[date, date]:
    """Return the first day of a day's month, and the day after its last."""
    return day.replace(day=1), month(day.year, day.month + 1)


def year_of(day: date) -> tuple[date, date]:
    """Return the first day of a day's year, and the day after its last."""
    return date(day.year, 1, 1), date(day.year + 1, 1, 1)


def counted(day: date, first: date, after: date, places: list[int]) -> bool:
    """Tell whether a day is one of those that count from `first`, or back from the day before `after`."""
    return (day - first).days + 1 in places or (day - after).days in places


def in_week(day: date, parts: Parts) -> bool:
    wkst = DAYS.index(parts.get("WKST", ["MO"])[0])
    week = day - DAY * ((day.weekday() - wkst) % 7)
    year = (week + 3 * DAY).year  # a week is of the year that has four of its days
    number = (week - first_week(year, wkst)).days // 7 + 1
    return bool({number, (week - first_week(year + 1, wkst)).days // 7} & set(numbers(parts, "BYWEEKNO")))


def first_week(year: int, wkst: int) -> date:
    fourth = date(year, 1, 4)
    return fourth - DAY * ((fourth.weekday() - wkst) % 7)


def on_weekday(day: date, parts: Parts) -> bool:
    """BYDAY; its ordinals count in the month, in a YEARLY rule without BYMONTH in the year."""
    ordinals = [one[:-2] for one in parts["BYDAY"] if one[-2:] == DAYS[day.weekday()]]
    if not any(ordinals):
        return bool(ordinals)
    in_year = parts["FREQ"] == ["YEARLY"] and "BYMONTH" not in parts
    first, after = year_of(day) if in_year else month_of(day)
    places = {"", str((day - first).days // 7 + 1), str(-(((after - day).days + 6) // 7))}
    return bool(places & set(ordinals))
