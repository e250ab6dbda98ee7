"""Law 9 behind a real Postfix: only an own organizer makes or moves a meeting; what is not ours passes as it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import gateway
from tests.live.gateway import (
    ANNA,
    BOB,
    CARLA,
    HOUSE,
    OUTSIDE,
    WITHOUT_MILTERS,
    Answer,
    Meeting,
    Service,
    assert_discreet,
    golden,
    golden_soon,
    invitation,
    without_received,
)
from tests.live.postfix import Listener, Postfix, directory, send
from tests.live.sink import Delivery, Sink

BASE_URL = "https://conf.example.org"
BOUNCE = (
    b"From: MAILER-DAEMON@example.org\r\nTo: bob@example.net\r\nSubject: Undelivered Mail Returned to Sender\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nNobody is there.\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail1.example.org\r\n\r\n"
    b"Final-Recipient: rfc822; nobody@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n%b\r\n--b--\r\n"
)


@dataclass
class Site:
    """A Postfix with two listeners, the first with the gateway and the second without it, and the mailboxes beyond."""

    postfix: Postfix
    sink: Sink
    state: Path
    mail: Service

    def through(self, message: bytes, sender: str = ANNA, client: Mapping[str, str] = HOUSE) -> tuple[Delivery, Answer]:
        """Send by the listener with the gateway; return what arrived at BOB's and what the gateway decided."""
        before = len(self.mail.answers())
        delivery = self._send(0, message, sender, client)
        answers = self.mail.answers()[before:]
        assert len(answers) == 1
        return delivery, answers[0]

    def passes(self, message: bytes, reason: str, sender: str = ANNA, client: Mapping[str, str] = HOUSE) -> None:
        """A message arrives as the same Postfix delivers it without us, for this reason, and leaves nothing behind."""
        before = gateway.rows(self.state)
        delivery, answer = self.through(message, sender, client)
        assert (answer.verdict, answer.reason) == ("pass", reason)
        without = self._send(1, message, sender, client)
        assert without_received(delivery) == without_received(without)
        assert (delivery.sender, delivery.recipients) == (without.sender, without.recipients)
        assert gateway.rows(self.state) == before

    def known(self, meeting: Meeting) -> str:
        """Let the organizer's own invitation through; return the token of its join link."""
        delivery, answer = self.through(invitation(meeting))
        assert (answer.verdict, answer.reason) == ("rewrite", "link-added")
        return gateway.the_token(delivery.octets, BASE_URL)

    def _send(self, listener: int, message: bytes, sender: str, client: Mapping[str, str]) -> Delivery:
        self.sink.clear()
        reply = send(self.postfix.ports[listener], sender, [BOB], message, client)
        assert reply.code == 250, reply
        self.sink.wait_for(1)
        self.postfix.wait_until_idle()
        (delivery,) = (one for one in self.sink.messages if one.recipients == (BOB.encode(),))
        return delivery


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with directory() as place, Sink() as sink:
        listeners = [Listener(options={"smtpd_milters": f"unix:{place}/milter"}), Listener(options=WITHOUT_MILTERS)]
        postfix = Postfix(place, listeners, sink.address)
        state = place / "state"
        exempt = ("192.0.2.0/24", "198.51.100.0/24")  # of the way, not of who counts as the house
        mail = gateway.mail(
            state, base_url=BASE_URL, milter=[f"unix:{place}/milter"], start_mail=postfix.ports[1], exempt=exempt
        )
        with mail, postfix:
            yield Site(postfix, sink, state, mail)
            assert postfix.warnings() == []


@pytest.fixture(autouse=True)
def discreet(site: Site) -> Iterator[None]:
    """Whatever a test sends: no address, no subject, no identifier and no part of a link stands in the log."""
    yield
    log = site.mail.log()
    words = [
        "Lieferanten",
        "Brückner",
        "@example",
        "Lotus",
        "conf.example",
        "/j/",
        "/s/",
        HOUSE["ADDR"],
        OUTSIDE["ADDR"],
    ]
    assert_discreet(log.partition(": listening on ")[2].partition("\n")[2], *words)


def test_a_forged_invitation_from_outside_gets_nothing(site: Site) -> None:
    """Own ORGANIZER, own envelope sender, From and To right: the client alone tells, and it gets neither link nor row."""
    meeting = Meeting.new()
    site.passes(invitation(meeting), "client-not-allowed", client=OUTSIDE)
    assert_discreet(site.mail.log(), *meeting.secrets)


def test_a_known_meeting_gives_its_link_to_nobody_outside(site: Site) -> None:
    """Who knows the UID of a meeting does not learn its link by sending it to himself."""
    meeting = Meeting.new()
    token = site.known(meeting)
    site.passes(invitation(meeting, sequence=1), "client-not-allowed", client=OUTSIDE)
    assert_discreet(site.mail.log(), *meeting.secrets, token)


def cancellation(meeting: Meeting, *, of: bytes = b"") -> bytes:
    """Return Notes's CANCEL for a meeting, with rich bodies, in place of its invitation. of: a RECURRENCE-ID line."""
    message = invitation(meeting, sequence=1).replace(b"REQUEST", b"CANCEL")
    return message.replace(b"\r\nSEQUENCE:1\r\n", b"\r\nSEQUENCE:1\r\nSTATUS:CANCELLED\r\n" + of)


def test_a_cancellation_counts_only_from_its_organizer(site: Site) -> None:
    """Then all is deleted, and the message goes on as it came; the delayed invitation passes without a link."""
    meeting = Meeting.new()
    first = invitation(meeting)
    _, answer = site.through(first)
    assert answer.reason == "link-added"
    site.passes(cancellation(meeting), "client-not-allowed", client=OUTSIDE)
    site.passes(cancellation(meeting), "method-cancel", sender=CARLA)
    site.passes(cancellation(meeting, of=b"RECURRENCE-ID;RANGE=THISANDPRIOR:20260312T140000Z\r\n"), "method-cancel")
    before = gateway.rows(site.state)
    delivery, answer = site.through(cancellation(meeting))
    assert (answer.verdict, answer.reason) == ("forget", "meeting-cancelled")
    assert b"/j/" not in delivery.octets
    assert gateway.rows(site.state) != before
    site.passes(cancellation(meeting), "method-cancel")
    site.passes(first, "cancelled-before")
    assert_discreet(site.mail.log(), *meeting.secrets)


def test_a_forward_of_an_unknown_meeting_passes(site: Site) -> None:
    """Somebody of the house who is not the organizer makes no meeting."""
    site.passes(invitation(Meeting.new()), "sender-not-organizer", sender=CARLA)


def test_a_forward_of_a_known_meeting_carries_its_link(site: Site) -> None:
    """The forward has the link that the meeting has; it brings no row and no start mail."""
    meeting = Meeting.new()
    token = site.known(meeting)
    before = gateway.rows(site.state)
    delivery, answer = site.through(invitation(meeting), sender=CARLA)
    assert (answer.verdict, answer.reason) == ("rewrite", "link-kept")
    assert gateway.the_token(delivery.octets, BASE_URL) == token
    assert gateway.rows(site.state) == before
    assert gateway.start_mails(site.sink.messages) == []
    assert_discreet(site.mail.log(), *meeting.secrets, token)


def test_an_authenticated_client_from_outside_gets_the_link(site: Site) -> None:
    """The organizer at home has logged in at Postfix."""
    delivery, answer = site.through(invitation(Meeting.new()), client=OUTSIDE | {"LOGIN": "anna"})
    assert (answer.verdict, answer.reason) == ("rewrite", "link-added")
    gateway.the_token(delivery.octets, BASE_URL)


def test_a_sender_from_elsewhere_makes_no_meeting(site: Site) -> None:
    """A server of the house that relays a stranger's mail vouches for nothing."""
    site.passes(invitation(Meeting.new()), "sender-not-own", sender="anna@example.com")


def test_an_invitation_of_a_foreign_organizer_passes(site: Site) -> None:
    """Other people's invitations are theirs."""
    site.passes(golden_soon("066"), "organizer-foreign")


@pytest.mark.parametrize(
    ("name", "sender", "reason"),
    [
        ("058", CARLA, "method-reply"),
        ("059", ANNA, "method-reply"),
        ("060", CARLA, "method-counter"),
        ("062", ANNA, "method-cancel"),
        ("064", ANNA, "method-publish"),
        ("073", ANNA, "signed"),
        ("075", ANNA, "signed"),
        ("076", ANNA, "encrypted"),
        ("079", ANNA, "no-calendar"),
        ("080", ANNA, "meeting-over"),
        ("104", ANNA, "no-calendar"),
    ],
)
def test_what_is_no_invitation_to_a_meeting_passes(site: Site, name: str, sender: str, reason: str) -> None:
    """Answers, counter-proposals, cancellations, sealed mail, forwarded messages and plain mail are left alone."""
    site.passes(golden(name), reason, sender=sender)


def test_a_bounce_passes(site: Site) -> None:
    """The null sender is nobody of the house, whatever the message carries."""
    site.passes(BOUNCE % invitation(Meeting.new()), "sender-not-own", sender="")
    site.passes(invitation(Meeting.new()), "sender-not-own", sender="")


def test_a_log_line_names_the_queue_id_of_postfix(site: Site) -> None:
    """What the administrator finds in the mail log leads to what the gateway decided."""
    _, answer = site.through(golden("104"))
    assert answer.door == "milter"
    assert f" {answer.queue_id}: client=unknown[{HOUSE['ADDR']}]" in site.postfix.log()
