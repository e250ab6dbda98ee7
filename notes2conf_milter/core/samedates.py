"""For the self-check: whether a rule gives the very dates of an event's RDATE lists. Shares no parser with the edit.

In:  the unfolded lines of one event and of its calendar, and the RRULE that took the place of the lists. Out: yes or no.
Lines are read by regular expressions; the rule, and the rules of the time zone, are expanded by python-dateutil. Few forms are
known here, and only rules that end soon: whatever is not known is a no.
Fails: never.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dateutil import rrule

_LINE = re.compile(rb'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:]*))*):(.*)', re.DOTALL)
_TIMES = re.compile(rb"DT(?:START|END)|DURATION|[RE]X?(?:RULE|DATE)|RECURRENCE-ID", re.IGNORECASE)
_PARAMETER = re.compile(rb';([A-Za-z0-9-]+)=("[^"]*"|[^";:]*)')
_DAY = rb"(?:MO|TU|WE|TH|FR|SA|SU)"
_RULE = re.compile(
    rb"(?!FREQ=(?:DAILY|WEEKLY).*BYDAY=[-1-4])"  # RFC 5545 §3.3.10: no ordinals there; some libraries pass over them
    rb"FREQ=(?:DAILY|WEEKLY|MONTHLY|YEARLY);COUNT=[0-9]{1,3}(?:;INTERVAL=[0-9]{1,3})?"
    rb"(?:;BYDAY=(?:-1|[1-4])?"
    + _DAY
    + rb"(?:,"
    + _DAY
    + rb")*|;BYMONTHDAY=[12]?[0-9])?(?:;BYMONTH=1?[0-9])?(?:;WKST=MO)?"
)
_TIME = re.compile(rb"((?:19[7-9]|2[01][0-9])[0-9]{5})(?:T([0-9]{6})(Z?))?")
_PERIOD = re.compile(rb"P(?:([0-9]{1,3})D)?(?:T(?:([0-9]{1,4})H)?(?:([0-9]{1,4})M)?(?:([0-9]{1,6})S)?)?")
_ZONE = re.compile(rb"BEGIN:VTIMEZONE\n(.*?)\nEND:VTIMEZONE(?:\n|\Z)", re.DOTALL)
_TZID = re.compile(rb'^TZID:"?([^"\n]+?)"?[ \t]*$', re.MULTILINE)
_CHANGES = re.compile(rb"BEGIN:(?:STANDARD|DAYLIGHT)\n(.*?)\nEND:(?:STANDARD|DAYLIGHT)(?:\n|\Z)", re.DOTALL)
# What a zone's own rule may say: one month, one weekday of it that every month has, one hour.
_YEARLY = re.compile(
    rb"(?:(?:FREQ=YEARLY|INTERVAL=1|BY(?:MINUTE|SECOND)=0|BYHOUR=[0-9]{1,2}|BYDAY=-?[1-4]"
    + _DAY
    + rb"|WKST="
    + _DAY
    + rb"|BYMONTH=(?:1[0-2]|[1-9]))(?:;|\Z))+"
)
_MOST_CHANGES = 4
_LAST_YEAR = 2200


class _Unknown(Exception):
    """A form that is not known here."""


def same_dates(event: Sequence[bytes], calendar: Sequence[bytes], rule: bytes) -> bool:
    """Say whether DTSTART and the RDATEs of `event` are what the RRULE line `rule` gives, each as long as the event."""
    try:
        read = _Event(event, calendar)
        return read.takes_place() == _by(rule, read.start.local)
    except (_Unknown, ValueError, OverflowError):
        return False


@dataclass(frozen=True, slots=True)
class _At:
    """A time as written. zone: TZID, or "Z", or nothing."""

    local: datetime
    zone: bytes
    day: bool


def _by(rule: bytes, start: datetime) -> set[datetime]:
    value = rule.removeprefix(b"RRULE:")
    if value == rule or not _RULE.fullmatch(value):
        raise _Unknown
    expanded = rrule.rrulestr(value.decode("ascii"), dtstart=start)
    found = set(expanded)
    if min(found, default=None) != start:
        raise _Unknown
    return found


class _Event:
    """The lines of one event that say when it takes place."""

    def __init__(self, event: Sequence[bytes], calendar: Sequence[bytes]) -> None:
        self._lines: dict[bytes, list[tuple[dict[bytes, bytes], bytes]]] = {}
        for text in event:
            found = _LINE.fullmatch(text)
            if found is None:
                if _TIMES.match(text):
                    raise _Unknown
            else:
                parameters = {one[1].upper(): one[2].strip(b'"') for one in _PARAMETER.finditer(found[2])}
                self._lines.setdefault(found[1].upper(), []).append((parameters, found[3].strip()))
        if any(name in self._lines for name in (b"RRULE", b"EXRULE", b"EXDATE", b"RECURRENCE-ID")):
            raise _Unknown
        self._calendar = b"\n".join(calendar)
        self._clock: _Clock | None = None
        self.start = _at(*self._one(b"DTSTART"))

    def takes_place(self) -> set[datetime]:
        """Return when, on the clock of DTSTART's zone."""
        found = {self.start.local}
        for parameters, value in self._lines[b"RDATE"]:
            for text in value.split(b","):
                begin, _, end = text.partition(b"/")
                if (parameters.get(b"VALUE", b"").upper() == b"PERIOD") != bool(end):
                    raise _Unknown
                at = _at(parameters, begin)
                local = self._local(at)
                if end and self._end(parameters, at, end) != local + self._length():
                    raise _Unknown
                found.add(local)
        return found

    def _one(self, name: bytes) -> tuple[dict[bytes, bytes], bytes]:
        if len(self._lines.get(name, ())) != 1:
            raise _Unknown
        return self._lines[name][0]

    def _local(self, at: _At) -> datetime:
        start = self.start
        if at.day != start.day:
            raise _Unknown
        if at.zone == start.zone:
            return at.local
        if at.zone != b"Z" or not start.zone:
            raise _Unknown
        if self._clock is None:
            self._clock = _Clock(self._calendar, start.zone)
        return self._clock.local(at.local)

    def _end(self, parameters: dict[bytes, bytes], at: _At, end: bytes) -> datetime:
        """Return the end of a period on the clock, seen to be as long on a stopwatch."""
        took = _duration(end) if end.startswith(b"P") else None
        last = _at(parameters, end) if took is None else _At(at.local + took, at.zone, at.day)
        if last.zone != at.zone or last.local - at.local != self._length():
            raise _Unknown
        return self._local(last)

    def _length(self) -> timedelta:
        if b"DURATION" in self._lines:
            if b"DTEND" in self._lines:
                raise _Unknown
            return _duration(self._one(b"DURATION")[1])
        end = _at(*self._one(b"DTEND"))
        if (end.zone, end.day) != (self.start.zone, self.start.day) or end.local <= self.start.local:
            raise _Unknown
        return end.local - self.start.local


def _at(parameters: dict[bytes, bytes], value: bytes) -> _At:
    found = _TIME.fullmatch(value)
    if found is None:
        raise _Unknown
    text = (found[1] + (found[2] or b"000000")).decode("ascii")
    zone = b"Z" if found[3] else parameters.get(b"TZID", b"") if found[2] else b""
    return _At(datetime.strptime(text, "%Y%m%d%H%M%S"), zone, found[2] is None)


def _duration(text: bytes) -> timedelta:
    found = _PERIOD.fullmatch(text)
    days, hours, minutes, seconds = (int(one or 0) for one in found.groups()) if found else (0, 0, 0, 0)
    took = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not took:
        raise _Unknown
    return took


# --- the zone ---


class _Clock:
    """A zone as the calendar defines it: when its clocks are set, and how far east of UTC they go from then on."""

    def __init__(self, calendar: bytes, tzid: bytes) -> None:
        zones = [found[1] for found in _ZONE.finditer(calendar)]
        zones = [zone for zone in zones if (name := _TZID.search(zone)) is not None and name[1] == tzid]
        kinds = [one[1] for zone in zones for one in _CHANGES.finditer(zone)]
        if len(zones) != 1 or not 1 <= len(kinds) <= _MOST_CHANGES:
            raise _Unknown
        self._settings = sorted(setting for kind in kinds for setting in _settings(kind))
        self._offsets = {east for _, east in self._settings}

    def local(self, utc: datetime) -> datetime:
        """Return the local time at `utc`; of one that comes twice the first is meant (RFC 5545 §3.3.5)."""
        local = utc + self._east(utc)
        if any(local - east < utc and self._east(local - east) == east for east in self._offsets):
            raise _Unknown
        return local

    def _east(self, utc: datetime) -> timedelta:
        at = bisect_right(self._settings, utc, key=lambda setting: setting[0])
        if not at:
            raise _Unknown
        return self._settings[at - 1][1]


def _settings(kind: bytes) -> Iterator[tuple[datetime, timedelta]]:
    """Yield when clocks are set by one STANDARD or DAYLIGHT, in UTC, and to what."""
    said = {name: value for name, _, value in (line.partition(b":") for line in kind.split(b"\n"))}
    if any(re.match(rb"RDATE|EX|RRULE;", name) for name in said):
        raise _Unknown
    rule, before, after = said.get(b"RRULE"), _offset(said.get(b"TZOFFSETFROM")), _offset(said.get(b"TZOFFSETTO"))
    start = datetime.strptime(said.get(b"DTSTART", b"").decode("ascii", "replace"), "%Y%m%dT%H%M%S")
    if rule is None:
        yield start - before, after
        return
    if not (_YEARLY.fullmatch(rule) and b"BYMONTH=" in rule and b"BYDAY=" in rule):
        raise _Unknown
    for local in rrule.rrulestr(rule.decode("ascii"), dtstart=start):
        if local.year > _LAST_YEAR:
            return
        yield local - before, after


def _offset(text: bytes | None) -> timedelta:
    found = re.fullmatch(rb"([+-])([01][0-9])([0-5][0-9])", (text or b"").strip())
    if found is None:
        raise _Unknown
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -size if found[1] == b"-" else size
