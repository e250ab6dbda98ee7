"""One session of the conference address: Postfix's LMTP client delivers here, and what it delivers is ours from then on.

In:  LMTP (RFC 2033), with XFORWARD (Postfix XFORWARD_README) that says from which client Postfix had the message. Out: a reply
     for each recipient after the final dot, given when everything is committed (law 1).
Recipients in other domains are refused: Postfix's transport table sends none. Whatever else stands before the @ of a
conference address's domain is taken and dropped. Strangers' mail is taken and
dropped by the flow, never refused here: a refusal would become a bounce to a sender that may be forged.
By TCP only those peers are believed that may speak for others (Setup.xforward_peers). What is not said is unknown, and an
unknown client is never an allowed one (law 9).
Fails: as session.py says; a message that cannot be worked on now is 451 for all its recipients, and Postfix keeps it.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.smtp.crowd import MemoryFull
from notes2conf_milter.smtp.incoming import IncomingMessage
from notes2conf_milter.smtp.relay import BUSY
from notes2conf_milter.smtp.session import (
    MEMORY_FULL,
    NESTED,
    NO_MAIL,
    NO_RCPT,
    NOT_TRUSTED,
    SYNTAX,
    TOO_MANY_RCPT,
    Session,
    Setup,
    path_of,
)
from notes2conf_milter.smtp.xforward import Forwarded, read_xforward

log = logging.getLogger(__name__)

_TAKEN = b"250 2.0.0 Ok"
_NOT_HERE = b"550 5.1.1 No such address here"
_WRONG_PROTOCOL = b"500 5.5.1 This is LMTP"


@dataclass(frozen=True, slots=True)
class _Transaction:
    sender: bytes
    recipients: list[bytes] = field(default_factory=list)


class ConferenceSession(Session):
    """A session whose mail is delivered here."""

    protocol_name = "LMTP"
    door_name = "conference address"

    def __init__(self, setup: Setup, addresses: frozenset[str]) -> None:
        super().__init__(setup)
        self._addresses = addresses
        self._transaction: _Transaction | None = None
        self._forwarded = Forwarded()

    @property
    def _busy(self) -> bool:
        return self._transaction is not None

    # --- commands

    async def smtp_LHLO(self, hostname: str | None) -> None:
        """Offer what we take (RFC 2033 §4.1)."""
        if not hostname:
            await self._answer(SYNTAX)
            return
        self._leave()
        assert self.session is not None
        self.session.extended_smtp = True
        self.session.host_name = hostname
        lines = [self._setup.hostname, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "XFORWARD ADDR IDENT SOURCE"]
        await self._answer("\r\n".join([*(f"250-{line}" for line in lines), "250 PIPELINING"]).encode("ascii"))

    async def smtp_HELO(self, hostname: str | None) -> None:
        """Refuse (RFC 2033 §4.1)."""
        await self._answer(_WRONG_PROTOCOL)

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Refuse (RFC 2033 §4.1)."""
        await self._answer(_WRONG_PROTOCOL)

    async def smtp_RSET(self, arg: str | None) -> None:
        """Leave the transaction."""
        self._leave()
        await self._answer(SYNTAX if arg else b"250 2.0.0 Ok")

    async def _forget(self) -> None:
        self._leave()

    def _leave(self) -> None:
        """Forget the transaction, and what was said of its client."""
        self._transaction = None
        self._forwarded = Forwarded()

    async def smtp_XFORWARD(self, arg: str | None) -> None:
        """Take what Postfix says of the client from which it had the next message."""
        if not self._speaks_for_others:
            await self._answer(NOT_TRUSTED)
            return
        if self._transaction is not None:
            await self._answer(NESTED)
            return
        try:
            self._forwarded = read_xforward(arg or "", self._forwarded)
        except ValueError:
            await self._answer(SYNTAX)
            return
        await self._answer(b"250 2.0.0 Ok")

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a transaction."""
        assert self.session is not None
        if not self.session.host_name:
            await self._answer(b"503 5.5.1 LHLO comes first")
        elif self._transaction is not None:
            await self._answer(NESTED)
        elif (path := path_of(b"FROM:", arg)) is None:
            self._leave()
            await self._answer(SYNTAX)
        else:
            self._transaction = _Transaction(path.address)
            await self._answer(b"250 2.1.0 Ok")

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Take a recipient that is a conference address."""
        if self._transaction is None:
            await self._answer(NO_MAIL)
        elif (path := path_of(b"TO:", arg)) is None:
            await self._answer(SYNTAX)
        elif len(self._transaction.recipients) >= self._setup.crowd.bounds.recipients:
            await self._answer(TOO_MANY_RCPT)
        elif (known := self._known(path.address)) is None:
            await self._answer(_NOT_HERE)
        else:
            self._transaction.recipients.append(known)
            await self._answer(b"250 2.1.5 Ok")

    def _known(self, address: bytes) -> bytes | None:
        """Return the conference address that is meant, b"" for nobody's in its domain; None for one of another domain.

        Postfix delivers `meet+anything@` here where it has a recipient_delimiter. A refusal would become a bounce.
        """
        local, _, domain = address.decode("utf-8", "replace").lower().rpartition("@")
        for one in (f"{local}@{domain}", f"{local.partition('+')[0]}@{domain}"):
            if one in self._addresses:
                return one.encode()
        return b"" if any(one.endswith(f"@{domain}") for one in self._addresses) else None

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message; one reply for each recipient (RFC 2033 §4.2)."""
        if self._transaction is None:
            await self._answer(NO_MAIL)
        elif not self._transaction.recipients:
            await self._answer(NO_RCPT)
        elif arg:
            await self._answer(SYNTAX)
        else:
            await self.push(b"354 End data with <CR><LF>.<CR><LF>")
            await self._take_message(self._transaction)

    # --- a message

    async def _take_message(self, transaction: _Transaction) -> None:
        incoming = IncomingMessage(self._reader)
        facts, self._forwarded = self._forwarded, Forwarded()
        recipients = tuple(recipient for recipient in transaction.recipients if recipient)
        sender, queue_id = transaction.sender, facts.queue_id
        envelope = Envelope(Door.CONFERENCE, sender, recipients, facts.client, queue_id=queue_id, hop=self._hop)
        try:
            if recipients:
                outcome = await self._outcome(envelope, incoming)
            else:
                outcome = self._setup.flow.drop_unread(envelope, Reason.ADDRESS_UNKNOWN)
            reply = BUSY if outcome.verdict is Verdict.DEFER else _TAKEN
        except asyncio.IncompleteReadError:
            raise
        except MemoryFull:
            reply = MEMORY_FULL
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the message must not be read as commands
            reply = (await self.handle_exception(error)).encode("ascii")
        finally:
            self._place.let_go()
        while await self._read(incoming) is not None:
            pass
        self._transaction = None
        await self._answer(b"\r\n".join([reply] * len(transaction.recipients)))

    async def _outcome(self, envelope: Envelope, incoming: IncomingMessage) -> Outcome:
        message = bytearray()
        while (octets := await self._read(incoming)) is not None:
            self._place.hold(len(octets))
            message += octets
            if len(message) > self._setup.limits.message:
                return self._setup.flow.drop_unread(envelope, Reason.TOO_LARGE)
        async with asyncio.timeout(self._setup.limits.processing):
            return await self._setup.flow.deliver(envelope, bytes(message))
