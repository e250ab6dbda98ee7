"""The invitation in a message: which calendar parts are copies of it, and what they say.

In:  a message. Out: an `Invitation`, a `Cancellation`, or the `Reason` why the message holds nothing that we act on.
Reads values only; nothing is changed here. What a value means follows RFC 5545, RFC 5546 (iTIP) and RFC 6047 (iMIP).
Fails: never; any octets have an answer (law 4).
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from notes2conf_milter.core.charset import Charset, charset_of
from notes2conf_milter.core.contentlines import CalendarError, Component, ContentLine, components, unescape
from notes2conf_milter.core.meeting import Person, Revision
from notes2conf_milter.core.message import MessageTooComplex, Part, parse
from notes2conf_milter.core.octets import holds_any
from notes2conf_milter.core.revision import revision_of
from notes2conf_milter.core.transfer import decode
from notes2conf_milter.core.verdict import Reason

MAX_EVENTS = 1_000
MAX_ATTENDEES = 5_000
_CALENDAR_TYPES = frozenset({b"text/calendar", b"application/ics"})
_SIGNED = frozenset({b"multipart/signed"})
_ENCRYPTED = frozenset({b"multipart/encrypted"})
_SMIME = frozenset({b"application/pkcs7-mime", b"application/x-pkcs7-mime"})
_SMIME_NAMES = (b".p7m", b".p7s")  # RFC 8551 §3.2.1: gateways that know no S/MIME keep the name and lose the type
_PGP = re.compile(rb"^-----BEGIN PGP (SIGNED )?MESSAGE-----", re.MULTILINE)  # RFC 9580 §6.2, §7
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"\\@\x00-\x1f\x7f]+@[^\s<>()\[\],;:\"\\@\x00-\x1f\x7f]+")
_METHOD_REASONS = {
    b"REPLY": Reason.METHOD_REPLY,
    b"COUNTER": Reason.METHOD_COUNTER,
    b"DECLINECOUNTER": Reason.METHOD_COUNTER,
    b"CANCEL": Reason.METHOD_CANCEL,
    b"PUBLISH": Reason.METHOD_PUBLISH,
}


@dataclass(frozen=True, slots=True)
class Copy:
    """One calendar part with the meeting. octets: decoded from the transfer encoding."""

    part: Part
    octets: bytes
    charset: Charset
    calendar: Component
    events: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Invitation:
    """An iTIP REQUEST (RFC 5546 §3.2.2).

    root: the whole message. copies: every calendar part with this UID, the one that was read first. uid: as it stands.
    sent_by: the SENT-BY address or "". whole: False when every event has a RECURRENCE-ID: it is about some dates alone.
    things: which of the attendees are rooms and resources, by address in lower case.
    """

    root: Part
    copies: tuple[Copy, ...]
    uid: bytes
    organizer: Person
    sent_by: str
    attendees: tuple[Person, ...]
    summary: str
    revision: Revision
    whole: bool
    things: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cancellation:
    """An iTIP CANCEL of a whole event or of some dates (RFC 5546 §3.2.5), for all or for some of those invited.

    attendees: those whom it names; producers name all of them, or the one whom they write to, or nobody. root: the whole
    message; calendar: what was read of it. whole: False when it is about dates. onward: about one, and all that follow
    (RANGE=THISANDFUTURE, RFC 5545 §3.2.13).
    """

    root: Part
    calendar: Component
    uid: bytes
    organizer: Person
    sent_by: str
    attendees: tuple[Person, ...]
    revision: Revision
    whole: bool
    onward: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    copy: Copy
    method: bytes
    uids: frozenset[bytes]
    attached: bool


def inline_pgp(message: bytes) -> Reason | None:
    """Return SIGNED or ENCRYPTED when a text of the message is, in PGP's own form without MIME, else None."""
    found = _PGP.search(message)
    return None if found is None else Reason.SIGNED if found[1] else Reason.ENCRYPTED


def sealed(root: Part) -> Reason | None:
    """Return SIGNED or ENCRYPTED when a part of the message is (RFC 1847, RFC 8551, RFC 3156), else None."""
    for part in root.walk():
        if part.media_type in _SIGNED:
            return Reason.SIGNED
        if part.media_type in _ENCRYPTED:
            return Reason.ENCRYPTED
        named = tuple(name for name in _endings(part) if name.endswith(_SMIME_NAMES))
        if part.media_type in _SMIME or named:
            kind = part.parameters.get(b"smime-type", b"").lower()  # RFC 8551 §3.2.2
            return (
                Reason.SIGNED
                if kind == b"signed-data" or any(name.endswith(b".p7s") for name in named)
                else Reason.ENCRYPTED
            )
    return None


def _endings(part: Part) -> tuple[bytes, ...]:
    return tuple(name.strip(b"\"' ").lower() for name in part.filenames)


def is_calendar(part: Part) -> bool:
    """Say whether a part is, by its header, a calendar: text/calendar, application/ics or a file name that ends in .ics."""
    named = any(name.endswith(b".ics") for name in _endings(part))
    return part.media_type in _CALENDAR_TYPES or (
        named and not part.media_type.startswith((b"multipart/", b"message/"))
    )


# The last three are file names that say what they are only when decoded (RFC 2231, RFC 2047).
_HINTS = (b"text/calendar", b"application/ics", b".ics", b"name*", b'name="=?', b"name==?")


def may_hold_calendar(message: bytes) -> bool:
    """Say whether `read` could find a calendar: a quick look that spares most mail the parsing."""
    return holds_any(message, _HINTS)


def read(message: bytes) -> Invitation | Cancellation | Reason:
    """Return the invitation or the cancellation in `message`, or why nothing is done with it."""
    if not may_hold_calendar(message):
        return Reason.NO_CALENDAR
    try:
        root = parse(message)
        if root.header.end == root.header.body_start < len(message):
            return Reason.HEADER_UNCLEAR  # no empty line: what one reader takes for the body is header to another
        calendars = [part for part in root.walk() if not part.children and is_calendar(part)]
        reason = sealed(root) or inline_pgp(message)
        if reason is not None or not calendars:
            return reason or Reason.NO_CALENDAR
        return _invitation(message, root, calendars)
    except MessageTooComplex:
        return Reason.TOO_COMPLEX


def _invitation(message: bytes, root: Part, parts: list[Part]) -> Invitation | Cancellation | Reason:
    candidates: list[_Candidate] = []
    for part in parts:
        found = _candidate(message, part)
        if isinstance(found, _Candidate):
            candidates.append(found)
        elif part.media_type == b"text/calendar":
            return found  # an .ics file that is no calendar is only a file; a text/calendar part is a copy to be kept equal
    if not candidates:
        return Reason.CALENDAR_UNPARSABLE
    main = next((one for one in candidates if not one.attached), candidates[0])
    if main.method == b"CANCEL":
        return _cancellation(root, candidates)
    reason = _unfit(main)
    if reason is not None:
        return reason
    uid = next(iter(main.uids))
    copies = []
    for one in sorted(candidates, key=lambda one: one is not main):
        if one.uids != main.uids:
            if not one.attached or uid in one.uids:
                return Reason.SEVERAL_MEETINGS
        elif one.method not in (b"", b"REQUEST", b"PUBLISH"):
            return Reason.METHOD_UNCLEAR
        else:
            copies.append(one.copy)
    return _read_events(root, tuple(copies), uid)


def _cancellation(root: Part, candidates: list[_Candidate]) -> Cancellation | Reason:
    """Return the cancellation that all calendars of a message agree on; of one in doubt nothing is done."""
    uids = candidates[0].uids
    fit = len(uids) == 1 and b"" not in uids and all(one.uids == uids for one in candidates)
    if not fit or any(one.method not in (b"", b"CANCEL") for one in candidates):
        return Reason.METHOD_CANCEL
    (uid,) = uids
    found = _read_events(root, tuple(one.copy for one in candidates), uid)
    if isinstance(found, Reason):
        return Reason.METHOD_CANCEL
    copy = found.copies[0]
    instances = [line for event in copy.events for line in event.all(b"RECURRENCE-ID")]
    ranges = {line.params().get(b"RANGE", b"").upper() for line in instances} - {b""}
    onward = ranges == {b"THISANDFUTURE"} and len(instances) == 1
    if (ranges and not onward) or (instances and found.whole):
        return Reason.METHOD_CANCEL  # several ranges, or some dates beside the whole: what is left is not clear
    revision = max(revision_of(event) for event in copy.events)
    return Cancellation(
        root, copy.calendar, uid, found.organizer, found.sent_by, found.attendees, revision, found.whole, onward
    )


def _candidate(message: bytes, part: Part) -> _Candidate | Reason:
    body = message[part.header.body_start : part.body_end]
    octets = decode(body, part.encoding)
    if octets is None:
        return Reason.CHARSET_UNSUPPORTED
    charset = charset_of(part.parameters.get(b"charset", b""), octets, part.encoding, "utf-8")
    if charset is None:
        return Reason.CHARSET_UNSUPPORTED
    try:
        calendars = components(octets)
    except CalendarError as error:
        return Reason.TOO_COMPLEX if error.bound else Reason.CALENDAR_UNPARSABLE
    if not calendars or any(calendar.name != b"VCALENDAR" for calendar in calendars):
        return Reason.CALENDAR_UNPARSABLE
    if len(calendars) > 1:
        return Reason.SEVERAL_MEETINGS
    calendar = calendars[0]
    if calendar.within(b"VCALENDAR"):
        return Reason.CALENDAR_UNPARSABLE
    events = calendar.within(b"VEVENT")
    if len(events) > MAX_EVENTS:
        return Reason.TOO_COMPLEX
    uids = frozenset(line.value.strip() for event in events for line in event.all(b"UID")[:1])
    if events and not all(event.first(b"UID") for event in events):
        uids |= {b""}
    attached = part.disposition == b"attachment" or part.media_type != b"text/calendar"
    return _Candidate(Copy(part, octets, charset, calendar, events), _method(calendar, part), uids, attached)


def _method(calendar: Component, part: Part) -> bytes:
    """Return the METHOD in upper case; b"?" where property and Content-Type parameter disagree (RFC 6047 §2.4)."""
    line = calendar.first(b"METHOD")
    inside = b"" if line is None else line.value.strip().upper()
    outside = part.parameters.get(b"method", b"").strip().upper()
    if inside and outside and inside != outside:
        return b"?"
    return inside or outside


def _unfit(main: _Candidate) -> Reason | None:
    """Return why the calendar that speaks for the message is no invitation, or None."""
    if main.method in (b"", b"?"):
        return Reason.METHOD_UNCLEAR
    if main.method != b"REQUEST":
        return _METHOD_REASONS.get(main.method, Reason.METHOD_OTHER)
    if not main.copy.events:
        return Reason.NO_EVENT
    if not all(main.uids):
        return Reason.NO_UID
    return Reason.SEVERAL_MEETINGS if len(main.uids) > 1 else None


def _read_events(root: Part, copies: tuple[Copy, ...], uid: bytes) -> Invitation | Reason:
    charset = copies[0].charset
    events = copies[0].events
    organizer_lines = [line for copy in copies for event in copy.events for line in event.all(b"ORGANIZER")]
    organizers = {_mailto(line.value) for line in organizer_lines}
    first = next((_person(line, copies[0]) for event in events for line in event.all(b"ORGANIZER")), None)
    if first is None or None in organizers or len({address.lower() for address in organizers if address}) != 1:
        return Reason.ORGANIZER_UNCLEAR
    # Every copy must name the same delegate: one hidden in an attachment is a claim that nobody sees.
    delegates = {_mailto(line.params().get(b"SENT-BY", b"")) for line in organizer_lines}
    sent_by = delegates.pop() if len(delegates) == 1 else None
    attendees: dict[str, Person] = {}
    things: set[str] = set()
    for line in (line for event in events for line in event.all(b"ATTENDEE")):
        person = _person(line, copies[0])
        if person is not None:
            attendees.setdefault(person.address.lower(), person)
            if line.params().get(b"CUTYPE", b"").upper() in (b"ROOM", b"RESOURCE"):  # RFC 5545 §3.2.3
                things.add(person.address.lower())
        if len(attendees) > MAX_ATTENDEES:
            return Reason.TOO_COMPLEX
    instances = [event.first(b"RECURRENCE-ID") for event in events]
    master = main_event(copies[0].calendar)
    return Invitation(
        root=root,
        copies=copies,
        uid=uid,
        organizer=first,
        sent_by=sent_by or "",
        attendees=tuple(attendees.values()),
        summary=text_value(master.first(b"SUMMARY"), charset),
        revision=revision_of(master),
        whole=None in instances,
        things=frozenset(things),
    )


def main_event(calendar: Component) -> Component:
    """Return the event that speaks for the meeting: the series, where there is one, else the first."""
    events = calendar.within(b"VEVENT")
    return next((event for event in events if event.first(b"RECURRENCE-ID") is None), events[0])


def text_value(line: ContentLine | None, charset: Charset) -> str:
    """Return the value of a TEXT property (RFC 5545 §3.3.11), unescaped; "" for None."""
    return "" if line is None else unescape(charset.decode(line.value)).strip()


def _person(line: ContentLine, copy: Copy) -> Person | None:
    address = _mailto(line.value)
    if address is None:
        return None
    maker = copy.calendar.first(b"PRODID")
    notes = maker is not None and any(word in maker.value for word in (b"Lotus", b"Domino", b"HCL"))
    return Person(address, common_name(copy.charset.decode(line.params().get(b"CN", b"")), notes=notes))


def common_name(name: str, *, notes: bool) -> str:
    """Return a CN without quotes, and of a Notes name (`Anna Muster/Sales/Example`, `CN=Anna Muster/O=Example`) the person.

    notes: the calendar was made by Notes or Domino, where a slash parts the person from the organization.
    """
    plain = name.strip("'\" \t")
    canonical = plain.upper().startswith("CN=")
    if not notes and not canonical:
        return plain
    return plain.partition("/")[0].removeprefix(plain[:3] if canonical else "").strip()


def _mailto(value: bytes) -> str | None:
    """Return the address of a mailto: URI (RFC 6068) with its domain in lower case, or None when it is none we can use."""
    scheme, _, rest = value.strip().decode("utf-8", "replace").partition(":")
    return mail_address(unquote(rest.partition("?")[0]).strip()) if scheme.strip('"').lower() == "mailto" else None


def mail_address(address: str) -> str | None:
    """Return an address with its domain in lower case and in ASCII, or None when it is none that we can write to."""
    if "\ufffd" in address or not _ADDRESS.fullmatch(address):
        return None
    if "=?" in address:
        return None  # RFC 2047 §5: no encoded word in an address, and the start mail goes there
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return None  # RFC 6531: such an address needs a way that speaks SMTPUTF8 from end to end
    try:
        return f"{local}@{domain.lower().encode('idna').decode('ascii') if not domain.isascii() else domain.lower()}"
    except UnicodeError:
        return None
