"""Invitations that cannot be given a link, for which the organizer may be waiting.

In:  a message that passes, its envelope, the settings, the reason. Out: `Skipped`, whom to tell why; None when it is not plain
     that this is an invitation of an own organizer who would have got a link.
Fails: never.

Seen are: calendars in clear-signed messages, and such that cannot be read; TNEF (winmail.dat) with a meeting request in it;
encrypted messages only where the outer header says that they hold a calendar, for nobody can tell otherwise.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses
from enum import Enum

from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import is_calendar, mail_address, sealed
from notes2conf_milter.core.language import language_of
from notes2conf_milter.core.message import MessageTooComplex, Part, parse
from notes2conf_milter.core.octets import holds_any
from notes2conf_milter.core.policy import PolicySettings, Trigger, senders
from notes2conf_milter.core.transfer import decode
from notes2conf_milter.core.verdict import Reason


class Obstacle(Enum):
    """What kept a link out."""

    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    TNEF = "tnef"
    UNREADABLE = "unreadable"
    DKIM = "dkim"  # a signature of the organizer's mail server


@dataclass(frozen=True, slots=True)
class Skipped:
    """Whom to tell, and why. organizer: the address. mark: the same for the same Message-ID, and no way back to it.

    language: which the message says it is in, "" for none.
    """

    reason: Reason
    obstacle: Obstacle
    organizer: str
    subject: str
    mark: str
    language: str = ""


_HINTS = (b"ms-tnef", b"winmail.dat", b"content-classes:calendarmessage", b"name=form", b"name=noticetype")
_TNEF_REQUESTS = (b"IPM.Schedule.Meeting.Request", b"IPM.Microsoft Schedule.MtgReq")  # MS-OXCMSG, PidTagMessageClass
_REQUEST = re.compile(rb"^METHOD[ \t]*:[ \t]*REQUEST[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\r?\n[ \t]")
_ORGANIZER = re.compile(rb"^ORGANIZER[;:][^\r\n]*", re.IGNORECASE | re.MULTILINE)
# What Exchange says of a calendar message, and the items that Notes mails along with a notice, inviting.
_PASSED_ON = (b"list-id", b"list-unsubscribe", b"resent-from", b"resent-sender", b"resent-to")
_CONTENT_CLASS = b"urn:content-classes:calendarmessage"
_NOTES_ITEM = re.compile(
    rb"^\s*(?:Notice|Appointment|I)\s*;.*\bname=(?:Form|NoticeType)\s*$", re.IGNORECASE | re.DOTALL
)


def may_be_skipped(message: bytes) -> bool:
    """Say whether a message without a calendar to be seen may be an invitation all the same: a quick look."""
    return holds_any(message, _HINTS)


def skipped(message: bytes, envelope: Envelope, settings: PolicySettings, reason: Reason) -> Skipped | None:
    """Return whom to tell that `message` passes without a link for `reason`, or None."""
    if not settings.tell_organizer:
        return None
    if envelope.door is Door.COMMAND:
        settings = replace(settings, sender_from=True)  # a file has no envelope
    try:
        root = parse(message)
        own = [address for address in senders(envelope, message, settings) if settings.own_domain(address)]
        found = _obstacle(message, root, reason, own[0]) if len(own) == 1 else None
    except MessageTooComplex:
        return None
    if found is None or mail_address(own[0]) is None or _automatic(message, root):
        return None
    reason, obstacle, calendar = found
    if obstacle in (Obstacle.TNEF, Obstacle.ENCRYPTED) and _authors(message, root) != [own[0]]:
        return None  # no ORGANIZER to be seen: forwarded by a server, perhaps
    subject = _subject(message, root)
    if not _asked_for(subject.encode("utf-8", "replace") + b"\n" + calendar, envelope, settings):
        return None
    return Skipped(reason, obstacle, own[0], subject, _mark(message, root), language_of(message, root) or "")


def signature_kept(message: bytes, organizer: str, subject: str, language: str) -> Skipped:
    """Return whom to tell that `message` passes because of its DKIM signature. The message has been read before."""
    mark = _mark(message, parse(message))
    return Skipped(Reason.DKIM_SIGNATURE_KEPT, Obstacle.DKIM, organizer, subject, mark, language)


def _mark(message: bytes, root: Part) -> str:
    name = next(_values(message, root, b"message-id"), message).strip()
    return hashlib.sha256(b"skipped " + name).hexdigest()[:32]


def _obstacle(message: bytes, root: Part, reason: Reason, own: str) -> tuple[Reason, Obstacle, bytes] | None:
    """Return what keeps a link out of an invitation, and the calendar as far as it can be seen; None: it is none."""
    if reason is Reason.ENCRYPTED or (reason is Reason.NO_CALENDAR and sealed(root) is Reason.ENCRYPTED):
        return (Reason.ENCRYPTED, Obstacle.ENCRYPTED, b"") if _outer_calendar(message, root) else None
    match reason:
        case Reason.SIGNED:
            obstacle = Obstacle.SIGNED
        case Reason.CALENDAR_UNPARSABLE | Reason.CHARSET_UNSUPPORTED:
            obstacle = Obstacle.UNREADABLE
        case Reason.NO_CALENDAR:
            return (Reason.TNEF, Obstacle.TNEF, b"") if any(map(_tnef_request, _tnef_parts(message, root))) else None
        case _:
            return None
    for part in root.walk():
        if not part.children and is_calendar(part):
            octets = _decoded(message, part)
            asks = part.parameters.get(b"method", b"").upper() == b"REQUEST" or _REQUEST.search(octets)
            if asks and _may_be_of(octets, own):
                return reason, obstacle, octets
    return None


def _may_be_of(calendar: bytes, sender: str) -> bool:
    """Say whether a calendar names its sender as ORGANIZER or SENT-BY, or names none: what is passed on is somebody else's."""
    lines = _ORGANIZER.findall(_FOLD.sub(b"", calendar))
    return not lines or any(b"mailto:" + sender.encode("utf-8", "replace") in line.lower() for line in lines)


def _decoded(message: bytes, part: Part) -> bytes:
    return decode(message[part.header.body_start : part.body_end], part.encoding) or b""


def _tnef_parts(message: bytes, root: Part) -> Iterator[bytes]:
    for part in root.walk():
        named = part.media_type.endswith(b"/ms-tnef") or b"winmail.dat" in {name.lower() for name in part.filenames}
        if named and not part.children:
            yield _decoded(message, part)


def _tnef_request(octets: bytes) -> bool:
    return any(name in octets for name in _TNEF_REQUESTS)


def _outer_calendar(message: bytes, root: Part) -> bool:
    classes = _values(message, root, b"content-class")
    if any(value.strip().lower() == _CONTENT_CLASS for value in classes):
        return True
    return any(_NOTES_ITEM.match(value) for value in _values(message, root, b"x-notes-item"))


def _automatic(message: bytes, root: Part) -> bool:
    """Say whether the message is a machine's (RFC 3834 §5), a list's (RFC 2919), or passed on (RFC 5322 §3.6.6)."""
    if any(value.partition(b";")[0].strip().lower() != b"no" for value in _values(message, root, b"auto-submitted")):
        return True
    if any(value.strip().lower() in (b"list", b"bulk", b"junk") for value in _values(message, root, b"precedence")):
        return True
    return any(field.name.lower() in _PASSED_ON for field in root.header.fields)


def _authors(message: bytes, root: Part) -> list[str]:
    """Return the addresses in From, in lower case."""
    values = [value.decode("utf-8", "replace") for value in _values(message, root, b"from")]
    return [address.lower() for _, address in getaddresses(values)]


def _asked_for(text: bytes, envelope: Envelope, settings: PolicySettings) -> bool:
    """Say whether the organizer would have got a link, as far as that can be seen in `text`."""
    if settings.opt_out_found.search(text) or settings.conferences.found(text):
        return False
    recipients = {recipient.decode("utf-8", "replace").lower() for recipient in envelope.recipients}
    if not settings.conference_addresses.isdisjoint(recipients) or settings.trigger is Trigger.ALWAYS:
        return True
    return settings.trigger is Trigger.KEYWORD and settings.keyword_found.search(text) is not None


def _subject(message: bytes, root: Part) -> str:
    value = next(_values(message, root, b"subject"), b"").strip()
    try:
        return str(make_header(decode_header(value.decode("utf-8", "replace"))))
    except (HeaderParseError, UnicodeError, LookupError, ValueError):
        return ""


def _values(message: bytes, root: Part, name: bytes) -> Iterator[bytes]:
    return (message[one.value_start : one.value_end] for one in root.header.fields if one.name.lower() == name)
