"""Odd but legal peers: whatever an MTA says in whatever order, mail that is not ours to touch is accepted, and never answered
with 4xx or 5xx; nothing of one message is known to the next.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from notes2conf_milter.address import UnixAddress
from notes2conf_milter.milter.server import MilterServer
from tests.golden import Case, cases, flow_for
from tests.milter.mta import MilterClient, packet

INVITATION = next(case for case in cases() if case.name.startswith("002"))
PLAIN = b"From: eve@example.com\r\nTo: bob@example.net\r\nSubject: Hello\r\n\r\nHello\r\n"
AUTHENTICATED = {b"{client_addr}": b"198.51.100.7", b"{auth_authen}": b"anna"}


def play(tmp_path: Path, scene: Callable[[UnixAddress], Awaitable[None]], case: Case = INVITATION) -> None:
    """Run a scene against a door."""

    async def run() -> None:
        async with flow_for(case) as flow:
            door, socket = MilterServer(), UnixAddress(str(tmp_path / "m"))
            await door.start(socket, flow)
            await scene(socket)
            await door.close(5)

    asyncio.run(run())


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
@pytest.mark.parametrize(
    ("message", "sender", "macros"),
    [
        (PLAIN, b"eve@example.com", {}),
        (PLAIN, "jürgen@bücher.example".encode(), {b"{mail_addr}": "jürgen@bücher.example".encode()}),
        (PLAIN.replace(b"Subject: Hello", b"Subject: Gr\xfc\xdfe \xff\xfe"), b"", {b"{client_name}": b"\xff\xfe\xe4"}),
        (
            b"X-Long: " + b"a" * 50_000 + b"\r\n" * 1 + b"X-More: " + b"b" * 50_000 + b"\r\n" + PLAIN,
            b"eve@example.com",
            {},
        ),
        (b"X-A: 1\r\n" * 3_000 + PLAIN, b"eve@example.com", {}),
        (PLAIN[: PLAIN.index(b"\r\n\r\n") + 4], b"eve@example.com", {}),
        (PLAIN.removesuffix(b"Hello\r\n") + b"\r\n.\r\n\xff\0\r" * 50, b"eve@example.com", {}),
    ],
)
def test_mail_of_others_is_accepted(
    tmp_path: Path, version: int, message: bytes, sender: bytes, macros: Mapping[bytes, bytes]
) -> None:
    """In every version, with 8-bit octets in macros, addresses and header, with long headers, without a body."""

    async def scene(socket: UnixAddress) -> None:
        async with MilterClient(socket, version=version) as mta:
            for _ in range(2):
                result = await mta.deliver(message, sender, [b"bob@example.net"], macros)
                assert (result.verdict, result.edits) == ("accept", [])

    play(tmp_path, scene)


@pytest.mark.parametrize("piece", [1, 3, 0])
def test_nothing_leaks_from_one_message_to_the_next(tmp_path: Path, piece: int) -> None:
    """A login counts for its own message alone; so do sender, recipients and header."""

    async def scene(socket: UnixAddress) -> None:
        async with MilterClient(socket, client=b"198.51.100.7", piece=piece) as mta:
            for macros in (AUTHENTICATED, {b"{client_addr}": b"198.51.100.7"}) * 2:
                result = await mta.deliver(INVITATION.message, b"anna@example.org", [b"bob@example.net"], macros)
                assert result.verdict == "accept"
                assert bool(result.edits) == (macros is AUTHENTICATED)

    play(tmp_path, scene)


def test_a_connection_that_is_used_for_the_next_client(tmp_path: Path) -> None:
    """QUIT_NC: what was known of the first client is forgotten."""

    async def scene(socket: UnixAddress) -> None:
        async with MilterClient(socket, client=b"192.0.2.10") as mta:
            allowed = await mta.deliver(INVITATION.message, b"anna@example.org")
            await mta.write(packet("K"))
            mta.client = b"198.51.100.7"
            await mta.connect()
            stranger = await mta.deliver(INVITATION.message, b"anna@example.org")
        assert (bool(allowed.edits), stranger.verdict, stranger.edits) == (True, "accept", [])

    play(tmp_path, scene)


@pytest.mark.parametrize("length", [0, 2**31 - 1, 2**32 - 1])
def test_a_length_that_nobody_sends(tmp_path: Path, length: int) -> None:
    """Closes that connection at once, without a word; the others go on."""

    async def scene(socket: UnixAddress) -> None:
        async with MilterClient(socket) as mta, MilterClient(socket) as other:
            await mta.write(struct.pack("!I", length) + b"L")
            async with asyncio.timeout(5):
                assert await mta.closed()
            assert (await other.deliver(PLAIN)).verdict == "accept"

    play(tmp_path, scene)


def test_an_mta_that_grants_no_edits_gets_its_mail_back_as_it_was(tmp_path: Path) -> None:
    """No link that could not be put in, no row for it."""

    async def scene(socket: UnixAddress) -> None:
        async with MilterClient(socket, actions=0, client=b"192.0.2.10") as mta:
            result = await mta.deliver(INVITATION.message, b"anna@example.org")
            assert (result.verdict, result.message) == ("accept", INVITATION.message)

    play(tmp_path, scene, replace(INVITATION, facts=INVITATION.facts | {"client": "192.0.2.10"}))
