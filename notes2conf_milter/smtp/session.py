"""One client's session at the SMTP door: aiosmtpd reads the commands, what touches a message is done here.

In:  a client's SMTP. Out: the replies, which are the next hop's where it has a say (relay.py).
aiosmtpd's own MAIL, RCPT and DATA refuse real mail (DSN parameters, AUTH=, long lines) and are replaced, as are EHLO and
RSET; its command loop, its timer and its rarer commands are used.
Fails: never towards the listener. An unforeseen error is one log line without personal data, and 451 for the client.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from aiosmtpd.smtp import SMTP

from notes2conf_milter.address import InetAddress
from notes2conf_milter.core.envelope import Door, Envelope, client_address
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.client import NextHopGone, Reply
from notes2conf_milter.smtp.incoming import IncomingMessage, Path, read_path
from notes2conf_milter.smtp.reinject import Connection
from notes2conf_milter.smtp.relay import BUSY, Limits, Relay, Route

log = logging.getLogger(__name__)

_COMMAND_LIMIT = 4096  # octets of a command line; DSN and SMTPUTF8 need more than the 512 of RFC 5321 §4.5.3.1.4
_READ_LIMIT = 65536  # octets of a message taken at once
_MIRRORED = (b"8BITMIME", b"SMTPUTF8", b"SIZE", b"DSN", b"ENHANCEDSTATUSCODES")

_GONE = b"451 4.4.1 The next hop does not answer, try again later"
_NO_OFFER = b"421 4.4.1 The next hop does not answer, try again later"
_CLOSING = b"421 4.3.2 Service is shutting down, try again later"
_IDLE = b"421 4.4.2 Time limit exceeded"
_STRANGER = b"554 5.7.1 This service is not for you"
_SYNTAX = b"501 5.5.4 Syntax error in the argument"
_NESTED = b"503 5.5.1 MAIL was given already"
_NO_MAIL = b"503 5.5.1 MAIL comes first"
_NO_RCPT = b"503 5.5.1 No recipient was accepted"


@dataclass(slots=True)
class Setup:
    """What all sessions of one listener share."""

    next_hop: InetAddress
    flow: MailFlow
    peers: tuple[IPv4Network | IPv6Network, ...]
    hostname: str
    limits: Limits
    sessions: "dict[asyncio.Task[object], ClientSession]" = field(default_factory=dict)
    closing: bool = False


@dataclass(frozen=True, slots=True)
class _Transaction:
    """What the next hop has accepted so far of one message's envelope, and on which connection."""

    hop: Connection
    sender: bytes
    recipients: list[bytes] = field(default_factory=list)


class ClientSession(SMTP):
    """The protocol of one connection; ends by itself, `finish` and `abort` hasten that."""

    command_size_limit = _COMMAND_LIMIT
    line_length_limit = _READ_LIMIT  # aiosmtpd's name for the reader's limit; DATA below knows no limit for lines

    def __init__(self, setup: Setup) -> None:
        # aiosmtpd keeps one table for all sessions, and lets it grow with each EHLO
        self.command_size_limits = defaultdict(lambda: _COMMAND_LIMIT)
        super().__init__(
            None,
            hostname=setup.hostname,
            ident="ESMTP",
            enable_SMTPUTF8=True,  # means only that commands may hold any octets; EHLO below says what is offered
            data_size_limit=None,
            timeout=setup.limits.idle,
            loop=asyncio.get_running_loop(),
        )
        self._setup = setup
        self._route = Route(setup.next_hop, setup.hostname, setup.limits)
        self._client: IPv4Address | IPv6Address | None = None
        self._transaction: _Transaction | None = None
        self._without_mail = _NO_MAIL  # the answer to RCPT and DATA while there is no transaction

    # --- the life of a session

    async def _handle_client(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._setup.sessions[task] = self
        try:
            with suppress(ConnectionError):  # the client went away while we spoke
                refusal = self._refusal()
                if refusal is None:
                    await super()._handle_client()
                else:
                    self._farewell(refusal)
        finally:
            del self._setup.sessions[task]
            self._route.drop()

    def _refusal(self) -> bytes | None:
        peer = self._writer.get_extra_info("peername")
        self._client = client_address(str(peer[0])) if peer else None
        if self._client is None or not any(self._client in network for network in self._setup.peers):
            return _STRANGER  # RFC 5321 §3.1
        return _CLOSING if self._setup.closing else None

    def finish(self) -> None:
        """Say 421 and close, now if no message is under way; else `_answer` does it after the reply (Setup.closing)."""
        if self._transaction is None:
            self._farewell(_CLOSING)

    def abort(self) -> None:
        """Close now; a message under way stays the client's."""
        self._writer.transport.abort()

    def _timeout_cb(self) -> None:
        self._farewell(_IDLE)

    def _farewell(self, reply: bytes) -> None:
        self._writer.write(reply + b"\r\n")
        self._writer.close()
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()  # it does not read, so it would never be closed

    def _hang_up(self) -> None:
        self._writer.close()
        raise asyncio.CancelledError  # aiosmtpd's way out of its command loop, which forgets pipelined commands too

    async def _answer(self, reply: bytes) -> None:
        await self.push(reply)
        if reply.startswith(b"421"):  # RFC 5321 §3.8: whoever says 421 closes
            self._hang_up()
        if self._setup.closing and self._transaction is None:
            await self.push(_CLOSING)
            self._hang_up()

    async def handle_exception(self, error: Exception) -> str:
        """Log where it happened, never what was being handled, and answer 4yz: the unforeseen is temporary."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_qualname} line {trace.tb_lineno}" if trace is not None else "unknown"
        log.error("SMTP door: %s in %s, answered 451", type(error).__name__, where)
        return BUSY.decode("ascii")

    @contextmanager
    def _clock_stopped(self) -> Iterator[None]:
        """The time that we and the next hop take is not the client's idle time; both have limits of their own."""
        self._stop_clock()
        try:
            yield
        finally:
            if self.transport is not None:
                self._reset_timeout()

    def _stop_clock(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()

    # --- commands

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Offer what the next hop offers."""
        if not hostname:
            await self._answer(_SYNTAX)
            return
        await self._leave_transaction()  # RFC 5321 §4.1.4: EHLO and HELO also reset
        try:
            with self._clock_stopped():
                offered = await self._route.offered()
        except NextHopGone as gone:
            self._lost("EHLO", gone)
            await self._answer(_NO_OFFER)
            return
        assert self.session is not None
        self.session.extended_smtp = True
        self.session.host_name = hostname
        lines = [(keyword + b" " + offered[keyword]).rstrip() for keyword in _MIRRORED if keyword in offered]
        await self._answer(Reply(250, (self._setup.hostname.encode("ascii"), *lines, b"PIPELINING")).octets)

    async def smtp_HELO(self, hostname: str | None) -> None:
        """Greet without extensions."""
        await self._leave_transaction()
        await super().smtp_HELO(hostname or "")

    async def smtp_RSET(self, arg: str | None) -> None:
        """Leave the transaction."""
        if arg:
            await self._answer(_SYNTAX)
            return
        await self._leave_transaction()
        await self._answer(b"250 2.0.0 Ok")

    async def smtp_QUIT(self, arg: str | None) -> None:
        """End both sessions; a transaction that is open comes to nothing."""
        if arg:
            await self._answer(_SYNTAX)
            return
        await self.push(b"221 2.0.0 Bye")
        await self._route.quit()
        self._hang_up()

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a transaction at the next hop, and give its answer."""
        if await self.check_helo_needed():
            return
        if self._transaction is not None:
            await self._answer(_NESTED)  # RFC 5321 §4.1.4
            return
        path = _path(b"FROM:", arg)
        if path is None:
            await self._answer(_SYNTAX)
            return
        try:
            with self._clock_stopped():
                reply = await self._route.mail(path)
        except NextHopGone as gone:
            await self._answer(self._lost("MAIL", gone))
            return
        if reply.positive:
            self._transaction = _Transaction(await self._route.connection(), path.address)
        self._without_mail = (
            BUSY if reply.code // 100 == 4 else _NO_MAIL
        )  # RCPT in a pipeline is no worse off than MAIL
        await self._answer(reply.octets)

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Name a recipient at the next hop, and give its answer."""
        if await self.check_helo_needed():
            return
        if self._transaction is None:
            await self._answer(self._without_mail)
            return
        path = _path(b"TO:", arg)
        if path is None:
            await self._answer(_SYNTAX)
            return
        try:
            with self._clock_stopped():
                reply = await self._transaction.hop.rcpt(path.address, path.parameters)
        except NextHopGone as gone:
            await self._answer(self._lost("RCPT", gone))
            return
        if reply.positive:
            self._transaction.recipients.append(path.address)
        await self._answer(reply.octets)

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message, and give the next hop's answer to it."""
        if await self.check_helo_needed():
            return
        if self._transaction is None:
            await self._answer(self._without_mail)
        elif not self._transaction.recipients:
            await self._answer(_NO_RCPT)
        elif arg:
            await self._answer(_SYNTAX)
        else:
            await self.push(b"354 End data with <CR><LF>.<CR><LF>")
            await self._take_message(self._transaction)

    # --- a message

    async def _take_message(self, transaction: _Transaction) -> None:
        incoming = IncomingMessage(self._reader)
        envelope = Envelope(Door.SMTP, transaction.sender, tuple(transaction.recipients), self._client)
        relay = Relay(self._setup.flow, self._setup.limits, envelope, lambda: self._read(incoming))
        try:
            reply = await relay.run(transaction.hop)
        except NextHopGone as gone:
            reply = self._lost("DATA", gone)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the message must not be read as commands
            reply = (await self.handle_exception(error)).encode("ascii")
        while await self._read(incoming) is not None:
            pass  # RFC 5321 §4.1.1.4: the reply comes after the final dot only
        await self._leave_transaction()
        await self._answer(reply)

    async def _read(self, incoming: IncomingMessage) -> bytes | None:
        self._reset_timeout()
        octets = await incoming.read()
        self._stop_clock()  # from here on it is our time, and the next hop's
        return octets

    async def _leave_transaction(self) -> None:
        """Forget the envelope, here and at the next hop."""
        self._transaction = None
        self._without_mail = _NO_MAIL
        with self._clock_stopped():
            await self._route.reset()

    def _lost(self, command: str, gone: NextHopGone) -> bytes:
        log.warning("SMTP door: next hop %s lost at %s: %s", self._setup.next_hop, command, gone)
        self._route.drop()
        self._transaction = None
        self._without_mail = _GONE  # for what the client has pipelined
        return _GONE


def _path(keyword: bytes, argument: str | None) -> Path | None:
    octets = (argument or "").encode("utf-8", "surrogateescape")  # undoes aiosmtpd's decoding exactly
    try:
        return read_path(keyword, octets)
    except ValueError:
        return None
