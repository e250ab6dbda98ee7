"""Whose invitation gets a link, and the reason when not."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from notes2conf_milter.core.encryption import Hop, Tls
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.message import header_fields
from notes2conf_milter.core.policy import Decision, PolicySettings, Trigger, before_body, decide, plainly_no_calendar
from notes2conf_milter.core.verdict import Reason
from tests.invitations import BASE_URL, LINK, invitation, read_ok
from tests.milter.mta import header_run, split

SETTINGS = PolicySettings(
    frozenset({"example.org", ".sub.example"}), (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
)
INSIDE = Envelope(Door.MILTER, b"anna@example.org", client=ip_address("192.0.2.1"))
OWN = own_join_link(BASE_URL)
MULTIPART = b"From: Anna <anna@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (INSIDE, None),
        (replace(INSIDE, client=ip_address("2001:db8::1")), None),
        (replace(INSIDE, client=ip_address("198.51.100.1")), Reason.CLIENT_NOT_ALLOWED),
        (replace(INSIDE, client=ip_address("127.0.0.1")), Reason.CLIENT_NOT_ALLOWED),
        (replace(INSIDE, client=None), Reason.CLIENT_NOT_ALLOWED),
        (replace(INSIDE, client=None, authenticated=True), None),
        (replace(INSIDE, sender=b""), Reason.SENDER_NOT_OWN),
        (replace(INSIDE, sender=b"anna@example.com"), Reason.SENDER_NOT_OWN),
        (replace(INSIDE, sender=b"anna@notexample.org"), Reason.SENDER_NOT_OWN),
        (replace(INSIDE, sender=b"anna@x.example.org"), Reason.SENDER_NOT_OWN),
        (replace(INSIDE, sender=b"ANNA@A.B.SUB.EXAMPLE"), None),
        (replace(INSIDE, sender=b"anna@sub.example"), Reason.SENDER_NOT_OWN),
        (replace(INSIDE, sender=b"\xff@example.org"), None),
        (Envelope(Door.COMMAND, b""), None),
    ],
)
def test_who_is_known_by_the_envelope(envelope: Envelope, reason: Reason | None) -> None:
    """Law 9: client and sender, before the body crosses."""
    assert before_body(envelope, MULTIPART, SETTINGS) is reason


TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (INSIDE, Reason.NOT_ENCRYPTED),
        (replace(INSIDE, tls=TLS), None),
        (replace(INSIDE, client=ip_address("192.0.2.200")), None),
        (replace(INSIDE, hop=Hop.ENFORCED), None),
        (replace(INSIDE, hop=Hop.UNSEEN), Reason.NOT_ENCRYPTED),
        (replace(INSIDE, client=ip_address("2001:db8::1")), Reason.NOT_ENCRYPTED),
        (replace(INSIDE, client=ip_address("203.0.113.1"), authenticated=True), Reason.NOT_ENCRYPTED),
        (replace(INSIDE, client=ip_address("203.0.113.1"), authenticated=True, tls=TLS), None),
        (replace(INSIDE, client=ip_address("198.51.100.1"), tls=TLS), Reason.CLIENT_NOT_ALLOWED),
        (replace(INSIDE, sender=b"anna@example.com"), Reason.SENDER_NOT_OWN),
        (Envelope(Door.COMMAND, b""), None),
    ],
)
def test_a_link_needs_an_encrypted_way(envelope: Envelope, reason: Reason | None) -> None:
    """TLS, an exempt network, or a filter whose listeners enforce it. To be exempt makes nobody an allowed client."""
    exempt = (ip_network("192.0.2.128/25"), ip_network("198.51.100.0/24"))
    settings = replace(SETTINGS, needs_tls=True, exempt_networks=exempt)
    assert before_body(envelope, MULTIPART, settings) is reason


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        (b"text/plain", Reason.NO_CALENDAR),
        (b"text/calendar", None),
        (b"application/octet-stream; name=a.ics", None),
        (b"multipart/signed", Reason.SIGNED),
        (b"Multipart/Encrypted", Reason.ENCRYPTED),
        (b"application/pkcs7-mime; name=smime.p7m", Reason.ENCRYPTED),
        (b"", Reason.NO_CALENDAR),
    ],
)
def test_what_the_header_tells(content_type: bytes, reason: Reason | None) -> None:
    """Mail that cannot hold an invitation passes before its body is sent."""
    assert before_body(INSIDE, b"Content-Type: " + content_type + b"\r\n\r\n", SETTINGS) is reason


def test_authentication_can_be_switched_off() -> None:
    """Then only networks count."""
    strict = replace(SETTINGS, allow_authenticated=False)
    envelope = replace(INSIDE, client=None, authenticated=True)
    assert before_body(envelope, MULTIPART, strict) is Reason.CLIENT_NOT_ALLOWED


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"From: Anna <anna@example.org>", None),
        (b"From: anna@example.org", None),
        (b"From: evil@example.com", Reason.SENDER_NOT_OWN),
        (b"From: anna@example.org, evil@example.com", Reason.SENDER_NOT_OWN),
        (b"From: anna@example.org\r\nFrom: anna@example.org", Reason.SENDER_NOT_OWN),
        (b"X: y", Reason.SENDER_NOT_OWN),
    ],
)
def test_from_can_count_as_the_sender(header: bytes, reason: Reason | None) -> None:
    """Where servers rewrite envelopes; exactly one address in exactly one From."""
    given = header + b"\r\nContent-Type: text/calendar\r\n\r\n"
    assert (
        before_body(replace(INSIDE, sender=b"srs@other.example"), given, replace(SETTINGS, sender_from=True)) is reason
    )


def decided(
    octets: bytes, settings: PolicySettings = SETTINGS, envelope: Envelope = INSIDE, over_at: int = 2
) -> Decision | Reason:
    assert before_body(envelope, octets[: header_fields(octets).body_start], settings) is None
    return decide(envelope, octets, read_ok(octets), settings, own_link=OWN, over_at=over_at, now=1)


CLAIM = Decision(None, update=True)


def without(reason: Reason) -> Decision:
    return Decision(reason, update=True)


@pytest.mark.parametrize(
    ("properties", "decision"),
    [
        ((), CLAIM),
        ((b"LOCATION:Room",), CLAIM),
        ((b"SUMMARY:Plan @nomeet",), without(Reason.OPT_OUT)),
        ((b"DESCRIPTION:https://zoom.us/j/123",), without(Reason.CONFERENCE_PRESENT)),
        ((b"LOCATION:https://us02web.zoo\r\n m.us/j/123",), without(Reason.CONFERENCE_PRESENT)),
        (
            (b"DESCRIPTION:https://safe.example/?url=https%3A%2F%2Fteams.microsoft.com%2Fl%2Fmeetup-join%2F1",),
            without(Reason.CONFERENCE_PRESENT),
        ),
        ((b"DESCRIPTION:https://zoom.us/blog",), CLAIM),
        ((b"DESCRIPTION:https://notzoom.us/j/1",), CLAIM),
        ((b"CONFERENCE;VALUE=URI:https://video.example/1",), without(Reason.CONFERENCE_PRESENT)),
        ((b"CONFERENCE;VALUE=URI:tel:+49301",), CLAIM),
        ((b"CONFERENCE;VALUE=URI:" + LINK,), CLAIM),
        ((b"X-GOOGLE-CONFERENCE:https://x",), without(Reason.CONFERENCE_PRESENT)),
        ((b"X-GOOGLE-CONFERENCE:",), CLAIM),
    ],
)
def test_which_meetings_are_claimed(properties: tuple[bytes, ...], decision: Decision) -> None:
    """All but those that opt out or have a conference already."""
    assert decided(invitation(*properties)) == decision


def test_a_conference_in_the_body() -> None:
    """Counts, however the body is encoded."""
    octets = invitation(text=b"Join https://meet.google.com/abc\r\n", encoding=b"base64")
    assert decided(octets) == without(Reason.CONFERENCE_PRESENT)


@pytest.mark.parametrize(
    ("trigger", "summary", "decision"),
    [
        (Trigger.NEVER, b"Plan @meet", without(Reason.TRIGGER_OFF)),
        (Trigger.KEYWORD, b"Plan", without(Reason.KEYWORD_MISSING)),
        (Trigger.KEYWORD, b"Plan @meeting", without(Reason.KEYWORD_MISSING)),
        (Trigger.KEYWORD, b"Plan @Meet", CLAIM),
        (Trigger.KEYWORD, b"@meet @nomeet", without(Reason.OPT_OUT)),
    ],
)
def test_triggers(trigger: Trigger, summary: bytes, decision: Decision) -> None:
    """By setting."""
    assert decided(invitation(b"SUMMARY:" + summary), replace(SETTINGS, trigger=trigger)) == decision


def test_only_the_organizer_makes_a_meeting() -> None:
    """Law 9: the sender is the ORGANIZER or its SENT-BY; a forward gets at most a known link; a foreign organizer nothing."""
    berta = replace(INSIDE, sender=b"Berta@Example.org")
    assert decided(invitation(), envelope=berta) == Decision(Reason.SENDER_NOT_ORGANIZER, update=False)
    sent_by = invitation().replace(b"ORGANIZER;", b'ORGANIZER;SENT-BY="mailto:berta@example.org";')
    assert decided(sent_by, envelope=berta) == CLAIM
    foreign = invitation().replace(b"mailto:anna@example.org", b"mailto:anna@example.com")
    assert decided(foreign) is Reason.ORGANIZER_FOREIGN


STRANGER = (
    b"Received: from mx.example.org ([192.0.2.25]) by domino.example.org (HCL Domino Release 12.0.2)\r\n with ESMTP id 2; x\r\n"
    b"Received: from evil.example (evil.example [198.51.100.7])\r\n\tby mx.example.org (Postfix) with ESMTP id 1; x\r\n"
)
RESENT = b"Resent-From: berta@example.org\r\n"
DELIVERED = b"Return-Path: <eve@evil.example>\r\n"
NOT_ITS_ORGANIZER = Decision(Reason.SENDER_NOT_ORGANIZER, update=False)


def forwarded(
    header: bytes = b"", *, by: bytes = b"berta@example.org", sent_by: bytes = b"", shown: bytes = b""
) -> bytes:
    """An invitation of anna@example.org as it comes from a server that forwards Berta's mail: `header` on top."""
    found = header + invitation()
    if sent_by:
        found = found.replace(b"ORGANIZER;", b'ORGANIZER;SENT-BY="mailto:' + sent_by + b'";')
    return found.replace(b"From: Anna <anna@example.org>", b"From: " + shown) if shown else found


@pytest.mark.parametrize(
    "shown",
    [
        b"Eve <eve@evil.example>",
        b"anna@example.org <eve@evil.example>",
        b"eve@evil.example, anna@example.org",
        b'"anna@example.org" <eve@evil.example>',
        b'"<anna@example.org>" <eve @evil.example>',
        b'"<anna@example.org>" <eve@ evil.example>',
        b"(<anna@example.org>) eve(x)@evil.example",
        b'"<anna@example.org> <eve@evil.example>',
        b"Eve: <anna@example.org>, eve@evil.example;",
        b"<@evil.example:anna@example.org>",
        b"Anna <anna@example.org>\r\nFrom: eve@evil.example",
        b"Anna\r\n <anna@example.org>, <eve@evil.example>",
        b"=?utf-8?q?anna=40example=2Eorg?=",
        b"Carla <carla@example.org>",
        b"",
        b"Anna",
    ],
)
def test_who_is_shown_as_the_author_is_organizer_or_delegate(shown: bytes) -> None:
    """Law 9: SENT-BY, or ORGANIZER, may name the very mailbox that a server forwards by itself; From is still Eve's."""
    berta = replace(INSIDE, sender=b"berta@example.org")
    by_delegate = forwarded(sent_by=b"berta@example.org", shown=shown or b"\r\nX-From: anna@example.org")
    assert decided(by_delegate, envelope=berta) == NOT_ITS_ORGANIZER
    assert decided(forwarded(shown=shown or b"\r\nX-From: anna@example.org")) == NOT_ITS_ORGANIZER


@pytest.mark.parametrize(
    "shown",
    [
        b"Anna <anna@example.org>",
        b"Berta <Berta@Example.org>",
        b"berta@example.org",
        b"anna@example.org <anna@example.org>",
        b"'anna@example.org' <anna@example.org>",
        b'"Br\xc3\xbcckner, Anna" <anna@example.org>',
        b"=?utf-8?q?Br=C3=BCckner=2C?=\r\n =?utf-8?q?_Anna?= <anna@example.org>\r\nSender: Berta <berta@example.org>",
        b"anna@example.org (Anna)",
        b"Br\xc3\xbcckner, Anna (Einkauf (Nord)) <anna@example.org>",
        b'"Anna \\"A.\\" (x" <anna@example.org>',
    ],
)
def test_a_delegate_may_be_shown_or_the_organizer(shown: bytes) -> None:
    """Notes, Exchange and others write From: the organizer, and Sender: the delegate; others the delegate alone."""
    berta = replace(INSIDE, sender=b"berta@example.org")
    assert decided(forwarded(sent_by=b"berta@example.org", shown=shown), envelope=berta) == CLAIM


@pytest.mark.parametrize("sender", [b"anna@example.org", b"berta@example.org"])
@pytest.mark.parametrize("sender_from", [False, True])
def test_what_came_into_the_house_from_outside_gets_nothing(sender: bytes, sender_from: bool) -> None:
    """Law 9: all that a stranger writes is right, envelope and From too; what the house's own servers wrote on top tells."""
    settings = replace(SETTINGS, sender_from=sender_from)
    header = STRANGER + MULTIPART
    assert before_body(replace(INSIDE, sender=sender), header, settings) is Reason.CAME_FROM_OUTSIDE
    known = replace(settings, house_networks=(ip_network("198.51.100.0/24"),))
    assert before_body(replace(INSIDE, sender=sender), header, known) is None
    assert before_body(Envelope(Door.COMMAND, b""), header, settings) is None


@pytest.mark.parametrize("mark", [RESENT, DELIVERED])
def test_what_was_passed_on_makes_no_meeting(mark: bytes) -> None:
    """A mailbox rule, or a person: whatever From, ORGANIZER and SENT-BY say, it gets at most a link that is known."""
    berta = replace(INSIDE, sender=b"berta@example.org")
    assert decided(forwarded(mark, sent_by=b"berta@example.org"), envelope=berta) == NOT_ITS_ORGANIZER
    assert decided(forwarded(mark)) == NOT_ITS_ORGANIZER
    returning = forwarded(b"Return-Path: <anna@example.org>\r\n")
    assert decided(returning) == CLAIM
    rewritten = replace(INSIDE, sender=b"SRS0=x=y=example.org=anna@relay.example")
    assert decided(returning, replace(SETTINGS, sender_from=True), rewritten) == CLAIM


def test_what_is_over_is_over() -> None:
    """At its very end; its organizer may say so of a meeting that is known."""
    assert decided(invitation(), over_at=1) == Decision(Reason.MEETING_OVER, update=True)
    forwarded = replace(INSIDE, sender=b"berta@example.org")
    assert decided(invitation(), over_at=1, envelope=forwarded) is Reason.MEETING_OVER


@pytest.mark.parametrize("silent", [b"", b"\0\0\0\2DL"])
def test_the_quick_look_is_at_what_says_what_the_body_is(silent: bytes) -> None:
    """A name or the calendar in a subject costs nothing; in a field about the content it may be a calendar."""
    fields = [(b"Subject", b" Our names, the multipart and the calendar"), (b"Content-Type", b" text/plain")]
    fields += [(b"DKIM-Signature", b" h=from:content-type;\n\tb=x"), (b"X-Spam", b" no")]
    assert plainly_no_calendar(header_run(fields, silent))
    for sign in (
        b" text/plain;\n name=x",
        b" TEXT/CALENDAR",
        b" application/pkcs7-mime",
        b" x;\n name*0=a.i; name*1=cs",
    ):
        for name in (b"Content-Type", b"CONTENT-DISPOSITION", b"content-type "):
            assert not plainly_no_calendar(header_run([*fields, (name, sign), *fields], silent))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Content-Type: text/plain\r\n\r\n", Reason.NO_CALENDAR),
        (b"CONTENT-TYPE\t: multipart/mixed\r\n\r\n", None),
        (b"A: b\nContent-Type:\n multipart/mixed\n\n", None),
        (b"Content-Type-Old: text/plain\r\nContent-Type: multipart/mixed\r\n\r\n", None),
        (b"A: b\r\nContent-Types: text/plain\r\ncontent-type: multipart/mixed\r\n\r\n", None),
        (b"X: Content-Type: multipart/mixed\r\n\r\n", Reason.NO_CALENDAR),
        (b"X: a\r\n Content-Type: multipart/mixed\r\n\r\n", Reason.NO_CALENDAR),
        (b"Content-Type: TEXT/CALENDAR\r\n\r\n", None),
        (b"Content-Type: application/x; NAME=A.ICS\r\n\r\n", None),
        (b"Content-Type: application/x; name=a\r\n\r\n", Reason.NO_CALENDAR),
        (b"", Reason.NO_CALENDAR),
    ],
)
def test_the_content_type_is_found_wherever_it_stands(header: bytes, reason: Reason | None) -> None:
    """The first field of that very name, in any case, folded or not; and no other. The quick look says no more."""
    assert reason is not None or not plainly_no_calendar(header_run(split(header)[0]))
    assert before_body(Envelope(Door.COMMAND, b""), header, PolicySettings()) is reason
