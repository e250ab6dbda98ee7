"""The occurrence as a calendar file, so that somebody who was told the link alone can save the date.

In:  what a link shows, the link. Out: iCalendar (RFC 5545), METHOD:PUBLISH, without attendees. Pure. Fails: never.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event

from notes2conf_milter.core.meeting import NOWHERE
from notes2conf_milter.web.visits import Shown


def calendar_file(shown: Shown, url: str, now: int) -> bytes:
    """Return the file. url: the link; now: seconds since 1970 UTC."""
    occurrence, page = shown.view.occurrence, shown.meeting.page
    event = Event()
    # Not the meeting's own UID: this page does not know it, and an answer to it is nobody's.
    # That of a single meeting stays when it is moved: whoever saves it again has it once.
    which = f" {occurrence.start}" if page.recurring else ""
    name = hashlib.sha256(f"{shown.token}{which}".encode()).hexdigest()[:32]
    event.add("uid", f"{name}@notes2conf")
    event.add("dtstamp", datetime.fromtimestamp(now, UTC))
    start, end = (datetime.fromtimestamp(at, UTC) for at in (occurrence.start, occurrence.end))
    if occurrence.all_day:
        east = timedelta(seconds=occurrence.offset)
        event.add("dtstart", (start + east).date())
        event.add("dtend", max((end + east).date(), (start + east).date() + timedelta(days=1)))
    else:
        floating = occurrence.zone == NOWHERE
        event.add("dtstart", start.replace(tzinfo=None) if floating else start)
        event.add("dtend", end.replace(tzinfo=None) if floating else end)
    subject = " ".join(page.subject.encode("utf-8", "replace").decode().split())
    event.add("summary", subject or "Meeting")
    event.add("location", url)
    event.add("url", url)
    calendar = Calendar()
    calendar.add("prodid", "-//notes2conf-milter//waiting room//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())
