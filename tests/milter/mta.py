"""The MTA's side of the milter protocol, as Postfix 3.7 plays it (milter8.c), for tests of the milter door.

    client = MilterClient(address, version=6)
    async with client:
        result = await client.deliver(message, b"alice@example.org", [b"bob@example.org"], {b"{client_addr}": b"192.0.2.1"})

It shares no code with the package: packets and edits are read and applied by its own means. An unexpected reply raises
`Violation`, where Postfix would take milter_default_action. With `piece=1` every octet is written by itself.
"""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.milter.packets import Command, Packet, read_fields

POSTFIX_ACTIONS = 0x1FF
POSTFIX_STEPS = {2: 0x7F, 3: 0x17F, 4: 0x37F, 5: 0x37F, 6: 0x1FFFFF}  # MILTER8_V*_PROTO_MASK
# fmt: off
NO_EVENT = {"C": 0x1, "H": 0x2, "M": 0x4, "R": 0x8, "B": 0x10, "L": 0x20, "N": 0x40, "U": 0x100, "T": 0x200}
NO_REPLY = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "U": 0x20000, "N": 0x40000}
NO_REPLY |= {"B": 0x80000, "L": 0x80}
# fmt: on
FIRST_VERSION = {"U": 3, "T": 4}
LEADSPC, SETSYMLIST = 0x100000, 0x100
STAGES = {"C": 0, "H": 1, "M": 2, "R": 3, "T": 4, "L": 6, "N": 6, "B": 5, "E": 5}
DEFAULT_MACROS = {
    0: b"j {daemon_name} {daemon_addr} v _",
    1: b"{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
    2: b"i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
    3: b"i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
    4: b"i",
    5: b"i",
    6: b"i",
}
DECISIONS = {b"c": "continue", b"a": "accept", b"t": "tempfail", b"y": "reply", b"r": "reject", b"d": "discard"}


class Violation(Exception):
    """The milter said something that Postfix does not accept."""


@dataclass
class Result:
    """What became of a message. verdict: accept, continue, tempfail or reply; message: after the edits, in CRLF."""

    verdict: str
    message: bytes
    reply: bytes = b""
    at: str = "E"  # the command that was answered with the verdict
    progress: int = 0
    edits: list[tuple[bytes, bytes]] = field(default_factory=list)


def packet(name: str, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload) + 1) + name.encode() + payload


def header_run(fields: Sequence[tuple[bytes, bytes]], silent: bytes = b"\0\0\0\2DL") -> bytes:
    """Return header packets as Postfix sends them, and packets.Decoder keeps them; silent: what comes between two."""
    return silent.join(packet("L", name + b"\0" + value + b"\0") for name, value in fields)


def one_by_one(received: Sequence[Packet]) -> list[Packet]:
    """Return packets with the header packets that came together cut into those that they are made of."""
    cut = [(name, read_fields(octets) if name == Command.HEADER else [octets]) for name, octets in received]
    return [(name, payload) for name, payloads in cut for payload in payloads]


def split(message: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Header fields (name; value with its leading blank and LF folds) and body of a message in CRLF."""
    head, _, body = message.partition(b"\r\n\r\n")
    fields: list[tuple[bytes, bytes]] = []
    for line in head.split(b"\r\n") if head else []:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b"\n" + line)
        else:
            name, _, value = line.partition(b":")
            fields.append((name, value))
    return fields, body


class MilterClient:
    """One SMTP session's connection to a milter; `deliver` as often as you like."""

    def __init__(
        self,
        address: UnixAddress | InetAddress,
        *,
        version: int = 6,
        actions: int = POSTFIX_ACTIONS,
        steps: int | None = None,
        piece: int = 0,
        client: bytes = b"192.0.2.1",
        extra_commands: bool = False,
    ) -> None:
        self.address, self.version, self.actions, self.piece, self.client = address, version, actions, piece, client
        self.steps = POSTFIX_STEPS[version] if steps is None else steps
        self.extra_commands = extra_commands
        self.log: list[str] = []  # the commands sent; `?` after those that waited for a reply

    async def __aenter__(self) -> "MilterClient":
        if isinstance(self.address, UnixAddress):
            self.reader, self.writer = await asyncio.open_unix_connection(self.address.path)
        else:
            self.reader, self.writer = await asyncio.open_connection(self.address.host, self.address.port)
        await self.negotiate()
        await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.writer.write(packet("Q"))
        self.writer.close()

    async def closed(self) -> bool:
        """Wait for the milter to close the connection; False when it says something instead."""
        try:
            return not await self.reader.read(1)
        except ConnectionResetError:
            return True

    async def write(self, data: bytes) -> None:
        for at in range(0, len(data), self.piece or len(data)):
            self.writer.write(data[at : at + (self.piece or len(data))])
            if self.piece:
                await asyncio.sleep(0)  # let the other side see each piece by itself

    async def read(self) -> tuple[bytes, bytes]:
        (length,) = struct.unpack("!I", await self.reader.readexactly(4))
        data = await self.reader.readexactly(length)
        return data[:1], data[1:]

    async def negotiate(self) -> None:
        await self.write(packet("O", struct.pack("!III", self.version, self.actions, self.steps)))
        name, data = await self.read()
        self.granted_version, self.granted_actions, self.granted_steps = struct.unpack("!III", data[:12])
        if name != b"O" or self.granted_version > self.version or self.granted_actions & ~self.actions:
            raise Violation("negotiation")
        if self.granted_steps & ~self.steps:
            raise Violation("steps that were not offered")  # Postfix only logs this; Sendmail refuses it
        self.symbols, data = {}, data[12:]
        while data:
            (stage,) = struct.unpack("!I", data[:4])
            self.symbols[stage], _, data = data[4:].partition(b"\0")
        if self.symbols and not self.granted_actions & SETSYMLIST:
            raise Violation("symbol list")

    async def connect(self) -> None:
        family = b"6" if b":" in self.client else b"4"
        self.macros: Mapping[bytes, bytes] = {
            b"{client_addr}": self.client,
            b"{daemon_name}": b"smtpd",
            b"j": b"mx.example.org",
        }
        await self.event("C", b"client.example.org\0" + family + struct.pack("!H", 4711) + self.client + b"\0")
        await self.event("H", b"client.example.org\0")

    async def event(self, name: str, payload: bytes = b"") -> Result | None:
        """Report an event; None means: go on."""
        if FIRST_VERSION.get(name, 0) > self.version:
            return None
        if name in STAGES:
            wanted = self.symbols.get(STAGES[name]) or DEFAULT_MACROS[STAGES[name]]
            macros = {
                n: v for n, v in self.macros.items() if n != b"i" or name not in "CHMR"
            }  # no queue id before DATA
            known = b"".join(n + b"\0" + macros[n] + b"\0" for n in wanted.split() if n in macros)
            await self.write(packet("D", name.encode() + known))
        if self.granted_steps & NO_EVENT.get(name, 0):
            return None
        await self.write(packet(name, payload))
        due = name not in "AKQ" and not self.granted_steps & NO_REPLY.get(name, 0)
        self.log.append(name + "?" * due)
        return await self.decision(name) if due else None

    async def decision(self, event: str) -> Result | None:
        result = Result("", b"", at=event)
        while True:
            name, data = await self.read()
            if name == b"p" and not data:
                result.progress += 1
            elif event == "E" and name in (b"b", b"m", b"i"):
                needed = {b"b": 0x2, b"m": 0x10, b"i": 0x1}[name]
                if not self.granted_actions & needed:
                    raise Violation("an edit that was not granted")
                result.edits.append((name, data))
            elif name in DECISIONS and (not data or name == b"y"):
                result.verdict, result.reply = DECISIONS[name], data.rstrip(b"\0").replace(b"%%", b"%")
                return None if name == b"c" and event != "E" else result
            else:
                raise Violation(f"{name!r} after {event}")

    async def deliver(
        self,
        message: bytes,
        sender: bytes = b"alice@example.org",
        recipients: Sequence[bytes] = (b"bob@example.org",),
        macros: Mapping[bytes, bytes] | None = None,
        *,
        abort: bool = True,
    ) -> Result:
        """Send a message (in CRLF) up to its verdict, then ABORT as Postfix does."""
        session = dict(self.macros)
        self.macros = {**session, b"i": b"4QxK2Z1", **(macros or {})}
        fields, body = split(message)
        result = await self._talk(fields, body, sender, recipients)
        result.message = apply(fields, body, result.edits, leading_blank=bool(self.granted_steps & LEADSPC))
        if abort:
            await self.event("A")
        self.macros = session
        return result

    async def _talk(
        self, fields: list[tuple[bytes, bytes]], body: bytes, sender: bytes, recipients: Sequence[bytes]
    ) -> Result:
        blank = self.granted_steps & LEADSPC
        script = [("M", b"<" + sender + b">\0SIZE=1000\0"), *(("R", b"<" + r + b">\0") for r in recipients), ("T", b"")]
        if self.extra_commands:
            script.insert(1, ("U", b"VRFY x\0"))
        script += [
            ("L", name + b"\0" + (value if blank else value.removeprefix(b" ")) + b"\0") for name, value in fields
        ]
        script.append(("N", b""))
        script += [("B", body[at : at + 65535]) for at in range(0, len(body), 65535)]
        for name, payload in script:
            if (result := await self.event(name, payload)) is not None:
                return result
        result = await self.event("E")
        assert result is not None
        return result


def apply(
    fields: list[tuple[bytes, bytes]], body: bytes, edits: list[tuple[bytes, bytes]], *, leading_blank: bool
) -> bytes:
    """Replay edits as cleanup does: body replacements only in one run, an empty value deletes the field."""
    fields, new_body, run_over = list(fields), None, False
    for name, data in edits:
        if name == b"b":
            if run_over:
                raise Violation("body replacement in two runs")
            new_body = (new_body or b"") + data
            continue
        run_over = new_body is not None
        (index,), (field_name, value, rest) = struct.unpack("!I", data[:4]), data[4:].split(b"\0")
        if rest or not field_name or b"\r" in value:
            raise Violation("header change")
        if name == b"i":
            if not value:
                raise Violation("a field without a value")
            fields.insert(index, (field_name, value if leading_blank else b" " + value))
            continue
        same = [at for at, (n, _) in enumerate(fields) if n.lower() == field_name.lower()]
        if value and index <= len(same):
            fields[same[index - 1]] = (field_name, value if leading_blank else b" " + value)
        elif index <= len(same):
            del fields[same[index - 1]]
        else:
            raise Violation("no such field")
    head = b"".join(n + b":" + v.replace(b"\n", b"\r\n") + b"\r\n" for n, v in fields)
    return head + b"\r\n" + (body if new_body is None else new_body)


async def listening(path: Path, seconds: float = 20.0) -> UnixAddress:
    """Wait until somebody listens at a unix socket: it is there a moment before."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(path)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return UnixAddress(str(path))
