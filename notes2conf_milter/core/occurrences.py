"""When a meeting takes place, and when it is over (RFC 5545 §3.8.5, RFC 5546 §2.1.4).

In:  a VCALENDAR, the UID of the meeting, the time now. Out: a `Schedule`.
Fails: `ScheduleError` when no event of the meeting has a DTSTART that can be read; nothing else, whatever the octets.
Bounded: of everything that a message can multiply (events, rules, dates, periods searched) a fixed number is looked at;
where that was not enough, `exact` is False and `over_at` is the later reading.

Nobody's meeting is over early: in doubt the later end counts. Floating times and whole days end with the day at UTC-12.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import islice

from notes2conf_milter.core import recurrence, rules
from notes2conf_milter.core.contentlines import Component
from notes2conf_milter.core.instants import (
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
    on_clock,
)
from notes2conf_milter.core.meeting import NOWHERE, Occurrence
from notes2conf_milter.core.recurrence import Budget, Ending
from notes2conf_milter.core.zones import Zones

MAX_EVENTS = 1_000
MAX_MASTERS = 4
MAX_RULES = 4  # of one event
MAX_DATES = 4_000  # RDATE and EXDATE values of one message
_ONE_HOUR = Length(0, 3600)
_ONE_DAY = Length(86_400, 0)
_FARTHEST_EAST = timedelta(hours=14)


class ScheduleError(ValueError):
    """No event of the meeting says when it starts."""


@dataclass(frozen=True, slots=True)
class Apart:
    """An instance of which a message speaks apart.

    original: the start that the series has for it, seconds since 1970 UTC; a date is midnight UTC. time: when it takes place
    instead, None when it is cancelled. over_at: when it is over, seconds since 1970 UTC. event: the VEVENT. onward: all that
    follow are put off as it is (RANGE=THISANDFUTURE).
    """

    original: int
    time: Occurrence | None
    over_at: int
    event: Component
    onward: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a meeting takes place, as one message tells it.

    times: the current and next occurrences, in order; of a meeting that is over, the last one; empty when every event is
    cancelled, or when nobody computed when a series goes on. over_at: seconds since 1970 UTC when the last occurrence is over.
    recurring: the meeting is one of a series.

    For messages that change single instances of a series, and for those that cancel some:
    exact: False where over_at is a bound (no end, a cap, a rule not expanded). partial: the message holds only instances
    (RECURRENCE-ID), so that times and over_at are theirs and not the series'. apart: those instances, moved or cancelled. lag:
    seconds from the end of the last occurrence that is listed until it is over wherever it is read. complete: all that come are
    listed. endless: over_at is no end of its own, but how long it is kept. shared: starts that the series has itself, and an
    instance was moved to besides.
    """

    times: tuple[Occurrence, ...]
    over_at: int
    recurring: bool
    exact: bool
    partial: bool = False
    apart: tuple[Apart, ...] = ()
    lag: int = 0
    complete: bool = True
    endless: bool = False
    shared: tuple[int, ...] = ()

    @property
    def replaced(self) -> tuple[int, ...]:
        """The starts that the series has for those instances, seconds since 1970 UTC."""
        return tuple(one.original for one in self.apart)


@dataclass(frozen=True, slots=True)
class _Taking:
    """One occurrence, and when it is over wherever it is read."""

    shown: Occurrence
    over: int


@dataclass(slots=True)
class _Gathered:
    """What has been found so far, by start."""

    now: int
    want: int
    open_ended: int  # seconds after `now` that a series without an end is kept
    budget: Budget = field(default_factory=Budget)
    dates: int = MAX_DATES  # how many RDATE and EXDATE values may still be read
    taking: dict[int, _Taking] = field(default_factory=dict)
    bound: int | None = None  # the UNTIL of a rule that was not expanded, its last possible end
    later_by: int = 0  # seconds that a THISANDFUTURE may move the end
    length: Length = _ONE_HOUR  # the series'
    open_end: bool = False
    exact: bool = True

    def add(self, start: Moment, length: Length) -> None:
        """Add an occurrence; of two with the same start the longer one counts."""
        shown = _occurrence(start, length)
        found = _Taking(shown, shown.end + late(start))
        if shown.start not in self.taking or self.taking[shown.start].over < found.over:
            self.taking[shown.start] = found


def _occurrence(start: Moment, length: Length) -> Occurrence:
    offset, zone = start.zone.offset_at(start.local), start.zone.name_at(start.local)
    if start.zone.floating and not start.all_day:
        zone = NOWHERE
    return Occurrence(start.seconds(), end_of(start, length), zone, offset, start.all_day)


@dataclass(slots=True)
class _Gone:
    """The starts that do not take place: EXDATEs and instances that are told apart; a date means any time of that day."""

    instants: set[int] = field(default_factory=set)
    days: set[date] = field(default_factory=set)

    def add(self, originals: Iterable[Moment], series: Moment | None) -> None:
        """Add starts as a series that begins at `series` has them."""
        for original in originals:
            if series is not None and series.all_day:
                self.instants.add(_like(series, original).seconds())
            elif original.all_day:
                self.days.add(original.local.date())
            else:
                self.instants.add(original.seconds())

    def holds(self, start: Moment) -> bool:
        return (bool(self.instants) and start.seconds() in self.instants) or start.local.date() in self.days


def schedule(
    calendar: Component, uid: bytes, now: int, *, open_ended_seconds: int = 730 * 86_400, max_times: int = 50
) -> Schedule:
    """Return when the meeting `uid` of a VCALENDAR takes place, seen from `now` (seconds since 1970 UTC).

    open_ended_seconds: how long after `now` a series without an end counts as over, but never before its next occurrence is.
    max_times: how many occurrences are listed. Raises ScheduleError when no event has a DTSTART that can be read.
    """
    wanted = uid.strip()
    events = [event for event in calendar.within(b"VEVENT") if _value(event, b"UID") == wanted]
    gathered = _Gathered(now, max(1, max_times), open_ended_seconds)
    if len(events) > MAX_EVENTS:
        events, gathered.open_end = events[:MAX_EVENTS], True
    zones = Zones(calendar)
    masters = [event for event in events if event.first(b"RECURRENCE-ID") is None]
    starts = [(event, start) for event in masters if (start := _start(event, zones)) is not None]
    first = starts[0][1] if starts else None
    instances = _instances(events, zones, first)
    if first is None and not any(instance.start for instance in instances):
        raise ScheduleError("no DTSTART that can be read")
    gone = _Gone()
    gone.add((instance.original for instance in instances), first)
    for event, start in starts[:MAX_MASTERS]:
        if not _cancelled(event):
            _gather_series(event, start, zones, gathered, gone)
    gathered.open_end |= len(starts) > MAX_MASTERS
    own = set(gathered.taking)
    for instance in instances:
        _gather_instance(instance, gathered)
    recurring = any(event.first(name) for event in events for name in (b"RRULE", b"RDATE", b"RECURRENCE-ID"))
    apart = [_apart(one) for one in instances]
    shared = tuple(sorted({one.time.start for one in apart if one.time is not None} & own))
    return replace(_schedule(gathered, recurring, partial=first is None, apart=apart), shared=shared)


def _schedule(found: _Gathered, recurring: bool, *, partial: bool, apart: list[Apart]) -> Schedule:
    taking = sorted(found.taking.values(), key=lambda one: (one.shown.start, one.over))
    coming = [one for one in taking if one.over > found.now]
    exact = found.exact and not found.open_end
    if found.open_end:
        over = max(found.now + found.open_ended, coming[0].over if coming else 0)
        coming = [one for one in coming if one.over <= over]
    else:
        ends = [one.over for one in taking] + ([] if found.bound is None else [found.bound])
        over = max(ends) + found.later_by if ends else found.now  # none: every event is cancelled or excluded
    if not coming and taking:
        coming = [max(taking, key=lambda one: (one.over, one.shown.start))]
    listed = coming[: found.want]
    lag = max((one.over - one.shown.end for one in listed), default=0)
    times = tuple(one.shown for one in listed)
    exact = exact and over < LATEST
    apart = sorted(apart, key=lambda one: one.original)
    complete = exact and len(coming) <= found.want
    return Schedule(times, min(over, LATEST), recurring, exact, partial, tuple(apart), lag, complete, found.open_end)


def _value(event: Component, name: bytes) -> bytes:
    line = event.first(name)
    return b"" if line is None else line.value.strip()


def _cancelled(event: Component) -> bool:
    return _value(event, b"STATUS").upper() == b"CANCELLED"


def _start(event: Component, zones: Zones) -> Moment | None:
    line = event.first(b"DTSTART")
    return None if line is None else moment(line, zones)


def _length(event: Component, start: Moment, zones: Zones) -> tuple[Length, bool]:
    """Return how long an event lasts, and whether that can be believed; else one hour or one day (RFC 5545 §3.6.1)."""
    length: Length | None = None
    if (line := event.first(b"DTEND")) is not None:
        end = moment(line, zones, start)
        length = None if end is None else between(start, end)
    if length is None and (line := event.first(b"DURATION")) is not None:
        length = duration(line)
    if length is not None:
        return length, True
    told = event.first(b"DTEND") is not None or event.first(b"DURATION") is not None
    return _ONE_DAY if start.all_day else _ONE_HOUR, not told


@dataclass(frozen=True, slots=True)
class _Instance:
    """A VEVENT with RECURRENCE-ID. start: None only when it is cancelled. onward: RANGE=THISANDFUTURE."""

    original: Moment
    start: Moment | None
    length: Length
    onward: bool
    cancelled: bool
    event: Component


def _apart(instance: _Instance) -> Apart:
    original, start = instance.original.seconds(), instance.start
    if instance.cancelled or start is None:
        return Apart(original, None, original, instance.event)
    shown = _occurrence(start, instance.length)
    return Apart(original, shown, shown.end + late(start), instance.event, instance.onward)


def _instances(events: Iterable[Component], zones: Zones, master: Moment | None) -> list[_Instance]:
    """Return the overrides, one for each RECURRENCE-ID: the last in the message."""
    found: dict[int, _Instance] = {}
    for event in events:
        line = event.first(b"RECURRENCE-ID")
        if line is None:
            continue
        start = _start(event, zones)
        original = moment(line, zones, master or start)
        if original is None:
            original = start
        if original is None:
            continue
        if start is None and not _cancelled(event):
            continue
        like = master
        if master is None and start is not None and start.all_day and original.local.time() == time():
            like = start  # Exchange: of a series of whole days; the message is about this one alone
        if like is not None:
            original = _like(like, original)
        length = _ONE_HOUR if start is None else _length(event, start, zones)[0]
        onward = line.params().get(b"RANGE", b"").upper() == b"THISANDFUTURE"  # RFC 5545 §3.2.13
        found[original.seconds()] = _Instance(original, start, length, onward, _cancelled(event), event)
    return list(found.values())


def _gather_instance(instance: _Instance, found: _Gathered) -> None:
    if instance.onward:
        found.exact = False
    if instance.cancelled or instance.start is None:
        return
    found.add(instance.start, instance.length)
    if instance.onward:  # the later ones move with it; we know only where they were
        moved = instance.start.seconds() - instance.original.seconds()
        longer = instance.length.approximately() - found.length.approximately()
        found.later_by = max(found.later_by, moved + longer)


def _gather_series(event: Component, start: Moment, zones: Zones, found: _Gathered, instances: _Gone) -> None:
    """Gather what a VEVENT without RECURRENCE-ID says: DTSTART, RDATE and RRULE less EXDATE."""
    length, told = _length(event, start, zones)
    found.length = length
    found.exact &= told and not event.all(b"EXRULE")  # RFC 2445's EXRULE: not subtracted, so never early
    gone = _Gone(set(instances.instants), set(instances.days))
    gone.add((at for at, _ in _dates(event, b"EXDATE", start, zones, found)), start)
    for at, took in [(start, None), *_dates(event, b"RDATE", start, zones, found)]:
        at = _like(start, at)
        if not gone.holds(at):
            found.add(at, took or length)
    lines = event.all(b"RRULE")
    found.open_end |= len(lines) > MAX_RULES
    for line in lines[:MAX_RULES]:
        _gather_rule(rules.read(line.value, all_day=start.all_day), start, length, found, gone)


def _dates(
    event: Component, name: bytes, start: Moment, zones: Zones, found: _Gathered
) -> list[tuple[Moment, Length | None]]:
    """Return the values of all RDATE or EXDATE lines; past MAX_DATES the rest of an RDATE may be anywhere."""
    most = found.dates
    every = (value for line in event.all(name) for value in moments(line, zones, start, limit=most + 1))
    values = list(islice(every, most + 1))
    if len(values) > most:
        found.exact = False
        found.open_end |= name == b"RDATE"
    found.dates = max(0, most - len(values))
    return values[:most]


def _like(start: Moment, other: Moment) -> Moment:
    """Return `other` as the series has it: on its clocks; a date among times as a time, a time among dates as a date."""
    if other.all_day == start.all_day:
        return other.on_clock(start.zone)
    if other.all_day:
        return start.at(datetime.combine(other.local.date(), start.local.time()))
    nearest = other.local + timedelta(hours=12)  # Exchange: the day's midnight, in some zone or UTC
    return start.at(datetime.combine(nearest.date(), time()))


def _gather_rule(rule: rules.Rule, start: Moment, length: Length, found: _Gathered, gone: _Gone) -> None:
    until = None if rule.until is None else _until(rule.until, start)
    early = length.approximately() + late(start) + 3600
    since = local_time(found.now - early)
    walk = recurrence.walk(
        rule,
        start.local,
        since=since + timedelta(seconds=start.zone.offset_at(since)),
        until=until,
        want=found.want + 1,  # one may be over since less than the hour above
        keep=lambda local: not gone.holds(start.at(local)),
        budget=found.budget,
        horizon=local_time(found.now + found.open_ended + 86_400),  # whatever the zone
    )
    for local in walk.times:
        found.add(start.at(local), length)
    found.exact &= walk.exact
    if until is not None and walk.ending is Ending.LAST:
        _gather_cut_off(rule, until, start, length, found, gone)
    if walk.ending is Ending.OPEN or (walk.ending is Ending.LOST and until is None):
        found.open_end = True
    elif walk.ending is Ending.LOST and until is not None:
        last = start.at(max(until, start.local))
        found.bound = max(found.bound or 0, end_of(last, length) + late(last))


def _gather_cut_off(
    rule: rules.Rule, until: datetime, start: Moment, length: Length, found: _Gathered, gone: _Gone
) -> None:
    """Gather the date that UNTIL cuts off within its day, which the producer may mean: it is not shown, and counts for the end.

    Seen are midnight for the whole day, and UTC of before the clocks were set.
    """
    day_ends = datetime.combine(until.date(), time(23, 59, 59))
    if start.zone.floating and isinstance(rule.until, datetime) and rule.until.tzinfo is not None:
        day_ends += _FARTHEST_EAST  # UTC beside a time of no zone is some other day's evening
    local = recurrence.cut_off(
        rule,
        start.local,
        after=until,
        until=day_ends,
        keep=lambda local: not gone.holds(start.at(local)),
        budget=found.budget,
    )
    if local is not None:
        last = start.at(local)
        found.bound = max(found.bound or 0, end_of(last, length) + late(last))
        found.exact = False


def _until(until: date | datetime, start: Moment) -> datetime:
    """Return UNTIL as local time of DTSTART's zone, inclusive (RFC 5545 §3.3.10); a date includes its whole day."""
    if not isinstance(until, datetime):
        return datetime.combine(until, time(23, 59, 59))
    local = until.replace(tzinfo=None)
    if until.tzinfo is None or start.zone.floating:
        return local
    return on_clock(local, start.zone)
