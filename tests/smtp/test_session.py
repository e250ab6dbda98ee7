"""The life of a session: clients that go away, are silent, or flood; the same for every door that speaks SMTP."""

import asyncio
import itertools
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from notes2conf_milter.certificate import Certificate
from notes2conf_milter.smtp import pool
from notes2conf_milter.smtp.server import Bounds, Limits
from tests.smtp.door import PASS, Flow, connected, door, serving
from tests.smtp.nexthop import NextHop
from tests.smtp.test_relaying import EHLO, FROM, TEXT, TO, talk
from tests.smtp.test_starttls import LOOPS, client_context
from tests.smtp.test_starttls import run as run_on
from tests.web.test_certificate import write

Loop = Callable[[], asyncio.AbstractEventLoop]


def test_a_client_that_goes_away_between_commands_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for long: one that is free waits a moment for the next message."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.02)

    async def run() -> None:
        async with NextHop() as hop, serving(hop.address) as server:
            for commands in ([], [EHLO], [EHLO, FROM], [EHLO, FROM, TO]):
                async with connected(server.address) as client:
                    await client.reply()
                    for command in commands:
                        await client.ask(command)
                await hop.closed()
            assert hop.messages == []

    asyncio.run(run())


def test_a_silent_client_is_told_so() -> None:
    async def run() -> None:
        async with NextHop() as hop, door(hop.address, limits=Limits(idle=0.05)) as client:
            await client.reply()
            assert (await client.reply()).startswith(b"421 4.4.2 ")
            await client.end()
        async with NextHop() as hop, door(hop.address, limits=Limits(idle=0.5)) as client:
            await client.begin()
            await client.send(b"Subject")
            assert (await client.reply()).startswith(b"421 4.4.2 ")
            await hop.closed()
            assert hop.messages == []

    asyncio.run(run())


def test_a_bogus_flood_of_long_commands() -> None:
    replies, _ = talk(None, b"NOOP " + b"x" * 5000, b"NOOP " + b"x" * 500_000, b"NOOP")
    assert [reply[:3] for reply in replies] == [b"500", b"500", b"250"]


# --- limits: what comes beyond them is 4yz, and so is still the client's (law 1)


def test_connections_in_all() -> None:
    """One too many is told to come again; when one ends, the next is served, however it ended."""

    async def run() -> None:
        bounds = Bounds(connections=2)
        async with NextHop() as hop, serving(hop.address, bounds=bounds) as server:
            async with connected(server.address) as one, connected(server.address) as two:
                assert (await one.reply()).startswith(b"220 ") and (await two.reply()).startswith(b"220 ")
                async with connected(server.address) as three:
                    assert await three.reply() == b"421 4.7.0 Too many connections, try again later"
                    await three.end()
                assert (await one.ask(b"QUIT")).startswith(b"221")
                await one.end()
                async with connected(server.address) as three:
                    assert (await three.reply()).startswith(b"220 ")
            for _ in range(5):
                async with connected(server.address):
                    pass  # gone before a word
            while server.connections:
                await asyncio.sleep(0.01)
            async with connected(server.address) as one:
                assert (await one.reply()).startswith(b"220 ")

    asyncio.run(run())


def test_connections_of_one_network() -> None:
    """Others still come in, and strangers take nobody's place."""

    async def run() -> None:
        bounds = Bounds(connections=3, per_network=1)
        peers = (ip_network("127.0.0.0/30"),)
        async with (
            NextHop() as hop,
            serving(hop.address, bounds=bounds, peers=peers) as server,
            connected(server.address) as one,
            connected(server.address) as two,
        ):
            assert (await one.reply()).startswith(b"220 ")
            assert (await two.reply()).startswith(b"421 4.7.0 ")
            for _ in range(4):
                async with connected(server.address, source="127.0.0.9") as stranger:
                    assert (await stranger.reply()).startswith(b"554 ")
                    await stranger.end()
            async with connected(server.address, source="127.0.0.2") as other:
                assert (await other.reply()).startswith(b"220 ")

    asyncio.run(run())


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_connections_where_tls_comes_first(tmp_path: Path, loop: Loop) -> None:
    """One too many is closed before any TLS; a handshake counts, and counts no longer when it fails."""
    tls = Certificate(*write(tmp_path, 1000)).context

    async def talk() -> None:
        bounds = Bounds(connections=1)
        async with NextHop() as hop, serving(hop.address, bounds=bounds, tls=tls, implicit=True) as server:
            async with connected(server.address) as shaking, connected(server.address) as other:
                await shaking.send(b"\x16\x03")
                with suppress(ConnectionError):
                    assert await other.reader.read() == b""
                await shaking.send(b"no handshake at all")
                with suppress(ConnectionError):
                    await shaking.reader.read()
            while server.connections:
                await asyncio.sleep(0.01)
            async with connected(server.address) as client:
                await client.writer.start_tls(client_context())
                assert (await client.reply()).startswith(b"220 ")

    run_on(loop, talk())


def test_a_handshake_that_fails_after_starttls_gives_its_place_back(tmp_path: Path) -> None:
    tls = Certificate(*write(tmp_path, 1000)).context

    async def run() -> None:
        async with NextHop() as hop, serving(hop.address, tls=tls) as server:
            for octets in (b"no handshake at all\r\n" * 20, b"\x16\x03"):
                async with connected(server.address) as client:
                    await client.reply()
                    await client.ask(EHLO)
                    await client.ask(b"STARTTLS")
                    await client.send(octets)
            while server.connections:
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_recipients_of_one_message() -> None:
    """RFC 5321 §4.5.3.1.10: those that were taken are served, the client sends another message to the rest."""

    async def run() -> None:
        async with NextHop() as hop, door(hop.address, bounds=Bounds(recipients=2)) as client:
            await client.reply()
            await client.ask(EHLO)
            for _ in range(2):
                await client.ask(FROM)
                replies = [await client.ask(b"RCPT TO:<r%d@example.org>" % number) for number in range(4)]
                assert [reply[:9] for reply in replies[2:]] == [b"452 4.5.3"] * 2
                assert all(reply.startswith(b"250") for reply in replies[:2])
                await client.ask(b"DATA")
                assert (await client.ask(TEXT)).startswith(b"250")
            assert [len(message.recipients) for message in hop.messages] == [2, 2]

    asyncio.run(run())


@pytest.mark.parametrize(
    "command",
    [b"FOO", b"NOOP", b"XFORWARD ADDR=1", b"RSET", b"VRFY x", b"", b"\xff\xff", b"MAIL TO:<x>", EHLO, b"X" * 5000],
)
def test_commands_that_lead_nowhere(command: bytes) -> None:
    """After so many 421, and the door closes; a message that came begins the count anew."""

    async def run() -> None:
        async with NextHop() as hop, door(hop.address, bounds=Bounds(vain=5)) as client:
            await client.reply()
            await client.ask(EHLO)
            for _ in range(2):
                for _ in range(4):
                    assert not (await client.ask(command)).startswith(b"421")
                for one in (FROM, TO, b"DATA"):
                    assert (await client.ask(one))[:1] in (b"2", b"3")
                assert (await client.ask(TEXT)).startswith(b"250")
            replies = []
            for _ in range(6):
                replies.append(await client.ask(command))
            assert [reply[:9] for reply in replies].count(b"421 4.7.0") == 1
            assert replies[-1].startswith(b"421 4.7.0")
            await client.end()

    asyncio.run(run())


def test_a_full_session_of_refused_messages_is_not_cut_off() -> None:
    """A queue manager whose recipients are all refused has done nothing wrong, nor has one that sends in a pipeline."""

    async def run() -> None:
        script = {"RCPT": b"550 5.1.1 Unknown"}
        async with NextHop(script) as hop, door(hop.address, bounds=Bounds(vain=5)) as client:
            await client.reply()
            await client.ask(EHLO)
            for _ in range(4):
                await client.send(FROM + b"\r\n" + (TO + b"\r\n") * 20 + b"DATA\r\n")
                assert (await client.reply()).startswith(b"250")
                for _ in range(20):
                    assert (await client.reply()).startswith(b"550")
                assert (await client.reply()).startswith(b"503")
                assert (await client.ask(b"RSET")).startswith(b"250")

    asyncio.run(run())


def test_a_message_that_drips_in() -> None:
    """An octet now and then keeps no session alive for longer than a message may take; the next hop gets nothing of it."""

    async def run() -> None:
        async with NextHop() as hop, door(hop.address, bounds=Bounds(data=0.4)) as client:
            await client.begin()
            began = asyncio.get_running_loop().time()
            answer = asyncio.create_task(client.reply())
            with suppress(ConnectionError):
                for octet in itertools.cycle(b"Subject: x\r\n"):
                    await client.send(bytes([octet]))
                    await asyncio.sleep(0.02)
                    assert asyncio.get_running_loop().time() - began < 5
            assert (await answer).startswith(b"421 4.4.2 ")
            await hop.closed()
            assert hop.messages == []

    asyncio.run(run())


def test_the_time_of_the_next_hop_is_not_the_clients() -> None:
    """A next hop that takes its time, a flow that does: the message comes through, and so does the next."""

    async def run() -> None:
        gate = asyncio.Event()
        flow = Flow(gate=gate)
        async with NextHop() as hop, door(hop.address, flow, bounds=Bounds(data=1.0)) as client:
            for _ in range(2):
                gate.clear()
                if not hop.messages:
                    await client.begin()
                else:
                    await client.envelope()
                await client.send(TEXT + b"\r\n")
                await asyncio.sleep(1.2)
                gate.set()
                assert (await client.reply()).startswith(b"250")
            assert len(hop.messages) == 2

    asyncio.run(run())


def test_memory_for_all_messages_together() -> None:
    """What finds no room is 452 at its final dot, whole and unread by the next hop; when there is room again it goes on."""

    async def run() -> None:
        body = b"x" * 600_000
        async with (
            NextHop() as hop,
            serving(hop.address, bounds=Bounds(memory=1_000_000)) as server,
            connected(server.address) as first,
            connected(server.address) as second,
        ):
            await first.begin()
            await first.send(b"Subject: x\r\n\r\n" + body)
            while server.held < len(body):
                await asyncio.sleep(0.01)
            await second.begin()
            await second.send(b"Subject: y\r\n\r\n" + body + b"\r\n.\r\n")
            assert await second.reply() == b"452 4.3.1 Insufficient system storage, try again later"
            await first.send(body + b"\r\n.\r\n")  # with nobody beside it, it may take more than there is for all
            assert (await first.reply()).startswith(b"250")
            await second.envelope()
            await second.send(b"Subject: y\r\n\r\n" + body + b"\r\n.\r\n")
            assert (await second.reply()).startswith(b"250")
            assert [len(message.octets) for message in hop.messages] == [1_200_016, 600_016]

    asyncio.run(run())


def test_mail_that_is_not_held_takes_no_memory() -> None:
    """What streams through because it holds no invitation, of whatever size."""

    async def run() -> None:
        async with (
            NextHop() as hop,
            serving(hop.address, Flow(early=PASS), bounds=Bounds(memory=1_000_000)) as server,
            connected(server.address) as first,
            connected(server.address) as second,
        ):
            for client in (first, second):
                await client.begin()
                await client.send(b"Subject: x\r\n\r\n")
                await asyncio.sleep(0.05)
                await client.send(b"x" * 5_000_000 + b"\r\n")
            for client in (first, second):
                await client.send(b".\r\n")
                assert (await client.reply()).startswith(b"250")
            assert len(hop.messages) == 2

    asyncio.run(run())


def test_a_message_that_ends_in_the_moment_its_time_is_over_is_not_sent_on() -> None:
    """The client is told 421 and sends it again: sent on, it would be there twice (law 1)."""

    async def run() -> None:
        streamed = Limits(message=5)
        async with (
            NextHop() as hop,
            serving(hop.address, limits=streamed) as server,
            connected(server.address) as client,
        ):
            await client.begin()
            await client.send(b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"body")
            await hop.reached(b"DATA")
            (_, setup), *_ = server._listeners
            (session,) = setup.sessions.values()
            while b"body" not in session._reader._buffer or session._reader._waiter is None:
                await asyncio.sleep(0.01)
            session._reader.feed_data(b"\r\n.\r\n")
            session._timeout_cb()
            assert (await client.reply()).startswith(b"421")
            await client.end()
            await hop.closed()
            assert hop.messages == [] and b"DOT" not in hop.commands

    asyncio.run(run())


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n"], ids=["plain", "proxy"])
@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_client_that_only_looks_whether_somebody_listens_leaves_no_connection(loop: Loop, header: bytes) -> None:
    """A health check that connects and closes, once a second: five minutes of them would take all the places there are."""

    async def talk() -> None:
        networks = {
            "peers": (ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")),
            "proxy_peers": (ip_network("127.0.0.1/32"),) if header else (),
        }
        async with NextHop() as hop, serving(hop.address, **networks) as server:
            for _ in range(20):
                with socket.create_connection((server.address.host, server.address.port)) as client:
                    client.sendall(header)
            async with asyncio.timeout(5):
                await asyncio.sleep(0.1)
                while server.connections:
                    await asyncio.sleep(0.01)

    run_on(loop, talk())
