"""The next hop gone, whenever that is, and a clock that was wrong for a while: nothing is lost, and the link stays the same."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from time import time

import pytest

from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.store import EpochFile, LinkStore
from notes2conf_milter.store.keys import EPOCH_NAME
from tests.live import gateway
from tests.live.gateway import (
    ANNA,
    BOB,
    DATABASE,
    HOUSE,
    WITHOUT_MILTERS,
    Meeting,
    Service,
    assert_discreet,
    golden,
    invitation,
    the_token,
    without_received,
)
from tests.live.postfix import Listener, Postfix, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.smtp.nexthop import VANISH

BASE_URL = "https://conf.example.org"
DAY = 86400
LATER = {
    "GREETING": b"220 next.example ESMTP",
    "EHLO": b"250-next.example\r\n250 8BITMIME",
    "MAIL": b"250 2.1.0 Ok",
    "RCPT": b"250 2.1.5 Ok",
    "DATA": b"354 Go on",
    "DOT": b"250 2.0.0 Ok",
}


@dataclass
class Site:
    """A Postfix: its first listener sends by way of the SMTP door, the second asks the milter, the third takes start mails."""

    place: Path
    postfix: Postfix
    sink: Sink
    door_port: int
    state: Path = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.place / f"state-{token_hex(4)}"

    def door(self, next_hop: str) -> Service:
        more = ["--smtp", f"127.0.0.1:{self.door_port}", "--next-hop", next_hop]
        start_mail = self.postfix.ports[2]
        return gateway.mail(
            self.state, base_url=BASE_URL, start_mail=start_mail, allow=["127.0.0.0/8", "192.0.2.0/24"], more=more
        )

    def milter(self, command: Sequence[str]) -> Service:
        milter, start_mail = [f"unix:{self.place}/milter"], self.postfix.ports[2]
        return gateway.mail(self.state, base_url=BASE_URL, milter=milter, start_mail=start_mail, command=command)

    def send(self, message: bytes, listener: int, recipient: str = BOB) -> None:
        reply = send(self.postfix.ports[listener], ANNA, [recipient], message, HOUSE)
        assert reply.code == 250, reply

    def attempts(self, recipient: str) -> list[str]:
        """Return what became of each attempt to deliver to somebody by way of the door, in a word."""
        lines = [line for line in self.postfix.log().splitlines() if f"to=<{recipient}>" in line]
        return [line.partition("status=")[2].split()[0] for line in lines if f":{self.door_port}, " in line]


@pytest.fixture(scope="module")
def house() -> Iterator[Site]:
    port = free_ports(1)[0]
    with directory() as place, Sink() as sink:
        door = Listener(options={"content_filter": f"smtp:[127.0.0.1]:{port}"})
        asking = Listener(options={"smtpd_milters": f"unix:{place}/milter"})
        with Postfix(place, [door, asking, Listener(options=WITHOUT_MILTERS)], sink.address) as postfix:
            yield Site(place, postfix, sink, port)


@pytest.fixture
def site(house: Site) -> Iterator[Site]:
    house.sink.clear()
    yield Site(house.place, house.postfix, house.sink, house.door_port)
    assert house.postfix.queue_is_empty()


def assert_arrived_once(site: Site, delivery: Delivery, message: bytes, log: str) -> None:
    """With its link, and one start mail that knows the same link."""
    assert without_received(delivery) == gateway.rewrite(site.state, BASE_URL, message) != message
    (start_mail,) = site.sink.wait_for(1)
    assert the_token(start_mail.octets, BASE_URL) == the_token(delivery.octets, BASE_URL)
    assert_discreet(log, ANNA, BOB, the_token(delivery.octets, BASE_URL))


@pytest.mark.parametrize("verb", LATER)
def test_a_next_hop_that_goes_away_at_any_word(site: Site, verb: str) -> None:
    """Postfix keeps the message and sends it again; it arrives once, with its link.

    At MAIL, and at RCPT that goes with it, nothing of the message has been said: the gateway tries a new connection itself.
    """
    itself = verb in ("MAIL", "RCPT")
    recipient, message = f"{token_hex(4)}@example.net", invitation(Meeting.new())
    with Sink({verb: [VANISH, LATER[verb]]}) as hop, site.door(hop.address) as mail:
        site.send(message, 0, recipient)
        (delivery,) = hop.wait_for(1)
        site.postfix.wait_until_idle()
        assert len(hop.messages) == 1
        assert_arrived_once(site, delivery, message, mail.log())
        assert mail.log().count("WARNING") == (not itself)
    assert site.attempts(recipient) == ["deferred", "sent"][itself:]


def test_a_next_hop_that_goes_away_in_the_middle_of_a_message(site: Site) -> None:
    """Half a message is none."""
    recipient, message, port = f"{token_hex(4)}@example.net", invitation(Meeting.new()), free_ports(1)[0]
    with site.door(f"127.0.0.1:{port}") as mail:
        with Sink(vanish_after=3000, port=port) as hop:
            site.send(message, 0, recipient)
            gateway.until(lambda: "deferred" in site.attempts(recipient))
            assert hop.messages == []
        with Sink(port=port) as hop:
            (delivery,) = hop.wait_for(1)
            site.postfix.wait_until_idle()
            assert len(hop.messages) == 1
            assert_arrived_once(site, delivery, message, mail.log())


def test_a_next_hop_that_is_not_there(site: Site) -> None:
    """All mail waits in Postfix's queue, invitations and others, and arrives once when the next hop is back."""
    recipients, port = [f"{token_hex(4)}@example.net" for _ in range(2)], free_ports(1)[0]
    message = invitation(Meeting.new())
    with site.door(f"127.0.0.1:{port}") as mail:
        for one, octets in zip(recipients, (message, golden("104")), strict=True):
            site.send(octets, 0, one)
            gateway.until(lambda one=one: "deferred" in site.attempts(one))
        with Sink(port=port) as hop:
            hop.wait_for(2)
            site.postfix.wait_until_idle()
            found = {one.recipients[0].decode(): one for one in hop.messages}
            assert len(hop.messages) == len(found) == 2
        assert without_received(found[recipients[1]]) == golden("104")
        assert_arrived_once(site, found[recipients[0]], message, mail.log())


# The program as it is, but for the one function that asks the system for the time.
STEPPED = """
import sys, time
from pathlib import Path
from notes2conf_milter import cli, daemon
offset = Path(sys.argv.pop(1))
daemon.now = lambda: int(time.time()) + int(offset.read_text())
cli.main()
"""


class Clock:
    """The gateway's clock: the system's and an offset."""

    def __init__(self, site: Site) -> None:
        self._offset = site.place / f"offset-{token_hex(4)}"
        self.command = [sys.executable, "-c", STEPPED, str(self._offset)]
        self._state = site.state
        self.step(0)

    def step(self, seconds: int) -> None:
        other = self._offset.with_suffix(".new")
        other.write_text(str(seconds))
        other.replace(self._offset)

    def purge(self) -> str:
        done = subprocess.run([*self.command, "purge", "--state", str(self._state)], capture_output=True, check=True)
        return done.stdout.decode().splitlines()[0]


def shown(site: Site, token: str) -> bool:
    """Say whether there is a page behind a link, by the right time."""
    with closing(LinkStore(site.state / DATABASE, EpochFile(site.state / EPOCH_NAME))) as store:
        return store.open(token, (LinkKind.JOIN,), int(time())) is not None


def test_a_clock_that_steps(site: Site) -> None:
    """A little ahead or back: the same link at every time, whatever is purged and rotated. Far ahead: a new meeting."""
    meeting = Meeting.new()
    clock = Clock(site)
    with site.milter(clock.command) as mail:

        def link(sequence: int) -> str:
            site.sink.clear()
            site.send(invitation(meeting, sequence), 1)
            gateway.until(lambda: any(one.recipients == (BOB.encode(),) for one in site.sink.messages))
            site.postfix.wait_until_idle()
            (delivery,) = [one for one in site.sink.messages if one.recipients == (BOB.encode(),)]
            return the_token(delivery.octets, BASE_URL)

        first = link(0)
        for sequence, step in enumerate((-DAY, -400 * DAY, 3600, 0, 10 * 3600, -60, 0), 1):
            clock.step(step)
            assert clock.purge() == "deleted 0 meetings"
            assert link(sequence) == first
            assert shown(site, first)
        clock.step(30 * DAY)
        assert clock.purge() == "deleted 1 meetings"
        assert not shown(site, first)
        clock.step(0)
        second = link(20)
        assert second != first
        assert shown(site, second)
        assert [answer.verdict for answer in mail.answers()] == ["rewrite"] * 9
        assert_discreet(mail.log(), *meeting.secrets, first, second)
