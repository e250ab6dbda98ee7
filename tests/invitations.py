"""Small invitations, made to measure, and the way of one through the core."""

import base64
import quopri
import re

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.meant import Meant
from notes2conf_milter.core.mending import mend
from notes2conf_milter.core.repairs import Mode, Repairs
from notes2conf_milter.core.rewrite import Job, changes, meant, rewrite
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.wording import WORDINGS

BASE_URL = "https://conf.example.org"
TOKEN = "joinjoinjoinjoinjoinjoinjoinjoin"
OTHER = "otherotherotherotherotherotherot"
LINK = f"{BASE_URL}/j/{TOKEN}".encode()
STALE = f"{BASE_URL}/j/{OTHER}".encode()
FENCE = b"-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-~-"


def calendar(*properties: bytes, uid: bytes = b"uid-1", method: bytes = b"REQUEST", eol: bytes = b"\r\n") -> bytes:
    """A calendar with one event of anna@example.org, with `properties` besides."""
    lines = [
        b"BEGIN:VCALENDAR",
        b"VERSION:2.0",
        b"METHOD:" + method,
        b"BEGIN:VEVENT",
        b"UID:" + uid,
        b"DTSTAMP:20260302T073000Z",
        b"DTSTART:20260312T090000Z",
        b"DTEND:20260312T100000Z",
        b"ORGANIZER;CN=Anna:mailto:anna@example.org",
        b"ATTENDEE;CN=Bob:mailto:bob@example.net",
        *properties,
        b"END:VEVENT",
        b"END:VCALENDAR",
        b"",
    ]
    return eol.join(lines)


def encoded(octets: bytes, encoding: bytes) -> bytes:
    """Octets as they stand in a part with a transfer encoding."""
    match encoding:
        case b"base64":
            return base64.encodebytes(octets).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
        case b"quoted-printable":
            lines = [quopri.encodestring(line) for line in octets.split(b"\r\n")]
            return b"\r\n".join(line.replace(b"\n", b"\r\n") for line in lines)
    return octets


def part(octets: bytes, content_type: bytes, encoding: bytes = b"8bit", *more: bytes) -> bytes:
    """A MIME part with its header; `octets` are encoded."""
    fields = [
        b"Content-Type: " + content_type,
        *([b"Content-Transfer-Encoding: " + encoding] if encoding else []),
        *more,
    ]
    return b"\r\n".join(fields) + b"\r\n\r\n" + encoded(octets, encoding)


def message(
    *parts: bytes, subject: bytes = b"Planning", kind: bytes = b"alternative", boundary: bytes = b"=_b"
) -> bytes:
    """A multipart message of anna@example.org."""
    header = (
        b"From: Anna <anna@example.org>\r\nTo: bob@example.net\r\nSubject: " + subject + b"\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    )
    return header + b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts) + b"--" + boundary + b"--\r\n"


CALENDAR = b"text/calendar; charset=UTF-8; method=REQUEST"


def invitation(*properties: bytes, text: bytes = b"Let us meet.\r\n", encoding: bytes = b"8bit") -> bytes:
    """A message with a text and a calendar whose event has `properties` besides."""
    return message(part(text, b"text/plain; charset=UTF-8", encoding), part(calendar(*properties), CALENDAR, encoding))


def job(keyword: re.Pattern[bytes] | None = None, language: str = "en") -> Job:
    others = tuple(wording for name, wording in WORDINGS.items() if name != language)
    return Job(BASE_URL, TOKEN, WORDINGS[language], keyword, others)


def read_ok(octets: bytes) -> Invitation:
    """The invitation in a message that holds one."""
    found = read(octets)
    assert isinstance(found, Invitation), found
    return found


def meaning(octets: bytes, wanted: Job | None = None) -> Meant:
    return meant(read_ok(octets), wanted or job())


def rewritten(octets: bytes, wanted: Job | None = None) -> bytes:
    """A message with its link, after the self-check, and seen not to change again."""
    wanted = wanted or job()
    found = read_ok(octets)
    result = apply(octets, rewrite(octets, found, wanted))
    assert check(octets, result, meant(found, wanted)) is None
    assert rewrite(result, read_ok(result), wanted) == ()
    return result


ALL_ON = Repairs(Mode.ON, Mode.ON)


def repaired(octets: bytes, wanted: Repairs = ALL_ON) -> tuple[bytes, list[str]]:
    """A message with its link and its repairs, after the self-check, seen not to change again; and what is said of them."""
    found = read_ok(octets)
    mending = mend(octets, found, wanted)
    result = changes(octets, found, job(), mending).applied(octets)
    assert check(octets, result, meant(found, job(), mending)) is None
    again = read_ok(result)
    assert changes(result, again, job(), mend(result, again, wanted)).edits(result) == ()
    return result, list(map(str, mending.repairs))


def unfolded(octets: bytes) -> bytes:
    return re.sub(rb"\r?\n[ \t]", b"", octets)
