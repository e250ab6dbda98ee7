"""What the SMTP door does with one message and one next hop, whoever reads the client's commands.

In:  an envelope, the message's octets as they come, a `MailFlow`. Out: the reply for the client, which is the next hop's.
`Route` is one client session's way to the next hop; `Relay` takes a message along it.
Fails: `NextHopGone`; whatever else is raised is unforeseen, and the session answers it with 451.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.client import NextHopGone, Reply
from notes2conf_milter.smtp.incoming import Path
from notes2conf_milter.smtp.pool import Pool
from notes2conf_milter.smtp.reinject import Connection
from notes2conf_milter.smtp.xforward import Forwarded

log = logging.getLogger(__name__)

GONE = b"451 4.4.1 The next hop does not answer, try again later"
BUSY = b"451 4.3.0 Temporary failure, try again later"

_GROWTH = 256 * 1024  # octets by which a link makes the largest invitation longer, and more

_EMPTY_LINE = re.compile(rb"\A\r?\n|\n\r?\n")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one session: sizes in octets, times in seconds.

    message: a longer message goes on unread. header: the header section alone, likewise. So memory has a bound.
    idle: until the client's next command or octets (RFC 5321 §4.5.3.2.7). processing: for the flow's answer.
    connect: to reach the next hop. reply: for each of its replies, and twice that after the dot (RFC 5321 §4.5.3.2: 300, 600).
    """

    message: int = 20 * 1024 * 1024
    header: int = 512 * 1024
    idle: float = 300.0
    processing: float = 60.0
    connect: float = 30.0
    reply: float = 300.0


class Route:
    """One client session's way to the next hop: a connection of the pool for each transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: Connection | None = None

    async def offered(self) -> Mapping[bytes, bytes]:
        """Return what the next hop offers at EHLO, keyword to parameters; raises NextHopGone."""
        return await self._pool.offered()

    async def mail(
        self, path: Path, forwarded: Forwarded, recipient: Path | None = None
    ) -> tuple[Connection, Reply, Reply | None]:
        """Begin a transaction; return its connection and the next hop's reply to MAIL, and to RCPT. Raises NextHopGone.

        recipient: the first one, None: it is not known yet. forwarded: passed on where it is wanted. A connection that was kept
        may have been closed since: nothing of the message has been sent, so try a new one.
        """
        await self.leave()
        self._connection = connection = await self._pool.take()
        try:
            replies = await self._mail(connection, path, forwarded, recipient)
            if replies[0].code != 421 or not connection.kept:
                return connection, *replies
        except NextHopGone:
            if not connection.kept:
                raise
        self.drop()
        self._connection = await self._pool.fresh()
        return self._connection, *await self._mail(self._connection, path, forwarded, recipient)

    @staticmethod
    async def _mail(
        connection: Connection, path: Path, forwarded: Forwarded, recipient: Path | None
    ) -> tuple[Reply, Reply | None]:
        offered = connection.offered.get(b"XFORWARD", b"").decode("ascii", "replace").upper().split()
        client = forwarded.to_pass_on(offered)
        if recipient is None:
            return await connection.mail(path.address, path.parameters, client=client), None
        first = recipient.address, recipient.parameters
        return await connection.mail_and_rcpt(path.address, path.parameters, *first, client=client)

    async def leave(self) -> None:
        """Leave the transaction, if there is one; a connection on which that cannot be done is closed. Never raises."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.reset()
        except NextHopGone:
            return  # and closed
        except BaseException:
            connection.abort()
            raise
        self._pool.give_back(connection)

    def drop(self) -> None:
        """Close at once: a message without its final dot is not delivered."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


@dataclass(frozen=True, slots=True)
class Relay:
    """Takes one message from the client to the next hop.

    read: returns the message's next octets, None after the final dot. trace: a field that goes before it (RFC 5321 §4.4).
    hold: is told how many more octets are kept in memory, and may raise what ends it all.
    """

    flow: MailFlow
    limits: Limits
    envelope: Envelope
    read: Callable[[], Awaitable[bytes | None]]
    trace: bytes
    hold: Callable[[int], None]

    async def run(self, hop: Connection) -> list[bytes]:
        """Return the reply for the client; of the message some may be unread still, unless the next hop has taken it.

        There are several, one for each recipient, when the next hop speaks LMTP and took the message for some of them.
        hop: in a transaction with the envelope's sender and recipients. It gets nothing before the verdict is known.
        """
        message, outcome = await self._decide(hop.size_limit)
        if outcome.verdict is Verdict.DEFER:
            return [BUSY]
        reply = await hop.data()
        if reply.code != 354:
            return [reply.octets]
        ready = self.trace + _edited(message, outcome, hop.size_limit)
        while (octets := await self.read()) is not None:
            await hop.send(ready)
            ready = octets
        replies = await hop.finish(len(self.envelope.recipients), ready)
        missing = len(self.envelope.recipients) - len(replies) if hop.lmtp else 0
        return [reply.octets for reply in replies] + [GONE] * missing

    async def _decide(self, hop_limit: int | None) -> tuple[bytes, Outcome]:
        """Return what has been read when the verdict was clear (all of the message, unless it passes), and the verdict."""
        message = bytearray()
        header_end = 0
        while (octets := await self.read()) is not None:
            self.hold(len(octets))
            message += octets
            if not header_end and (header_end := _header_end(message, len(message) - len(octets))):
                outcome = self.flow.before_body(self.envelope, bytes(message[:header_end]))
                if outcome is not None:
                    return bytes(message), outcome
            if len(message) > self.limits.message or (header_end or len(message)) > self.limits.header:
                return bytes(message), self.flow.pass_unread(self.envelope, Reason.TOO_LARGE)
        whole = bytes(message)
        if hop_limit is not None and len(whole) + _GROWTH > hop_limit >= len(whole):
            # With its link it might be more than the next hop takes; known before a meeting is claimed for it.
            return whole, self.flow.pass_unread(self.envelope, Reason.TOO_LARGE)
        async with asyncio.timeout(self.limits.processing):
            return whole, await self.flow.process(self.envelope, whole)


def _header_end(message: bytearray, known: int) -> int:
    """Return where the header with its empty line ends, 0 when that is not there yet; `known` octets have been searched."""
    match = _EMPTY_LINE.search(message, known - 2 if known > 2 else 0)
    return match.end() if match else 0


def _edited(message: bytes, outcome: Outcome, size_limit: int | None) -> bytes:
    edited = apply(message, outcome.edits)
    if size_limit is not None and len(message) <= size_limit < len(edited):
        log.warning("SMTP door: an edit would exceed the next hop's SIZE; the original goes on")
        return message  # law 1: what could be delivered without us is not refused because of us
    return edited
