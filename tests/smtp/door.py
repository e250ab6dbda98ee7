"""The SMTP door with a fake flow before it and a raw client: what the tests of this folder drive."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from notes2conf_milter.address import InetAddress
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.onward import NextHop
from notes2conf_milter.smtp.pool import Pool
from notes2conf_milter.smtp.server import LOOPBACK, Bounds, Limits, SmtpServer

PASS = Outcome(Verdict.PASS, Reason.NO_CALENDAR)
DEFER = Outcome(Verdict.DEFER, Reason.STORE_UNAVAILABLE)


class Flow(MailFlow):
    """Answers what the test says, and remembers what it was asked."""

    judges_mail = False

    def __init__(
        self,
        outcome: Outcome | Exception | Callable[[bytes], Outcome] = PASS,
        early: Outcome | Exception | None = None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.outcome = outcome
        self.early = early
        self.gate = gate
        self.headers: list[bytes] = []
        self.asked: list[tuple[Envelope, bytes]] = []
        self.unread: list[tuple[Envelope, Reason]] = []
        self.processing = asyncio.Event()

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        self.headers.append(header)
        if isinstance(self.early, Exception):
            raise self.early
        return self.early

    async def process(self, envelope: Envelope, message: bytes) -> Outcome:
        self.asked.append((envelope, message))
        self.processing.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(message) if callable(self.outcome) else self.outcome

    def pass_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        self.unread.append((envelope, reason))
        return Outcome(Verdict.PASS, reason)


class Client:
    """A client that says exactly what it is told to, octet by octet if `singly`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, singly: bool = False) -> None:
        self.reader = reader
        self.writer = writer
        self.singly = singly

    async def send(self, octets: bytes) -> None:
        step = 1 if self.singly else max(1, len(octets))
        for start in range(0, len(octets), step):
            self.writer.write(octets[start : start + step])
            await self.writer.drain()
            if self.singly:
                await asyncio.sleep(0)

    async def reply(self) -> bytes:
        """Return the next reply, all lines, with the line ends between them."""
        lines = [await self.reader.readuntil(b"\r\n")]
        while lines[-1][3:4] == b"-":
            lines.append(await self.reader.readuntil(b"\r\n"))
        return b"".join(lines).removesuffix(b"\r\n")

    async def ask(self, command: bytes) -> bytes:
        await self.send(command + b"\r\n")
        return await self.reply()

    async def begin(self, *recipients: bytes) -> None:
        """Go on from the greeting to 354."""
        assert (await self.reply()).startswith(b"220 ")
        assert (await self.ask(b"EHLO client.example")).startswith(b"250")
        await self.envelope(*recipients)

    async def envelope(self, *recipients: bytes) -> None:
        """From MAIL to 354."""
        assert (await self.ask(b"MAIL FROM:<a@example.org>")).startswith(b"250")
        for recipient in recipients or (b"b@example.org",):
            assert (await self.ask(b"RCPT TO:<" + recipient + b">")).startswith(b"250")
        assert (await self.ask(b"DATA")).startswith(b"354")

    async def end(self) -> None:
        """Wait until the server has closed."""
        assert await self.reader.read() == b""


@asynccontextmanager
async def connected(address: InetAddress, singly: bool = False, source: str = "127.0.0.1") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(address.host, address.port, local_addr=(source, 0))
    try:
        yield Client(reader, writer, singly)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def serving(
    next_hop: InetAddress,
    flow: MailFlow | None = None,
    peers=LOOPBACK,
    limits: Limits | None = None,
    bounds: Bounds | None = None,
    next_hop_lmtp: bool = False,
    **options,
) -> AsyncIterator[SmtpServer]:
    server = SmtpServer(bounds)
    given = {"peers": peers, "hostname": "door.example", "limits": limits, **options}
    times = limits or Limits()
    pool = Pool(NextHop(next_hop, "door.example", lmtp=next_hop_lmtp), times.connect, times.reply)
    await server.start(InetAddress("127.0.0.1", 0), pool, flow or Flow(), **given)
    try:
        yield server
    finally:
        await server.close(0)
        await pool.close()


@asynccontextmanager
async def door(
    next_hop: InetAddress,
    flow: MailFlow | None = None,
    limits: Limits | None = None,
    singly: bool = False,
    **options,
) -> AsyncIterator[Client]:
    """A listener, and one client connected to it."""
    async with serving(next_hop, flow, limits=limits, **options) as server, connected(server.address, singly) as client:
        yield client


def dotted(octets: bytes) -> bytes:
    """A message as a client sends it, with its final dot; written apart from the code under test."""
    lines = octets.split(b"\r\n")
    wire = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return wire + (b".\r\n" if wire.endswith(b"\r\n") or not wire else b"\r\n.\r\n")
