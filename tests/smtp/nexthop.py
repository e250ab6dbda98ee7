"""A scriptable next hop: an SMTP server that shows the octets it was sent, and does what a test tells it to.

    async with NextHop({"RCPT": [b"250 2.1.5 Ok", b"550 5.1.1 No such user"]}) as hop:
        ... hop.address ...
        hop.messages[0].octets

The script says what to do at GREETING, EHLO, HELO, MAIL, RCPT, DATA, DOT (the final dot), RSET and QUIT: a reply (octets
without the last CRLF), `VANISH` (close without a reply), `Wait(event, then)`, or a list of these, of which the last one
stays. What it does not name is accepted. Octets are read here as RFC 5321 has it, by code that shares nothing with ours.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notes2conf_milter.address import InetAddress
from notes2conf_milter.smtp.starttls import start_tls

VANISH = None

KEYWORDS = (b"PIPELINING", b"SIZE 50000000", b"8BITMIME", b"SMTPUTF8", b"DSN", b"ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Wait:
    """Do `then` when the test has set `event`."""

    event: asyncio.Event
    then: bytes | None


Action = bytes | Wait | None


@dataclass
class Message:
    """One transaction up to its final dot; `wire` is what came after 354, the final dot included."""

    sender: bytes
    recipients: list[bytes]
    mail_parameters: bytes = b""
    rcpt_parameters: list[bytes] = field(default_factory=list)
    wire: bytes = b""

    @property
    def octets(self) -> bytes:
        """The message without its dots."""
        text = self.wire[: -len(b".\r\n")]
        lines = text.split(b"\r\n")
        return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


class NextHop:
    """The server; `messages` holds those that it accepted (2yz to the final dot), `refused` those that it did not."""

    def __init__(
        self,
        script: Mapping[str, Action | Sequence[Action]] | None = None,
        *,
        keywords: Sequence[bytes] = KEYWORDS,
        vanish_after: int | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        lmtp: bool = False,
        before_tls: bytes = b"",
    ) -> None:
        """vanish_after: close the connection after so many octets of a message. port: 0 for one that is free.

        tls: STARTTLS is offered, too. lmtp: LHLO is wanted, and DOT answers once for each recipient, by the next actions of the
        script. before_tls: what somebody in between sends behind the answer to STARTTLS.
        """
        self.script: dict[str, list[Action]] = {}
        for verb, actions in (script or {}).items():
            self.script[verb] = list(actions) if isinstance(actions, list | tuple) else [actions]
        self.keywords = keywords
        self.vanish_after = vanish_after
        self.tls, self.lmtp, self.before_tls = tls, lmtp, before_tls
        self.encrypted: list[str] = []  # the version of each session that did STARTTLS
        self._port = port
        self.messages: list[Message] = []
        self.refused: list[Message] = []
        self.commands: list[bytes] = []
        self.connections = 0
        self.unfinished: list[bytes] = []  # what had come of messages whose client went away
        self._open: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Condition()

    async def __aenter__(self) -> "NextHop":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=2**24)
        self.address = InetAddress("127.0.0.1", self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.drop_connections()
        await self.closed()

    def stop_listening(self) -> None:
        """From now on nobody can connect."""
        self._server.close()

    def drop_connections(self, last_words: bytes = b"") -> None:
        """Close every connection, as a server does that has had enough of waiting."""
        for writer in self._open:
            writer.write(last_words)
            writer.close()

    def reset_connections(self) -> None:
        """Break every connection off (TCP RST), as a machine does that was restarted."""
        for writer in self._open:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def reached(self, verb: bytes, times: int = 1) -> None:
        """Wait until a command that begins with `verb` (or the event b"DOT") has come so many times."""
        async with self._news:
            await self._news.wait_for(lambda: sum(c.upper().startswith(verb) for c in self.commands) >= times)

    async def closed(self) -> None:
        """Wait until no connection is open."""
        async with self._news:
            await self._news.wait_for(lambda: not self._open)

    async def _note(self, command: bytes) -> None:
        async with self._news:
            self.commands.append(command)
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await self._session(reader, writer)
        except (EOFError, OSError):  # ssl.SSLError is an OSError
            pass
        finally:
            writer.close()
            async with self._news:
                self._open.discard(writer)
                self._news.notify_all()

    async def _act(self, verb: str, default: bytes, writer: asyncio.StreamWriter) -> int:
        actions = self.script.get(verb, [default])
        action = actions.pop(0) if len(actions) > 1 else actions[0]
        if isinstance(action, Wait):
            await action.event.wait()
            action = action.then
        if action is VANISH:
            raise ConnectionAbortedError
        writer.write(action + b"\r\n")
        await writer.drain()
        return int(action[:3]) if action[:3].isdigit() else 0

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._act("GREETING", b"220 next.example ESMTP", writer)
        message: Message | None = None
        while True:
            line = (await reader.readuntil(b"\r\n"))[:-2]
            await self._note(line)
            verb = line.partition(b" ")[0].upper().decode("latin-1")
            address, _, parameters = line.partition(b":<")[2].partition(b">")
            if verb == ("LHLO" if self.lmtp else "EHLO"):
                words = [b"next.example", *self.keywords]
                if self.tls is not None and writer.get_extra_info("ssl_object") is None:
                    words.append(b"STARTTLS")
                default = b"\r\n".join([b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]])
                await self._act(verb, default, writer)
            elif verb == "STARTTLS" and self.tls is not None:
                if await self._act(verb, b"220 2.0.0 Go" + self.before_tls, writer) == 220:
                    await start_tls(writer, self.tls, 30)
                    self.encrypted.append(writer.get_extra_info("ssl_object").version())
                    message = None
            elif verb == "MAIL":
                if message is not None:
                    await self._act("NESTED", b"503 5.5.1 Nested MAIL", writer)
                elif await self._act(verb, b"250 2.1.0 Ok", writer) // 100 == 2:
                    message = Message(address, [], parameters.strip())
            elif verb == "RCPT" and message is not None:
                if await self._act(verb, b"250 2.1.5 Ok", writer) // 100 == 2:
                    message.recipients.append(address)
                    message.rcpt_parameters.append(parameters.strip())
            elif verb == "DATA" and message is not None and message.recipients:
                if await self._act(verb, b"354 Go on", writer) == 354:
                    message.wire = await self._data(reader)
                    await self._note(b"DOT")
                    for _ in message.recipients if self.lmtp else (1,):
                        code = await self._act("DOT", b"250 2.0.0 Ok: queued as 4711", writer)
                    (self.messages if code // 100 == 2 else self.refused).append(message)
                    message = None
            elif verb == "XFORWARD":
                await self._act(verb, b"250 2.0.0 Ok", writer)
            elif verb == "RSET":
                message = None
                await self._act(verb, b"250 2.0.0 Ok", writer)
            elif verb == "QUIT":
                await self._act(verb, b"221 2.0.0 Bye", writer)
                return
            else:
                await self._act(verb, b"250 next.example" if verb == "HELO" else b"503 5.5.1 Out of order", writer)

    async def _data(self, reader: asyncio.StreamReader) -> bytes:
        wire = bytearray(b"\r\n")  # the line end of the DATA command
        while not wire.endswith(b"\r\n.\r\n"):
            piece = await (reader.read(1) if self.vanish_after is not None else _until_dot(reader))
            wire += piece
            if not piece:
                self.unfinished.append(bytes(wire[2:]))
                raise EOFError
            if self.vanish_after is not None and len(wire) - 2 >= self.vanish_after:
                raise ConnectionAbortedError
        return bytes(wire[2:])


async def _until_dot(reader: asyncio.StreamReader) -> bytes:
    """Return what comes, up to the next dot at the end of a line at most; what may be commands stays in the reader."""
    try:
        return await reader.readuntil(b".\r\n")
    except asyncio.LimitOverrunError as error:
        return await reader.readexactly(error.consumed)
    except asyncio.IncompleteReadError as error:
        return error.partial
