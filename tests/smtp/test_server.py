"""The listener: whom it serves, and how it ends."""

import asyncio
import logging
from ipaddress import ip_network

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.smtp import onward
from notes2conf_milter.smtp.pool import Pool
from notes2conf_milter.smtp.server import SmtpServer
from tests.smtp.door import Flow, connected, door, dotted, serving
from tests.smtp.nexthop import NextHop, Wait

MAIL = b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    "peers", [(), (ip_network("192.0.2.0/24"),), (ip_network("2001:db8::/32"), ip_network("::1/128"))]
)
def test_strangers_are_not_served(peers) -> None:
    async def run() -> None:
        async with NextHop() as hop, serving(hop.address, peers=peers) as server, connected(server.address) as client:
            assert (await client.reply()).startswith(b"554 5.7.1 ")
            await client.end()
            assert hop.connections == 0

    asyncio.run(run())


def test_a_network_among_several_is_enough() -> None:
    async def run() -> None:
        peers = (ip_network("2001:db8::/32"), ip_network("127.0.0.0/30"))
        async with NextHop() as hop, serving(hop.address, peers=peers) as server, connected(server.address) as client:
            assert (await client.reply()).startswith(b"220 door.example ")

    asyncio.run(run())


def test_many_clients_at_once() -> None:
    async def one(address: InetAddress, number: int) -> None:
        async with connected(address) as client:
            await client.begin(b"r%d@example.org" % number)
            await client.send(dotted(b"X-Number: %d\r\n\r\n%d\r\n" % (number, number)))
            assert (await client.reply()).startswith(b"250")

    async def run() -> None:
        async with NextHop() as hop, serving(hop.address) as server:
            await asyncio.gather(*(one(server.address, number) for number in range(100)))
            assert sorted((m.recipients, m.octets) for m in hop.messages) == sorted(
                ([b"r%d@example.org" % n], b"X-Number: %d\r\n\r\n%d\r\n" % (n, n)) for n in range(100)
            )

    asyncio.run(run())


def test_closing_lets_a_message_finish_and_idle_clients_go() -> None:
    async def run() -> None:
        event, flow = asyncio.Event(), Flow()
        async with (
            NextHop({"DOT": Wait(event, b"250 2.0.0 Ok")}) as hop,
            serving(hop.address, flow) as server,
            connected(server.address) as idle,
            connected(server.address) as busy,
            connected(server.address) as slow,
        ):
            await idle.reply()
            await busy.begin()
            await busy.send(dotted(MAIL))
            await hop.reached(b"DOT")
            await slow.begin()
            await slow.send(MAIL[:5])
            address = server.address
            closing = asyncio.create_task(server.close(60))
            assert (await idle.reply()).startswith(b"421 4.3.2 ")
            await idle.end()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(address.host, address.port)
            event.set()
            await slow.send(dotted(MAIL)[5:])
            for client in (busy, slow):
                assert await client.reply() == b"250 2.0.0 Ok"
                assert (await client.reply()).startswith(b"421 4.3.2 ")
                await client.end()
            await closing
            assert [message.octets for message in hop.messages] == [MAIL, MAIL]

    asyncio.run(run())


def test_grace_has_an_end() -> None:
    async def run() -> None:
        flow = Flow(gate=asyncio.Event())
        async with NextHop() as hop, serving(hop.address, flow) as server, connected(server.address) as client:
            await client.begin()
            await client.send(dotted(MAIL))
            await flow.processing.wait()
            await server.close(0)
            await client.end()
            await hop.closed()
            assert hop.messages == []

    asyncio.run(run())


def test_an_address_in_use() -> None:
    async def run() -> None:
        async with NextHop() as hop, serving(hop.address) as server:
            with pytest.raises(OSError, match="address"):
                pool = Pool(onward.NextHop(hop.address, "door.example"), 30, 30)
                await SmtpServer().start(server.address, pool, Flow(), hostname="door.example")

    asyncio.run(run())


def test_the_log_holds_no_personal_data(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with NextHop({"DOT": [None]}) as hop, door(hop.address) as client:
            await client.begin(b"secret@example.org")
            await client.send(dotted(MAIL))
            assert (await client.reply()).startswith(b"451 4.4.1 ")
            await client.ask(b"FOO secret")
            await client.ask(b"QUIT")

    with caplog.at_level(logging.DEBUG):
        asyncio.run(run())
    assert "secret" not in caplog.text
    assert "example.org" not in caplog.text
    assert "127.0.0.1" in caplog.text  # the next hop's address, which is a setting
