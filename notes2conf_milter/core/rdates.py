"""RDATE lists without RRULE, which Notes makes of a series that was moved: the rule that says the same, and the edit.

In:  an invitation. Out: the edits of its calendars, all with the same rule, or the sentence that says why there are none; None
     where no event has RDATE without RRULE.
The times are compared on the clock of DTSTART's zone. Notes writes them in UTC: then the calendar must define the zone, what
its name means elsewhere must agree, and of a time that comes twice in a night only the first has a rule (RFC 5545 §3.3.5).
Fails: never. Bounded: _MOST_DATES.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from notes2conf_milter.core.contentlines import Component, ContentLine, fold, line_end
from notes2conf_milter.core.instants import Moment, duration, moment, moments
from notes2conf_milter.core.invitation import Copy, Invitation
from notes2conf_milter.core.shortrule import MAX_COUNT, short_rule
from notes2conf_milter.core.transfer import Splice
from notes2conf_milter.core.zones import UTC, Zones

_BESIDE = (b"EXDATE", b"EXRULE", b"RECURRENCE-ID")
_MOST_DATES = 2 * MAX_COUNT  # of all copies
_YEARS = range(1970, 2200)
_UNLIKE = "The copies of the calendar in the message do not say the same."
_SEVERAL = "More than one event has such a list, or there is EXDATE, EXRULE or RECURRENCE-ID beside it."
_FORM = "A time in it, or the event's own, has a form or a zone that is not computed with."
_LENGTHS = "Its dates do not all take as long as the event."
_NO_RULE = "No simple rule gives the same dates."


@dataclass(frozen=True, slots=True)
class Ruled:
    """The edits. rule: the whole RRULE property. calendars: splices of the octets of each copy, by its body_start."""

    rule: bytes
    calendars: dict[int, tuple[Splice, ...]]


class _No(Exception):
    """No rule says the same; the text is the sentence that says why."""


def ruled(invitation: Invitation) -> Ruled | str | None:
    """Return the edits that put an RRULE in the place of RDATE, why that is not possible, or None."""
    lists = [(copy, [event for event in copy.events if _list_alone(event)]) for copy in invitation.copies]
    if not any(events for _, events in lists):
        return None
    if any(len(events) != 1 for _, events in lists):
        return _SEVERAL if all(events for _, events in lists) else _UNLIKE
    if any(b"\0" in copy.octets for copy in invitation.copies):  # nearer to the beginning it would look like UTF-16
        return _FORM
    if sum(_size(event) for _, events in lists for event in events) > _MOST_DATES:
        return _NO_RULE
    try:
        rules = {_Series(copy, events[0]).rule() for copy, events in lists}
    except _No as no:
        return str(no)
    if len(rules) > 1:
        return _UNLIKE
    rule = b"RRULE:" + rules.pop().encode("ascii")
    return Ruled(rule, {copy.part.header.body_start: _splices(copy, events[0], rule) for copy, events in lists})


def _list_alone(event: Component) -> bool:
    return bool(event.first(b"RDATE")) and not event.first(b"RRULE")


def _size(event: Component) -> int:
    """Return how many values the lists have."""
    return sum(line.value.count(b",") + 1 for line in event.all(b"RDATE"))


def _splices(copy: Copy, event: Component, rule: bytes) -> tuple[Splice, ...]:
    """Return the splices: the rule in the place of the first list, before its line end; further lists go."""
    first, *others = event.all(b"RDATE")
    text = fold(rule, at=0, eol=line_end(copy.octets, first))
    return (Splice(first.start, first.end, text), *(Splice(line.start, line.next, b"") for line in others))


class _Series:
    """One event with a list of dates."""

    def __init__(self, copy: Copy, event: Component) -> None:
        self._event, self._zones = event, Zones(copy.calendar)
        if any(event.first(name) for name in _BESIDE):
            raise _No(_SEVERAL)
        self._dtstart = self._only(b"DTSTART")
        self._start = self._moment(self._dtstart)
        tzid = _tzid(self._dtstart)
        defined = {
            zone.value.strip().strip(b'"') for one in copy.calendar.within(b"VTIMEZONE") for zone in one.all(b"TZID")
        }
        self._converts = self._start.zone is UTC or tzid in defined

    def rule(self) -> str:
        """Return the value of the RRULE. Raises _No."""
        start, lines = self._start, self._event.all(b"RDATE")
        if _size(self._event) > MAX_COUNT:
            raise _No(_NO_RULE)
        kinds = {line.params().get(b"VALUE", b"DATE-TIME").upper() for line in lines}
        if len(kinds) > 1 or (b"DATE" in kinds) != start.all_day:
            raise _No(_FORM)
        locals_ = {start.local, *(local for line in lines for local in self._dates(line, periods=b"PERIOD" in kinds))}
        if min(locals_) < start.local or any(local.time() != start.local.time() for local in locals_):
            raise _No(_NO_RULE)
        rule = short_rule([local.date() for local in sorted(locals_)])
        if rule is None:
            raise _No(_NO_RULE)
        return rule

    def _dates(self, line: ContentLine, *, periods: bool) -> Iterator[datetime]:
        """Yield the starts in a list, on the clock of DTSTART's zone."""
        found = list(moments(line, self._zones, self._start, limit=MAX_COUNT))
        if len(found) != line.value.count(b",") + 1:
            raise _No(_FORM)
        for at, took in found:
            if periods != (took is not None):
                raise _No(_FORM)
            local = self._local(line, at)
            if took is not None and not self._as_long(at, local, took.approximately()):
                raise _No(_LENGTHS)
            yield local

    def _local(self, line: ContentLine, at: Moment) -> datetime:
        zone = self._start.zone
        local = at.local
        if at.zone is UTC and zone is not UTC:
            for _ in range(2):
                local = at.local + timedelta(seconds=zone.offset_at(local))
        elif at.zone is not UTC and _tzid(line) != _tzid(self._dtstart):
            raise _No(_FORM)
        self._believe(at, local)
        return local

    def _believe(self, at: Moment, local: datetime) -> None:
        """Raise _No unless `local` is the one time on the clock that is `at`, whoever computes it."""
        zone = self._start.zone
        if local.year not in _YEARS:
            raise _No(_FORM)
        if at.zone is not UTC or zone is UTC:
            return
        agreed = zone.named is None or zone.named(local) == zone.offset_at(local)
        told = self._start.at(local)
        if zone.floating or not self._converts or not agreed or told.skipped() or told.seconds() != at.seconds():
            raise _No(_FORM)

    def _as_long(self, at: Moment, local: datetime, seconds: int) -> bool:
        """Say whether a period of so many seconds is as long as the event, on the clock as well, which shows its end."""
        length = timedelta(seconds=self._length())
        end = self._start.at(local + length)
        if length.total_seconds() != seconds or end.skipped():
            return False
        return at.zone is not UTC or end.seconds() == at.seconds() + seconds

    def _length(self) -> int:
        """Return the seconds that the event lasts. Raises _No."""
        start, ends, durations = self._start, self._event.all(b"DTEND"), self._event.all(b"DURATION")
        if len(ends) + len(durations) != 1:
            raise _No(_LENGTHS)
        if durations:
            took = duration(durations[0])
            if took is None:
                raise _No(_FORM)
            return took.approximately()
        end = self._moment(ends[0])
        took_seconds = end.seconds() - start.seconds()
        if _tzid(ends[0]) != _tzid(self._dtstart) or end.local - start.local != timedelta(seconds=took_seconds):
            raise _No(_LENGTHS)
        return took_seconds

    def _only(self, name: bytes) -> ContentLine:
        lines = self._event.all(name)
        if len(lines) != 1:
            raise _No(_FORM)
        return lines[0]

    def _moment(self, line: ContentLine) -> Moment:
        found = moment(line, self._zones, None)
        if found is None or b"," in line.value:
            raise _No(_FORM)
        return found


def _tzid(line: ContentLine) -> bytes:
    return line.params().get(b"TZID", b"")
