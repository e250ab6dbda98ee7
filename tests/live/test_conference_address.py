"""The conference address behind a real Postfix, with our recipe; and that mail of ours stops by itself."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import gateway
from tests.live.gateway import ANNA, BOB, HOUSE, OUTSIDE, WITHOUT_MILTERS, Meeting, Service, assert_discreet
from tests.live.gateway import invitation as notes_invitation
from tests.live.postfix import Listener, Postfix, Reply, directory, send
from tests.live.sink import Delivery, Sink

BASE_URL = "https://conf.example.org"
MEET, THEIRS = "meet@conf.example.org", "meet@conf.example.net"
DORA = "dora@int.example.org"
RECIPES = Path(__file__).parents[2] / "config" / "postfix"


def recipe(name: str) -> str:
    """A file of config/postfix without its comments, without chroot."""
    lines = [line for line in (RECIPES / name).read_text("utf-8").splitlines() if not line.startswith("#")]
    return re.sub(r"(unix +- +- +)y", r"\1n", "\n".join(lines))


def parameters(text: str) -> dict[str, str]:
    """The parameters of a piece of main.cf."""
    joined = re.sub(r"\n[ \t]+", " ", text)
    return {
        name.strip(): value.strip() for name, _, value in (line.partition("=") for line in joined.splitlines() if line)
    }


def configuration(place: Path, name: str, address: str, internal: str) -> Path:
    """A settings file for a gateway with a conference address at a socket."""
    file = place / f"{name}.toml"
    file.write_text(
        f'[conference]\naddresses = ["{address}"]\nlisten = "unix:{place}/{name}.lmtp"\nreply = true\n'
        f'internal_domains = ["{internal}"]\n',
        "utf-8",
    )
    return file


@dataclass
class Site:
    """A Postfix whose first listener has the milter; the gateway; and the mailboxes."""

    postfix: Postfix
    sink: Sink
    state: Path
    mail: Service

    def send(self, message: bytes, *recipients: str, sender: str = ANNA, client: dict[str, str] = HOUSE) -> Reply:
        return send(self.postfix.ports[0], sender, list(recipients), message, client)

    def arrived(self) -> list[Delivery]:
        """What reached a mailbox once the queue is empty; then it is forgotten."""
        self.postfix.wait_until_idle()
        found = list(self.sink.messages)
        self.sink.clear()
        return found

    def reasons(self) -> list[tuple[str, str, str]]:
        return [(one.door, one.verdict, one.reason) for one in self.mail.answers()]


def settings(place: Path) -> dict[str, str]:
    return {
        "mynetworks": "127.0.0.0/8 192.0.2.0/24",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        **parameters(recipe("conference-main.cf").replace("notes2conf/lmtp.sock", f"{place}/our.lmtp")),
    }


@pytest.fixture
def site() -> Iterator[Site]:
    with directory() as place, Sink() as sink:
        listeners = [
            Listener(options={"smtpd_milters": f"unix:{place}/milter"}),
            Listener(options={**WITHOUT_MILTERS, "smtpd_recipient_restrictions": "permit_mynetworks, reject"}),
        ]
        postfix = Postfix(place, listeners, sink.address, settings(place), [recipe("conference-master.cf")])
        state = place / "state"
        mail = gateway.mail(
            state,
            base_url=BASE_URL,
            milter=[f"unix:{place}/milter"],
            start_mail=postfix.ports[1],
            more=["--config", str(configuration(place, "our", MEET, "int.example.org"))],
        )
        with mail, postfix:
            yield Site(postfix, sink, state, mail)
            assert postfix.warnings() == []


def invitation(meeting: Meeting, *attendees: str, sequence: int = 0) -> bytes:
    """The Notes invitation of the golden messages, to these attendees besides."""
    message = notes_invitation(meeting, sequence)
    lines = b"".join(b"ATTENDEE;ROLE=REQ-PARTICIPANT:mailto:" + one.encode() + b"\r\n" for one in attendees)
    return message.replace(b"\r\nSEQUENCE:", b"\r\n" + lines + b"SEQUENCE:")


def by_recipient(deliveries: list[Delivery]) -> dict[str, list[Delivery]]:
    found: dict[str, list[Delivery]] = {}
    for one in deliveries:
        for recipient in one.recipients:
            found.setdefault(recipient.decode(), []).append(one)
    return found


def test_a_guest_an_internal_attendee_and_the_address(site: Site) -> None:
    """One message to Bob and to the address: one meeting, one link; Dora's own mail; start link and acceptance for Anna."""
    meeting = Meeting.new()
    assert site.send(invitation(meeting, DORA, MEET), BOB, MEET).code == 250
    arrived = by_recipient(site.arrived())
    assert set(arrived) == {BOB, DORA, ANNA}
    token = gateway.the_token(arrived[BOB][0].octets, BASE_URL)
    assert gateway.the_token(arrived[DORA][0].octets, BASE_URL) == token
    start, reply = sorted(arrived[ANNA], key=lambda one: b"text/calendar" in one.octets)
    assert gateway.tokens(start.octets, BASE_URL, "s")
    assert b"METHOD:REPLY" in reply.octets
    assert b"PARTSTAT=ACCEPTED" in reply.octets
    assert meeting.uid.encode() in reply.octets
    assert {one.sender for one in (arrived[DORA][0], start, reply)} == {b""}
    assert site.reasons() == [("milter", "rewrite", "link-added"), ("conference", "take", "conference-kept")]
    assert gateway.rows(site.state) == (1, 2)
    assert_discreet(site.mail.log(), *meeting.secrets, token, DORA, MEET)


def test_the_address_alone(site: Site) -> None:
    """Nobody outside is invited: the invitation ends here, the two mails go out; and the cancellation ends it all."""
    meeting = Meeting.new()
    assert site.send(invitation(meeting, DORA, MEET), MEET).code == 250
    assert set(by_recipient(site.arrived())) == {DORA, ANNA}
    off = invitation(meeting, DORA, MEET, sequence=1).replace(b"REQUEST", b"CANCEL")
    assert site.send(off, MEET).code == 250
    (told,) = site.arrived()
    assert told.recipients == (DORA.encode(),)
    assert gateway.tokens(told.octets, BASE_URL) == []
    assert site.reasons()[-1] == ("conference", "drop", "method-cancel")  # the milter saw it first, and did it
    assert ("milter", "forget", "meeting-cancelled") in site.reasons()
    assert gateway.rows(site.state) == (1, 0)  # the tombstone


def test_strangers_are_refused_while_they_are_connected(site: Site) -> None:
    """By Postfix's smtpd: no row, no mail, no bounce; and nobody else lives in that domain."""
    meeting = Meeting.new()
    message = invitation(meeting, MEET)
    assert site.send(message, MEET, client=OUTSIDE).code // 100 == 5
    assert site.send(message, MEET, client=OUTSIDE, sender="").code // 100 == 5
    assert site.send(message, "somebody@conf.example.org").code // 100 == 5
    assert site.arrived() == []
    assert site.reasons() == []
    assert gateway.rows(site.state) == (0, 0)


@pytest.mark.parametrize(
    ("sender", "client", "reason"),
    [
        (ANNA, {"ADDR": "127.0.0.1"}, "client-not-allowed"),
        ("", HOUSE, "sender-not-own"),
        ("eve@example.com", HOUSE, "sender-not-own"),
        ("berta@example.org", HOUSE, "sender-not-organizer"),
    ],
)
def test_what_gets_past_postfix_is_dropped(site: Site, sender: str, client: dict[str, str], reason: str) -> None:
    """Neither answered nor bounced."""
    assert site.send(invitation(Meeting.new(), MEET), MEET, sender=sender, client=client).code == 250
    assert site.arrived() == []
    assert site.reasons()[-1] == ("conference", "drop", reason)
    assert gateway.rows(site.state) == (0, 0)


def test_while_the_gateway_is_away_the_mail_waits(site: Site) -> None:
    """And is delivered when it is back (law 1)."""
    site.mail.stop()
    site.postfix.reload({"smtpd_milters": ""})
    meeting = Meeting.new()
    port = site.postfix.ports[1]
    assert send(port, ANNA, [MEET], invitation(meeting, DORA, MEET), {"ADDR": "192.0.2.10"}).code == 250
    time.sleep(1.5)
    assert len(site.postfix.queued()) == 1
    site.mail.start()
    site.postfix.flush()
    assert set(by_recipient(site.arrived())) == {DORA, ANNA}
    assert site.reasons()[-1] == ("conference", "take", "conference-made")


def settle(postfix: Postfix, sink: Sink, rounds: int = 12) -> list[list[Delivery]]:
    """Let a robot answer the mail that reaches a mailbox, as wrongly as robots do; return what arrived in each round.

    It writes to From where the envelope sender is empty, and sends the whole mail back; twice to the same correspondent.
    """
    arrived: list[list[Delivery]] = []
    answered: dict[tuple[str, str], int] = {}
    for _ in range(rounds):
        postfix.wait_until_idle()
        arrived.append(list(sink.messages))
        sink.clear()
        for one in arrived[-1]:
            shown = re.search(rb"(?m)^From:.*?<([^<>\r\n]+)>", one.octets)
            pair = one.recipients[0].decode(), (one.sender or (shown[1] if shown else b"")).decode()
            answered[pair] = answered.get(pair, 0) + 1
            if answered[pair] <= 2:
                answer = re.sub(rb"(?m)^Subject:[^\r\n]*", b"Subject: I am away", one.octets, count=1)
                send(postfix.ports[0], pair[0], [pair[1]], answer, HOUSE)
        if not arrived[-1]:
            break
    return arrived


def test_mail_of_ours_stops_by_itself() -> None:
    """Two gateways whose addresses are invited, and organize meetings themselves, among robots that answer everything."""
    with directory() as place, Sink() as sink:
        listeners = [
            Listener(options={"smtpd_milters": f"unix:{place}/our.milter, unix:{place}/their.milter"}),
            Listener(options=WITHOUT_MILTERS),
        ]
        main = settings(place)
        main |= {
            "relay_domains": "conf.example.org conf.example.net",
            "relay_recipient_maps": f"inline:{{ {MEET}=OK, {THEIRS}=OK }}",
            "transport_maps": (
                f"inline:{{ {{ {MEET} = notes2conf:unix:{place}/our.lmtp }}, "
                f"{{ {THEIRS} = notes2conf:unix:{place}/their.lmtp }} }}"
            ),
        }
        postfix = Postfix(place, listeners, sink.address, main, [recipe("conference-master.cf")])
        gateways = []
        for name, address, domains in (
            ("our", MEET, ["example.org", ".example.org"]),
            ("their", THEIRS, ["example.net", ".example.net"]),
        ):
            more = ["--config", str(configuration(place, name, address, f"int{address.partition('@conf')[2]}"))]
            more += [word for domain in domains for word in ("--organizer-domain", domain)]
            milter = [f"unix:{place}/{name}.milter"]
            gateways.append(
                gateway.mail(
                    place / name,
                    base_url=f"https://conf{address.partition('@conf')[2]}",
                    milter=milter,
                    start_mail=postfix.ports[1],
                    more=more,
                    log_name=name,
                )
            )
        with gateways[0], gateways[1], postfix:
            for organizer in (ANNA, BOB, MEET, THEIRS):
                message = invitation(Meeting.new(), MEET, THEIRS, DORA, "emil@int.example.net")
                message = re.sub(rb"(?i)mailto:anna@example\.org", b"mailto:" + organizer.encode(), message)
                message = message.replace(b"<anna@example.org>", b"<%b>" % organizer.encode())
                reply = send(postfix.ports[0], organizer, [MEET, THEIRS, "guest@example.com"], message, HOUSE)
                assert reply.code == 250, reply
            arrived = settle(postfix, sink)
            ours = [[one.recipients[0].decode() for one in some if one.sender == b""] for some in arrived]
            # One start mail and one REPLY for each person who organizes, join mails for those inside of that house.
            assert sorted(ours[0]) == sorted([ANNA, ANNA, DORA, BOB, BOB, "emil@int.example.net"])
            assert not any(ours[1:])
            assert arrived[-1] == []
            for one in gateways:
                assert "unforeseen" not in one.log()


def test_a_start_mail_that_bounces_is_the_end_of_it(site: Site) -> None:
    """It is from nobody: Postfix writes no bounce, and nothing comes back to us."""
    with Sink({"RCPT": b"550 5.1.1 No such mailbox"}) as nowhere:
        lost = f"{{ {ANNA} = smtp:[127.0.0.1]:{nowhere.port} }}"
        here = f"{{ {MEET} = notes2conf:unix:{site.postfix.place}/our.lmtp }}"
        site.postfix.reload({"transport_maps": f"inline:{{ {lost}, {here} }}"})
        assert site.send(invitation(Meeting.new(), MEET), MEET).code == 250
        assert site.arrived() == []
    assert "No such mailbox" in site.postfix.log()
    assert site.reasons() == [("milter", "rewrite", "link-added"), ("conference", "take", "conference-kept")]
