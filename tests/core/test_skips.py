"""Invitations that cannot be given a link, and whom to tell."""

import base64
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.invitation import may_hold_calendar, read
from notes2conf_milter.core.policy import PolicySettings, Trigger, before_body
from notes2conf_milter.core.skips import Obstacle, Skipped, may_be_skipped, skipped
from notes2conf_milter.core.verdict import Reason
from tests.invitations import CALENDAR, calendar, message, part

RULES = PolicySettings(
    frozenset({"example.org"}),
    (ip_network("192.0.2.0/24"),),
    tell_organizer=True,
    conference_addresses=frozenset({"meet@conf.example.org"}),
)
ANNA = Envelope(Door.MILTER, b"anna@example.org", (b"bob@example.net",), ip_address("192.0.2.1"))
SIGNATURE = part(b"MIIB", b"application/pkcs7-signature; name=smime.p7s")
SUMMARY = b"SUMMARY:Secret plan"


def signed(*properties: bytes, kind: bytes = CALENDAR) -> bytes:
    return message(part(calendar(*properties), kind), SIGNATURE, kind=b"signed; protocol=x")


def tnef(content: bytes) -> bytes:
    return message(
        part(b"Hello\r\n", b"text/plain"),
        part(content, b"application/ms-tnef; name=winmail.dat", b"base64"),
        kind=b"mixed",
    )


def encrypted(field: bytes = b"") -> bytes:
    return field + message(part(b"Version: 1\r\n", b"application/pgp-encrypted"), kind=b"encrypted")


BROKEN = message(part(b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n", CALENDAR))
REQUEST = b"\x78\x9f\x3e\x22IPM.Schedule.Meeting.Request\0"
OUTER = b"Content-class: urn:content-classes:calendarmessage\r\n"
NOTES = b"X-Notes-Item: Notice;\r\n name=Form\r\n"


def told(octets: bytes, envelope: Envelope = ANNA, rules: PolicySettings = RULES) -> Skipped | None:
    """What comes of a message on its whole way: at the end of its header, then read."""
    header = octets[: octets.index(b"\r\n\r\n") + 4]
    if before_body(envelope, header, rules) is not None:
        return None
    if not may_hold_calendar(octets) and not may_be_skipped(octets):
        return None
    reason = read(octets)
    return skipped(octets, envelope, rules, reason) if isinstance(reason, Reason) else None


@pytest.mark.parametrize(
    ("octets", "reason", "obstacle"),
    [
        (signed(SUMMARY), Reason.SIGNED, Obstacle.SIGNED),
        (signed(SUMMARY, kind=b"text/calendar; charset=UTF-8"), Reason.SIGNED, Obstacle.SIGNED),
        (tnef(REQUEST), Reason.TNEF, Obstacle.TNEF),
        (tnef(b"IPM.Microsoft Schedule.MtgReq\0"), Reason.TNEF, Obstacle.TNEF),
        (BROKEN, Reason.CALENDAR_UNPARSABLE, Obstacle.UNREADABLE),
        (encrypted(OUTER), Reason.ENCRYPTED, Obstacle.ENCRYPTED),
        (encrypted(NOTES), Reason.ENCRYPTED, Obstacle.ENCRYPTED),
        (
            message(part(calendar(SUMMARY), CALENDAR.replace(b"UTF-8", b"UTF-7"))),
            Reason.CHARSET_UNSUPPORTED,
            Obstacle.UNREADABLE,
        ),
    ],
    ids=["signed", "signed-method-inside", "tnef", "tnef-old", "broken", "encrypted", "encrypted-notes", "charset"],
)
def test_the_organizer_is_told(octets: bytes, reason: Reason, obstacle: Obstacle) -> None:
    found = told(octets)
    assert found is not None
    assert (found.reason, found.obstacle, found.organizer) == (reason, obstacle, "anna@example.org")
    assert found.subject == "Planning"


@pytest.mark.parametrize(
    "octets",
    [
        message(part(b"Hello\r\n", b"text/plain"), SIGNATURE, kind=b"signed"),
        signed(b"X-A:b").replace(b"REQUEST", b"CANCEL"),
        signed(b"X-A:b").replace(b"REQUEST", b"REPLY"),
        tnef(b"IPM.Note\0"),
        encrypted(),
        encrypted(b"X-Notes-Item: Memo;\r\n name=Form\r\n"),
        signed(SUMMARY).replace(b"mailto:anna@example.org", b"mailto:boss@example.com"),
        signed(b"SUMMARY:Plan @nomeet"),
        signed(b"LOCATION:https://example.zoom.us/j/123456789"),
        b"Auto-Submitted: auto-generated\r\n" + signed(SUMMARY),
        message(part(b"Hello\r\n", b"text/plain")),
    ],
    ids=[
        "no-calendar",
        "cancellation",
        "reply",
        "tnef-note",
        "encrypted-anything",
        "encrypted-memo",
        "somebody-elses",
        "opt-out",
        "other-conference",
        "machine",
        "plain",
    ],
)
def test_nobody_is_told_of_what_is_no_invitation_or_wants_no_link(octets: bytes) -> None:
    assert told(octets) is None


@pytest.mark.parametrize(
    "envelope",
    [
        replace(ANNA, client=ip_address("198.51.100.1")),
        replace(ANNA, sender=b""),
        replace(ANNA, sender=b"eve@example.com"),
    ],
)
def test_only_own_organizers_are_told(envelope: Envelope) -> None:
    """Law 9: nobody can have us write to somebody."""
    assert told(signed(SUMMARY), envelope) is None


@pytest.mark.parametrize("octets", [tnef(REQUEST), encrypted(OUTER)], ids=["tnef", "encrypted"])
@pytest.mark.parametrize(
    "author", [b"Bob <bob@foreign.example>", b"anna@example.org, berta@example.org", b"berta@example.org", b""]
)
def test_what_somebody_else_wrote_is_not_hers(octets: bytes, author: bytes) -> None:
    """Forwarded by a server, say: nobody sees an ORGANIZER in it, so From must be the sender."""
    assert told(octets) is not None
    assert told(octets.replace(b"From: Anna <anna@example.org>", b"From: " + author)) is None


@pytest.mark.parametrize(
    "field",
    [
        b"List-Id: <team.example.org>",
        b"List-Unsubscribe: <https://x>",
        b"Precedence: List",
        b"Resent-From: anna@example.org",
    ],
)
@pytest.mark.parametrize("octets", [signed(SUMMARY), tnef(REQUEST), BROKEN], ids=["signed", "tnef", "broken"])
def test_lists_and_what_is_passed_on(octets: bytes, field: bytes) -> None:
    """Nobody waits there, and a list's software would take the mail for a bounce."""
    assert told(field + b"\r\n" + octets) is None


def test_a_file_is_its_authors() -> None:
    """`rewrite` shows what would happen."""
    assert told(signed(SUMMARY), Envelope(Door.COMMAND, b"")) is not None


def test_by_setting() -> None:
    """And then such a message is not looked at beyond its header."""
    rules = replace(RULES, tell_organizer=False)
    octets = signed(SUMMARY)
    assert before_body(ANNA, octets[: octets.index(b"\r\n\r\n") + 4], rules) is Reason.SIGNED
    assert skipped(octets, ANNA, rules, Reason.SIGNED) is None


def test_only_who_would_have_got_a_link() -> None:
    """Under the keyword: where it stands in the calendar or the Subject, or the conference address is written to."""
    rules = replace(RULES, trigger=Trigger.KEYWORD)
    assert told(signed(SUMMARY), rules=rules) is None
    assert told(signed(b"LOCATION:@meet"), rules=rules) is not None
    assert (
        told(tnef(REQUEST).replace(b"Subject: Planning", b"Subject: =?utf-8?q?Plan_=40meet?="), rules=rules) is not None
    )
    to_address = replace(ANNA, recipients=(b"Meet@conf.example.org",))
    assert told(signed(SUMMARY), to_address, replace(RULES, trigger=Trigger.NEVER)) is not None


def test_the_mark_is_that_of_the_message_id() -> None:
    """The same for all copies of a message, and no way back to it."""
    one, other = (b"Message-ID: <%d@example.org>\r\n" % number + signed(SUMMARY) for number in (1, 2))
    marks = {told(octets).mark for octets in (one, b"X-Copy: 2\r\n" + one, other)}  # type: ignore[union-attr]
    assert len(marks) == 2
    assert not any("example" in mark for mark in marks)
    assert len({told(octets).mark for octets in (signed(SUMMARY), signed(b"SUMMARY:y"))}) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("subject", [b"=?x?", b"=?utf-8?b?%?=", b"\xff\xfe", b"=?nope?q?x?=", b""])
def test_any_subject_is_an_answer(subject: bytes) -> None:
    octets = signed(SUMMARY).replace(b"Subject: Planning", b"Subject: " + subject)
    assert isinstance(told(octets), Skipped)


def test_a_quick_look_finds_what_may_be_one() -> None:
    assert may_be_skipped(tnef(b""))
    assert may_be_skipped(b"name=WINMAIL.DAT")
    assert may_be_skipped(encrypted(OUTER))
    assert may_be_skipped(encrypted(NOTES))
    assert not may_be_skipped(message(part(b"Hello\r\n", b"text/plain")))
    assert base64.b64encode(REQUEST) not in tnef(b"")
