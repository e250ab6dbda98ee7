"""The conference address's listener: LMTP, one reply for each recipient, and who the client was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.core.encryption import Hop
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.smtp.server import LOOPBACK, Limits, SmtpServer
from tests.smtp.door import Client, Flow, dotted

MEET, OTHER = b"meet@conf.example.org", b"raum@conf.example.org"
TAKEN = Outcome(Verdict.TAKE, Reason.CONFERENCE_MADE)
MESSAGE = b"Subject: x\r\n\r\n.body\r\n"


class Delivering(Flow):
    """Answers what the test says to a delivery."""

    async def deliver(self, envelope: Envelope, message: bytes) -> Outcome:
        return await self.process(envelope, message)

    def drop_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        return self.pass_unread(envelope, reason)


@asynccontextmanager
async def listening(
    flow: Flow, listen: UnixAddress | InetAddress, peers=LOOPBACK, limits: Limits | None = None, trusted=LOOPBACK
) -> AsyncIterator[Client]:
    server = SmtpServer()
    await server.start_conference(
        listen,
        flow,
        frozenset({MEET.decode(), OTHER.decode()}),
        peers=peers,
        hostname="door.example",
        limits=limits,
        xforward_peers=trusted,
    )
    (at,) = server.addresses
    if isinstance(at, UnixAddress):
        reader, writer = await asyncio.open_unix_connection(at.path)
    else:
        reader, writer = await asyncio.open_connection(at.host, at.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await server.close(0)


ANYWHERE = InetAddress("127.0.0.1", 0)


def talk(flow: Flow, *said: bytes, **given) -> list[bytes]:
    """Say these one after the other, a message after DATA; return the replies, the greeting first."""

    async def run() -> list[bytes]:
        async with listening(flow, given.pop("listen", ANYWHERE), **given) as client:
            replies = [await client.reply()]
            for one in said:
                if one.startswith(b"Subject"):
                    await client.send(dotted(one))
                    replies.append(await client.reply())
                else:
                    replies.append(await client.ask(one))
            return replies

    return asyncio.run(run())


LHLO = b"LHLO mx.example.org"
FROM = b"MAIL FROM:<anna@example.org>"
TO = b"RCPT TO:<%s>"


def test_a_delivery_with_its_clients_facts() -> None:
    """XFORWARD says who the client of Postfix was; the envelope and the octets are what was sent."""
    flow = Delivering(TAKEN)
    facts = b"XFORWARD ADDR=192.0.2.10 IDENT=4Xy9 SOURCE=REMOTE"
    replies = talk(flow, LHLO, facts, FROM, TO % MEET.upper(), b"DATA", MESSAGE)
    assert b"XFORWARD ADDR IDENT SOURCE" in replies[1]
    assert [reply[:3] for reply in replies] == [b"220", b"250", b"250", b"250", b"250", b"354", b"250"]
    ((envelope, octets),) = flow.asked
    assert envelope == Envelope(
        Door.CONFERENCE, b"anna@example.org", (MEET,), ip_address("192.0.2.10"), queue_id="4Xy9", hop=Hop.UNSEEN
    )
    assert octets == MESSAGE


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (b"XFORWARD ADDR=IPv6:2001:db8::1", "2001:db8::1"),
        (b"XFORWARD ADDR=[UNAVAILABLE]", None),
        (b"XFORWARD ADDR=192+2E0.2.7", "192.0.2.7"),
        (b"XFORWARD SOURCE=LOCAL", None),
        (b"XFORWARD ADDR=192.0.2.7 NAME=anna.example", "192.0.2.7"),
    ],
)
def test_what_xforward_says(said: bytes, client: str | None) -> None:
    flow = Delivering(TAKEN)
    talk(flow, LHLO, said, FROM, TO % MEET, b"DATA", MESSAGE)
    assert flow.asked[0][0].client == (None if client is None else ip_address(client))


def test_the_facts_are_those_of_one_message() -> None:
    """The next message without XFORWARD comes from nobody, whoever sent the one before."""
    flow = Delivering(TAKEN)
    one = (FROM, TO % MEET, b"DATA", MESSAGE)
    talk(flow, LHLO, b"XFORWARD ADDR=192.0.2.10", *one, *one)
    assert [str(envelope.client) for envelope, _ in flow.asked] == ["192.0.2.10", "None"]


def test_one_reply_for_each_recipient() -> None:
    """RFC 2033 §4.2."""

    async def run(outcome: Outcome) -> list[bytes]:
        async with listening(Delivering(outcome), ANYWHERE) as client:
            await client.reply()
            for command in (LHLO, FROM, TO % MEET, TO % OTHER, b"DATA"):
                await client.ask(command)
            await client.send(dotted(MESSAGE))
            replies = [await client.reply(), await client.reply()]
            assert (await client.ask(b"NOOP")).startswith(b"250")
            return replies

    assert asyncio.run(run(TAKEN)) == [b"250 2.0.0 Ok"] * 2
    assert asyncio.run(run(Outcome(Verdict.DROP, Reason.CLIENT_NOT_ALLOWED))) == [b"250 2.0.0 Ok"] * 2
    assert [reply[:4] for reply in asyncio.run(run(Outcome(Verdict.DEFER, Reason.STORE_UNAVAILABLE)))] == [b"451 "] * 2


def test_the_unforeseen_is_temporary() -> None:
    """And what is left of the message is not read as commands."""
    replies = talk(Delivering(RuntimeError("Secret")), LHLO, FROM, TO % MEET, b"DATA", MESSAGE, b"NOOP")
    assert replies[-2].startswith(b"451 ")
    assert replies[-1].startswith(b"250 ")


def test_nobody_else_lives_here() -> None:
    flow = Delivering(TAKEN)
    replies = talk(flow, LHLO, FROM, TO % b"anna@example.org", b"DATA")
    assert [reply[:3] for reply in replies[3:]] == [b"550", b"503"]
    assert flow.asked == []


def test_order_and_syntax() -> None:
    """No command out of order, no other protocol, no broken line gets through."""
    commands = {
        b"EHLO x": b"500",
        b"HELO x": b"500",
        b"LHLO": b"501",
        b"MAIL FROM:<a@example.org>": b"503",
        b"RCPT TO:<meet@conf.example.org>": b"503",
        b"DATA": b"503",
        b"XFORWARD": b"501",
        b"XFORWARD ADDR": b"501",
        b"RSET": b"250",
        b"QUIT": b"221",
    }
    replies = talk(Delivering(TAKEN), *commands)
    assert [reply[:3] for reply in replies[1:]] == list(commands.values())
    replies = talk(Delivering(TAKEN), LHLO, FROM, FROM, b"XFORWARD ADDR=192.0.2.1", TO % MEET, b"DATA now")
    assert [reply[:3] for reply in replies[3:]] == [b"503", b"503", b"250", b"501"]


def test_a_message_that_is_too_large_is_dropped_unread() -> None:
    flow = Delivering(TAKEN)
    large = b"Subject: x\r\n\r\n" + b"x" * 5000 + b"\r\n"
    replies = talk(flow, LHLO, FROM, TO % MEET, b"DATA", large, b"NOOP", limits=Limits(message=1000))
    assert [reply[:3] for reply in replies[-2:]] == [b"250", b"250"]
    assert [reason for _, reason in flow.unread] == [Reason.TOO_LARGE]
    assert flow.asked == []


def test_strangers_at_the_socket_are_not_served() -> None:
    """By TCP the peers say who is; RFC 5321 §3.1."""
    replies = talk(Delivering(TAKEN), peers=(ip_network("192.0.2.0/24"),))
    assert replies[0].startswith(b"554 ")


def test_at_a_unix_socket_its_permissions_say_who_is_served(tmp_path: Path) -> None:
    flow = Delivering(TAKEN)
    socket = UnixAddress(str(tmp_path / "lmtp"))
    replies = talk(flow, LHLO, FROM, TO % MEET, b"DATA", MESSAGE, listen=socket, peers=())
    assert replies[-1] == b"250 2.0.0 Ok"
    assert not Path(socket.path).exists()


def test_a_client_that_goes_away_before_its_final_dot_has_sent_nothing() -> None:
    async def run() -> Flow:
        flow = Delivering(TAKEN)
        async with listening(flow, ANYWHERE) as client:
            await client.reply()
            for command in (LHLO, FROM, TO % MEET, b"DATA"):
                await client.ask(command)
            await client.send(b"Subject: x\r\n\r\nbo")
        return flow

    assert asyncio.run(run()).asked == []


def test_the_facts_end_with_their_transaction() -> None:
    """Also when it came to nothing: what Postfix says nothing of, pickup mail on the same connection, is from nobody."""
    for end in (b"RSET", LHLO, b"MAIL nonsense"):
        flow = Delivering(TAKEN)
        first = (b"XFORWARD ADDR=192.0.2.10", FROM, TO % b"anna@example.org")
        first = first[:1] if end.startswith(b"MAIL") else first
        talk(flow, LHLO, *first, end, FROM, TO % MEET, b"DATA", MESSAGE)
        assert [envelope.client for envelope, _ in flow.asked] == [None]


def test_by_tcp_only_trusted_peers_say_who_the_client_was() -> None:
    """Any user of the machine can connect there."""
    flow = Delivering(TAKEN)
    replies = talk(flow, LHLO, b"XFORWARD ADDR=192.0.2.10", FROM, TO % MEET, b"DATA", MESSAGE, trusted=())
    assert replies[2].startswith(b"550 ")
    assert [envelope.client for envelope, _ in flow.asked] == [None]


def test_other_names_in_its_domain_never_bounce() -> None:
    """An extension is the address itself; nobody's name is taken and dropped, and told apart where others are meant, too."""
    flow = Delivering(TAKEN)
    replies = talk(flow, LHLO, FROM, TO % b"Meet+x@conf.example.org", b"DATA", MESSAGE)
    assert replies[-1].startswith(b"250 ")
    assert flow.asked[0][0].recipients == (MEET,)
    flow = Delivering(TAKEN)
    replies = talk(flow, LHLO, FROM, TO % b"nobody@conf.example.org", b"DATA", MESSAGE)
    assert replies[-1].startswith(b"250 ")
    assert (flow.asked, [reason for _, reason in flow.unread]) == ([], [Reason.ADDRESS_UNKNOWN])
