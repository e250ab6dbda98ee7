"""The iTIP REPLY of a conference address: it accepts, as a room does (RFC 5546 §3.2.3, RFC 6047).

In:  the meeting's UID, organizer and revision, the address that accepts, a Message-ID, the time. Out: the message's octets.
Fails: never; what could break out of its line is taken out of it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate

from notes2conf_milter.core.contentlines import escape, fold
from notes2conf_milter.core.letter import one_line

_SUBJECTS = {"en": "Accepted", "de": "Angenommen"}
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NAMES = {"en": "Video conference", "de": "Videokonferenz"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An acceptance. instance: the start that the series has for the one date it is about, seconds since 1970 UTC, else None.

    whole_day: of that date. date: seconds since 1970 UTC. language: "en" or "de".
    """

    uid: str
    organizer: str
    sequence: int
    instance: int | None
    whole_day: bool
    attendee: str
    message_id: str
    date: int
    language: str


def reply_message(reply: Reply) -> bytes:
    """Return the octets of a REPLY, with CRLF line ends."""
    header = (
        f"Date: {formatdate(reply.date)}",
        f"From: {_NAMES[reply.language]} <{reply.attendee}>",
        f"To: <{reply.organizer}>",
        f"Subject: {_SUBJECTS[reply.language]}: {_NAMES[reply.language]}",
        f"Message-ID: {reply.message_id}",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        'Content-Type: text/calendar; charset="utf-8"; method="REPLY"',
        "Content-Transfer-Encoding: 8bit",
    )
    lines = (
        "BEGIN:VCALENDAR",
        "PRODID:-//notes2conf-milter//EN",
        "VERSION:2.0",
        "METHOD:REPLY",
        "BEGIN:VEVENT",
        f"UID:{_NO_TEXT.sub('', reply.uid)}",  # as it stood, escapes included
        *_instance(reply),
        f"SEQUENCE:{reply.sequence}",
        f"DTSTAMP:{_utc(reply.date)}",
        f"ORGANIZER:mailto:{reply.organizer}",
        f"ATTENDEE;PARTSTAT=ACCEPTED;CN={_NAMES[reply.language]}:mailto:{reply.attendee}",
        f"SUMMARY:{escape(one_line(_SUBJECTS[reply.language]))}",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    calendar = b"".join(fold(line.encode(), at=0, eol=b"\r\n", charset="utf-8") + b"\r\n" for line in lines)
    return "".join(f"{field}\r\n" for field in header).encode("ascii") + b"\r\n" + calendar


def _instance(reply: Reply) -> tuple[str, ...]:
    if reply.instance is None:
        return ()
    if reply.whole_day:
        return (f"RECURRENCE-ID;VALUE=DATE:{datetime.fromtimestamp(reply.instance, UTC):%Y%m%d}",)
    return (f"RECURRENCE-ID:{_utc(reply.instance)}",)


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}"
