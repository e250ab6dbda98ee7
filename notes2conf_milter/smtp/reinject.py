"""The next hop: one SMTP session with it, and the handing over of our own mails.

In:  an address, an envelope, message octets. Out: the next hop's replies; for our own mails a `Handover`.
`Connection` is for the SMTP door, which gives the next hop's replies to its own client; `hand_over` sends one mail.
The way is encrypted as `onward.NextHop` demands it, or there is no connection.
Message octets are streamed with back-pressure and otherwise left alone (`client.Dots`).
Fails: `NextHopGone` when the connection is of no more use (it is closed then); ValueError for an address that would break
out of its command line, before anything is sent. `hand_over` turns the first into `DEFERRED`.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

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
from notes2conf_milter.smtp.onward import Demand, NextHop
from notes2conf_milter.smtp.starttls import start_tls
from notes2conf_milter.tlscheck.wire import presented

_PIECE = 65536  # octets given to the transport between two waits
_QUIT = b"QUIT" + CRLF
_FAREWELL = 5.0  # seconds we wait for the answer to QUIT, which nobody needs
_HANDSHAKE = 30.0  # seconds
# Behind the final dot we wait so many times as long (RFC 5321 §4.5.3.2.6): who gives up before has the message twice.
_PATIENCE = 2.0


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
        self._dismissed = False  # it said 421 (RFC 5321 §3.8)
        self.refused = False  # it refused something
        self.kept = False  # it was used before, and may have been closed since
        self.born = asyncio.get_running_loop().time()
        self._spoken_for = False  # XFORWARD was said, and no message followed yet
        self._hello = b""
        self.offered: Mapping[bytes, bytes] = {}
        self.security = ""  # how the way is encrypted, for the log; "" is in clear

    @property
    def lmtp(self) -> bool:
        """The next hop speaks LMTP: there is an answer for each recipient (RFC 2033 §4.2)."""
        return self._hello.startswith(b"LHLO")

    @property
    def size_limit(self) -> int | None:
        """The largest message the next hop takes, octets; None when it names no limit (RFC 1870 §3, §4)."""
        size = self.offered.get(b"SIZE", b"")
        return int(size) or None if size.isdigit() and len(size) <= 20 else None

    @property
    def clean(self) -> bool:
        """Nothing is under way, and the next hop has neither gone nor said anything: another message can go here."""
        silent = self._replies.empty and not self._reader._buffer  # type: ignore[attr-defined]
        away = self._reader.at_eof() or self._writer.transport.is_closing()
        busy = self._in_transaction or self._in_data or self._spoken_for or self._leaving or self._dismissed
        return silent and not (away or busy)

    async def greet(self, hello: bytes) -> None:
        """Wait for the greeting and say `hello`, or HELO where EHLO is not known (RFC 5321 §3.2); raises NextHopGone."""
        if not (await self._reply()).positive:
            raise self._gone("the next hop does not want to talk")
        self._hello = hello
        reply = await self._ask(hello)
        if reply.positive:
            self.offered = offers(reply)
            return
        if reply.code != 421 and not self.lmtp:
            reply = await self._ask(hello.replace(b"EHLO", b"HELO", 1))
        if not reply.positive:
            raise self._gone("the next hop does not accept our greeting")

    async def encrypt(self, next_hop: NextHop, demand: Demand) -> None:
        """Do STARTTLS as demanded, and say EHLO again (RFC 3207 §4.2).

        Raises TlsFailed when it was to be tried and the handshake failed, NextHopGone when it has to be and is not.
        """
        if demand.context is None:
            return
        accepted = b"STARTTLS" in self.offered and (await self._ask(b"STARTTLS" + CRLF)).code == 220
        if not accepted:
            if demand.needed:
                raise self._gone("no TLS is to be had")
            return
        self._silent()
        try:
            await start_tls(self._writer, demand.context, _HANDSHAKE, next_hop.name)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise TlsFailed(_tls_reason(error)) from error
        if self._reader._buffer:  # type: ignore[attr-defined]
            raise self._gone("somebody spoke before TLS was there")  # as in CVE-2011-0411, from the other side
        found: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        proof = next_hop.proved(demand, presented(found) if demand.tlsa else ())
        self.security = f"{found.version()} {(found.cipher() or ('?',))[0]} {proof}"
        reply = await self._ask(self._hello)
        if not reply.positive:
            raise self._gone("the next hop does not accept our greeting")
        self.offered = offers(reply)  # what was offered in clear may have been somebody else's

    async def mail(self, sender: bytes, parameters: Iterable[bytes] = (), *, client: bytes = b"") -> Reply:
        """Begin a transaction, leaving one that is still open; raises ValueError, NextHopGone.

        client: an XFORWARD command that says who the client is (Postfix XFORWARD_README), in one write with MAIL where the next
        hop offers PIPELINING. A refusal of it is for the next hop alone to mind.
        """
        command = mail_command(sender, parameters, self.offered)
        return (await self._group([command], client))[0]

    async def mail_and_rcpt(
        self,
        sender: bytes,
        parameters: Iterable[bytes],
        recipient: bytes,
        more: Iterable[bytes] = (),
        *,
        client: bytes = b"",
    ) -> tuple[Reply, Reply | None]:
        """Do MAIL and the first RCPT, whose parameters are `more`, in one write where the next hop offers PIPELINING.

        As `mail`; the second reply is None where MAIL was refused and RCPT not sent.
        """
        commands = [mail_command(sender, parameters, self.offered), rcpt_command(recipient, more, self.offered)]
        replies = await self._group(commands, client)
        return replies[0], replies[1] if len(replies) > 1 else None

    async def _group(self, commands: list[bytes], client: bytes) -> list[Reply]:
        """Do MAIL, and RCPT behind it if MAIL was not refused or nobody can wait for that, with XFORWARD before them."""
        await self.reset()
        self._spoken_for = bool(client)
        if b"PIPELINING" not in self.offered:
            if client:
                await self._ask(client)
            replies = [await self._ask(commands[0])]
            self._in_transaction = replies[0].positive
            if replies[0].positive and len(commands) > 1:
                replies.append(await self._ask(commands[1]))
            return replies
        self._silent()
        await self._write(client + b"".join(commands))
        if client:
            self._fitting(await self._reply())
        replies = [self._fitting(await self._reply())]
        self._in_transaction = replies[0].positive
        try:
            while len(replies) < len(commands):
                replies.append(self._fitting(await self._reply()))
        except NextHopGone:
            if replies[0].positive:
                raise
        return replies

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

    async def finish(self, recipients: int = 1, octets: bytes = b"", *, last: bool = False) -> list[Reply]:
        """Send the last octets of the message and the final dot, and return the next hop's answer; raises NextHopGone.

        From a 2yz on the message is its own.
        LMTP answers once for each of `recipients`, in their order (RFC 2033 §4.2); there are fewer answers when it goes away
        between them. last: it is the session's last message; QUIT goes with it where the next hop offers PIPELINING.
        """
        self._leaving = last and b"PIPELINING" in self.offered
        whole = len(octets) - len(octets) % _PIECE
        await self.send(octets[:whole])
        rest = self._dots.add(octets[whole:])
        self._silent()
        if self._reader._buffer.startswith(b"2"):  # type: ignore[attr-defined] # it cannot know the message's end yet
            raise self._gone("the next hop answers before the message has ended")
        await self._write(rest + self._dots.end + (_QUIT if self._leaving else b""))
        replies = [self._fitting(await self._reply(_PATIENCE))]
        try:
            while self.lmtp and len(replies) < recipients:
                replies.append(self._fitting(await self._reply(_PATIENCE)))
        except NextHopGone:
            return replies
        self._in_data = self._in_transaction = self._spoken_for = False
        return replies

    async def reset(self) -> None:
        """Leave the transaction that is open, if one is (RFC 5321 §4.1.1.5); raises NextHopGone.

        A message that has been begun cannot be taken back but by closing the connection (RFC 5321 §4.1.1.4).
        """
        if self._in_data or self._dismissed:
            raise self._gone("the next hop is closing" if self._dismissed else "a message was left unfinished")
        if self._in_transaction or self._spoken_for:
            if not (await self._ask(b"RSET" + CRLF)).positive:
                raise self._gone("the next hop does not reset")
            self._in_transaction = self._spoken_for = False

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
        self._dismissed |= reply.code == 421
        self.refused |= reply.code >= 400
        return reply

    async def _write(self, octets: bytes) -> None:
        if self._writer.transport.is_closing():  # uvloop would raise RuntimeError
            raise self._gone("the connection was lost")
        try:
            self._writer.write(octets)
            if self._writer.transport.get_write_buffer_size() == 0:
                return  # most often
            async with asyncio.timeout(self._timeout):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise self._gone("the next hop takes no more") from error

    async def _reply(self, patience: float = 1.0) -> Reply:
        if (ready := self._replies.take()) is not None:
            return ready
        try:
            async with asyncio.timeout(patience * self._timeout):
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


class TlsFailed(Exception):
    """The next hop offered TLS and it did not work. The text says why."""


async def connect(next_hop: NextHop, *, to_connect: float, to_reply: float) -> Connection:
    """Open a session with the next hop, greet it and encrypt as it demands.

    to_connect, to_reply: seconds, the latter for each reply. Raises NextHopGone.
    """
    demand = await next_hop.demand()
    try:
        return await _connect(next_hop, demand, to_connect, to_reply)
    except TlsFailed as failed:
        if demand.needed:
            raise NextHopGone(f"TLS fails: {failed}") from failed
    return await _connect(next_hop, Demand(), to_connect, to_reply)  # RFC 7435: better in clear than not at all


async def _connect(next_hop: NextHop, demand: Demand, to_connect: float, to_reply: float) -> Connection:
    address = next_hop.address
    try:
        async with asyncio.timeout(to_connect):
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError) as error:
        raise NextHopGone("the next hop cannot be reached") from error
    connection = Connection(reader, writer, to_reply)
    try:
        await connection.greet(next_hop.hello)
        await connection.encrypt(next_hop, demand)
    except BaseException:
        connection.abort()
        raise
    return connection


def _tls_reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(getattr(error, "reason", None) or type(error).__name__)


class Handed(Enum):
    """What became of a mail of our own."""

    ACCEPTED = "accepted"  # the next hop has it
    DEFERRED = (
        "deferred"  # 4yz, gone or too late: try again; if only the last reply was lost it arrives twice (RFC 1047)
    )
    REFUSED = "refused"  # 5yz: trying again does not help


@dataclass(frozen=True, slots=True)
class Handover:
    """The result, and for the log the code of the reply that decided; None when there was no reply, and then why."""

    result: Handed
    code: int | None = None
    why: str = field(default="", compare=False)


async def hand_over(
    next_hop: NextHop,
    sender: bytes,
    recipient: bytes,
    message: bytes,
    *,
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
            connection = await connect(next_hop, to_connect=timeout, to_reply=timeout)
            try:
                reply = await _send_one(connection, sender, recipient, message)
            except BaseException:
                connection.abort()
                raise
    except NextHopGone as gone:
        return Handover(Handed.DEFERRED, why=str(gone))
    except TimeoutError:
        return Handover(Handed.DEFERRED, why="the next hop took too long")
    await connection.quit()  # outside of the time limit: the mail's fate is known
    return Handover(_RESULTS[reply.code // 100], reply.code)


_RESULTS = {2: Handed.ACCEPTED, 4: Handed.DEFERRED, 5: Handed.REFUSED}


async def _send_one(connection: Connection, sender: bytes, recipient: bytes, message: bytes) -> Reply:
    reply = await connection.begin(sender, recipient, _parameters(sender, recipient, message))
    if reply.code != 354:
        return reply
    return (await connection.finish(1, message, last=True))[0]


def _parameters(sender: bytes, recipient: bytes, message: bytes) -> list[bytes]:
    parameters = [b"SIZE=%d" % len(message)]  # RFC 1870
    if not message.isascii():
        parameters.append(b"BODY=8BITMIME")  # RFC 6152
    if not (sender + recipient).isascii():
        parameters.append(b"SMTPUTF8")  # RFC 6531
    return parameters
