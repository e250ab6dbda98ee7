"""Law 1 with real parts: what cannot be done now is Postfix's client's to try again, and nothing is lost on the way."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

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
from tests.live.postfix import Listener, Postfix, Reply, directory, free_ports, send
from tests.live.sink import Delivery, Sink
from tests.smtp.nexthop import Action, Wait

BASE_URL = "https://conf.example.org"


@dataclass
class Site:
    """A Postfix whose first listener asks the gateway and whose second, at a port of its own, takes start mails."""

    place: Path
    postfix: Postfix
    sink: Sink
    state: Path

    def mail(self, start_mail: int | None = None) -> Service:
        return gateway.mail(
            self.state,
            base_url=BASE_URL,
            milter=[f"unix:{self.place}/milter"],
            start_mail=start_mail or self.postfix.ports[1],
        )

    def send(self, message: bytes) -> Reply:
        return send(self.postfix.ports[0], ANNA, [BOB], message, HOUSE)

    def arrived(self, count: int) -> list[Delivery]:
        """Return all that arrived, once the queue is empty: exactly `count` messages."""
        self.sink.wait_for(count)
        self.postfix.wait_until_idle()
        found = self.sink.messages
        assert len(found) == count
        return found

    def listen(self, port: int) -> None:
        """Give Postfix one more listener for start mails, at `port`."""
        options = "".join(f" -o {{ {name} = {value} }}" for name, value in WITHOUT_MILTERS.items())
        with (self.postfix.configuration / "master.cf").open("a", encoding="utf-8") as master:
            master.write(f"127.0.0.1:{port} inet n - n - - smtpd{options}\n")
        self.postfix.reload({})


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[Path, Postfix, Sink]]:
    with directory() as place, Sink() as sink:
        listeners = [Listener(options={"smtpd_milters": f"unix:{place}/milter"}), Listener(options=WITHOUT_MILTERS)]
        with Postfix(place, listeners, sink.address) as postfix:
            yield place, postfix, sink


@pytest.fixture
def site(house: tuple[Path, Postfix, Sink]) -> Iterator[Site]:
    place, postfix, sink = house
    sink.clear()
    yield Site(place, postfix, sink, place / f"state-{token_hex(4)}")
    assert postfix.queue_is_empty()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def test_without_the_start_mail_listener_the_invitation_waits(site: Site) -> None:
    """451 until the listener is back, while other mail flows; then one link and one start mail."""
    port = free_ports(1)[0]
    message = invitation(Meeting.new())
    with site.mail(port) as mail:
        for _ in range(2):
            reply = site.send(message)
            assert reply.code == 451, reply
            assert (mail.answers()[-1].verdict, mail.answers()[-1].reason) == ("defer", "start-mail-deferred")
        assert site.postfix.queue_is_empty()
        assert site.sink.messages == []
        assert site.send(golden("104")).code == 250
        assert without_received(site.arrived(1)[0]) == golden("104")

        site.sink.clear()
        site.listen(port)
        until(lambda: _greets(port))
        for _ in range(2):
            assert site.send(message).code == 250
        deliveries = site.arrived(3)
        (start_mail,) = gateway.start_mails(deliveries)
        joins = {gateway.the_token(one.octets, BASE_URL) for one in deliveries}
        assert len(joins) == 1
        gateway.the_token(start_mail.octets, BASE_URL, "s")
        assert gateway.rows(site.state) == (1, 2)


def _greets(port: int) -> bool:
    try:
        return send(port, ANNA, [], b"").code > 0
    except OSError:
        return False


def test_a_start_mail_that_is_tried_again_is_the_same_mail(site: Site) -> None:
    """After a 4xx to its final dot it comes again with the same Message-ID and the same links."""
    message = invitation(Meeting.new())
    with Hop({"DOT": [b"451 4.3.0 Not now", b"452 4.3.1 Not now", b"250 2.0.0 Ok"]}) as hop, site.mail(hop.port):
        assert [site.send(message).code for _ in range(3)] == [451, 451, 250]
        (invited,) = site.arrived(1)
        mails = [*hop.refused, *(one.octets for one in hop.messages)]
    assert len(mails) == 3
    assert len({gateway.parsed(octets)["message-id"] for octets in mails}) == 1
    assert len({gateway.the_token(octets, BASE_URL, "s") for octets in mails}) == 1
    assert {gateway.the_token(octets, BASE_URL) for octets in [*mails, invited.octets]} == {
        gateway.the_token(invited.octets, BASE_URL)
    }


@pytest.mark.parametrize(
    "refusal", [{"RCPT": b"550 5.1.1 Nobody of that name"}, {"DOT": b"554 5.6.0 Not this"}], ids=["RCPT", "DOT"]
)
def test_a_start_mail_that_is_refused_for_good_leaves_the_invitation_alone(
    site: Site, refusal: dict[str, Action]
) -> None:
    """Nobody could open the conference, so there is no link and no row; the log says why."""
    message = invitation(Meeting.new())
    with Hop(refusal) as hop, site.mail(hop.port) as mail:
        assert site.send(message).code == 250
        (passed,) = site.arrived(1)
        assert without_received(passed) == message
        assert (mail.answers()[-1].verdict, mail.answers()[-1].reason) == ("pass", "start-mail-refused")
        assert gateway.rows(site.state) == (0, 0)


def test_while_the_gateway_is_dead_mail_waits_and_flows_after_its_restart(site: Site) -> None:
    """After a crash the client keeps its mail (4xx), and the next process takes the socket over with all links."""
    meeting = Meeting.new()
    with site.mail() as mail:
        assert site.send(invitation(meeting)).code == 250
        before = site.arrived(2)
        token = gateway.the_token(before[0].octets, BASE_URL)
        mail.kill()
        for message in (invitation(meeting), golden("104")):
            reply = site.send(message)
            assert reply.code // 100 == 4, reply
        assert site.postfix.queue_is_empty()
        assert len(site.sink.messages) == 2
        mail.start()
        assert site.send(invitation(meeting, sequence=1)).code == 250
        assert site.send(golden("104")).code == 250
        after = site.arrived(4)[2:]
        linked = next(one for one in after if b"text/calendar" in one.octets)
        assert gateway.the_token(linked.octets, BASE_URL) == token
        assert len(gateway.start_mails(before + after)) == 1


def test_a_crash_in_the_middle_of_a_message_defers_it(site: Site, background: ThreadPoolExecutor) -> None:
    """The client keeps it, and sending it again brings the link whose row was there already."""
    event = asyncio.Event()
    message = invitation(Meeting.new())
    with Hop({"DOT": [Wait(event, b"250 2.0.0 Ok"), b"250 2.0.0 Ok"]}) as hop, site.mail(hop.port) as mail:
        sending = background.submit(site.send, message)
        hop.wait_for_dot()
        assert gateway.rows(site.state) == (1, 2)
        mail.kill()
        reply = sending.result(30)
        assert reply.code // 100 == 4, reply
        hop.let_go(event)
        assert site.sink.messages == []
        mail.start()
        assert site.send(message).code == 250
        (linked,) = site.arrived(1)
        assert gateway.rows(site.state) == (1, 2)
        mails = [gateway.parsed(one.octets)["message-id"] for one in hop.wait_for(2)]  # at least once
        assert len(mails) == 2
        assert len(set(mails)) == 1
        assert gateway.the_token(linked.octets, BASE_URL) == gateway.the_token(hop.messages[0].octets, BASE_URL)


def test_sigterm_lets_a_message_under_way_finish(site: Site, background: ThreadPoolExecutor) -> None:
    """The service ends with 0 after the answer; whoever comes meanwhile is deferred."""
    event = asyncio.Event()
    message = invitation(Meeting.new())
    with Hop({"DOT": Wait(event, b"250 2.0.0 Ok")}) as hop, site.mail(hop.port) as mail:
        sending: Future[Reply] = background.submit(site.send, message)
        hop.wait_for_dot()
        mail.terminate()
        until(lambda: "mail: stopping" in mail.log())
        late = site.send(golden("104"))
        assert late.code // 100 == 4, late
        assert mail.running()
        assert not sending.done()
        hop.let_go(event)
        assert sending.result(30).code == 250
        assert mail.wait() == 0
        (linked,) = site.arrived(1)
        assert gateway.the_token(linked.octets, BASE_URL) == gateway.the_token(hop.wait_for(1)[0].octets, BASE_URL)
        assert [one.reason for one in mail.answers()] == ["link-added"]
