"""Who is told what: organizers, internal attendees, conference addresses; at every door."""

import asyncio
import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from ipaddress import ip_address

import pytest

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.core.policy import PolicySettings, Trigger
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.smtp.reinject import Handed, Handover
from tests.house import ACCEPTED, DAY, DEFERRED, INSIDE, NOW, REFUSED, House, links_open, token, word
from tests.invitations import invitation

MEET = b"meet@conf.example.org"
CARLA, DORA = "carla@int.example.org", "dora@int.example.org"
ROOM = b"ATTENDEE;CUTYPE=ROOM:mailto:room@int.example.org"
INVITES = b"ATTENDEE;CUTYPE=RESOURCE:mailto:" + MEET
SUMMARY = b"SUMMARY:Secret plan"
AT_ADDRESS = Envelope(Door.CONFERENCE, b"anna@example.org", (MEET,), ip_address("192.0.2.1"), queue_id="4Xz")


def attendee(address: str) -> bytes:
    return b"ATTENDEE;CN=Guest:mailto:" + address.encode()


MESSAGE = invitation(SUMMARY, INVITES, attendee(CARLA), ROOM)


def settle(house: House, **policy: object) -> House:
    """A house with a conference address and an internal domain."""
    rules = replace(
        house.settings.policy,
        conference_addresses=frozenset({MEET.decode()}),
        internal_domains=frozenset({"int.example.org"}),
        **policy,  # type: ignore[arg-type]
    )
    house.settings = replace(house.settings, policy=rules)
    return house


@pytest.fixture
def at(house: House) -> House:
    return settle(house)


def read(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def mails(house: House) -> list[tuple[str, str]]:
    """To whom, and about what, in the order of handing over; then they are forgotten."""
    found = [(recipient.decode(), str(read(octets)["Subject"])) for recipient, octets in house.mails]
    house.mails.clear()
    return found


def link(octets: bytes, kind: str) -> str:
    body = read(octets).get_body(("plain",))
    assert body is not None
    found = re.search(rf"/{kind}/([a-z2-7]{{32}})", body.get_content())
    assert found is not None
    return found[1]


def cancel(*properties: bytes) -> bytes:
    return invitation(SUMMARY, b"STATUS:CANCELLED", b"SEQUENCE:1", *properties).replace(b"REQUEST", b"CANCEL")


# --- the conference address ---


def test_whoever_invites_the_address_gets_a_conference(at: House) -> None:
    """The organizer the start link, the internal attendee the join link; rooms and the address get nothing."""
    assert at.deliver(MESSAGE, AT_ADDRESS) == Outcome(Verdict.TAKE, Reason.CONFERENCE_MADE)
    start, join = at.mails
    assert links_open(at, link(start[1], "s"), link(join[1], "j"))
    assert mails(at) == [("anna@example.org", "Start link: Secret plan"), (CARLA, "Join link: Secret plan")]
    assert at.deliver(MESSAGE, AT_ADDRESS) == Outcome(Verdict.TAKE, Reason.CONFERENCE_KEPT)
    assert mails(at) == []


def test_door_and_address_see_one_meeting(at: House) -> None:
    """In either order one link, one start mail."""
    first = at.process(MESSAGE)
    assert word(first) == (Verdict.REWRITE, Reason.LINK_ADDED)
    assert at.deliver(MESSAGE, AT_ADDRESS) == Outcome(Verdict.TAKE, Reason.CONFERENCE_KEPT)
    other = MESSAGE.replace(b"uid-1", b"uid-2")
    assert at.deliver(other, AT_ADDRESS).reason is Reason.CONFERENCE_MADE
    second = at.process(other)
    assert word(second) == (Verdict.REWRITE, Reason.LINK_KEPT)
    assert [subject for _, subject in mails(at)].count("Start link: Secret plan") == 2
    assert token(first, MESSAGE) != token(second, other)


@pytest.mark.parametrize("trigger", [Trigger.NEVER, Trigger.KEYWORD])
def test_the_address_triggers_at_every_door(house: House, trigger: Trigger) -> None:
    """Among the attendees, or among the recipients alone; without it the setting decides."""
    settle(house, trigger=trigger)
    assert house.process(MESSAGE).reason is Reason.LINK_ADDED
    plain = invitation(SUMMARY).replace(b"uid-1", b"uid-2")
    assert house.process(plain).verdict is Verdict.PASS
    assert house.process(plain, replace(INSIDE, recipients=(MEET,))).reason is Reason.LINK_ADDED


def test_the_opt_out_counts_all_the_same(at: House) -> None:
    message = invitation(b"SUMMARY:Plan @nomeet", INVITES)
    assert at.process(message) == Outcome(Verdict.PASS, Reason.OPT_OUT)
    assert at.deliver(message, AT_ADDRESS) == Outcome(Verdict.DROP, Reason.OPT_OUT)
    assert mails(at) == []


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (replace(AT_ADDRESS, client=ip_address("198.51.100.9")), Reason.CLIENT_NOT_ALLOWED),
        (replace(AT_ADDRESS, client=None), Reason.CLIENT_NOT_ALLOWED),
        (replace(AT_ADDRESS, sender=b""), Reason.SENDER_NOT_OWN),
        (replace(AT_ADDRESS, sender=b"eve@example.com"), Reason.SENDER_NOT_OWN),
        (replace(AT_ADDRESS, sender=b"berta@example.org"), Reason.SENDER_NOT_ORGANIZER),
    ],
)
def test_strangers_are_dropped_and_never_answered(at: House, envelope: Envelope, reason: Reason) -> None:
    """Law 9: no row, no mail; and no bounce, for the sender may be forged."""
    assert at.deliver(MESSAGE, envelope) == Outcome(Verdict.DROP, reason)
    assert at.rows() == 0
    assert mails(at) == []


def test_what_is_no_invitation_is_dropped(at: House) -> None:
    for octets, reason in (
        (b"Subject: hello\r\n\r\nhello\r\n", Reason.NO_CALENDAR),
        (MESSAGE.replace(b"REQUEST", b"REPLY"), Reason.METHOD_REPLY),
        (b"", Reason.NO_CALENDAR),
        (cancel(), Reason.METHOD_CANCEL),
    ):
        assert at.deliver(octets, AT_ADDRESS) == Outcome(Verdict.DROP, reason)
    assert mails(at) == []


def test_a_conference_address_organizes_nothing(at: House) -> None:
    """Nobody would read the start mail, and two addresses would invite each other."""
    settle(at, organizer_domains=frozenset({"example.org", ".example.org"}))
    message = MESSAGE.replace(b"ORGANIZER;CN=Anna:mailto:anna@example.org", b"ORGANIZER:mailto:" + MEET)
    assert at.deliver(message, replace(AT_ADDRESS, sender=MEET)) == Outcome(Verdict.DROP, Reason.ORGANIZER_UNCLEAR)


@pytest.mark.parametrize("which", [0, 1])
def test_what_cannot_be_handed_over_comes_again(at: House, which: int) -> None:
    """Start mail or join mail: the message stays Postfix's; who had the mail does not get it twice."""
    gone = Handover(Handed.DEFERRED)  # no reply at all: the relay is not there
    at.replies = [DEFERRED] if which == 0 else [ACCEPTED, gone]
    assert at.deliver(MESSAGE, AT_ADDRESS).verdict is Verdict.DEFER
    at.mails.clear()
    assert at.deliver(MESSAGE, AT_ADDRESS).verdict is Verdict.TAKE
    expected = [("anna@example.org", "Start link: Secret plan")] if which == 0 else []
    assert mails(at) == [*expected, (CARLA, "Join link: Secret plan")]


def test_one_mailbox_that_is_not_there_for_now_holds_nobody_up(at: House) -> None:
    """The invitation goes on; the attendee is tried again with the next message about the meeting."""
    at.replies = [ACCEPTED, DEFERRED]
    assert at.process(invitation(SUMMARY, attendee(CARLA))).verdict is Verdict.REWRITE
    at.mails.clear()
    at.process(invitation(SUMMARY, attendee(CARLA)))
    assert mails(at) == [(CARLA, "Join link: Secret plan")]


def test_what_was_handed_over_is_noted_as_it_goes(at: House) -> None:
    """Of many, those who had it before the relay went away do not get it twice."""
    many = [f"p{number}@int.example.org" for number in range(20)]
    message = invitation(SUMMARY, *map(attendee, many))
    at.replies = [ACCEPTED] * 9 + [Handover(Handed.DEFERRED)] * 20
    assert at.process(message).verdict is Verdict.DEFER
    at.replies = []
    at.mails.clear()
    at.process(message)
    assert sorted(recipient.decode() for recipient, _ in at.mails) == sorted(many[8:])


def test_a_header_beyond_bounds_is_dropped(at: House) -> None:
    """Not deferred until it bounces to a sender that may be forged."""
    octets = b"X-A: b\r\n" * 20_000 + MESSAGE
    assert at.deliver(octets, AT_ADDRESS) == Outcome(Verdict.DROP, Reason.TOO_COMPLEX)


def test_a_refused_start_mail_leaves_no_conference(at: House) -> None:
    at.replies = [REFUSED]
    assert at.deliver(MESSAGE, AT_ADDRESS) == Outcome(Verdict.DROP, Reason.START_MAIL_REFUSED)
    assert at.rows() == 0


def test_without_the_store_the_message_waits_whatever_the_setting(at: House) -> None:
    """For it goes nowhere else."""
    at.settings = replace(at.settings, defer_without_store=False)
    at.thread.submit(at.store.close).result()
    assert at.deliver(MESSAGE, AT_ADDRESS).verdict is Verdict.DEFER


def test_the_reply(at: House) -> None:
    """By setting: the address accepts, as a room does, to the organizer alone."""
    at.settings = replace(at.settings, reply=True)
    at.deliver(MESSAGE, AT_ADDRESS)
    recipient, octets = at.mails[-1]
    assert recipient == b"anna@example.org"
    assert b"METHOD:REPLY" in octets
    assert b"UID:uid-1\r\n" in octets
    assert b"PARTSTAT=ACCEPTED" in octets
    at.mails.clear()
    one = invitation(SUMMARY, INVITES, b"RECURRENCE-ID:20260312T090000Z", b"SEQUENCE:2")
    at.deliver(one, AT_ADDRESS)
    assert b"RECURRENCE-ID:20260312T090000Z" in at.mails[-1][1]


# --- internal attendees ---


def test_internal_attendees_hear_once_and_when_they_are_added(at: House) -> None:
    """Whoever is a recipient of the very message has the link in it."""
    at.process(invitation(SUMMARY, attendee(CARLA)))
    assert mails(at)[1:] == [(CARLA, "Join link: Secret plan")]
    more = invitation(SUMMARY, b"SEQUENCE:1", attendee(CARLA), attendee(DORA), attendee("emil@int.example.org"))
    at.process(more, replace(INSIDE, recipients=(b"bob@example.net", b"Emil@int.example.org")))
    assert mails(at) == [(DORA, "Join link: Secret plan")]


def test_an_older_message_invites_nobody_again(at: House) -> None:
    """Who was uninvited stays so."""
    at.process(invitation(SUMMARY, attendee(CARLA)))
    at.process(invitation(SUMMARY, b"SEQUENCE:2", attendee(DORA)))
    mails(at)
    at.process(invitation(SUMMARY, b"SEQUENCE:1", attendee(CARLA), attendee("emil@int.example.org")))
    assert mails(at) == []


def test_they_are_told_when_it_is_cancelled(at: House) -> None:
    """Once; before it is forgotten who they are."""
    at.deliver(MESSAGE, AT_ADDRESS)
    mails(at)
    off = cancel(INVITES, attendee(CARLA), ROOM)
    at.replies = [Handover(Handed.DEFERRED)]
    assert at.deliver(off, AT_ADDRESS).verdict is Verdict.DEFER
    mails(at)
    assert at.deliver(off, AT_ADDRESS) == Outcome(Verdict.TAKE, Reason.MEETING_CANCELLED)
    assert mails(at) == [(CARLA, "Cancelled, video conference: Secret plan")]
    assert at.deliver(off, AT_ADDRESS) == Outcome(Verdict.DROP, Reason.METHOD_CANCEL)
    assert mails(at) == []


def test_who_is_uninvited_is_told(at: House) -> None:
    at.process(invitation(SUMMARY, attendee(CARLA), attendee(DORA)))
    mails(at)
    off = cancel(attendee(CARLA)).replace(b"ATTENDEE;CN=Bob:mailto:bob@example.net\r\n", b"")
    assert at.process(off).reason is Reason.ATTENDEES_CANCELLED
    assert mails(at) == [(CARLA, "Cancelled, video conference: Secret plan")]


def test_internal_attendees_need_not_be_named(at: House) -> None:
    """Until the address is cancelled, too, they stay. Domino writes one message for each domain, in any order."""
    bob = cancel()
    meet = bob.replace(b"bob@example.net", MEET)
    for first, second in ((bob, meet), (meet, bob)):
        message = MESSAGE.replace(b"uid-1", b"uid-%d" % id(first))
        first, second = (one.replace(b"uid-1", b"uid-%d" % id(first)) for one in (first, second))
        at.deliver(message, AT_ADDRESS)
        mails(at)
        assert at.process(first).reason is Reason.ATTENDEES_CANCELLED
        assert mails(at) == []
        assert at.process(second) == Outcome(Verdict.FORGET, Reason.MEETING_CANCELLED)
        assert mails(at) == [(CARLA, "Cancelled, video conference: Secret plan")]


def test_guests_outside_are_uninvited_and_those_inside_stay(at: House) -> None:
    """In doubt the meeting stays: only the conference address, when it was invited, tells that it is off for those inside."""
    at.process(invitation(SUMMARY, attendee(CARLA)))
    mails(at)
    assert at.process(cancel()) == Outcome(Verdict.PASS, Reason.ATTENDEES_CANCELLED)
    assert mails(at) == []


def test_who_was_dropped_does_not_hear_of_it_later(at: House) -> None:
    """A subject that was written after somebody was dropped is not for that one's eyes."""
    at.process(invitation(SUMMARY, attendee(CARLA), attendee(DORA)))
    at.process(invitation(b"SUMMARY:About Carla", b"SEQUENCE:1", attendee(DORA)))
    mails(at)
    at.process(cancel(attendee(DORA)).replace(b"SEQUENCE:1", b"SEQUENCE:2"))
    assert mails(at) == [(DORA, "Cancelled, video conference: About Carla")]


def test_while_others_are_invited_they_stay(at: House) -> None:
    """Who takes the address out of a meeting with guests leaves them their links; in doubt it stays."""
    at.deliver(MESSAGE, AT_ADDRESS)
    mails(at)
    meet = cancel(INVITES).replace(b"ATTENDEE;CN=Bob:mailto:bob@example.net\r\n", b"")
    assert at.deliver(meet, AT_ADDRESS) == Outcome(Verdict.TAKE, Reason.ATTENDEES_CANCELLED)
    assert mails(at) == []


# --- the start mail again ---


def test_a_moved_meeting_is_told_in_one_line(house: House) -> None:
    """With the same links, once; also when the first try did not get through."""
    house.process(invitation(SUMMARY))
    first = house.mails[0][1]
    house.mails.clear()
    moved = (
        invitation(SUMMARY, b"SEQUENCE:1")
        .replace(b"20260312T09", b"20260313T09")
        .replace(b"20260312T10", b"20260313T10")
    )
    house.replies = [DEFERRED]
    assert house.process(moved) == Outcome(Verdict.DEFER, Reason.START_MAIL_DEFERRED)
    house.mails.clear()
    assert house.process(moved).verdict is Verdict.REWRITE
    ((recipient, octets),) = house.mails
    message = read(octets)
    assert (recipient, message["Subject"]) == (b"anna@example.org", "Moved, start link: Secret plan")
    assert message["References"] == read(first)["Message-ID"]
    assert message["Message-ID"] != read(first)["Message-ID"]
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "it was on Thursday, 12 March 2026, 09:00 – 10:00, Coordinated Universal Time" in text.replace("\n", " ")
    assert "When: Friday, 13 March 2026, 09:00 – 10:00, Coordinated Universal Time" in text
    assert link(octets, "s") == link(first, "s")
    house.mails.clear()
    house.process(moved)
    assert mails(house) == []


def test_a_move_whose_mail_is_refused_goes_on(house: House) -> None:
    """The organizer has the link; the invitation keeps it."""
    house.process(invitation(SUMMARY))
    house.replies = [REFUSED]
    moved = invitation(SUMMARY, b"SEQUENCE:1").replace(b"20260312T", b"20260313T")
    assert word(house.process(moved)) == (Verdict.REWRITE, Reason.LINK_KEPT)
    house.mails.clear()
    house.process(moved)
    assert mails(house) == []


def test_twice_moved_before_it_could_be_told(house: House) -> None:
    """What was said last is what it is compared with."""
    house.process(invitation(SUMMARY))
    for number, day in ((1, b"20260313T"), (2, b"20260314T")):
        house.replies = [DEFERRED]
        house.process(invitation(SUMMARY, b"SEQUENCE:%d" % number).replace(b"20260312T", day))
    house.mails.clear()
    house.process(invitation(SUMMARY, b"SEQUENCE:2").replace(b"20260312T", b"20260314T"))
    body = read(house.mails[0][1]).get_body(("plain",))
    assert body is not None
    assert "12 March" in body.get_content()
    assert "When: Saturday, 14 March" in body.get_content()


def resent(number: int, *properties: bytes) -> bytes:
    """An invitation as it is sent once more: another message, another stamp."""
    octets = invitation(*properties).replace(b"DTSTAMP:20260302T07", b"DTSTAMP:20260302T%02d" % (7 + number))
    return b"Message-ID: <%d@example.org>\r\n" % number + octets


def test_sent_again_without_a_change_it_is_sent_again(house: House) -> None:
    """Not within ten minutes, when it is one sending for several domains; not when the same message is tried again; not for a
    change, be it of the description alone."""
    house.process(resent(0, SUMMARY))
    first = house.mails[0][1]
    house.now += 599
    house.process(resent(1, SUMMARY))
    assert len(house.mails) == 1
    house.now += 600
    house.process(resent(1, SUMMARY))
    house.process(resent(2, SUMMARY, b"DESCRIPTION:Bring it"))
    assert len(house.mails) == 1
    house.process(resent(3, SUMMARY, b"DESCRIPTION:Bring it"))
    assert len(house.mails) == 2
    assert link(house.mails[1][1], "s") == link(first, "s")
    assert read(house.mails[1][1])["References"] == read(first)["Message-ID"]


def test_each_move_is_told_in_a_mail_of_its_own(house: House) -> None:
    """There and back and there again: no two have one Message-ID. Back before it could be told is no move."""
    for sequence, day in enumerate((b"12", b"13", b"12", b"13")):
        house.now += 60
        house.process(invitation(SUMMARY, b"SEQUENCE:%d" % sequence).replace(b"20260312T", b"202603%sT" % day))
    assert len({str(read(octets)["Message-ID"]) for _, octets in house.mails}) == 4
    house.mails.clear()
    house.replies = [DEFERRED]
    house.process(invitation(SUMMARY, b"SEQUENCE:4").replace(b"20260312T", b"20260314T"))
    house.mails.clear()
    house.process(invitation(SUMMARY, b"SEQUENCE:5").replace(b"20260312T", b"20260313T"))
    assert mails(house) == []


# --- limits ---


def test_more_attendees_than_allowed_get_no_link(house: House) -> None:
    """A meeting that has one keeps it (law 3)."""
    settle(house, most_attendees=2)
    small_one = invitation(SUMMARY, attendee("a@example.net"))
    large = invitation(SUMMARY, b"SEQUENCE:1", *(attendee(f"{letter}@example.net") for letter in "abc"))
    assert house.process(large) == Outcome(Verdict.PASS, Reason.TOO_MANY_ATTENDEES)
    assert house.process(small_one).reason is Reason.LINK_ADDED
    assert house.process(large).reason is Reason.LINK_KEPT
    mails(house)
    inside = invitation(SUMMARY, b"SEQUENCE:2", *(attendee(f"{letter}@int.example.org") for letter in "abc"))
    house.process(inside)
    assert mails(house) == []  # nobody floods the house


def test_more_meetings_an_hour_than_allowed_get_no_link(house: House) -> None:
    """Known ones keep theirs; an hour later there is room again."""
    house.settings = replace(house.settings, meetings_per_hour=1)
    flow = house.flow()

    def process(uid: bytes) -> Reason:
        return asyncio.run(flow.process(INSIDE, invitation(SUMMARY).replace(b"uid-1", uid))).reason

    assert process(b"uid-1") is Reason.LINK_ADDED
    assert process(b"uid-2") is Reason.TOO_MANY_MEETINGS
    assert process(b"uid-1") is Reason.LINK_KEPT
    house.now += 3600
    assert process(b"uid-2") is Reason.LINK_ADDED


# --- links of the own ---

BOB = replace(INSIDE, door=Door.SMTP)


@pytest.fixture
def own(house: House) -> House:
    house.settings = replace(house.settings, attendee_links=True)
    return house


def test_each_attendee_has_a_link_of_the_own(own: House) -> None:
    """The same through every update; at the milter door, and for several recipients, the meeting's."""
    message = invitation(SUMMARY, attendee("carla@example.net"))
    bob = token(own.process(message, BOB), message)
    carla = token(own.process(message, replace(BOB, recipients=(b"Carla@example.net",))), message)
    shared = token(own.process(message), message)
    both = token(own.process(message, replace(BOB, recipients=(b"bob@example.net", b"carla@example.net"))), message)
    assert len({bob, carla, shared}) == 3
    assert both == shared
    later = invitation(SUMMARY, b"SEQUENCE:1", attendee("carla@example.net")).replace(b"20260312T", b"20260314T")
    assert token(own.process(later, BOB), later) == bob
    assert links_open(own, bob, carla, shared)
    assert link(own.mails[0][1], "j") == shared  # in the start mail


def test_again_is_the_same_for_each(own: House) -> None:
    """Law 3; and the copy of another is given its own link."""
    message = invitation(SUMMARY, attendee("carla@example.net"))
    first = own.process(message, BOB)
    edited = apply(message, first.edits)
    assert own.process(edited, BOB) == Outcome(Verdict.REWRITE, Reason.LINK_PRESENT)
    for_carla = own.process(edited, replace(BOB, recipients=(b"carla@example.net",)))
    assert token(for_carla, edited) != token(first, message)


def test_whoever_is_uninvited_has_a_dead_link_at_once(own: House) -> None:
    message = invitation(SUMMARY, attendee("carla@example.net"))
    bob = token(own.process(message, BOB), message)
    carla = token(own.process(message, replace(BOB, recipients=(b"carla@example.net",))), message)
    assert own.process(cancel(), BOB).reason is Reason.ATTENDEES_CANCELLED
    assert not links_open(own, bob)
    assert links_open(own, carla)
    again = invitation(SUMMARY, b"SEQUENCE:2", attendee("carla@example.net"))
    assert token(own.process(again, BOB), again) not in (bob, carla)


def test_old_mail_brings_an_uninvited_attendee_no_link_back(own: House) -> None:
    """Not even the meeting's; and whoever an update drops has a dead one."""
    message = invitation(SUMMARY, attendee("carla@example.net"), attendee("eve@example.net"))
    eve = token(own.process(message, replace(BOB, recipients=(b"eve@example.net",))), message)
    own.process(cancel(attendee("eve@example.net")).replace(b"ATTENDEE;CN=Bob:mailto:bob@example.net\r\n", b""), BOB)
    assert not links_open(own, eve)
    late = own.process(message, replace(BOB, recipients=(b"eve@example.net",)))
    assert late == Outcome(Verdict.PASS, Reason.UNINVITED)
    carla = token(own.process(message, replace(BOB, recipients=(b"carla@example.net",))), message)
    own.process(invitation(SUMMARY, b"SEQUENCE:2", attendee("dora@example.net")), BOB)
    assert not links_open(own, carla)


def test_whoever_was_dropped_gets_none_with_old_mail(own: House) -> None:
    """Nor the meeting's: the message names Eve, and a newer one does not. A list that it goes to gets it as ever."""
    message = invitation(SUMMARY, attendee("carla@example.net"), attendee("eve@example.net"))
    shared = token(own.process(message), message)
    own.process(invitation(SUMMARY, b"SEQUENCE:2", attendee("carla@example.net")), BOB)
    late = own.process(message, replace(BOB, recipients=(b"eve@example.net",)))
    assert late == Outcome(Verdict.PASS, Reason.UNINVITED)
    assert token(own.process(message, replace(BOB, recipients=(b"list@example.net",))), message) == shared


def test_whoever_waits_for_a_copy_of_an_update_is_not_dropped(own: House) -> None:
    """Domino writes one for each domain: until it has come, older mail brings the meeting's link."""
    message = invitation(SUMMARY, attendee("carla@example.com"), attendee("eve@example.net"))
    shared = token(own.process(message), message)
    own.process(invitation(SUMMARY, b"SEQUENCE:2", b"DTSTAMP:20260303T073000Z"), BOB)
    late = own.process(message, replace(BOB, recipients=(b"carla@example.com",)))
    assert token(late, message) == shared
    gone = own.process(message, replace(BOB, recipients=(b"eve@example.net",)))
    assert gone == Outcome(Verdict.PASS, Reason.UNINVITED)


def test_a_copy_of_an_update_that_comes_without_somebody_ends_the_own_link(own: House) -> None:
    """Until then it lives, for the copy might name her."""
    message = invitation(SUMMARY, attendee("carla@example.com"), attendee("dora@example.com"))
    carla = token(own.process(message, replace(BOB, recipients=(b"carla@example.com",))), message)
    later = (b"SEQUENCE:2", b"DTSTAMP:20260303T073000Z")
    own.process(invitation(SUMMARY, *later, attendee("eve@example.net")), BOB)
    assert links_open(own, carla)
    copy = invitation(SUMMARY, *later, attendee("dora@example.com"))
    own.process(copy, replace(BOB, recipients=(b"dora@example.com",)))
    assert not links_open(own, carla)


def test_what_attendees_pass_on(own: House) -> None:
    """Keeps the own link; what is passed on by or to somebody uninvited brings no living one back."""
    message = invitation(SUMMARY, attendee(CARLA), attendee("dora@example.org"))
    carla = own.process(message, replace(BOB, recipients=(CARLA.encode(),)))
    copy = apply(message, carla.edits)
    passed_on = replace(BOB, sender=CARLA.encode(), recipients=(b"private@example.net",))
    assert own.process(copy, passed_on) == Outcome(Verdict.REWRITE, Reason.LINK_PRESENT)
    own.process(cancel(attendee(CARLA)).replace(b"ATTENDEE;CN=Bob:mailto:bob@example.net\r\n", b""), BOB)
    assert not links_open(own, token(carla, message))
    assert own.process(copy, passed_on) == Outcome(Verdict.PASS, Reason.UNINVITED)
    to_her = replace(BOB, sender=b"dora@example.org", recipients=(CARLA.encode(),))
    assert own.process(copy, to_her) == Outcome(Verdict.PASS, Reason.UNINVITED)


def test_what_is_passed_on_twice_keeps_the_link_that_stands_in_it(own: House) -> None:
    """Neither the link of who passes it on nor the meeting's, that nobody is ever shut out of, is in its place."""
    message = invitation(SUMMARY, attendee(CARLA), attendee("dora@example.org"))
    carla = own.process(message, replace(BOB, recipients=(CARLA.encode(),)))
    own.process(message, replace(BOB, recipients=(b"dora@example.org",)))
    copy = apply(message, carla.edits)
    for sender in (b"dora@example.org", b"erna@example.org"):
        onward = own.process(copy, replace(BOB, sender=sender, recipients=(b"private@example.net",)))
        assert onward == Outcome(Verdict.REWRITE, Reason.LINK_PRESENT)
    shared = token(own.process(message), message)
    plain = own.process(message, replace(BOB, sender=b"erna@example.org", recipients=(b"private@example.net",)))
    assert token(plain, message) == shared


def test_the_organizer_sees_whose_link_it_is(own: House) -> None:
    message = invitation(SUMMARY)
    bob = token(own.process(message, BOB), message)

    def label() -> str | None:
        opened = own.vault.web().open(bob, (LinkKind.ATTENDEE,), own.now)
        return None if opened is None else opened.label

    assert own.thread.submit(label).result() == "Bob"


def test_a_recipient_who_is_no_attendee_gets_the_meetings_link(own: House) -> None:
    """A list, or an alias; and so does whoever forwards it."""
    message = invitation(SUMMARY)
    shared = token(own.process(message), message)
    assert token(own.process(message, replace(BOB, recipients=(b"list@example.net",))), message) == shared
    assert token(own.process(message, replace(BOB, sender=b"berta@example.org")), message) == shared


def test_internal_attendees_have_links_of_their_own_too(own: House) -> None:
    settle(own)
    message = invitation(SUMMARY, attendee(CARLA), attendee(DORA))
    shared = token(own.process(message), message)
    tokens = {link(octets, "j") for recipient, octets in own.mails if recipient != b"anna@example.org"}
    assert len(tokens | {shared}) == 3
    assert links_open(own, *tokens)


def test_a_failed_start_mail_leaves_no_link_of_the_own(own: House) -> None:
    """Refused for good: the row of this message goes, its links too."""
    own.replies = [REFUSED]
    assert own.process(invitation(SUMMARY), BOB) == Outcome(Verdict.PASS, Reason.START_MAIL_REFUSED)
    assert own.rows() == 0


def test_nothing_of_it_stays_when_it_is_over(own: House) -> None:
    """A day later no link opens."""
    message = invitation(SUMMARY)
    bob = token(own.process(message, BOB), message)
    own.now = NOW + 30 * DAY
    assert not links_open(own, bob)


def test_the_house_without_these_settings(house: House) -> None:
    """Nobody but the organizer is written to."""
    house.process(MESSAGE)
    assert mails(house) == [("anna@example.org", "Start link: Secret plan")]
    assert PolicySettings().internal(CARLA) is False
