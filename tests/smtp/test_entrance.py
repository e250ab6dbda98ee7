"""Before a session begins: proxies and whom they name, who is served, and TLS behind a proxy's header."""

import asyncio
import logging
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from notes2conf_milter.address import UnixAddress
from notes2conf_milter.certificate import Certificate
from notes2conf_milter.core.encryption import Hop
from notes2conf_milter.smtp.server import SmtpServer
from tests.smtp.door import Client, connected, serving
from tests.smtp.nexthop import NextHop
from tests.smtp.test_starttls import EHLO, FROM, LOOPS, TEXT, TO, Seeing, certificate, client_context, encrypt, run

__all__ = ["certificate"]

Loop = Callable[[], asyncio.AbstractEventLoop]
PROXIES = (ip_network("127.0.0.1/32"),)
CUSTOMERS = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + ip_address("192.0.2.7").packed * 2 + struct.pack("!HH", 1, 2)
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
NOBODY = [b"PROXY UNKNOWN\r\n", LOCAL, b"PROXY UNKNOWN 192.0.2.7 192.0.2.7 1 2\r\n"]

both_loops = pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])


@asynccontextmanager
async def door(flow: Seeing | None = None, **options: Any) -> AsyncIterator[tuple[SmtpServer, NextHop]]:
    given = {"peers": CUSTOMERS, "proxy_peers": PROXIES, **options}
    async with NextHop() as hop, serving(hop.address, flow or Seeing(), **given) as server:
        yield server, hop


async def deliver(client: Client) -> None:
    for command, code in ((EHLO, b"250"), (FROM, b"250"), (TO, b"250"), (b"DATA", b"354"), (TEXT, b"250")):
        assert (await client.ask(command)).startswith(code), command


async def nothing(client: Client) -> None:
    """The door closes without a word."""
    with suppress(ConnectionError):
        assert await asyncio.wait_for(client.reader.read(), 5) == b""


def told(talk: Coroutine[Any, Any, None], loop: Loop = asyncio.new_event_loop) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await talk

    run(loop, bounded())


@both_loops
@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("singly", [False, True])
def test_the_client_is_whom_the_header_names(header: bytes, singly: bool, loop: Loop) -> None:
    """Served because 192.0.2.7 is, and judged as that (law 9); commands in the same packet are not lost."""

    async def talk() -> None:
        flow = Seeing()
        async with door(flow) as (server, hop), connected(server.address, singly) as client:
            await client.send(header + EHLO + b"\r\n")
            assert (await client.reply()).startswith(b"220 ")
            assert (await client.reply()).startswith(b"250")
            await deliver(client)
            assert len(hop.messages) == 1
        assert [one.client for one in flow.envelopes] == [ip_address("192.0.2.7")]

    told(talk(), loop)


@both_loops
@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("apart", [False, True])
def test_tls_from_the_first_octet_on_comes_behind_the_header(
    certificate: Certificate, header: bytes, apart: bool, loop: Loop
) -> None:
    """As HAProxy sends it in TCP mode, in one packet or two."""

    async def talk() -> None:
        flow = Seeing()
        async with door(flow, tls=certificate.context, implicit=True) as (server, hop):
            async with connected(server.address) as client:
                client.writer.write(header)
                if apart:
                    await client.writer.drain()
                    await asyncio.sleep(0.05)
                await client.writer.start_tls(client_context())
                assert (await client.reply()).startswith(b"220 ")
                assert b"STARTTLS" not in await client.ask(EHLO)
                await deliver(client)
            assert len(hop.messages) == 1
        (envelope,) = flow.envelopes
        assert (envelope.client, envelope.hop) == (ip_address("192.0.2.7"), Hop.SEEN)
        assert envelope.tls is not None

    told(talk(), loop)


@both_loops
def test_the_header_and_the_first_octets_of_tls_in_one_packet(certificate: Certificate, loop: Loop) -> None:
    """Not one octet of the handshake is lost to the reader of the header, nor what is said right behind the handshake."""

    async def talk() -> None:
        async with door(tls=certificate.context, implicit=True) as (server, _), connected(server.address) as client:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_context().wrap_bio(incoming, outgoing)
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            await client.send(V2 + outgoing.read())
            while True:
                incoming.write(await client.reader.read(65536))
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await client.send(outgoing.read())
            tls.write(b"NOOP\r\n")
            await client.send(outgoing.read())  # the end of the handshake, and a command that could not wait
            said = b""
            while said.count(b"\r\n") < 2:
                incoming.write(await client.reader.read(65536))
                with suppress(ssl.SSLWantReadError):
                    while True:
                        said += tls.read(65536)
            assert said.startswith(b"220 ") and said.split(b"\r\n")[1].startswith(b"250")

    told(talk(), loop)


@both_loops
def test_starttls_behind_a_header(certificate: Certificate, loop: Loop) -> None:
    async def talk() -> None:
        flow = Seeing()
        async with door(flow, tls=certificate.context) as (server, _), connected(server.address) as client:
            await client.send(V1)
            await client.reply()
            assert b"STARTTLS" in await client.ask(EHLO)
            await encrypt(client)
            await deliver(client)
        assert flow.envelopes[0].client == ip_address("192.0.2.7") and flow.envelopes[0].tls is not None

    told(talk(), loop)


def test_a_proxy_does_not_make_everybody_a_peer(certificate: Certificate) -> None:
    """The client that is named must be among the peers; that the proxy is helps nobody."""

    async def talk() -> None:
        stranger = V1.replace(b"192.0.2.7", b"198.51.100.7")
        peers = (*CUSTOMERS, *PROXIES)
        async with door(peers=peers) as (server, hop), connected(server.address) as client:
            await client.send(stranger)
            assert (await client.reply()).startswith(b"554 5.7.1 ")
            await client.end()
            assert hop.connections == 0
        async with (
            door(peers=peers, tls=certificate.context, implicit=True) as (server, _),
            connected(server.address) as client,
        ):
            await client.send(stranger)
            await nothing(client)

    told(talk())


@pytest.mark.parametrize("header", NOBODY)
def test_a_header_that_names_nobody_is_a_health_check(header: bytes) -> None:
    """It is greeted, and EHLO reaches the next hop; it sends no mail, also where the proxy itself would be allowed to."""

    async def talk() -> None:
        everybody = (ip_network("0.0.0.0/0"), ip_network("::/0"))
        async with (
            door(peers=everybody, xforward_peers=everybody) as (server, hop),
            connected(server.address) as client,
        ):
            await client.send(header)
            assert (await client.reply()).startswith(b"220 ")
            offered = await client.ask(EHLO)
            assert offered.startswith(b"250") and b"XFORWARD" not in offered
            assert (await client.ask(b"XFORWARD ADDR=192.0.2.7")).startswith(b"550")
            assert (await client.ask(FROM)).startswith(b"554 5.7.1 ")
            assert (await client.ask(TO)).startswith(b"503")
            assert (await client.ask(b"QUIT")).startswith(b"221")
            assert hop.messages == [] and not [one for one in hop.commands if one.startswith(b"MAIL")]

    told(talk())


def test_a_header_that_names_the_proxy_is_a_health_check_too() -> None:
    """HAProxy's with version 1. Where the proxy's machine may send mail by itself, it is a client as any other."""
    itself = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 25\r\n"

    async def talk() -> None:
        for peers, answer in ((CUSTOMERS, b"554 5.7.1 "), (PROXIES, b"250")):
            async with door(peers=peers) as (server, _), connected(server.address) as client:
                await client.send(itself)
                await client.reply()
                assert (await client.ask(EHLO)).startswith(b"250")
                assert (await client.ask(FROM)).startswith(answer)

    told(talk())


def test_whoever_is_named_is_believed_like_any_other(certificate: Certificate) -> None:
    """XFORWARD is taken from a client that the header names, and not because of the proxy."""

    async def talk() -> None:
        named = (ip_network("192.0.2.7/32"),)
        for trusted, answer in ((named, b"250"), (PROXIES, b"550")):
            async with door(xforward_peers=trusted) as (server, _), connected(server.address) as client:
                await client.send(V2)
                await client.reply()
                await client.ask(EHLO)
                assert (await client.ask(b"XFORWARD ADDR=198.51.100.1")).startswith(answer)

    told(talk())


@both_loops
@pytest.mark.parametrize(
    "octets",
    [
        EHLO + b"\r\n",
        b"PROXY TCP4 192.0.2.7\r\n" + EHLO + b"\r\n",
        b"PROXY UNKNOWN" + b"x" * 100_000,
        b"PROXY " + b"\0" * 101,
        V2[:14] + b"\xff\xff" + b"x" * 100_000,
        V2[:14] + b"\x00\x0b" + V2[16:],
        V2[:13] + b"\x12" + V2[14:],
        V2[:14] + b"\x00\x10" + V2[16:] + b"\x04\x00\x09x",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
    ],
)
def test_a_proxy_without_a_valid_header_is_cut_off(octets: bytes, loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    async def talk() -> None:
        async with door() as (server, hop), connected(server.address) as client:
            with suppress(ConnectionError):
                await client.send(octets)
            await nothing(client)
            assert hop.connections == 0

    told(talk(), loop)
    assert caplog.text.count("PROXY header is not valid") == 1
    assert "Traceback" not in caplog.text and "192.0.2" not in caplog.text


@both_loops
@pytest.mark.parametrize("octets", [b"", V1[:20], V2[:20], b"PROXY "])
def test_a_slow_header_is_cut_off(octets: bytes, loop: Loop) -> None:
    """The bound is for the whole of it, whatever drips in."""

    async def talk() -> None:
        async with door(proxy_seconds=0.2) as (server, _), connected(server.address) as client:
            began = asyncio.get_running_loop().time()
            with suppress(ConnectionError):
                for octet in octets:
                    await client.send(bytes([octet]))
                    await asyncio.sleep(0.02)
            await nothing(client)
            assert asyncio.get_running_loop().time() - began < 4

    told(talk(), loop)


def test_a_connection_that_is_closed_at_once_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """A health check that only connects."""

    async def talk() -> None:
        async with door() as (server, _):
            for header in (b"", V1):
                async with connected(server.address) as client:
                    await client.send(header)
                    client.writer.write_eof()
                    await client.reader.read()

    with caplog.at_level(logging.WARNING):
        told(talk())
    assert caplog.text == ""


def test_of_nobody_else_a_header_is_taken() -> None:
    """It is an unknown command, and the client is who it is."""

    async def talk() -> None:
        flow = Seeing()
        loopback = (ip_network("127.0.0.1/32"),)
        async with (
            door(flow, peers=loopback, proxy_peers=(ip_network("192.0.2.0/24"),)) as (server, _),
            connected(server.address) as client,
        ):
            await client.send(V1)
            assert (await client.reply()).startswith(b"220 ")
            assert (await client.reply()).startswith(b"500 ")
            await deliver(client)
        assert flow.envelopes[0].client == ip_address("127.0.0.1")

    told(talk())


@both_loops
def test_closing_ends_what_has_not_begun(certificate: Certificate, loop: Loop) -> None:
    """A header that is waited for, and a handshake that does not go on."""

    async def talk() -> None:
        async with (
            door(tls=certificate.context, implicit=True) as (server, _),
            connected(server.address) as waiting,
            connected(server.address) as shaking,
        ):
            await shaking.send(V1 + b"\x16\x03\x01")
            await asyncio.sleep(0.05)
            await server.close(0)
            await nothing(waiting)
            await nothing(shaking)

    told(talk(), loop)


@both_loops
def test_a_handshake_that_fails(certificate: Certificate, loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    """Garbage, a connection that ends or is reset within it: no trace, and the next client is served."""

    async def talk() -> None:
        async with door(tls=certificate.context, implicit=True) as (server, _):
            for octets in (V1 + EHLO + b"\r\n" * 50, V1 + b"\x16\x03\x01\x00", V1):
                async with connected(server.address) as client:
                    await client.send(octets)
                    if octets == V1:
                        sock = client.writer.get_extra_info("socket")
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    else:
                        client.writer.write_eof()
                        with suppress(ConnectionError):
                            await client.reader.read()
            async with connected(server.address) as client:
                client.writer.write(V1)
                await client.writer.start_tls(client_context())
                assert (await client.reply()).startswith(b"220 ")

    told(talk(), loop)
    assert "Traceback" not in caplog.text and "exception" not in caplog.text


def test_a_unix_socket_serves_whoever_reaches_it(tmp_path: Path) -> None:
    """Its permissions say who that is; no header is asked for there."""

    async def talk() -> None:
        server = SmtpServer()
        path = str(tmp_path / "l.sock")
        await server.start_conference(UnixAddress(path), Seeing(), frozenset(), peers=(), hostname="door.example")
        reader, writer = await asyncio.open_unix_connection(path)
        assert (await reader.readline()).startswith(b"220 ")
        writer.close()
        await server.close(0)

    told(talk())


@both_loops
def test_a_client_that_is_quicker_than_the_door(certificate: Certificate, loop: Loop) -> None:
    """Its handshake has begun before its connection was taken: uvloop reads that, whatever it has been told."""

    async def talk() -> None:
        options = {"tls": certificate.context, "implicit": True, "proxy_peers": (), "peers": PROXIES}
        async with door(**options) as (server, _):
            for _ in range(5):
                dialling = asyncio.create_task(asyncio.to_thread(_greeted, server.address.port))
                await asyncio.sleep(0)
                time.sleep(0.1)
                assert (await dialling).startswith(b"220 ")

    told(talk(), loop)


def _greeted(port: int) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        client_context().wrap_socket(plain, server_hostname="x") as secret,
    ):
        return secret.recv(100)
