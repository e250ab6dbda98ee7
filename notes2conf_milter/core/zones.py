"""Time zones as calendars name them: from a TZID to seconds east of UTC.

In:  a VCALENDAR, and the TZID of one of its properties. Out: a `Zone`. Asked, in this order: the message's own
     VTIMEZONE, IANA's names, Windows' names (CLDR), Notes' names, a plain `UTC+1`; what none of them knows is FLOATING.
Fails: never. Bounded: after MAX_NAMES different names a calendar's further ones are floating.
The one thing read from outside is the zone data behind zoneinfo; no name leads it out of that folder.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from notes2conf_milter.core.contentlines import Component, unescape
from notes2conf_milter.core.vtimezone import Allowance, OffsetAt, offsets

MAX_NAMES = 40
_WINDOWS = {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}
# Notes names a zone as Windows does, without "Standard Time" (`W. Europe`, `Romance`, `GMT` for London); these differ.
_NOTES = {
    "beijing": "Asia/Shanghai",
    "ceylon": "Asia/Colombo",
    "jerusalem": "Asia/Jerusalem",
    "mexico": "America/Mexico_City",
    "prague bratislava": "Europe/Prague",
    "sydney": "Australia/Sydney",
}
_IANA = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
# The machine's own zone, no zone, and the copies that count leap seconds are no zone names for a message.
_NOT_ZONES = frozenset({"localtime", "posixrules", "Factory", "leapseconds"})
_FIXED = re.compile(r"(?:UTC|GMT)([+-])([0-9]{1,2})(?::?([0-5][0-9]))?", re.IGNORECASE)
_NOISE = re.compile(rb'[\s"\\:]+')  # what differs between a zone's definition and the references to it


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone. name: IANA name or "". offset_at: local time -> seconds east of UTC. floating: the reader's own."""

    name: str
    offset_at: OffsetAt
    floating: bool = False
    named: OffsetAt | None = None  # what the zone data says under `name`, where offset_at is the message's own

    def name_at(self, local: datetime) -> str:
        """Return the IANA name when it has the offset that counts at `local`, else ""."""
        return self.name if self.named is None or self.named(local) == self.offset_at(local) else ""


def _fixed(seconds: int) -> OffsetAt:
    return lambda _local: seconds


UTC = Zone("UTC", _fixed(0))
FLOATING = Zone("", _fixed(0), floating=True)


class Zones:
    """The zones of one calendar: its own VTIMEZONEs and, behind them, the names the world knows."""

    def __init__(self, calendar: Component) -> None:
        self._defined: dict[bytes, Component] = {}
        for component in calendar.within(b"VTIMEZONE"):
            if key := _key(_value(component, b"TZID")):
                self._defined.setdefault(key, component)
        producer = _value(calendar, b"PRODID")
        self._notes = b"Lotus" in producer or b"HCL" in producer
        self._found: dict[bytes, Zone] = {}
        self._allowance = Allowance()

    def find(self, tzid: bytes) -> Zone:
        """Return the zone that a TZID parameter (without quotes, RFC 5545 §3.2.19) means; FLOATING when nobody knows it."""
        key = _key(tzid)
        if key not in self._found:
            if len(self._found) >= MAX_NAMES:
                return FLOATING
            self._found[key] = self._find(key, tzid)
        return self._found[key]

    def _find(self, key: bytes, tzid: bytes) -> Zone:
        name = _text(tzid)
        component = self._defined.get(key)
        if component is None:
            zone = named(name, notes=self._notes)
            if zone is None and len(self._defined) == 1:  # a misspelt reference to the only zone there is
                (component,) = self._defined.values()
                name = _text(_value(component, b"TZID"))
            else:
                return zone or FLOATING
        known = named(name, notes=self._notes) or _location(component)
        own = offsets(component, None if known is None else known.offset_at, self._allowance)
        if own is None:
            return known or FLOATING
        return Zone("", own) if known is None else Zone(known.name, own, named=known.offset_at)


def named(name: str, *, notes: bool = False) -> Zone | None:
    """Return the zone known as `name` to IANA, Windows or Notes, or None. notes: Notes' meaning first (`GMT` is London)."""
    name = name.strip()
    if name.casefold() in ("utc", "z", "etc/utc", "tzone://microsoft/utc"):
        return UTC
    for source in (_notes, _iana, _windows) if notes else (_iana, _windows, _notes):
        for iana in source(name):
            if (offset_at := _zone_data(iana)) is not None:
                return Zone(iana, offset_at)
    return _utc_plus(name)


def _iana(name: str) -> Iterator[str]:
    yield name
    if name.startswith("/"):  # /mozilla.org/20050126_1/Europe/Berlin, /freeassociation.sourceforge.net/Europe/Berlin
        parts = name.split("/")
        yield from islice(("/".join(parts[at:]) for at in range(max(2, len(parts) - 3), len(parts))), 3)


def _windows(name: str) -> Iterator[str]:
    if (found := _WINDOWS.get(name.casefold())) is not None:
        yield found


def _notes(name: str) -> Iterator[str]:
    folded = name.casefold()
    if (found := _NOTES.get(folded) or _WINDOWS.get(folded + " standard time")) is not None:
        yield found


def _zone_data(name: str) -> OffsetAt | None:
    """Return the offsets of an IANA zone; None for what is none, as folders (`Pacific`) and paths (`../etc/passwd`)."""
    if len(name) > 64 or name in _NOT_ZONES or name.startswith(("posix/", "right/")) or not _IANA.fullmatch(name):
        return None
    try:
        info = ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # IsADirectoryError, no TZif data, ZoneInfoNotFoundError
        return None

    def offset_at(local: datetime) -> int:
        offset = local.replace(tzinfo=info).utcoffset()  # fold=0: RFC 5545 §3.3.5
        return 0 if offset is None else round(offset.total_seconds())

    return offset_at


def _utc_plus(name: str) -> Zone | None:
    found = _FIXED.fullmatch(name)
    if found is None or int(found[2]) > 14:
        return None
    seconds = int(found[2]) * 3600 + int(found[3] or 0) * 60
    return Zone("", _fixed(-seconds if found[1] == "-" else seconds))


def _location(component: Component) -> Zone | None:
    return named(_text(_value(component, b"X-LIC-LOCATION")))


def _value(component: Component, name: bytes) -> bytes:
    line = component.first(name)
    return b"" if line is None else line.value


def _key(tzid: bytes) -> bytes:
    return _NOISE.sub(b"", tzid).lower()


def _text(tzid: bytes) -> str:
    """Return a TZID as its name: unescaped, without the quotes and the colon that some producers leave on it."""
    return unescape(tzid[:200].decode("ascii", "ignore")).strip().strip('":').strip()
