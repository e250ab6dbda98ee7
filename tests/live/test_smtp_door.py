"""The SMTP door between a real Postfix and its next hop: mail goes through it, and so do the next hop's answers."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from tests.golden import cases
from tests.live import gateway
from tests.live.gateway import (
    ANNA,
    BOB,
    HOUSE,
    WITHOUT_MILTERS,
    Hop,
    Meeting,
    Service,
    golden,
    invitation,
    until,
    without_received,
)
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.smtp.nexthop import Wait

BASE_URL = "https://conf.example.org"
# The door sees Postfix alone, which is on loopback here; whom Postfix had the mail from stands in its Received field.
LOOPBACK = ("127.0.0.0/8", "192.0.2.0/24")


@dataclass
class Site:
    """A Postfix whose first listener sends all mail to the door and whose second goes straight to the mailboxes beyond."""

    postfix: Postfix
    sink: Sink
    state: Path
    door_port: int

    def door(self, next_hop: Sink | None = None, allow: Sequence[str] = LOOPBACK) -> Service:
        """Return the mail service with the SMTP door alone. next_hop: None for the mailboxes beyond."""
        hop = next_hop or self.sink
        more = ["--smtp", f"127.0.0.1:{self.door_port}", "--next-hop", hop.address]
        return gateway.mail(self.state, base_url=BASE_URL, start_mail=self.postfix.ports[1], allow=allow, more=more)

    def send(self, message: bytes, listener: int = 0, recipients: Sequence[str] = (BOB,), sender: str = ANNA) -> None:
        reply = send(self.postfix.ports[listener], sender, recipients, message, HOUSE)
        assert reply.code == 250, reply

    def arrived(self, count: int) -> list[Delivery]:
        """Return all that arrived, once the queue is empty: exactly `count` messages."""
        self.sink.wait_for(count)
        self.postfix.wait_until_idle()
        found = self.sink.messages
        assert len(found) == count
        return found

    def statuses(self, recipient: str) -> list[str]:
        """Return what Postfix logged about each attempt to deliver to somebody, by way of the door."""
        relay = rf"to=<{re.escape(recipient)}>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:{self.door_port}, .* (status=.*)"
        return re.findall(relay, self.postfix.log())


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[Path, Postfix, Sink, int]]:
    port = free_ports(1)[0]
    with directory() as place, Sink() as sink:
        door = {"content_filter": f"smtp:[127.0.0.1]:{port}"}
        with Postfix(place, [Listener(options=door), Listener(options=WITHOUT_MILTERS)], sink.address) as postfix:
            yield place, postfix, sink, port


@pytest.fixture
def site(house: tuple[Path, Postfix, Sink, int]) -> Iterator[Site]:
    place, postfix, sink, port = house
    sink.clear()
    yield Site(postfix, sink, place / f"state-{token_hex(4)}", port)
    postfix.wait_until_idle()


def test_an_invitation_gains_its_link(site: Site) -> None:
    """By the SMTP door it becomes what the milter door makes of it, to the octet."""
    message = invitation(Meeting.new())
    with site.door() as mail:
        site.send(message)
        deliveries = site.arrived(2)
        (start_mail,) = gateway.start_mails(deliveries)
        linked = without_received(next(one for one in deliveries if one.sender == ANNA.encode()))
        assert (mail.answers()[0].door, mail.answers()[0].reason) == ("smtp", "link-added")
    assert linked == gateway.rewrite(site.state, BASE_URL, message) != message
    assert gateway.the_token(linked, BASE_URL) == gateway.the_token(start_mail.octets, BASE_URL)


def test_without_a_word_about_loopback_an_invitation_passes(site: Site) -> None:
    """Law 9: behind Postfix everything comes from loopback, which is no network of the house unless somebody says so."""
    message = invitation(Meeting.new())
    with site.door(allow=("192.0.2.0/24",)) as mail:
        site.send(message)
        assert without_received(site.arrived(1)[0]) == message
        assert mail.answers()[0].reason == "client-not-allowed"


def test_all_other_mail_arrives_octet_for_octet(site: Site) -> None:
    """Each golden message: by the door as without it, envelope included, unless it gains the link that is its own."""
    messages = {f"{number}@example.net": case for number, case in enumerate(cases())}

    def send_all(listener: int) -> dict[bytes, Delivery]:
        for recipient, case in messages.items():
            site.send(case.message, listener, [recipient, BOB], case.facts["sender"])
        site.sink.wait_for(len(messages))
        site.postfix.wait_until_idle()
        found = {one.recipients[0]: one for one in site.sink.messages if len(one.recipients) == 2}
        assert len(found) == len(messages)
        site.sink.clear()
        return found

    with site.door() as mail:
        by_door, straight = send_all(0), send_all(1)
        verdicts = Counter(answer.verdict for answer in mail.answers())
    rewritten = 0
    for recipient, without in straight.items():
        delivery = by_door[recipient]
        assert (delivery.sender, delivery.recipients) == (without.sender, without.recipients)
        if without_received(delivery) != without_received(without):
            rewritten += 1
            assert without_received(delivery) == gateway.rewrite(site.state, BASE_URL, without_received(without))
    assert verdicts["pass"] == len(messages) - rewritten > 90
    assert verdicts["rewrite"] == rewritten


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_refusal_of_the_next_hop_is_ours(site: Site, verb: str) -> None:
    """Its 5xx stands in Postfix's log, and Postfix tells the sender."""
    recipient = f"{token_hex(4)}@example.net"
    with Sink({verb: b"550 5.7.1 Go away, please"}) as hop, site.door(hop):
        site.send(golden("104"), recipients=[recipient])
        (bounce,) = site.arrived(1)
        assert hop.messages == []
    (status,) = site.statuses(recipient)
    assert status.startswith("status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.7.1 Go away, please")
    assert (bounce.sender, bounce.recipients) == (b"", (ANNA.encode(),))
    assert b"550 5.7.1 Go away, please" in bounce.octets


@pytest.mark.parametrize("verb", ["RCPT", "DOT"])
def test_a_delay_of_the_next_hop_is_ours(site: Site, verb: str) -> None:
    """Its 4xx leaves the message in Postfix's queue; when it comes again it has the same link and no second start mail."""
    recipient = f"{token_hex(4)}@example.net"
    with Sink({verb: [b"450 4.2.0 Not now, please", b"250 2.0.0 Ok"]}) as hop, site.door(hop):
        site.send(invitation(Meeting.new()), recipients=[recipient])
        (delivery,) = hop.wait_for(1)
        (start_mail,) = site.arrived(1)
        assert gateway.the_token(delivery.octets, BASE_URL) == gateway.the_token(start_mail.octets, BASE_URL)
    first, last = site.statuses(recipient)
    assert first.startswith("status=deferred (host 127.0.0.1[127.0.0.1] said: 450 4.2.0 Not now, please")
    assert last.startswith("status=sent (250 2.0.0 Ok")


def test_each_recipient_has_the_next_hops_own_answer(site: Site) -> None:
    """One is refused and bounced, the other gets the message."""
    good, bad = (f"{name}.{token_hex(4)}@example.net" for name in ("a", "b"))  # Postfix asks in alphabetical order
    with Sink({"RCPT": [b"250 2.1.5 Ok", b"550 5.1.1 Nobody"]}) as hop, site.door(hop):
        site.send(golden("104"), recipients=[good, bad])
        (delivery,) = hop.wait_for(1)
        site.arrived(1)
    assert delivery.recipients == (good.encode(),)
    assert site.statuses(good)[0].startswith("status=sent")
    assert site.statuses(bad)[0].startswith("status=bounced")


def test_sigterm_lets_a_message_under_way_finish(site: Site) -> None:
    """The service ends with 0 once the next hop's answer is Postfix's; nothing arrives twice."""
    event = asyncio.Event()
    recipient = f"{token_hex(4)}@example.net"
    with Hop({"DOT": Wait(event, b"250 2.0.0 Ok: at last")}) as hop, site.door(hop) as mail:
        site.send(golden("104"), recipients=[recipient])
        hop.wait_for_dot()
        mail.terminate()
        until(lambda: "mail: stopping" in mail.log())
        assert mail.running()
        hop.let_go(event)
        assert mail.wait() == 0
        site.postfix.wait_until_idle()
        assert [without_received(one) for one in hop.messages] == [golden("104")]
    (status,) = site.statuses(recipient)
    assert status.startswith("status=sent (250 2.0.0 Ok: at last")


def test_without_the_gateway_postfix_keeps_the_mail(site: Site) -> None:
    """While nobody listens at the door mail stays in the queue, and flows when the gateway is there."""
    message = invitation(Meeting.new())
    recipient = f"{token_hex(4)}@example.net"
    site.send(message, recipients=[recipient])
    assert site.sink.messages == []
    with site.door():
        site.postfix.flush()
        deliveries = site.arrived(2)
    assert any(gateway.tokens(one.octets, BASE_URL) for one in deliveries if one.recipients == (recipient.encode(),))
