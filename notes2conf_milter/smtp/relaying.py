"""One client's session at the SMTP door: what the client says goes on to the next hop as it comes.

In:  a client's SMTP. Out: the replies, which are the next hop's where it has a say (relay.py).
aiosmtpd's own MAIL, RCPT and DATA refuse real mail (DSN parameters, AUTH=, long lines) and are replaced, as are EHLO and
RSET; its command loop, its timer and its rarer commands are used.
Of clients on other machines we are a relay: their mail gets our trace field (RFC 5321 §4.4). That of a Postfix around us does
not, whether it speaks XFORWARD or not.
Fails: as session.py says.
"""

import logging
import secrets
import time
from dataclasses import dataclass, field
from functools import partial

from notes2conf_milter.core.encryption import Tls
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.smtp.client import NextHopGone, Reply
from notes2conf_milter.smtp.crowd import MemoryFull
from notes2conf_milter.smtp.incoming import IncomingMessage, Path, StrayLineEnd
from notes2conf_milter.smtp.pool import Pool
from notes2conf_milter.smtp.received import Hop as Arrived
from notes2conf_milter.smtp.received import received
from notes2conf_milter.smtp.reinject import Connection
from notes2conf_milter.smtp.relay import BUSY, GONE, Relay, Route
from notes2conf_milter.smtp.session import (
    MEMORY_FULL,
    NESTED,
    NO_MAIL,
    NO_RCPT,
    NOT_TRUSTED,
    STRANGER,
    SYNTAX,
    TOO_MANY_RCPT,
    Session,
    Setup,
    path_of,
)
from notes2conf_milter.smtp.xforward import ATTRIBUTES, Forwarded, read_xforward

log = logging.getLogger(__name__)

_MIRRORED = (b"8BITMIME", b"SMTPUTF8", b"SIZE", b"DSN", b"ENHANCEDSTATUSCODES")
_STRAYS = b"550 5.6.0 Lines have to end in CRLF, and nothing else may hold CR or LF"
_NO_OFFER = b"421 4.4.1 The next hop does not answer, try again later"


@dataclass(frozen=True, slots=True)
class _Transaction:
    """What the next hop has accepted so far of one message's envelope, and on which connection.

    name: the message's in our log and trace field; "" for that of the Postfix before us. utf8: SMTPUTF8 was asked for.
    """

    hop: Connection
    sender: bytes
    name: str
    utf8: bool
    recipients: list[bytes] = field(default_factory=list)


class RelayingSession(Session):
    """A session whose mail goes on to the next hop."""

    def __init__(self, setup: Setup, pool: Pool) -> None:
        super().__init__(setup)
        self._next_hop = pool.next_hop.address
        self._route = Route(pool)
        self._transaction: _Transaction | None = None
        self._without_mail = NO_MAIL  # the answer to RCPT and DATA while there is no transaction
        self._forwarded = Forwarded()
        self._begun: Path | None = None  # MAIL, which waits for the RCPT that has come behind it

    @property
    def _busy(self) -> bool:
        return self._transaction is not None

    def _gone(self) -> None:
        self._route.drop()

    # --- commands

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Offer what the next hop offers."""
        await self._greet(hostname)

    async def _greet(self, hostname: str | None) -> None:
        if not hostname:
            await self._answer(SYNTAX)
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
        if self._speaks_for_others:
            lines.append(b"XFORWARD " + " ".join(ATTRIBUTES).encode("ascii"))
        if self._setup.tls is not None and self._tls is None:
            lines.append(b"STARTTLS")
        await self._answer(Reply(250, (self._setup.hostname.encode("ascii"), *lines, b"PIPELINING")).octets)

    async def smtp_HELO(self, hostname: str | None) -> None:
        """Greet without extensions."""
        await self._leave_transaction()
        await super().smtp_HELO(hostname or "")

    async def smtp_RSET(self, arg: str | None) -> None:
        """Leave the transaction."""
        if arg:
            await self._answer(SYNTAX)
            return
        await self._leave_transaction()
        await self._answer_in_group(b"250 2.0.0 Ok")

    async def smtp_QUIT(self, arg: str | None) -> None:
        """End both sessions; a transaction that is open comes to nothing."""
        if arg:
            await self._answer(SYNTAX)
            return
        await self.push(b"221 2.0.0 Bye")
        await self._leave_transaction()
        self._hang_up()

    async def smtp_XFORWARD(self, arg: str | None) -> None:
        """Take what a peer that is trusted with it says of the client from which it had the next message."""
        if not self._speaks_for_others:
            await self._answer(NOT_TRUSTED)
        elif self._transaction is not None:
            await self._answer(NESTED)
        else:
            try:
                self._forwarded = read_xforward(arg or "", self._forwarded)
            except ValueError:
                await self._answer(SYNTAX)
                return
            await self._answer_in_group(b"250 2.0.0 Ok")

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a transaction at the next hop, and give its answer."""
        if await self.check_helo_needed():
            return
        if not self._served:
            await self._answer(STRANGER)
            return
        if self._transaction is not None:
            await self._answer(NESTED)  # RFC 5321 §4.1.4
            return
        path = path_of(b"FROM:", arg)
        if path is None:
            await self._answer(SYNTAX)
            return
        judges = self._setup.flow.judges_mail
        refusal = self._setup.flow.at_mail(self._envelope(path.address)) if judges else None
        if refusal is not None:
            self._without_mail = BUSY if refusal.reply.startswith("4") else NO_MAIL  # as below
            await self._answer_in_group(refusal.reply.encode("ascii"))
        elif self._next_command()[:5].upper() == b"RCPT ":
            self._begun = path  # both go on together
        else:
            await self._begin(path)

    async def _begin(self, path: Path, recipient: Path | None = None) -> None:
        """Begin a transaction at the next hop, with its first recipient if there is one, and give the answers."""
        try:
            with self._clock_stopped():
                hop, reply, first = await self._route.mail(path, self._forwarded, recipient)
        except Exception as error:  # noqa: BLE001 - RCPT that came with it needs an answer, too, or all answers shift
            if isinstance(error, NextHopGone):
                failure = self._lost("MAIL", error)
            else:
                failure = self._give_up((await self.handle_exception(error)).encode("ascii"))
            await self._answer_in_group(failure)
            if recipient is not None:
                await self._answer_in_group(self._without_mail)
            return
        if reply.positive:
            name = secrets.token_hex(6).upper() if self._traces else ""
            utf8 = any(one.upper() == b"SMTPUTF8" for one in path.parameters)
            self._transaction = _Transaction(hop, path.address, name, utf8)
        else:
            await self._leave_transaction()  # what was said of the client belongs to it
        # a RCPT that came in one pipeline with MAIL is no worse off than MAIL
        self._without_mail = BUSY if reply.code // 100 == 4 else NO_MAIL
        await self._answer_in_group(reply.octets)
        if recipient is not None:
            await self._named(recipient, first)

    async def _named(self, recipient: Path, reply: Reply | None) -> None:
        """Give the next hop's answer to RCPT; None: there is none, as it has no transaction."""
        if self._transaction is None or reply is None:
            await self._answer_in_group(self._without_mail)
            return
        if reply.positive:
            self._transaction.recipients.append(recipient.address)
        await self._answer_in_group(reply.octets)

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Name a recipient at the next hop, and give its answer."""
        path = path_of(b"TO:", arg)
        begun, self._begun = self._begun, None
        if begun is not None:
            await self._begin(begun, path)
            if path is not None:
                return
        if await self.check_helo_needed():
            return
        if self._transaction is None:
            await self._answer_in_group(self._without_mail)
            return
        if path is None:
            await self._answer(SYNTAX)
            return
        if len(self._transaction.recipients) >= self._setup.crowd.bounds.recipients:
            await self._answer_in_group(TOO_MANY_RCPT)
            return
        try:
            with self._clock_stopped():
                reply = await self._transaction.hop.rcpt(path.address, path.parameters)
        except NextHopGone as gone:
            await self._answer_in_group(self._lost("RCPT", gone))
            return
        await self._named(path, reply)

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message, and give the next hop's answer to it."""
        if await self.check_helo_needed():
            return
        if self._transaction is None:
            await self._answer(self._without_mail)
        elif not self._transaction.recipients:
            await self._answer(NO_RCPT)
        elif arg:
            await self._answer(SYNTAX)
        else:
            await self.push(b"354 End data with <CR><LF>.<CR><LF>")
            await self._take_message(self._transaction)

    # --- a message

    async def _take_message(self, transaction: _Transaction) -> None:
        incoming = IncomingMessage(self._reader, self._setup.strays)
        recipients = tuple(transaction.recipients)
        envelope = self._envelope(transaction.sender, recipients, transaction.name)
        trace = self._trace(transaction) if self._traces else b""
        self._forwarded = Forwarded()  # of one message
        read = partial(self._read, incoming)
        relay = Relay(self._setup.flow, self._setup.limits, envelope, read, trace, self._place.hold)
        try:
            replies = await relay.run(transaction.hop)
        except NextHopGone as gone:
            replies = [self._lost("DATA", gone)]
        except StrayLineEnd:
            self._route.drop()  # some of it may be there already, without its final dot
            replies = [_STRAYS]
        except MemoryFull:
            replies = [MEMORY_FULL]
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the message must not be read as commands
            replies = [(await self.handle_exception(error)).encode("ascii")]
        finally:
            self._place.let_go()
        while await self._read(incoming) is not None:
            pass  # RFC 5321 §4.1.1.4: the reply comes after the final dot only
        await self._leave_transaction()
        await self._answer_message(replies, len(recipients))

    async def _answer_message(self, replies: list[bytes], recipients: int) -> None:
        """Answer the final dot. replies: the next hop's, one for the message, or one for each of its recipients."""
        await self._answer(replies[0])

    def _envelope(self, sender: bytes, recipients: tuple[bytes, ...] = (), name: str = "") -> Envelope:
        said = self._forwarded
        client = said.client if self._speaks_for_others else self._client
        return Envelope(
            Door.SMTP, sender, recipients, client, queue_id=said.queue_id or name, tls=self._seen_tls, hop=self._hop
        )

    @property
    def _traces(self) -> bool:
        """We are a relay (RFC 5321 §4.4), not a filter of a Postfix on this machine, which writes what there is to say."""
        client = self._client
        return client is not None and not client.is_loopback and not self._speaks_for_others

    def _trace(self, transaction: _Transaction) -> bytes:
        assert self.session is not None
        protocol = self.protocol_name if self.session.extended_smtp else "SMTP"
        hop = Arrived(self.session.host_name or "", self._client, self._tls, protocol, transaction.utf8)
        only = transaction.recipients[0] if len(transaction.recipients) == 1 else b""
        return received(hop, self._setup.hostname, transaction.name, only, time.time())

    @property
    def _seen_tls(self) -> Tls | None:
        """How the client's session was encrypted: not that of a filter between."""
        return None if self._speaks_for_others else self._tls

    async def _forget(self) -> None:
        await self._leave_transaction()

    async def _leave_transaction(self) -> None:
        """Forget the envelope, here and at the next hop, and what was said of its client."""
        self._transaction = None
        self._forwarded = Forwarded()
        self._without_mail = NO_MAIL
        with self._clock_stopped():
            await self._route.leave()

    def _lost(self, command: str, gone: NextHopGone) -> bytes:
        log.warning("SMTP door: next hop %s lost at %s: %s", self._next_hop, command, gone)
        return self._give_up(GONE)

    def _give_up(self, reply: bytes) -> bytes:
        """Forget the transaction and leave its connection; reply: to this command and those that the client has pipelined."""
        self._route.drop()
        self._transaction = None
        self._forwarded = Forwarded()  # the next message may be another client's (law 9)
        self._without_mail = reply
        return reply
