"""The life of a session: clients that go away, are silent, or flood; the same for every door that speaks SMTP."""

import asyncio

import pytest

from notes2conf_milter.smtp import pool
from notes2conf_milter.smtp.server import Limits
from tests.smtp.door import connected, door, serving
from tests.smtp.nexthop import NextHop
from tests.smtp.test_relaying import EHLO, FROM, TO, talk


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
