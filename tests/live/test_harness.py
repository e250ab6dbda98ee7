"""The live harness itself: mail crosses a real Postfix unchanged, and a milter hears of the client that XCLIENT names."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notes2conf_milter.address import UnixAddress
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.milter.server import MilterServer
from tests.live.postfix import Client, Listener, Postfix, PostfixMissing, directory, send
from tests.live.sink import Sink

GOLDEN = Path(__file__).parent.parent / "messages"
MESSAGE = (
    b"From: anna@example.org\r\nTo: bob@example.net\r\nSubject:   two  blanks\r\n\tand a fold\r\n"
    b"Date: Mon, 2 Mar 2026 08:00:00 +0100\r\nMessage-ID: <harness@example.org>\r\n"
    b"\r\n.a dot\r\n..two dots\r\n\r\n\xc3\xbcmlaut \r\n.\t\r\nend\r\n"
)


class _Flow(MailFlow):
    """Passes everything, and remembers the envelopes."""

    judges_mail = False

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    @staticmethod
    def plainly_no_calendar(header: bytes) -> bool:
        return False  # every message is looked at

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        return None

    async def process(self, envelope: Envelope, message: bytes) -> Outcome:
        self.envelopes.append(envelope)
        return Outcome(Verdict.PASS, Reason.NO_CALENDAR)


@contextmanager
def running(
    *listeners: Listener, script: dict[str, bytes | list[bytes]] | None = None
) -> Iterator[tuple[Postfix, Sink]]:
    """Yield a Postfix with these listeners, and the sink behind it."""
    with directory() as place, Sink(script) as sink, Postfix(place, listeners, sink.address) as postfix:
        yield postfix, sink


def without_received(octets: bytes) -> bytes:
    """Return a message without the Received field that Postfix put before it."""
    assert octets.startswith(b"Received: from ")
    lines = octets.split(b"\r\n")
    first = next(at for at, line in enumerate(lines) if at and not line.startswith((b" ", b"\t")))
    return b"\r\n".join(lines[first:])


def test_a_message_arrives_as_it_was_sent() -> None:
    with running(Listener(), Listener(options={"smtpd_banner": "$myhostname second listener"})) as (postfix, sink):
        recipients = ["bob@example.net", "carla@example.org"]
        for port in postfix.ports:
            assert send(port, "anna@example.org", recipients, MESSAGE).code == 250
        deliveries = sink.wait_for(2)
        postfix.wait_until_idle()
        for delivery in deliveries:
            assert delivery.sender == b"anna@example.org"
            assert delivery.recipients == (b"bob@example.net", b"carla@example.org")
            assert without_received(delivery.octets) == MESSAGE
        with Client(postfix.ports[1]) as client:
            assert client.greeting.text == "mx.example.org second listener"
        assert postfix.warnings() == []
        assert "status=sent" in postfix.log()


def test_what_the_sink_defers_stays_in_the_queue_and_comes_later() -> None:
    with running(Listener(), script={"DOT": [b"451 4.3.0 Not now", b"250 2.0.0 Ok"]}) as (postfix, sink):
        assert send(postfix.ports[0], "anna@example.org", ["bob@example.net"], MESSAGE).code == 250
        postfix.flush()
        assert without_received(sink.wait_for(1)[0].octets) == MESSAGE
        postfix.wait_until_idle()
        assert "451 4.3.0 Not now" in postfix.log()


def test_golden_messages_cross_postfix_unchanged() -> None:
    """What a door sees of them in a live test is what the golden tests give it."""
    messages = [path.read_bytes() for path in sorted(GOLDEN.glob("*/in.eml"))]
    sent = [octets for octets in messages if b"\n" not in octets.replace(b"\r\n", b"")]
    assert len(sent) > 50
    with running(Listener()) as (postfix, sink):
        for number, octets in enumerate(sent):
            reply = send(postfix.ports[0], f"{number}@example.org", ["bob@example.net"], octets)
            assert reply.code == 250, reply
        arrived = {one.sender: without_received(one.octets) for one in sink.wait_for(len(sent))}
    for number, octets in enumerate(sent):
        end = b"" if octets.endswith(b"\r\n") else b"\r\n"
        assert arrived[b"%d@example.org" % number] == octets + end


def test_a_milter_hears_of_the_client_that_xclient_names() -> None:
    clients: tuple[dict[str, str], ...] = ({}, {"ADDR": "192.0.2.10"}, {"ADDR": "198.51.100.7", "LOGIN": "anna"})

    def drive(place: Path, sink: Sink, milter: UnixAddress) -> None:
        with Postfix(place, [Listener(options={"smtpd_milters": str(milter)})], sink.address) as postfix:
            for who in clients:
                assert send(postfix.ports[0], "anna@example.org", ["bob@example.net"], MESSAGE, who).code == 250
            for delivery in sink.wait_for(len(clients)):
                assert without_received(delivery.octets) == MESSAGE
            assert postfix.warnings() == []

    async def scenario(place: Path, sink: Sink) -> list[Envelope]:
        flow, server, milter = _Flow(), MilterServer(), UnixAddress(str(place / "milter"))
        await server.start(milter, flow, socket_mode=0o666)
        await asyncio.to_thread(drive, place, sink, milter)  # Postfix must not wait in the thread that answers it
        await server.close(1.0)
        return flow.envelopes

    with directory() as place, Sink() as sink:
        seen = [(str(one.client), one.authenticated) for one in asyncio.run(scenario(place, sink))]
    assert seen == [("127.0.0.1", False), ("192.0.2.10", False), ("198.51.100.7", True)]


def test_without_its_milter_postfix_defers() -> None:
    with directory() as place, Sink() as sink:
        listener = Listener(options={"smtpd_milters": f"unix:{place}/nobody"})
        with Postfix(place, [listener], sink.address) as postfix:
            reply = send(postfix.ports[0], "anna@example.org", ["bob@example.net"], MESSAGE)
            assert reply.code // 100 == 4, reply
            assert postfix.queue_is_empty()
        assert sink.messages == []


def test_a_directory_that_postfix_cannot_enter_is_named() -> None:
    with directory() as place:
        place.chmod(0o700)
        with pytest.raises(PostfixMissing, match="cannot enter"):
            Postfix(place, [Listener()], "127.0.0.1:9").start()


def test_the_instance_is_gone_afterwards() -> None:
    with directory() as place:
        with Postfix(place, [Listener()], "127.0.0.1:9") as postfix:
            assert postfix.running()
        assert not postfix.running()
        with pytest.raises(ConnectionRefusedError):
            Client(postfix.ports[0])
