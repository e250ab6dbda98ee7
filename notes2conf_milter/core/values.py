"""One date, date-time or duration, as RFC 5545 writes it (§3.3.4-§3.3.6).

In:  the text of a single value. Out: what it means to datetime, or None when it cannot be read.
Fails: never. Dates are of the years FIRST_YEAR to LAST_YEAR, so that no arithmetic on them passes the ends of datetime.
"""

from datetime import date, timedelta

from icalendar.prop import vDDDTypes

FIRST_YEAR = 1_000
LAST_YEAR = 9_900
_LONGEST = 64  # characters


def read(text: str) -> date | timedelta | None:
    """Return a date, a date-time (in UTC with tzinfo, else local without) or a duration; None for anything else."""
    text = text.strip().upper()
    if not 2 <= len(text) <= _LONGEST or "/" in text or not text.isascii():
        return None
    if text[8:9] == "T" and len(text.rstrip("Z")) == 13:  # seen in the wild: no seconds
        text = text[:13] + "00" + text[13:]
    try:
        found = vDDDTypes.from_ical(text)  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError):
        return None
    if isinstance(found, date):
        return found if FIRST_YEAR <= found.year <= LAST_YEAR else None
    return found if isinstance(found, timedelta) else None
