"""One message while it comes in: envelope, header fields and body chunks become the octets of the message.

In:  payloads of packets, as the MTA sends them. Out: the header section, the whole message, the envelope.
Each MAIL makes a new one, and the verdict or an ABORT ends it: nothing can leak into the next message.
Fails: `PacketError` for a header field that is not one. A message beyond its limits is no error: `too_large` is set, and what
was collected is freed.
"""

from dataclasses import dataclass, field
from io import BytesIO
from ipaddress import IPv4Address, IPv6Address

from notes2conf_milter.core.encryption import Tls
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.milter.packets import PacketError, read_fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection: sizes in octets, times in seconds.

    message: header and body together; a longer message passes unread. header: the header section alone, likewise, as the MTA
    sends it: with 11 octets more for each field.
    recipients: how many are kept for the envelope (the message goes to all of them all the same).
    idle: silence of the MTA after which the connection is closed (libmilter's default).
    processing: after so long without a verdict the message is deferred; keep it below milter_content_timeout (300 s).
    progress: how often the MTA is told that we are still working.
    """

    message: int = 25 * 1024 * 1024
    header: int = 512 * 1024
    recipients: int = 1000
    idle: float = 7210.0
    processing: float = 60.0
    progress: float = 10.0


@dataclass(slots=True)
class Transaction:
    """All that is known of one message. macros: its own, as in packets.read_macros; never changed in place."""

    limits: Limits
    sender: bytes
    macros: dict[bytes, bytes]
    recipients: list[bytes] = field(default_factory=list)
    too_large: bool = False
    _size: int = 0
    _runs: list[bytes] = field(default_factory=list)
    _octets: BytesIO = field(default_factory=BytesIO)

    def add_recipient(self, path: bytes) -> None:
        """Keep a recipient, if there is room."""
        if len(self.recipients) < self.limits.recipients:
            self.recipients.append(path)

    def add_fields(self, run: bytes) -> None:
        """Add header fields as they came (packets.Decoder)."""
        self._runs.append(run)
        self._size += len(run)
        if self._size > self.limits.header:
            self._drop()

    @property
    def fields(self) -> bytes:
        """The header fields as they came, before `end_header`."""
        return b"".join(self._runs)

    def end_header(self, colon: bytes) -> bytes:
        """Return the header section with the empty line that ends it, in CRLF. Raises PacketError.

        colon: what to put between names and values. All fields in a few passes, which costs half of one by one.
        """
        raw = [field for run in self._runs for field in read_fields(run)]
        fields = [field[:-1].replace(b"\0", colon, 1) for field in raw if field[-1:] == b"\0"]
        fields.append(b"\n")  # the line end of the last field, and the empty line
        # Folds come as LF (milter8.c, milter8_header): one pass makes CRLF of them and of our own line ends.
        header = b"\n".join(fields).replace(b"\n", b"\r\n")
        if len(fields) != len(raw) + 1 or b"\0" in header or b"".join(raw).count(b"\0") != 2 * len(raw):
            raise PacketError("header field is not a name and a value")
        self._runs.clear()
        self._size = len(header)
        self._octets.write(header)
        return header

    def add_body(self, chunk: bytes) -> None:
        """Add a chunk of the body."""
        self._size += len(chunk)
        if self._size > self.limits.message:
            self._drop()
        else:
            self._octets.write(chunk)

    def end(self) -> bytes:
        """Return the whole message, and keep no second copy of it."""
        return self._octets.getvalue()  # BytesIO hands over what it has

    def envelope(self, client: IPv4Address | IPv6Address | None, queue_id: str, tls: Tls | None = None) -> Envelope:
        """Return the envelope of the message from that client."""
        return Envelope(
            door=Door.MILTER,
            sender=self.sender,
            recipients=tuple(self.recipients),
            client=client,
            authenticated=bool(self.macros.get(b"{auth_authen}")),  # RFC 4954: the name it authenticated as
            queue_id=queue_id,
            tls=tls,
        )

    def _drop(self) -> None:
        self.too_large, self._octets = True, BytesIO()
        self._runs.clear()
