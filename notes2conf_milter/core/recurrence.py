"""Recurrence, bounded (RFC 5545 §3.8.5.3): which of a rule's local times are asked for, and where the rule ends.

In:  a `Rule`, DTSTART as local time, from when on. Out: a `Walk`: the next times and the last one.
Fails: never; what cannot or must not be computed is said in `Walk.ending`.

python-dateutil expands the rules, and would search until the year 9999 for a time that never comes. Two guards: rules that are
known not to yield, or that nobody can vouch for, never reach it (`rules.Verdict`); and every period that it looks at
is paid for from a `Budget`, whatever the rule.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from itertools import islice

from dateutil import rrule

from notes2conf_milter.core.rules import Rule, Verdict
from notes2conf_milter.core.values import LAST_YEAR

MAX_COUNT = 5_000
MAX_STEPS = 12_000
# What one period costs dateutil, in days looked at and masks rebuilt; and the periods of a century, longer than any link lives.
_COST = {rrule.DAILY: 1, rrule.WEEKLY: 2, rrule.MONTHLY: 6, rrule.YEARLY: 40}
_DAYS_PASSED = 300  # for the price of one looked at
_CENTURY = {rrule.DAILY: 36_525, rrule.WEEKLY: 5_218, rrule.MONTHLY: 1_200, rrule.YEARLY: 100}


class Ending(Enum):
    """What is known of a rule's end."""

    LAST = "last"  # the last time is among the times (or there is none)
    OPEN = "open"  # the rule has no end
    LOST = "lost"  # not computed


@dataclass(slots=True)
class Budget:
    """How much expanding one calendar may cost; `spend` raises `Spent` when it is used up."""

    left: int = MAX_STEPS

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise Spent


class Spent(Exception):
    """The budget is used up."""


@dataclass(frozen=True, slots=True)
class Walk:
    """times: the kept times asked for, and the last one where `ending` is LAST; in order. exact: nothing was left out."""

    times: tuple[datetime, ...] = field(default=())
    ending: Ending = Ending.LAST
    exact: bool = True


class _Step(int):
    """An INTERVAL that pays for each period it is added for: dateutil looks at its own bounds only when it yields."""

    budget: Budget
    cost: int

    def __radd__(self, other: int) -> int:
        self.budget.spend(self.cost)
        return other + int(self)

    def __mul__(self, other: int) -> int:  # WEEKLY adds interval * 7
        self.budget.spend(self.cost)
        return int(self) * other


def walk(
    rule: Rule,
    start: datetime,
    *,
    since: datetime,
    until: datetime | None,
    want: int,
    keep: Callable[[datetime], bool],
    budget: Budget,
    horizon: datetime = datetime.max,
) -> Walk:
    """Return the first `want` times of `rule` from `since` on for which `keep` is true, and the last of all where there is one.

    All times are local and naive. start: DTSTART, which the caller counts itself. until: UNTIL as local time, inclusive.
    horizon: of a rule without an end at most one time beyond it is wanted.
    """
    match rule.verdict:
        case Verdict.NEVER:
            return Walk(exact=False)
        case Verdict.UNSAFE:
            return Walk(ending=Ending.LOST, exact=False)
        case Verdict.EXPAND:
            far = _CENTURY[rule.freq or 0] < rule.interval
            if far:  # what comes after the first period comes after everybody's life
                until = min(start + timedelta(days=366), until or datetime.max)
            steps = _Expansion(rule, start, until, budget, horizon)
            found = steps.counted(since, want, keep) if rule.count is not None else steps.searched(since, want, keep)
            return Walk(found.times, found.ending, found.exact and not far)


def cut_off(
    rule: Rule, start: datetime, *, after: datetime, until: datetime, keep: Callable[[datetime], bool], budget: Budget
) -> datetime | None:
    """Return the last time behind `after`, at most `until`, that a rule without COUNT had if it did not end before.

    `until` itself where the budget is spent: in doubt the later end. All times are local and naive.
    """
    if rule.verdict is not Verdict.EXPAND or rule.count is not None:
        return None
    beyond = _Expansion(rule, start, until, budget, until)
    try:
        return max(filter(keep, beyond.times(max(after + timedelta(seconds=1), start))), default=None)
    except Spent:
        return until


@dataclass(frozen=True, slots=True)
class _Expansion:
    rule: Rule
    start: datetime
    until: datetime | None
    budget: Budget
    horizon: datetime

    def counted(self, since: datetime, want: int, keep: Callable[[datetime], bool]) -> Walk:
        """Walk a rule with COUNT: from the start, because each time counts."""
        times: list[datetime] = []
        last: datetime | None = None
        count = self.rule.count or 1
        seen = 0
        try:
            for time in islice(self.times(self.start), min(count, MAX_COUNT)):
                seen += 1
                if keep(time):
                    last = time
                    if time >= since and len(times) < want:
                        times.append(time)
        except Spent:
            return Walk(tuple(times), Ending.LOST, exact=False)
        if seen == MAX_COUNT < count:
            return Walk(tuple(times), Ending.LOST, exact=False)
        return _ended(times, last)

    def searched(self, since: datetime, want: int, keep: Callable[[datetime], bool]) -> Walk:
        """Walk a rule without COUNT: jump to `since`, and for the last time to just before UNTIL."""
        times: list[datetime] = []
        try:
            for time in islice(filter(keep, self.times(max(since, self.start))), want):
                times.append(time)  # one by one: what was found before the budget was spent stays
                if self.until is None and time > self.horizon:
                    break
        except Spent:
            return Walk(tuple(times), Ending.OPEN if self.until is None else Ending.LOST, exact=False)
        if self.until is None:
            return Walk(tuple(times), Ending.OPEN, exact=False)
        if 0 < len(times) < want:
            return _ended(times, times[-1])
        try:
            return _ended(times, self._last(self.until, keep))
        except Spent:
            return Walk(tuple(times), Ending.LOST, exact=False)

    def _last(self, until: datetime, keep: Callable[[datetime], bool]) -> datetime | None:
        century = _CENTURY[self.rule.freq or 0]
        span = timedelta(days=(36_525 // century + 2) * min(self.rule.interval, century))
        while True:
            since = max(self.start, until - span) if until - self.start > span else self.start
            last = None
            for time in self.times(since):
                last = time if keep(time) else last
            if last is not None or since == self.start:
                return last
            span *= 6

    def times(self, since: datetime) -> Iterator[datetime]:
        """Yield the rule's times from `since` to UNTIL, in order. Raises Spent."""
        try:
            for time in _dateutil(self.rule, self.start, since, self.budget):
                if self.until is not None and time > self.until:
                    return
                if time.year > LAST_YEAR:
                    return
                if time >= since and time >= self.start and _in_weeks(self.rule, time.date()):
                    self.budget.spend(1)
                    yield time
        except Spent:
            raise
        except (ValueError, OverflowError, IndexError, TypeError):  # dateutil at the end of the calendar
            return


def _ended(times: list[datetime], last: datetime | None) -> Walk:
    return Walk(tuple(sorted({*times, *([] if last is None else [last])})))


def _dateutil(rule: Rule, start: datetime, since: datetime, budget: Budget) -> rrule.rrule:
    """Return dateutil's rule, begun at the whole period at or before `since` that is in step with `start`.

    Whole periods, because dateutil counts BYSETPOS in what is left of the first one; what it takes from DTSTART is
    made explicit.
    """
    freq = rule.freq or rrule.YEARLY
    interval = min(rule.interval, _CENTURY[freq])
    step = _Step(interval)
    passed = (
        interval * 36_525 // _CENTURY[freq] // _DAYS_PASSED
    )  # dateutil walks over what lies between, month by month
    step.budget, step.cost = budget, _COST[freq] * (1 + len(rule.positions)) + passed
    months, monthdays, weekdays = rule.months, rule.monthdays, rule.weekdays
    if not (monthdays or weekdays or rule.yeardays or rule.weeknumbers):
        match freq:
            case rrule.YEARLY:
                months, monthdays = months or (start.month,), (start.day,)
            case rrule.MONTHLY:
                monthdays = (start.day,)
            case rrule.WEEKLY:
                weekdays = ((0, start.weekday()),)
    if rule.weeknumbers and not weekdays:
        weekdays = ((0, start.weekday()),)
    # Of weeks that lie in two years dateutil 2.9 numbers some wrongly: they are all taken, and `_in_weeks` sorts them out.
    weeknumbers = {*rule.weeknumbers, 1, -1} if rule.weeknumbers else None
    return rrule.rrule(
        freq,  # type: ignore[arg-type]
        dtstart=_period(freq, interval, rule.wkst, start, since),
        interval=step,
        wkst=rule.wkst,
        bymonth=months or None,
        bymonthday=monthdays or None,
        byyearday=rule.yeardays or None,
        byweekno=weeknumbers,
        byweekday=[rrule.weekday(day, ordinal) if ordinal else rrule.weekday(day) for ordinal, day in weekdays] or None,
        bysetpos=rule.positions or None,
        byhour=rule.hours or start.hour,
        byminute=rule.minutes or start.minute,
        bysecond=rule.seconds or start.second,
    )


def _in_weeks(rule: Rule, day: date) -> bool:
    """Say whether a day is in one of the rule's weeks; a week is of the year that has four of its days (RFC 5545 §3.3.10)."""
    if not rule.weeknumbers:
        return True
    fourth = day - timedelta(days=(day.weekday() - rule.wkst) % 7) + timedelta(days=3)
    number = (fourth.timetuple().tm_yday - 1) // 7 + 1
    after = (date(fourth.year, 12, 31) - fourth).days // 7  # weeks of that year that follow
    return number in rule.weeknumbers or -after - 1 in rule.weeknumbers


def _period(freq: int, interval: int, wkst: int, start: datetime, since: datetime) -> datetime:
    """Return the beginning of the last period at or before `since` that is in step with `start`."""
    since = max(since, start)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    match freq:
        case rrule.DAILY:
            return day + timedelta(days=(since - day).days // interval * interval)
        case rrule.WEEKLY:
            week = day - timedelta(days=(day.weekday() - wkst) % 7)
            return week + timedelta(weeks=(since - week).days // 7 // interval * interval)
        case rrule.MONTHLY:
            passed = (since.year - day.year) * 12 + since.month - day.month
            month = day.year * 12 + day.month - 1 + passed // interval * interval
            return day.replace(year=month // 12, month=month % 12 + 1, day=1)
        case _:
            return day.replace(year=day.year + (since.year - day.year) // interval * interval, month=1, day=1)
