"""Connections that are kept: used again by whoever comes, one at a time, and given up when they are of no more use."""

import asyncio

import pytest

from notes2conf_milter.smtp import onward, pool
from notes2conf_milter.smtp.incoming import Path
from notes2conf_milter.smtp.relay import Route
from notes2conf_milter.smtp.xforward import Forwarded
from tests.smtp.door import connected, dotted, serving
from tests.smtp.nexthop import KEYWORDS, NextHop

MAIL = b"Subject: x\r\n\r\nbody\r\n"


def made(hop: NextHop) -> pool.Pool:
    return pool.Pool(onward.NextHop(hop.address, "door.example"), 30, 30)


def test_clients_that_come_one_after_the_other_share_a_connection() -> None:
    """As smtpd_proxy_filter does it: a session for every message."""

    async def run() -> None:
        async with NextHop() as hop, serving(hop.address) as server:
            for number in range(3):
                async with connected(server.address) as client:
                    await client.begin(b"%d@example.org" % number)
                    await client.send(dotted(MAIL))
                    assert (await client.reply()).startswith(b"250")
                    assert (await client.ask(b"QUIT")).startswith(b"221")
                    await client.end()
            assert hop.connections == 1
            assert [one.recipients for one in hop.messages] == [
                [b"0@example.org"],
                [b"1@example.org"],
                [b"2@example.org"],
            ]

    asyncio.run(run())


def test_clients_that_are_there_at_once_have_one_each() -> None:
    async def run() -> None:
        async with NextHop() as hop, serving(hop.address) as server:
            async with connected(server.address) as one, connected(server.address) as other:
                await one.begin()
                await other.begin()
                assert hop.connections == 2
                for client in (one, other):
                    await client.send(dotted(MAIL))
                    assert (await client.reply()).startswith(b"250")
            assert len(hop.messages) == 2

    asyncio.run(run())


def test_nothing_of_a_transaction_that_was_given_up_is_left() -> None:
    """Neither recipients nor what was said of the client (law 9 of the Postfix behind us)."""

    async def run() -> None:
        async with NextHop(keywords=(*KEYWORDS, b"XFORWARD ADDR")) as hop:
            kept = made(hop)
            first = await kept.take()
            await first.mail(b"a@example.org", client=b"XFORWARD ADDR=192.0.2.10\r\n")
            await first.rcpt(b"secret@example.org")
            assert not first.clean
            await first.reset()
            kept.give_back(first)
            second = await kept.take()
            assert second is first
            await second.mail(b"b@example.org")
            await second.rcpt(b"c@example.org")
            await second.data()
            await second.send(MAIL)
            await second.finish()
            kept.give_back(second)
            await kept.close()
            assert [(one.sender, one.recipients) for one in hop.messages] == [(b"b@example.org", [b"c@example.org"])]
            assert hop.commands.count(b"RSET") == 1

    asyncio.run(run())


def test_a_client_that_was_named_and_then_sent_nothing_is_forgotten() -> None:
    """MAIL was refused, so what XFORWARD said is still there: RSET takes it away (Postfix: mail_reset)."""

    async def run() -> None:
        script = {"MAIL": [b"450 4.7.1 Not now", b"250 2.1.0 Ok"]}
        async with NextHop(script, keywords=(*KEYWORDS, b"XFORWARD ADDR")) as hop:
            kept = made(hop)
            connection = await kept.take()
            await connection.mail(b"a@example.org", client=b"XFORWARD ADDR=192.0.2.10\r\n")
            assert not connection.clean
            await connection.reset()
            assert connection.clean and hop.commands[-1] == b"RSET"
            connection.abort()

    asyncio.run(run())


def test_one_that_died_is_not_used_and_takes_the_others_with_it() -> None:
    async def run() -> None:
        async with NextHop() as hop:
            kept = made(hop)
            both = [await kept.take(), await kept.take()]
            for one in both:
                kept.give_back(one)
            hop.drop_connections(b"421 4.3.2 Going down\r\n")
            await hop.closed()
            await asyncio.sleep(0.01)
            fresh = await kept.take()
            assert fresh not in both and hop.connections == 3
            kept.give_back(fresh)
            await kept.close()
            await hop.closed()

    asyncio.run(run())


def test_they_wait_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each occupies a process of Postfix."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.02)

    async def run() -> None:
        async with NextHop() as hop:
            kept = made(hop)
            kept.give_back(await kept.take())
            await hop.closed()
            assert hop.commands[-1] == b"QUIT"

    asyncio.run(run())


def test_and_so_many_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_IDLE", 1)

    async def run() -> None:
        async with NextHop() as hop:
            kept = made(hop)
            taken = [await kept.take() for _ in range(3)]
            for one in taken:
                kept.give_back(one)
            await hop.reached(b"QUIT", 2)
            await kept.close()
            await hop.closed()
            assert hop.commands.count(b"QUIT") == 3

    asyncio.run(run())


def test_one_that_comes_back_when_all_is_over_is_closed() -> None:
    async def run() -> None:
        async with NextHop() as hop:
            kept = made(hop)
            taken = await kept.take()
            await kept.close()
            kept.give_back(taken)
            await kept.close()
            await hop.closed()

    asyncio.run(run())


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_one_on_which_something_was_refused_is_not_kept(verb: str) -> None:
    """Postfix answers the later the more it refused in a session: that is for nobody else to wait for."""

    async def run() -> None:
        script = {verb: [b"550 5.1.1 No", b"250 2.0.0 Ok"]}
        talk = (b"EHLO c.example", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.org>", b"DATA", MAIL + b".")
        async with NextHop(script) as hop, serving(hop.address) as server, connected(server.address) as client:
            await client.reply()
            for command in talk:
                if not (await client.ask(command)).startswith((b"2", b"354")):
                    break
            assert (await client.ask(b"RSET")).startswith(b"250")
            await hop.closed()
            assert hop.commands[-1] == b"QUIT"

    asyncio.run(run())


def test_none_is_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A next hop that was told to reload comes to it when its sessions end."""
    monkeypatch.setattr(pool, "AGE_SECONDS", -1.0)

    async def run() -> None:
        async with NextHop() as hop:
            kept = made(hop)
            kept.give_back(await kept.take())
            await hop.closed()
            assert hop.commands[-1] == b"QUIT"

    asyncio.run(run())


def test_only_one_that_was_kept_gets_a_second_chance() -> None:
    """It may have been closed since. A new one that fails is the next hop's own word, and asking twice would be no help."""

    async def run() -> None:
        async with NextHop({"MAIL": b"421 4.3.2 Not now"}) as hop:
            kept = made(hop)
            route = Route(kept)
            _, reply, _ = await route.mail(Path(b"a@example.org"), Forwarded())
            assert (reply.code, hop.connections) == (421, 1)
            await route.leave()
            kept.give_back(await kept.take())
            _, reply, _ = await route.mail(Path(b"a@example.org"), Forwarded())
            assert (reply.code, hop.connections) == (421, 3)
            route.drop()
            await kept.close()

    asyncio.run(run())
