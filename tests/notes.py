"""The messages that Notes and Domino send about one series, from the invitation to its end, in their own shape.

In:  a Series. Out: messages in CRLF. What is peculiar to Notes, legal or not, is here on purpose: zone names that are quoted
where they are used, zones that begin in 1950, X-LOTUS-CHARSET before VERSION, X-LOTUS-UPDATE-WISL on one long line, a COMMENT
whose ALTREP is not quoted, text/calendar without a transfer encoding, boundaries with blanks, a second copy of the calendar as
c######.ics, header fields X-Notes-Item that are empty or keep two blanks.
Fails: never.

The chain: an invitation with an RRULE; all dates an hour later, as RDATE periods without a rule; another body under the same
SEQUENCE; one date moved, alone, its RECURRENCE-ID in UTC; one date cancelled; all cancelled, by one message for each domain.
"""

import base64
import quopri
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from secrets import token_hex
from zoneinfo import ZoneInfo

from tests.notes_texts import GIF, HTML, ITEMS, RICH, TEXT, VTIMEZONE, WISL

BERLIN = ZoneInfo("Europe/Berlin")
ANNA = "anna@example.org"
BOB = "bob@example.net"
DORA = "dora@example.com"
EMIL = "emil@example.com"
GUESTS = (BOB, DORA, EMIL)
LATER = timedelta(hours=1)  # by which all dates are put off
HOUR = timedelta(hours=1)
MOVED = timedelta(days=1, hours=1)  # by which the second date is moved after that


class Release(Enum):
    """Whose shape a message has."""

    NOTES_9 = "9.0.1"
    DOMINO_12 = "12.0"


@dataclass(frozen=True)
class Series:
    """A weekly series of Anna's. uid: 32 hexadecimal digits. sent: when the invitation is, the others follow."""

    uid: str
    start: datetime
    sent: datetime
    release: Release = Release.NOTES_9
    subject: str = "Lieferantengespräch Frühjahr"
    count: int = 5

    @classmethod
    def tomorrow(cls, release: Release = Release.NOTES_9) -> "Series":
        """Return a series that nobody has heard of, from tomorrow 14:00 on, its messages all sent within the last hours."""
        start = (datetime.now(BERLIN) + timedelta(days=1)).replace(hour=14, minute=0, second=0, microsecond=0)
        return cls(token_hex(16).upper(), start, datetime.now(UTC) - timedelta(hours=3), release)

    @property
    def dates(self) -> list[datetime]:
        """The starts as the invitation has them: the same hour on the clock, whatever the clocks do in between."""
        return [self.start + timedelta(weeks=week) for week in range(self.count)]  # wall-clock time, as ZoneInfo adds

    @property
    def later(self) -> list[datetime]:
        """The starts after all were put off."""
        return [start + LATER for start in self.dates]

    @property
    def moved(self) -> datetime:
        """The second date after it was moved."""
        return self.later[1] + MOVED

    @property
    def secrets(self) -> list[bytes]:
        """What no log and no database may show of it."""
        words = [self.subject, *self.subject.split(), self.uid, ANNA, *GUESTS, "Brückner"]
        return [word.encode() for word in words]

    def invitation(self) -> bytes:
        """Return the REQUEST that has the rule."""
        days = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
        rule = f"FREQ=WEEKLY;COUNT={self.count};INTERVAL=1;BYDAY={days[self.start.weekday()]};WKST=SU"
        what = _What("Invitation: ", "I", 0, 0, versions=(1, 1))
        return _message(self, what, self.start, [f'RRULE;TZID="{self._zone}":{rule}'])

    def reschedule(self) -> bytes:
        """Return the REQUEST that puts all dates off: no rule any more."""
        return _message(self, _What("Rescheduled: ", "U", 1, 1, versions=(2, 1)), self.later[0], [self._periods()])

    def update(self) -> bytes:
        """Return the REQUEST that has another body and nothing else: the SEQUENCE stays, the DTSTAMP is later."""
        body = "Neu: Bitte bringen Sie auch die Lieferscheine für den März mit."
        what = _What("Information Update - Description has changed: ", "E", 1, 2, versions=(2, 2), body=body)
        return _message(self, what, self.later[0], [self._periods()])

    def move(self) -> bytes:
        """Return the REQUEST that moves the second date, with no word about the others."""
        body = "Nur dieser Termin ist am Tag darauf."
        what = _What("Rescheduled: ", "U", 2, 3, versions=(3, 2), body=body)
        return _message(self, what, self.moved, [f"RECURRENCE-ID:{_utc(self.later[1])}"])

    def cancel_one(self) -> bytes:
        """Return the CANCEL of the first date; it names everybody."""
        what = _What("Cancelled: ", "C", 2, 4, versions=(3, 2), body="Dieser Termin entfällt.", method="CANCEL")
        return _message(self, what, self.later[0], [f"RECURRENCE-ID:{_utc(self.later[0])}", "STATUS:CANCELLED"])

    def cancel_all(self, domain: str) -> bytes:
        """Return the CANCEL of the whole as it goes to one domain; it names those who are there."""
        guests = tuple(one for one in GUESTS if one.endswith(f"@{domain}"))
        what = _What("Cancelled: ", "C", 3, 5, (4, 2), "Die Gespräche entfallen.", "CANCEL", guests)
        return _message(self, what, self.later[0], ["STATUS:CANCELLED", self._periods()])

    @property
    def _zone(self) -> str:
        return "W. Europe" if self.release is Release.NOTES_9 else "Europe/Berlin"

    def _periods(self) -> str:
        first, *others = [f"{_utc(start)}/{_utc(start.astimezone(UTC) + HOUR)}" for start in self.later]
        pairs = [",".join(others[at : at + 2]) for at in range(0, len(others), 2)]
        return "\r\n ,".join([f"RDATE;VALUE=PERIOD:{first}", *pairs])  # Notes folds before a comma


@dataclass(frozen=True)
class _What:
    """What one message is about. versions: of the time and of the body, as X-LOTUS-UPDATE-WISL counts them."""

    prefix: str
    notice: str
    sequence: int
    step: int
    versions: tuple[int, int]
    body: str = "Bitte bringen Sie die Preislisten für das zweite Quartal mit."
    method: str = "REQUEST"
    guests: tuple[str, ...] = GUESTS


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def _message(series: Series, what: _What, start: datetime, more: list[str]) -> bytes:
    sent = series.sent + what.step * timedelta(minutes=20)
    mark = f"{(int(sent.timestamp()) & 0xFFFFFFFF):08X}{series.uid[16:24]}"  # of this message, as Notes names it
    cid = f"{series.uid[:16]}{what.step}f9e8a93df938690918c4EB@"
    calendar = _calendar(series, what, start, sent, more, cid)
    header = _header(series, what, start, sent, mark)
    if series.release is Release.NOTES_9:
        return header + _notes_9(what, mark, cid, calendar, sent)
    return header + _domino_12(what, mark, cid, calendar, sent)


# --- the calendar ---


def _calendar(series: Series, what: _What, start: datetime, sent: datetime, more: list[str], cid: str) -> bytes:
    zone, end = series._zone, start + HOUR
    maker = "Notes 9.0.1//EN_C" if series.release is Release.NOTES_9 else "Notes 12.0//EN_S"
    time, body = what.versions
    summary = series.subject if what.notice == "I" else what.prefix + series.subject
    child = (
        series.uid if "RECURRENCE-ID" not in "".join(more) else series.uid[::-1]
    )  # an instance is a document of its own
    rows = [
        "BEGIN:VCALENDAR",
        "X-LOTUS-CHARSET:UTF-8",
        "VERSION:2.0",
        f"PRODID:-//Lotus Development Corporation//NONSGML {maker}",
        f"METHOD:{what.method}",
        _crlf(VTIMEZONE.format(zone=zone).rstrip("\n")),
        "BEGIN:VEVENT",
        f'DTSTART;TZID="{zone}":{start:%Y%m%dT%H%M%S}',
        f'DTEND;TZID="{zone}":{end:%Y%m%dT%H%M%S}',
        "TRANSP:OPAQUE",
        *more,
        f"DTSTAMP:{_utc(sent)}",
        f"SEQUENCE:{what.sequence}",
        'ATTENDEE;ROLE=CHAIR;PARTSTAT=ACCEPTED\r\n ;CN="Anna Brückner/Einkauf/Example";RSVP=FALSE',
        f" :mailto:{ANNA}",
        *(f"ATTENDEE;ROLE={_role(guest)};PARTSTAT=NEEDS-ACTION;RSVP=TRUE\r\n :mailto:{guest}" for guest in what.guests),
        "CLASS:PUBLIC",
        *([] if what.notice == "I" else [f"COMMENT;ALTREP=CID:<FFFF__={cid}>:"]),
        f'DESCRIPTION;ALTREP="CID:<FFFF__={cid}>":',
        f"SUMMARY:{summary}",
        "LOCATION:Besprechungsraum 2.14",
        'ORGANIZER;CN="Anna Brückner/Einkauf/Example"',
        f" :mailto:{ANNA}",
        f"UID:{series.uid}-Lotus_Notes_Generated",
        "X-LOTUS-BROADCAST:FALSE",
        f"X-LOTUS-UPDATE-SEQ:{what.step + 1}",
        "X-LOTUS-UPDATE-WISL:" + WISL.format(time=time, body=body),
        "X-LOTUS-NOTESVERSION:2",
        f"X-LOTUS-NOTICETYPE:{what.notice}",
        "X-LOTUS-APPTTYPE:3",
        f"X-LOTUS-CHILD-UID:{child}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(row + "\r\n" for row in rows).encode()


def _role(guest: str) -> str:
    return "OPT-PARTICIPANT" if guest == EMIL else "REQ-PARTICIPANT"


# --- the message ---


def _header(series: Series, what: _What, start: datetime, sent: datetime, mark: str) -> bytes:
    notes = series.release is Release.NOTES_9
    local = sent.astimezone(BERLIN)
    return _crlf(
        ITEMS.format(
            count=series.count,
            day=series.start,
            last=_date(series.later[-1] + HOUR),
            release="9.0.1FP10" if notes else "12.0.2FP3",
            mailer="IBM Notes Release 9.0.1FP10 January 31, 2018"
            if notes
            else "HCL Notes Release 12.0.2FP3 November 29, 2023",
            stamp=local.strftime("%m=2F%d=2F%Y_%I=3A%M=3A%S"),
            required=",\n ".join(what.guests),
            prefix=what.prefix.replace(":", "=3A").replace(" ", "_"),
            start=start.strftime("%b_%d_%I=3A%M_%p_") + str(start.tzname()),
            notice=what.notice,
            keep=f"{series.uid[:8]}:{series.uid[8:16]}-{series.uid[16:24]}:{series.uid[24:]}",
            mark=mark,
            unid=series.uid[:8],
            date=_date(local),
            local=local,
        )
    ).encode("ascii")


def _date(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S %z")


def _quoted(text: str, charset: str) -> bytes:
    return quopri.encodestring(text.encode(charset)).replace(b"\n", b"\r\n")


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _part(fields: list[str], body: bytes) -> bytes:
    return "".join(field + "\r\n" for field in fields).encode() + b"\r\n" + body


def _together(kind: str, mark: str, parts: list[bytes]) -> bytes:
    boundary = f"--=_{kind} {mark}_=".encode()
    return b"".join(boundary + b"\r\n" + part + b"\r\n" for part in parts) + boundary + b"--\r\n"


def _multipart(kind: str, mark: str, parts: list[bytes]) -> bytes:
    field = f'Content-Type: multipart/{kind}; boundary="=_{kind} {mark}_="'
    return _part([field, ""], _together(kind, mark, parts)).removesuffix(b"\r\n")


def _picture(name: str, cid: str) -> bytes:
    fields = [f"Content-Type: image/gif; name={name}", f"Content-Disposition: inline; filename={name}"]
    return _part([*fields, f"Content-ID: <{cid}>", "Content-Transfer-Encoding: base64"], GIF + b"\r\n")


def _pictures(cid: str) -> list[bytes]:
    return [_picture("ecblank.gif", f"1__={cid}"), _picture("graycol.gif", f"2__={cid}")]


def _calendar_type(what: _What) -> str:
    return f'Content-Type: text/calendar; method="{what.method}"; charset="UTF-8"'  # and no transfer encoding


def _notes_9(what: _What, mark: str, cid: str, calendar: bytes, sent: datetime) -> bytes:
    inline, quoted = "Content-Disposition: inline", "Content-Transfer-Encoding: quoted-printable"
    plain, html = (f"Content-Type: text/{kind}; charset=ISO-8859-1" for kind in ("plain", "html"))
    text = _quoted(TEXT.format(gap="", body=what.body), "iso-8859-1")
    shown = _quoted(HTML.format(cid=cid, body=what.body), "iso-8859-1")
    rich = _quoted(RICH.format(cid=cid, body=what.body), "iso-8859-1")
    readers = [
        _part([plain, quoted], text),
        _part([html, inline, quoted], shown),
        _part([_calendar_type(what)], calendar),
    ]
    body = _part([html, inline, f"Content-ID: <FFFF__={cid}>", quoted], rich)
    related = _multipart("related", mark, [_multipart("alternative", mark, readers), body, *_pictures(cid)])
    name = f"c{sent.astimezone(BERLIN):%H%M%S}.ics"
    fields = [f'{_calendar_type(what)}; name="{name}"', f'Content-Disposition: attachment; filename="{name}"']
    said = b"This is a multipart message in MIME format.\r\n"
    return said + _together("mixed", mark, [related, _part(fields, calendar)])


def _domino_12(what: _What, mark: str, cid: str, calendar: bytes, sent: datetime) -> bytes:
    html = 'Content-Type: text/html; charset="UTF-8"'
    shown = _quoted(HTML.format(cid=cid, body=what.body), "utf-8")
    rich = _base64(_crlf(RICH.format(cid=cid, body=what.body)).encode())
    encoded = "Content-Transfer-Encoding: base64"
    readers = [
        _part(["Content-Transfer-Encoding: quoted-printable", html], shown),
        _part([_calendar_type(what)], calendar),
    ]
    body = _part([html, "Content-Disposition: inline", f"Content-ID: <FFFF__={cid}>", encoded], rich)
    related = _multipart("related", mark, [_multipart("alternative", mark, readers), body, *_pictures(cid)])
    name = f"c{sent.astimezone(BERLIN):%H%M%S}.ics"
    fields = [f'{_calendar_type(what)}; name="{name}"', f'Content-Disposition: attachment; filename="{name}"', encoded]
    return _together("mixed", mark, [related, _part(fields, _base64(calendar))])
