"""What is an invitation, and why something is none."""

import email

import pytest

from notes2conf_milter.core.invitation import Cancellation, Invitation, may_hold_calendar, read, sealed
from notes2conf_milter.core.meeting import Person, Revision
from notes2conf_milter.core.message import parse
from notes2conf_milter.core.verdict import Reason
from tests.invitations import CALENDAR, LINK, calendar, invitation, message, part, read_ok, rewritten

PLAIN = part(b"Hi\r\n", b"text/plain")


def of(*properties: bytes, content_type: bytes = CALENDAR, **given: bytes) -> Invitation | Cancellation | Reason:
    return read(message(PLAIN, part(calendar(*properties, **given), content_type)))


def test_what_is_read() -> None:
    """The values that policy, store and start mail need."""
    found = read_ok(
        invitation(
            b'ATTENDEE;CN="Clara, C.":MAILTO:Clara@Example.NET',
            b"ATTENDEE:mailto:bob@example.net",
            b"ATTENDEE:urn:uuid:1",
            b"SUMMARY:a\\, b\\nc",
            b"SEQUENCE:3",
        )
    )
    assert found.uid == b"uid-1"
    assert found.organizer == Person("anna@example.org", "Anna")
    assert found.attendees == (Person("bob@example.net", "Bob"), Person("Clara@example.net", "Clara, C."))
    assert found.summary == "a, b\nc"
    assert found.revision == Revision(3, "20260302073000")
    assert found.whole
    assert found.sent_by == ""


@pytest.mark.parametrize(
    ("content_type", "method", "reason"),
    [
        (b"text/calendar; method=REPLY", b"REPLY", Reason.METHOD_REPLY),
        (b"text/calendar", b"COUNTER", Reason.METHOD_COUNTER),
        (b"text/calendar", b"DECLINECOUNTER", Reason.METHOD_COUNTER),
        (b"text/calendar", b"PUBLISH", Reason.METHOD_PUBLISH),
        (b"text/calendar", b"ADD", Reason.METHOD_OTHER),
        (b"text/calendar; method=REQUEST", b"CANCEL", Reason.METHOD_UNCLEAR),
        (b"text/calendar; charset=utf-16", b"REQUEST", Reason.CHARSET_UNSUPPORTED),
        (b"text/calendar; charset=utf-7", b"REQUEST", Reason.CHARSET_UNSUPPORTED),
    ],
)
def test_other_methods_and_charsets(content_type: bytes, method: bytes, reason: Reason) -> None:
    """Only a REQUEST is an invitation, and only in a charset that can be edited."""
    assert of(content_type=content_type, method=method) is reason


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ((b"ORGANIZER:mailto:other@example.org",), Reason.ORGANIZER_UNCLEAR),
        ((b"ORGANIZER:https://example.org/anna",), Reason.ORGANIZER_UNCLEAR),
        ((b"END:VEVENT", b"BEGIN:VEVENT", b"UID:uid-2"), Reason.SEVERAL_MEETINGS),
        ((b"END:VEVENT", b"BEGIN:VEVENT"), Reason.NO_UID),
        ((b"BEGIN:VALARM",), Reason.CALENDAR_UNPARSABLE),
        ((b"X:1",) * 50_000, Reason.TOO_COMPLEX),
        ((b"END:VEVENT", b"BEGIN:VEVENT", b"UID:uid-1") * 1_001, Reason.TOO_COMPLEX),
    ],
)
def test_calendars_that_are_left_alone(properties: tuple[bytes, ...], reason: Reason) -> None:
    """Doubt passes."""
    assert of(*properties) is reason


CANCEL = b"text/calendar; method=CANCEL"


def test_a_cancellation_of_a_whole_event() -> None:
    """Whose, of which meeting, for whom, and how new."""
    found = of(b"SEQUENCE:2", b"STATUS:CANCELLED", method=b"CANCEL", content_type=CANCEL)
    assert isinstance(found, Cancellation)
    assert (found.uid, found.organizer.address, found.revision) == (
        b"uid-1",
        "anna@example.org",
        Revision(2, "20260302073000"),
    )
    assert [one.address for one in found.attendees] == ["bob@example.net"]
    assert (found.whole, found.onward) == (True, False)
    one_date = of(b"RECURRENCE-ID:20260312T090000Z", method=b"CANCEL", content_type=CANCEL)
    assert isinstance(one_date, Cancellation)
    assert (one_date.whole, one_date.onward) == (False, False)
    onward = of(b"RECURRENCE-ID;RANGE=THISANDFUTURE:20260312T090000Z", method=b"CANCEL", content_type=CANCEL)
    assert isinstance(onward, Cancellation)
    assert (onward.whole, onward.onward) == (False, True)


@pytest.mark.parametrize(
    "properties",
    [
        (b"RECURRENCE-ID;RANGE=THISANDPRIOR:20260312T090000Z",),
        (
            b"END:VEVENT",
            b"BEGIN:VEVENT",
            b"UID:uid-1",
            b"RECURRENCE-ID:20260312T090000Z",
            b"ORGANIZER:mailto:anna@example.org",
        ),
        (b"ORGANIZER:mailto:other@example.org",),
        (b"END:VEVENT", b"BEGIN:VEVENT", b"UID:uid-2"),
        (b"END:VEVENT", b"BEGIN:VEVENT"),
    ],
)
def test_cancellations_of_less_or_in_doubt(properties: tuple[bytes, ...]) -> None:
    """All dates up to one, a date beside the whole, two organizers, several meetings: nothing is done."""
    assert of(*properties, method=b"CANCEL", content_type=CANCEL) is Reason.METHOD_CANCEL


def test_calendars_that_cancel_different_meetings() -> None:
    """An attached file must not hide another meeting's cancellation, nor turn one into an invitation."""
    first = part(calendar(method=b"CANCEL"), CANCEL)
    other = part(calendar(method=b"CANCEL", uid=b"2"), b"application/ics", b"8bit", b"Content-Disposition: attachment")
    assert read(message(first, other)) is Reason.METHOD_CANCEL
    assert read(message(first, part(calendar(), b"application/ics"))) is Reason.METHOD_CANCEL
    assert isinstance(read(message(first, part(calendar(method=b"CANCEL"), b"application/ics"))), Cancellation)


def test_an_organizer_who_is_named_twice_alike() -> None:
    """Is one organizer, whatever the case."""
    assert isinstance(of(b"ORGANIZER:MAILTO:Anna@EXAMPLE.org"), Invitation)


@pytest.mark.parametrize(
    "address", [b"=?utf-8?q?=0aBcc:x?=@example.org", b"a b@example.org", b"a%0Ab@example.org", b"@example.org"]
)
def test_addresses_that_cannot_be_written_to(address: bytes) -> None:
    """An organizer without a usable address is unclear: the start mail goes there."""
    octets = invitation().replace(b"mailto:anna@example.org", b"mailto:" + address)
    assert read(octets) is Reason.ORGANIZER_UNCLEAR


def test_every_copy_counts() -> None:
    """Text parts and attached files of the same meeting are copies, another meeting's file is only a file."""
    own = part(calendar(), b'application/octet-stream; name="c.ICS"', b"base64")
    foreign = part(calendar(uid=b"uid-2"), b"application/ics", b"8bit", b"Content-Disposition: attachment")
    found = read_ok(message(own, PLAIN, foreign, part(calendar(), CALENDAR)))
    assert len(found.copies) == 2
    assert found.copies[0].part.media_type == b"text/calendar"


def test_copies_that_disagree() -> None:
    """In their organizer, their meeting or their method: none is edited."""
    first = part(calendar(), CALENDAR)
    other = calendar().replace(b"anna@", b"berta@")
    assert read(message(first, part(other, CALENDAR))) is Reason.ORGANIZER_UNCLEAR
    assert read(message(first, part(calendar(uid=b"2"), CALENDAR))) is Reason.SEVERAL_MEETINGS
    cancel = part(calendar(method=b"CANCEL"), b"text/calendar")
    assert read(message(first, cancel)) is Reason.METHOD_UNCLEAR


def test_a_calendar_that_ends_without_a_line_end() -> None:
    """Is read like any other; so is one behind a byte order mark."""
    assert isinstance(read(message(PLAIN, part(calendar().strip(), CALENDAR))), Invitation)
    assert isinstance(read(message(PLAIN, part(b"\xef\xbb\xbf" + calendar(), CALENDAR))), Invitation)


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        (b"multipart/signed", Reason.SIGNED),
        (b"multipart/encrypted", Reason.ENCRYPTED),
        (b"application/pkcs7-mime; smime-type=signed-data", Reason.SIGNED),
        (b"application/x-pkcs7-mime", Reason.ENCRYPTED),
        (b"text/plain", None),
    ],
)
def test_signed_and_encrypted_parts(content_type: bytes, reason: Reason | None) -> None:
    """Anywhere in the message."""
    assert sealed(parse(message(PLAIN, part(b"x", content_type)))) is reason


def test_the_quick_look() -> None:
    """Spares mail without a calendar, and never one with it."""
    assert not may_hold_calendar(b"Subject: x\r\n\r\nhello")
    for octets in (b"Text/Calendar", b"INVITE.ICS", b"application/ICS"):
        assert may_hold_calendar(octets)
    assert read(b"Subject: text/calendar\r\n\r\n") is Reason.NO_CALENDAR


def test_a_delegate_is_named_by_every_copy() -> None:
    """SENT-BY in an attachment alone is a claim that nobody sees: it makes nobody the sender."""
    named = calendar().replace(b"ORGANIZER;CN=Anna", b'ORGANIZER;SENT-BY="mailto:carla@example.org"')
    both = message(part(named, CALENDAR), part(named, b"application/ics", b"base64"))
    assert read_ok(both).sent_by == "carla@example.org"
    hidden = message(part(calendar(), CALENDAR), part(named, b"application/ics", b"base64"))
    assert read_ok(hidden).sent_by == ""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"-----BEGIN PGP SIGNED MESSAGE-----", Reason.SIGNED),
        (b"-----BEGIN PGP MESSAGE-----", Reason.ENCRYPTED),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----", None),
    ],
)
def test_text_that_is_signed_without_mime(line: bytes, reason: Reason | None) -> None:
    """PGP's own armour in a body; a key that is sent along is no signature."""
    found = read(invitation(text=line + b"\r\nHash: SHA256\r\n\r\nHello\r\n"))
    assert found is reason if reason else isinstance(found, Invitation)


@pytest.mark.parametrize(("name", "reason"), [(b"smime.p7m", Reason.ENCRYPTED), (b"smime.p7s", Reason.SIGNED)])
def test_secure_mime_by_its_file_name(name: bytes, reason: Reason) -> None:
    """What a gateway on the way made an octet-stream is still sealed (RFC 8551 §3.2.1)."""
    attached = part(b"x", b'application/octet-stream; name="' + name + b'"', b"base64")
    assert read(message(part(calendar(), CALENDAR), attached)) is reason


def test_a_header_that_ends_without_an_empty_line() -> None:
    """Where the body begins is in doubt, so nothing is put into it."""
    octets = invitation().replace(b"MIME-Version: 1.0\r\n", b"").replace(b"\r\n\r\n", b"\r\nno field\r\n", 1)
    assert read(octets) is Reason.HEADER_UNCLEAR


@pytest.mark.parametrize(
    ("address", "expected"),
    [("anna@bücher.example", "anna@xn--bcher-kva.example"), ("jörg@example.org", None)],
)
def test_addresses_beyond_ascii(address: str, expected: str | None) -> None:
    """A domain is written as A-labels; a local part would need SMTPUTF8 all the way, so it is unclear."""
    found = read(invitation().replace(b"anna@example.org", address.encode()))
    if expected is None:
        assert found is Reason.ORGANIZER_UNCLEAR
    else:
        assert isinstance(found, Invitation)
        assert found.organizer.address == expected


@pytest.mark.parametrize(
    "parameters",
    [
        b'filename*0="Einladung"; filename*1=".ics"',
        b"filename*=utf-8''Einladung%2Eics",
        b"filename*0*=utf-8''Einladung%20f%C3%BCr; filename*1*=%2Eics",
        b'filename="=?utf-8?B?RWlubGFkdW5nLmljcw==?="',
        b'filename="=?utf-8?Q?Einladung=2Eics?="',
        b'filename="=?utf-8?Q?Einladung_f=C3=BCr?= =?utf-8?Q?=2Eics?="',
        b'filename="invite.ICS"',
    ],
)
def test_a_copy_with_an_encoded_file_name(parameters: bytes) -> None:
    """However its name is written, an attached copy gets the link, too; so do both when it is the only one."""
    attached = part(
        calendar(), b"application/octet-stream", b"base64", b"Content-Disposition: attachment; " + parameters
    )
    octets = message(part(calendar(), CALENDAR), attached)
    assert len(read_ok(octets).copies) == 2
    result = rewritten(octets)
    copies = [one for one in email.message_from_bytes(result).walk() if one.get_content_maintype() != "multipart"]
    assert all(LINK in one.get_payload(decode=True).replace(b"\r\n ", b"") for one in copies)
    assert isinstance(read(message(PLAIN, attached)), Invitation)


def test_a_calendar_is_seen_wherever_it_stands() -> None:
    """The quick look goes piece by piece; no seam hides a calendar."""
    for before in range(65_470, 65_560):
        assert may_hold_calendar(b"x" * before + b"Text/Calendar" + b"y" * 70_000)
    assert not may_hold_calendar(b"text/calenda" * 30_000)
