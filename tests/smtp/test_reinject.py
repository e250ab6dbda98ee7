"""Handing over our own mails, and what a connection does when the next hop misbehaves."""

import asyncio

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.smtp.client import NextHopGone
from notes2conf_milter.smtp.onward import NextHop
from notes2conf_milter.smtp.reinject import Connection, Handed, Handover, connect, hand_over
from tests.smtp.nexthop import VANISH, Wait
from tests.smtp.nexthop import NextHop as Server

MAIL = b"Subject: start\r\n\r\n.dot\r\nend\r\n"


def give(script=None, *, mail: bytes = MAIL, timeout: float = 30.0, **options) -> tuple[Handover, Server]:
    async def run() -> tuple[Handover, Server]:
        async with Server(script, **options) as hop:
            result = await hand_over(NextHop(hop.address, "door.example"), b"", b"o@example.org", mail, timeout=timeout)
            await hop.closed()
            return result, hop

    return asyncio.run(run())


def test_a_mail_is_handed_over() -> None:
    result, hop = give()
    assert result == Handover(Handed.ACCEPTED, 250)
    (message,) = hop.messages
    assert (message.sender, message.recipients, message.octets) == (b"", [b"o@example.org"], MAIL)
    assert message.wire == b"Subject: start\r\n\r\n..dot\r\nend\r\n.\r\n"
    assert hop.commands[0] == b"EHLO door.example"
    assert hop.commands[-1] == b"QUIT"


def test_eight_bits_are_announced_where_they_are_offered() -> None:
    mail = "Subject: ä\r\n\r\nü\r\n".encode()
    assert give(mail=mail)[1].messages[0].mail_parameters == b"SIZE=%d BODY=8BITMIME" % len(mail)
    assert give(mail=mail, keywords=())[1].messages[0].mail_parameters == b""


def test_a_server_without_ehlo() -> None:
    result, hop = give({"EHLO": b"502 5.5.1 What"})
    assert result.result is Handed.ACCEPTED
    assert hop.commands[:2] == [b"EHLO door.example", b"HELO door.example"]


WAYS = pytest.mark.parametrize("keywords", [(b"PIPELINING",), ()], ids=["pipelining", "one by one"])


@WAYS
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(("code", "result"), [(450, Handed.DEFERRED), (421, Handed.DEFERRED), (550, Handed.REFUSED)])
def test_refusals(verb: str, code: int, result: Handed, keywords: tuple[bytes, ...]) -> None:
    given, hop = give({verb: b"%d no" % code}, keywords=keywords)
    assert given == Handover(result, code)
    assert hop.messages == []


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("action", [VANISH, b"nonsense", b"250-a\r\n251 b", b"399 what"])
@WAYS
def test_a_next_hop_that_is_gone(verb: str, action: bytes | None, keywords: tuple[bytes, ...]) -> None:
    assert give({verb: action}, keywords=keywords)[0] == Handover(Handed.DEFERRED)


@WAYS
def test_a_250_to_data_is_not_the_mails_own(keywords: tuple[bytes, ...]) -> None:
    result, hop = give({"DATA": b"250 2.0.0 Ok"}, keywords=keywords)
    assert result == Handover(Handed.DEFERRED)
    assert hop.messages == []


@pytest.mark.parametrize("action", [VANISH, b"421 4.4.2 late", b"nonsense"])
@WAYS
def test_what_happens_at_quit_changes_nothing(action: bytes | None, keywords: tuple[bytes, ...]) -> None:
    assert give({"QUIT": action}, keywords=keywords)[0] == Handover(Handed.ACCEPTED, 250)


def talk(answers: list[bytes], *, stays: bool = True) -> tuple[Handover, list[bytes]]:
    """Hand over to a server that answers each read in turn, and stays to the end; return the result and what it read."""
    read: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 next.example\r\n")
        for answer in answers:
            read.append(await reader.read(65536))
            writer.write(answer)
        if stays:
            read.append(await reader.read())
        writer.close()
        over.set()

    async def run() -> Handover:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            address = InetAddress("127.0.0.1", server.sockets[0].getsockname()[1])
            result = await hand_over(NextHop(address, "door.example"), b"", b"o@example.org", MAIL, timeout=30)
            await over.wait()
            return result

    over = asyncio.Event()
    return asyncio.run(run()), read


OFFER = b"250-next.example\r\n250 PIPELINING\r\n"


def test_with_pipelining_a_mail_takes_three_writes() -> None:
    """EHLO; the commands; the message with the last dot and QUIT (RFC 2920 §3.1)."""
    answers = [OFFER, b"250 ok\r\n250 ok\r\n354 go\r\n", b"250 queued\r\n221 bye\r\n"]
    result, read = talk(answers)
    assert result == Handover(Handed.ACCEPTED, 250)
    assert read[1] == b"MAIL FROM:<>\r\nRCPT TO:<o@example.org>\r\nDATA\r\n"
    assert b"".join(read[2:]).endswith(b"\r\n.\r\nQUIT\r\n")


@pytest.mark.parametrize("answer", [b"550 no\r\n", b"250 ok\r\n550 no\r\n"])
def test_a_refusal_counts_when_the_next_hop_goes_away_after_it(answer: bytes) -> None:
    """It need not answer what was sent behind the refused command."""
    assert talk([OFFER, answer], stays=False)[0] == Handover(Handed.REFUSED, 550)


def test_no_message_is_sent_for_a_refused_recipient() -> None:
    """Even if the next hop wants one (RFC 2920 §3.1): it would go to nobody, or to others."""
    result, read = talk([OFFER, b"250 ok\r\n550 no\r\n354 go\r\n"])
    assert result == Handover(Handed.REFUSED, 550)
    assert read[-1] == b""


def test_nobody_there() -> None:
    async def run() -> Handover:
        async with Server() as hop:
            address = hop.address
        return await hand_over(NextHop(address, "door.example"), b"", b"o@example.org", MAIL, timeout=30)

    result = asyncio.run(run())
    assert (result, result.why) == (Handover(Handed.DEFERRED), "the next hop cannot be reached")


def test_a_next_hop_that_never_answers() -> None:
    async def run() -> Handover:
        async with Server({"DOT": Wait(never := asyncio.Event(), b"250 late")}) as hop:
            result = await hand_over(NextHop(hop.address, "door.example"), b"", b"o@example.org", MAIL, timeout=0.05)
            never.set()
            return result

    result = asyncio.run(run())
    assert (result, result.why) == (Handover(Handed.DEFERRED), "the next hop took too long")


@pytest.mark.parametrize("bad", [b"a\r\nDATA", b"a\n", b"a\0", b"a>", b"<a"])
def test_an_address_that_breaks_out_is_never_sent(bad: bytes) -> None:
    async def run(sender: bytes, recipient: bytes) -> int:
        async with Server() as hop:
            with pytest.raises(ValueError, match="address"):
                await hand_over(NextHop(hop.address, "door.example"), sender, recipient, MAIL, timeout=30)
            return hop.connections

    assert asyncio.run(run(bad, b"o@example.org")) == 0
    assert asyncio.run(run(b"", bad)) == 0


async def open_connection(address: InetAddress) -> Connection:
    return await connect(NextHop(address, "door.example"), to_connect=30, to_reply=30)


def test_a_second_mail_leaves_the_first_transaction() -> None:
    async def run() -> Server:
        async with Server() as hop:
            connection = await open_connection(hop.address)
            await connection.mail(b"a@b")
            await connection.rcpt(b"secret@b")
            await connection.mail(b"c@d")
            await connection.rcpt(b"e@f")
            await connection.data()
            await connection.send(b"x")
            await connection.finish()
            await connection.quit()
            return hop

    (message,) = asyncio.run(run()).messages
    assert (message.sender, message.recipients, message.octets) == (b"c@d", [b"e@f"], b"x\r\n")


def test_a_message_that_was_begun_can_only_be_cut_off() -> None:
    async def run() -> Server:
        async with Server() as hop:
            connection = await open_connection(hop.address)
            await connection.mail(b"a@b")
            await connection.rcpt(b"c@d")
            await connection.data()
            await connection.send(b"half a line")
            with pytest.raises(NextHopGone):
                await connection.reset()
            await hop.closed()
            return hop

    hop = asyncio.run(run())
    assert hop.messages == []
    assert hop.unfinished in ([b"half a line"], [b""])


def test_a_large_message_waits_for_a_slow_next_hop() -> None:
    mail = (b"." * 3000 + b"\r\n") * 3000
    result, hop = give(mail=mail)
    assert result.result is Handed.ACCEPTED
    assert hop.messages[0].octets == mail


@pytest.mark.parametrize(
    ("offer", "limit"), [(b"SIZE 1000", 1000), (b"SIZE 0", None), (b"SIZE", None), (b"SIZE x", None)]
)
def test_size_limit(offer: bytes, limit: int | None) -> None:
    async def run() -> int | None:
        async with Server(keywords=[offer]) as hop:
            connection = await open_connection(hop.address)
            await connection.quit()
            return connection.size_limit

    assert asyncio.run(run()) == limit


def test_an_answer_that_comes_before_the_final_dot_is_not_the_messages() -> None:
    """It would be a message that nobody has and that is not sent again (law 1)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"220 x", b"250 x", b"250 Ok", b"250 Ok", b"354 Go"):
            writer.write(answer + b"\r\n")
            await reader.readline()
        writer.write(b"250 2.0.0 Ok, so soon\r\n")
        await reader.read()
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            connection = await open_connection(InetAddress("127.0.0.1", server.sockets[0].getsockname()[1]))
            await connection.mail(b"a@b")
            await connection.rcpt(b"c@d")
            await connection.data()
            await connection.send(b"Subject: x\r\n")
            while not connection._reader._buffer:
                await asyncio.sleep(0.01)
            with pytest.raises(NextHopGone):
                await connection.finish(1, b"\r\nbody\r\n")

    asyncio.run(run())
