"""A short recurrence rule for a list of days, if there is one (RFC 5545 §3.3.10).

In:  days, in order. Out: the value of an RRULE with COUNT that gives these days and no other, or None.
Fails: never. Nothing is searched: the first days say what the rule would have to be, and it is walked to see if it is right.

Only rules that every reader takes for the same: intervals as Outlook knows them, and no day that some months do not have
(RFC 5545 leaves such a month out, Outlook takes its last day).
"""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import count, islice, pairwise

MAX_COUNT = 999  # [MS-OXOCAL]: occurrences of a series
_MOST = {"DAILY": 999, "WEEKLY": 99, "MONTHLY": 99, "YEARLY": 99}
_IN_EVERY_MONTH = 28
_NAMES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_Walk = Iterator[date | None]  # None: nothing in this month
_Candidate = tuple[str, int, str, _Walk]  # FREQ, INTERVAL, what else the rule says, its days


def short_rule(days: Sequence[date]) -> str | None:
    """Return `FREQ=…;COUNT=…` for two days or more, of which the first is DTSTART's; None where no rule fits."""
    if not 2 <= len(days) <= MAX_COUNT or any(one >= other for one, other in pairwise(days)):
        return None
    for frequency, interval, more, walk in _candidates(days):
        if 1 <= interval <= _MOST[frequency] and list(islice(walk, len(days))) == list(days):
            step = f";INTERVAL={interval}" if interval > 1 else ""
            return f"FREQ={frequency};COUNT={len(days)}{step}{more}"
    return None


def _candidates(days: Sequence[date]) -> Iterator[_Candidate]:
    """Yield what the first days would make of it, the plainest first."""
    first, second = days[0], days[1]
    gap, months = (second - first).days, (second.year - first.year) * 12 + second.month - first.month
    if gap % 7 == 0:
        yield "WEEKLY", gap // 7, f";BYDAY={_NAMES[first.weekday()]}", _every(first, gap)
    if months % 12 == 0 and months and first.day <= _IN_EVERY_MONTH:
        more = f";BYMONTHDAY={first.day};BYMONTH={first.month}"
        yield "YEARLY", months // 12, more, _monthly_day(first, months)
    if months and first.day <= _IN_EVERY_MONTH:
        yield "MONTHLY", months, f";BYMONTHDAY={first.day}", _monthly_day(first, months)
    if months:
        for ordinal in ((first.day - 1) // 7 + 1, -1):
            if ordinal <= 4:  # not every month has a fifth
                more = f";BYDAY={ordinal}{_NAMES[first.weekday()]}"
                yield "MONTHLY", months, more, _monthly_weekday(first, months, ordinal)
    yield "DAILY", gap, "", _every(first, gap)
    yield _several_weekdays(days)


def _every(first: date, gap: int) -> _Walk:
    return (first + timedelta(days=gap * step) for step in count())


def _month(first: date, months: int) -> tuple[int, int]:
    month = first.year * 12 + first.month - 1 + months
    return month // 12, month % 12 + 1


def _monthly_day(first: date, months: int) -> _Walk:
    return (date(*_month(first, months * step), first.day) for step in count())


def _monthly_weekday(first: date, months: int, ordinal: int) -> _Walk:
    return (_nth(*_month(first, months * step), first.weekday(), ordinal) for step in count())


def _nth(year: int, month: int, weekday: int, ordinal: int) -> date:
    """Return the ordinal-th (1 to 4, -1: the last) such weekday of a month."""
    begins, length = monthrange(year, month)
    day = 1 + (weekday - begins) % 7 + 7 * (ordinal - 1)
    if ordinal < 0:
        day = length - (begins + length - 1 - weekday) % 7
    return date(year, month, day)


def _several_weekdays(days: Sequence[date]) -> _Candidate:
    """Return the rule for some weekdays of every week, or of every second and so on; weeks begin on Monday."""
    monday = days[0] - timedelta(days=days[0].weekday())
    weekdays = sorted({day.weekday() for day in days})
    weeks = sorted({(day - monday).days // 7 for day in days})
    interval = weeks[1] if len(weeks) > 1 else 1
    walk = (
        monday + timedelta(weeks=interval * step, days=weekday)
        for step in count()
        for weekday in weekdays
        if step or weekday >= days[0].weekday()
    )
    start = ";WKST=MO" if interval > 1 else ""  # where it makes a difference
    return "WEEKLY", interval, f";BYDAY={','.join(_NAMES[day] for day in weekdays)}{start}", walk
