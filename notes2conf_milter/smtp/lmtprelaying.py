"""One client's session at the SMTP door where clients speak LMTP (RFC 2033): each recipient has an answer of its own.

In:  Postfix's LMTP client, say a content_filter.
Out: for each recipient what the next hop said of it after the final dot; where the next hop speaks SMTP, and so has one answer
     for all, that one as often as there are recipients.
Fails: as relaying.py. A next hop that goes away between its answers has answered for some: the others are 451, and wait.
"""

from notes2conf_milter.smtp.relaying import RelayingSession

_WRONG_PROTOCOL = b"500 5.5.1 This is LMTP"


class LmtpRelayingSession(RelayingSession):
    """A session of an LMTP client whose mail goes on to the next hop."""

    protocol_name = "LMTP"

    async def smtp_LHLO(self, hostname: str | None) -> None:
        """Offer what the next hop offers (RFC 2033 §4.1)."""
        await self._greet(hostname)

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Refuse (RFC 2033 §4.1)."""
        await self._answer(_WRONG_PROTOCOL)

    async def smtp_HELO(self, hostname: str | None) -> None:
        """Refuse (RFC 2033 §4.1)."""
        await self._answer(_WRONG_PROTOCOL)

    async def _answer_message(self, replies: list[bytes], recipients: int) -> None:
        """Answer once for each recipient (RFC 2033 §4.2)."""
        if len(replies) == 1:
            replies = replies * recipients
        await self._answer(b"\r\n".join(replies))
