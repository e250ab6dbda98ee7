"""One message: decide, remember, rewrite. The only place where failure becomes 4xx."""

from notes2conf_milter.core.envelope import Envelope
from notes2conf_milter.core.verdict import Outcome, Reason


class MailFlow:
    """What both doors ask. No method raises (asyncio.CancelledError aside); they write the log line themselves."""

    def before_body(self, envelope: Envelope, header: bytes) -> Outcome | None:
        """Answer at the end of the header where the body cannot matter: an Outcome with verdict PASS, else None.

        header: the header section with its line ends (CRLF), without or with the empty line that ends it. Fast, no I/O.
        """
        raise NotImplementedError

    async def process(self, envelope: Envelope, message: bytes) -> Outcome:
        """Answer for a whole message (header, empty line, body; CRLF line ends as the door had them)."""
        raise NotImplementedError

    def pass_unread(self, envelope: Envelope, reason: Reason) -> Outcome:
        """Answer PASS without having seen the whole message (Reason.TOO_LARGE)."""
        raise NotImplementedError
