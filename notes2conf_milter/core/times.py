"""Dates and times as German and English readers write them, in the meeting's own zone, with the zone beside them.

In:  an Occurrence and a language. Out: text. Fails: never; a zone that nobody knows is shown by its offset.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, get_timezone_name

from notes2conf_milter.core.meeting import NOWHERE, Occurrence

LOCALES = {
    "de": Locale("de", "DE"),
    "en": Locale("en", "GB"),
}  # en_GB: day before month in words and a 24-hour clock, which all readers understand


@dataclass(frozen=True, slots=True)
class When:
    """When an occurrence takes place. time and zone are "" for whole days, zone also where it is the reader's own.

    machine: the start as HTML's <time> wants it.
    """

    date: str
    time: str
    zone: str
    machine: str


def when(occurrence: Occurrence, language: str) -> When:
    """Say when an occurrence takes place, in words of `language` ("de" or "en")."""
    locale = LOCALES[language]
    zone = _zone(occurrence)
    start = datetime.fromtimestamp(occurrence.start, zone)
    end = datetime.fromtimestamp(occurrence.end, zone)
    if occurrence.all_day:
        last = max(start, end - timedelta(seconds=1))  # RFC 5545 §3.6.1: DTEND is the first day after
        return When(_days(start, last, locale), "", "", start.date().isoformat())
    name = "" if occurrence.zone == NOWHERE else _zone_name(start, locale)
    machine = (start if name else start.replace(tzinfo=None)).isoformat()
    if start.date() == end.date():
        span = _time(start) if start == end else f"{_time(start)} – {_time(end)}"
        return When(_date(start, locale), span, name, machine)
    span = f"{_time(start)} – {_date(end, locale)}, {_time(end)}"
    return When(_date(start, locale), span, name, machine)


def after_end(grace: int, language: str, *, series: bool = False) -> str:
    """Say when what is kept of a meeting goes: at its end, that of its last date, or so many seconds later."""
    if grace <= 0 and series:
        return {"en": "after its last date", "de": "nach dem letzten Termin"}[language]
    if grace <= 0:
        return {"en": "when the meeting is over", "de": "mit dem Ende der Besprechung"}[language]
    units = ((86_400, "day", "Tag"), (3600, "hour", "Stunde"), (60, "minute", "Minute"), (1, "second", "Sekunde"))
    seconds, english, german = next(unit for unit in units if grace % unit[0] == 0)
    number = grace // seconds
    if language == "en":
        return f"{number} {english}{'' if number == 1 else 's'} after {'its last date' if series else 'the meeting is over'}"
    plural = {"Tag": "Tage"}.get(german, german + "n")
    return f"{number} {german if number == 1 else plural} nach dem {'letzten Termin' if series else 'Ende der Besprechung'}"


def _days(first: datetime, last: datetime, locale: Locale) -> str:
    if first.date() == last.date():
        return _date(first, locale)
    return f"{_date(first, locale)} – {_date(last, locale)}"


def _date(moment: datetime, locale: Locale) -> str:
    return format_date(moment, "full", locale=locale)


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M}"  # what CLDR's short time is in both locales, and forty times as fast


def _zone(occurrence: Occurrence) -> tzinfo:
    try:
        if occurrence.zone:
            return ZoneInfo(occurrence.zone)
    except (KeyError, ValueError, OSError):  # not found; not a name; the name of a folder, such as "Europe"
        pass
    return timezone(timedelta(seconds=occurrence.offset))


def _zone_name(moment: datetime, locale: Locale) -> str:
    offset = _offset(moment)
    if not isinstance(moment.tzinfo, ZoneInfo):
        return offset
    name = get_timezone_name(moment, width="long", locale=locale)
    return offset if name.startswith(("GMT", "UTC", "+", "-")) else f"{name} ({offset})"


def _offset(moment: datetime) -> str:
    minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    if minutes == 0:
        return "UTC"
    return f"UTC{'−' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def clock_time(moment: Occurrence, language: str) -> str:
    """Return the time of day at which an occurrence starts, in its zone."""
    zone = _zone(moment)
    return _time(datetime.fromtimestamp(moment.start, zone))
