"""The next hop: one SMTP session with it, and the handing over of our own mails.

In:  an address, an envelope, message octets. Out: the next hop's replies; for our own mails a `Handover`.
`Connection` is for the SMTP door, which gives the next hop's replies to its own client; `hand_over` sends one mail.
Message octets are streamed with back-pressure and otherwise left alone (`client.Dots`).
Fails: `NextHopGone` when the connection is of no more use (it is closed then); ValueError for an address that would break
out of its command line, before anything is sent. `hand_over` turns the first into `DEFERRED`.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from notes2conf_milter.address import InetAddress
from notes2conf_milter.smtp.client import (
    CRLF,
    LINE_LIMIT,
    Dots,
    NextHopGone,
    Reply,
    ReplyParser,
    check_address,
    mail_command,
    offers,
    rcpt_command,
)

_PIECE = 65536  # octets given to the transport between two waits
_QUIT = b"QUIT" + CRLF
_FAREWELL = 5.0  # seconds we wait for the answer to QUIT, which nobody needs


class Connection:
    """An SMTP session with the next hop, one command at a time; made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout = timeout
        self._replies = ReplyParser()
        self._dots = Dots()
        self._in_transaction = False
        self._in_data = False
        self._leaving = False
        self.offered: Mapping[bytes, bytes] = {}

    @property
    def size_limit(self) -> int | None:
        """The largest message the next hop takes, octets; None when it names no limit (RFC 1870 §3, §4)."""
        size = self.offered.get(b"SIZE", b"")
        return int(size) or None if size.isdigit() and len(size) <= 20 else None

    async def greet(self, hostname: str) -> None:
        """Wait for the greeting and say EHLO, or HELO where that is not known (RFC 5321 §3.2); raises NextHopGone."""
        if not (await self._reply()).positive:
            raise self._gone("the next hop does not want to talk")
        reply = await self._ask(b"EHLO " + hostname.encode("ascii") + CRLF)
        if reply.positive:
            self.offered = offers(reply)
        elif reply.code == 421 or not (await self._ask(b"HELO " + hostname.encode("ascii") + CRLF)).positive:
            raise self._gone("the next hop does not accept our greeting")

    async def mail(self, sender: bytes, parameters: Iterable[bytes] = ()) -> Reply:
        """Begin a transaction, leaving one that is still open; raises ValueError, NextHopGone."""
        command = mail_command(sender, parameters, self.offered)
        await self.reset()
        reply = await self._ask(command)
        self._in_transaction = reply.positive
        return reply

    async def xforward(self, command: bytes) -> None:
        """Say who the client is (Postfix XFORWARD_README); a refusal is for the next hop alone to mind. Raises NextHopGone."""
        await self.reset()
        await self._ask(command)

    async def rcpt(self, recipient: bytes, parameters: Iterable[bytes] = ()) -> Reply:
        """Name a recipient; raises ValueError, NextHopGone."""
        return await self._ask(rcpt_command(recipient, parameters, self.offered))

    async def data(self) -> Reply:
        """Ask to send the message: code 354, or the next hop's refusal; raises NextHopGone."""
        reply = await self._ask(b"DATA" + CRLF, go_ahead=True)
        self._in_data = reply.code == 354
        self._dots = Dots()
        return reply

    async def begin(self, sender: bytes, recipient: bytes, parameters: Iterable[bytes] = ()) -> Reply:
        """Do MAIL, RCPT and DATA for one recipient: code 354, or the refusal that came first.

        In one write where the next hop offers PIPELINING (RFC 2920). Raises ValueError, NextHopGone.
        """
        if b"PIPELINING" not in self.offered:
            reply = await self.mail(sender, parameters)
            reply = await self.rcpt(recipient) if reply.positive else reply
            return await self.data() if reply.positive else reply
        commands = [mail_command(sender, parameters, self.offered), rcpt_command(recipient, (), self.offered)]
        await self.reset()
        self._silent()
        await self._write(b"".join(commands) + b"DATA" + CRLF)
        refusal: Reply | None = None
        for go_ahead in (False, False, True):
            try:
                reply = self._fitting(await self._reply(), go_ahead=go_ahead)
            except NextHopGone:
                if refusal is not None:
                    return refusal  # and away it was
                raise
            self._in_transaction |= reply.positive
            if not go_ahead and not reply.positive:
                refusal = refusal or reply
        self._in_data = reply.code == 354
        self._dots = Dots()
        return refusal or reply

    async def send(self, octets: bytes) -> None:
        """Send the next octets of the message, as fast as the next hop takes them; raises NextHopGone."""
        for start in range(0, len(octets), _PIECE):
            await self._write(self._dots.add(octets[start : start + _PIECE]))

    async def finish(self, *, last: bool = False) -> Reply:
        """Send the final dot and return the next hop's answer: from a 2yz on the message is its own; raises NextHopGone.

        last: it is the session's last message; QUIT goes with it where the next hop offers PIPELINING.
        """
        self._leaving = last and b"PIPELINING" in self.offered
        reply = await self._ask(self._dots.end + (_QUIT if self._leaving else b""))
        self._in_data = self._in_transaction = False
        return reply

    async def reset(self) -> None:
        """Leave the transaction that is open, if one is (RFC 5321 §4.1.1.5); raises NextHopGone.

        A message that has been begun cannot be taken back but by closing the connection (RFC 5321 §4.1.1.4).
        """
        if self._in_data:
            raise self._gone("a message was left unfinished")
        if self._in_transaction:
            if not (await self._ask(b"RSET" + CRLF)).positive:
                raise self._gone("the next hop does not reset")
            self._in_transaction = False

    async def quit(self) -> None:
        """End the session (RFC 5321 §4.1.1.10) and close; never raises, as nothing depends on it any more."""
        self._timeout = min(self._timeout, _FAREWELL)
        try:
            if self._leaving:
                await self._reply()
            elif not self._in_data:
                await self._ask(_QUIT)
        except NextHopGone:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once; a message without its final dot is dropped by the next hop."""
        self._writer.transport.abort()

    async def _ask(self, command: bytes, *, go_ahead: bool = False) -> Reply:
        self._silent()
        await self._write(command)
        return self._fitting(await self._reply(), go_ahead=go_ahead)

    def _silent(self) -> None:
        """Raise NextHopGone unless every reply was asked for."""
        if not self._replies.empty:
            raise self._gone("the next hop speaks without being asked")

    def _fitting(self, reply: Reply, *, go_ahead: bool = False) -> Reply:
        """Return a reply if it can be one to its command, else raise NextHopGone."""
        # RFC 5321 §4.3.2; a 250 to DATA, say, must never pass for the message's own 250
        if not (reply.code == 354 if go_ahead else reply.positive) and reply.code // 100 not in (4, 5):
            raise self._gone("the next hop's reply does not belong to the command")
        return reply

    async def _write(self, octets: bytes) -> None:
        try:
            self._writer.write(octets)
            if self._writer.transport.get_write_buffer_size() == 0:
                return  # most often
            async with asyncio.timeout(self._timeout):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise self._gone("the next hop takes no more") from error

    async def _reply(self) -> Reply:
        if (ready := self._replies.take()) is not None:
            return ready
        try:
            async with asyncio.timeout(self._timeout):
                while (reply := self._replies.take()) is None:
                    octets = await self._reader.read(LINE_LIMIT)
                    if not octets:
                        raise self._gone("the next hop closed the connection")
                    self._replies.feed(octets)
        except (OSError, TimeoutError) as error:
            raise self._gone("the next hop does not answer") from error
        except NextHopGone:
            self.abort()
            raise
        return reply

    def _gone(self, why: str) -> NextHopGone:
        self.abort()
        return NextHopGone(why)


async def connect(address: InetAddress, *, hostname: str, to_connect: float, to_reply: float) -> Connection:
    """Open a session with the next hop and greet it.

    hostname: what we call ourselves. to_connect, to_reply: seconds, the latter for each reply. Raises NextHopGone.
    """
    try:
        async with asyncio.timeout(to_connect):
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError) as error:
        raise NextHopGone("the next hop cannot be reached") from error
    connection = Connection(reader, writer, to_reply)
    try:
        await connection.greet(hostname)
    except BaseException:
        connection.abort()
        raise
    return connection


class Handed(Enum):
    """What became of a mail of our own."""

    ACCEPTED = "accepted"  # the next hop has it
    DEFERRED = (
        "deferred"  # 4yz, gone or too late: try again; if only the last reply was lost it arrives twice (RFC 1047)
    )
    REFUSED = "refused"  # 5yz: trying again does not help


@dataclass(frozen=True, slots=True)
class Handover:
    """The result, and for the log the code of the reply that decided; None when there was no reply."""

    result: Handed
    code: int | None = None


async def hand_over(
    address: InetAddress,
    sender: bytes,
    recipient: bytes,
    message: bytes,
    *,
    hostname: str,
    timeout: float,  # noqa: ASYNC109 - one limit for everything, which is part of the promise
) -> Handover:
    """Give one mail of our own to a Postfix listener.

    sender: the reverse-path without brackets, b"" for the null one; message: header, empty line and body with CRLF.
    timeout: seconds for everything. Raises ValueError for an address that would break out of its command line.
    """
    check_address(sender)
    check_address(recipient)
    try:
        async with asyncio.timeout(timeout):
            connection = await connect(address, hostname=hostname, to_connect=timeout, to_reply=timeout)
            try:
                reply = await _send_one(connection, sender, recipient, message)
            except BaseException:
                connection.abort()
                raise
    except (NextHopGone, TimeoutError):
        return Handover(Handed.DEFERRED)
    await connection.quit()  # outside of the time limit: the mail's fate is known
    return Handover(_RESULTS[reply.code // 100], reply.code)


_RESULTS = {2: Handed.ACCEPTED, 4: Handed.DEFERRED, 5: Handed.REFUSED}


async def _send_one(connection: Connection, sender: bytes, recipient: bytes, message: bytes) -> Reply:
    reply = await connection.begin(sender, recipient, _parameters(sender, recipient, message))
    if reply.code != 354:
        return reply
    await connection.send(message)
    return await connection.finish(last=True)


def _parameters(sender: bytes, recipient: bytes, message: bytes) -> list[bytes]:
    parameters = [b"SIZE=%d" % len(message)]  # RFC 1870
    if not message.isascii():
        parameters.append(b"BODY=8BITMIME")  # RFC 6152
    if not (sender + recipient).isascii():
        parameters.append(b"SMTPUTF8")  # RFC 6531
    return parameters
