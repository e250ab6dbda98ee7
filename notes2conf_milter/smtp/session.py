"""The life of one session at a door of our own that speaks SMTP or LMTP: who is served, how long, and how it ends.

In:  a client's connection. Out: the greeting, and the replies that belong to no command: 421, 451, 554.
aiosmtpd reads the commands; relaying.py and lmtp.py say what they do.
Fails: never towards the listener. An unforeseen error is one log line without personal data, and 451 for the client.
"""

import asyncio
import hashlib
import logging
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import AnyStr, ClassVar, cast

from aiosmtpd.smtp import SMTP

from notes2conf_milter.core.encryption import Hop, Tls
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.crowd import Bounds, Crowd, Place
from notes2conf_milter.smtp.incoming import IncomingMessage, Path, Strays, read_path
from notes2conf_milter.smtp.relay import BUSY, Limits
from notes2conf_milter.smtp.starttls import start_tls

log = logging.getLogger(__name__)

READ_LIMIT = 65536  # octets of a message taken at once
SYNTAX = b"501 5.5.4 Syntax error in the argument"
NESTED = b"503 5.5.1 MAIL was given already"
NO_MAIL = b"503 5.5.1 MAIL comes first"
NOT_TRUSTED = b"550 5.7.0 XFORWARD is not for you"
NO_RCPT = b"503 5.5.1 No recipient was accepted"
TOO_MANY_RCPT = b"452 4.5.3 Too many recipients"  # RFC 5321 §4.5.3.1.10: the rest comes in another transaction
MEMORY_FULL = b"452 4.3.1 Insufficient system storage, try again later"
TOO_MANY = b"421 4.7.0 Too many connections, try again later"
_COMMAND_LIMIT = 4096  # octets of a command line; DSN and SMTPUTF8 need more than the 512 of RFC 5321 §4.5.3.1.4
CLOSING = b"421 4.3.2 Service is shutting down, try again later"
_IDLE = b"421 4.4.2 Time limit exceeded"
_IN_VAIN = b"421 4.7.0 Too many commands without a message, try again later"
_UNKNOWN = b"500 5.5.2 Command not recognized"
_NO_TLS = b"454 4.7.0 TLS is not available"
_TLS_ALREADY = b"503 5.5.1 TLS is active already"
HANDSHAKE_SECONDS = 30.0
_HELD_LIMIT = 4096  # octets of replies that wait for another
_GROUPED_LINE = 512  # octets, RFC 5321 §4.5.3.1.4; longer commands are done one by one
PROXY_SECONDS = 5.0  # as Postfix (smtpd_upstream_proxy_timeout); a proxy sends it with its first packet
STRANGER = b"554 5.7.1 This service is not for you"


@dataclass(slots=True)
class Setup:
    """What all sessions of one listener share. peers: who is served; whoever reaches a unix socket is, too.

    xforward_peers: those of whom the client is whom they name with XFORWARD, and nobody where they name none. filters_enforce:
    the listeners before these enforce TLS. tls: for STARTTLS, None: it is not offered. strays: what becomes of
    CR and LF that are no line end. proxy_peers: those that open with a PROXY header, within proxy_seconds.
    crowd: the connections, with their bounds; listeners of one door share it. sessions: those that have begun; entering:
    connections before that.
    """

    flow: MailFlow
    peers: tuple[IPv4Network | IPv6Network, ...]
    hostname: str
    limits: Limits
    xforward_peers: tuple[IPv4Network | IPv6Network, ...] = ()
    filters_enforce: bool = False
    tls: ssl.SSLContext | None = None
    strays: Strays = Strays.KEEP
    proxy_peers: tuple[IPv4Network | IPv6Network, ...] = ()
    proxy_seconds: float = PROXY_SECONDS
    crowd: Crowd = field(default_factory=lambda: Crowd(Bounds()))
    entering: set[asyncio.Transport] = field(default_factory=set)
    sessions: "dict[asyncio.Task[object], Session]" = field(default_factory=dict)
    closing: bool = False


class _NoHandler:
    """Handles nothing: the sessions do. aiosmtpd asks it for all its names at the beginning of each."""

    def __dir__(self) -> tuple[str, ...]:
        return ()


_NO_HANDLER = _NoHandler()


class Session(SMTP):
    """One connection; ends by itself, `finish` and `abort` hasten that."""

    command_size_limit = _COMMAND_LIMIT
    line_length_limit = READ_LIMIT  # aiosmtpd's name for the reader's limit; DATA below knows no limit for lines

    protocol_name = "ESMTP"
    door_name = "SMTP door"  # in the log
    _commands: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Find the commands, once for all sessions."""
        super().__init_subclass__()
        cls._commands = tuple(name for name in dir(cls) if name.startswith("smtp_"))

    def __init__(self, setup: Setup) -> None:
        # aiosmtpd keeps one table for all sessions, and lets it grow with each EHLO
        self.command_size_limits = defaultdict(lambda: _COMMAND_LIMIT)
        super().__init__(
            _NO_HANDLER,
            hostname=setup.hostname,
            ident=self.protocol_name,
            enable_SMTPUTF8=True,  # means only that commands may hold any octets; EHLO below says what is offered
            data_size_limit=None,
            timeout=setup.limits.idle,
            loop=asyncio.get_running_loop(),
        )
        self._setup = setup
        self._client: IPv4Address | IPv6Address | None = None
        self._served = True
        self._shaking_hands = False
        self._vain = 0
        self._held = b""  # replies that go with the next one
        self._incoming: IncomingMessage | None = None
        self._data_left = 0.0
        self._smtp_methods = _Commands(self._smtp_methods, self._counted, self._unknown)

    def __dir__(self) -> tuple[str, ...]:
        """Name the commands alone: aiosmtpd looks for them in every session anew, and for AUTH mechanisms among all names."""
        return self._commands

    def arrived(self, client: IPv4Address | IPv6Address | None, place: Place, *, served: bool) -> None:
        """Say who the client is, before the session begins. served: False for one whose mail is not taken."""
        self._client, self._place, self._served = client, place, served

    # --- the life of a session

    async def _handle_client(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._setup.sessions[task] = self
        try:
            with suppress(ConnectionError):  # the client went away while we spoke
                await super()._handle_client()
        finally:
            del self._setup.sessions[task]
            self._place.leave()
            self._gone()

    def connection_lost(self, error: Exception | None) -> None:
        """End the session, also one that has hardly begun."""
        self._place.leave()
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """End the session, also one that has not begun (uvloop is that quick): then nobody else would close the connection."""
        stays = super().eof_received()
        if self._handler_coroutine not in self._setup.sessions:
            self._writer.transport.abort()
        return stays

    @property
    def _busy(self) -> bool:
        """Whether a message is under way."""
        raise NotImplementedError

    def _gone(self) -> None:
        """The connection has ended."""

    def finish(self) -> None:
        """Say 421 and close, now if no message is under way; else `_answer` does it after the reply (Setup.closing)."""
        if not self._busy:
            self._farewell(CLOSING)

    def abort(self) -> None:
        """Close now; a message under way stays the client's."""
        if self._shaking_hands and self._handler_coroutine is not None:
            self._handler_coroutine.cancel()  # before the transport goes: without it a handshake may seem to have been done
        self._writer.transport.abort()

    def _timeout_cb(self) -> None:
        self._farewell(_IDLE)

    def _farewell(self, reply: bytes) -> None:
        if self._shaking_hands or self._writer.transport.is_closing():
            self.abort()  # there is no way to say anything, or it was said
            return
        self._writer.write(self._held + reply + b"\r\n")
        self._writer.close()
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()  # it does not read, so it would never be closed

    def _hang_up(self) -> None:
        self._writer.close()
        raise asyncio.CancelledError  # aiosmtpd's way out of its command loop, which forgets pipelined commands too

    async def _answer(self, reply: bytes) -> None:
        if reply in (SYNTAX, NESTED, NOT_TRUSTED):
            await self._count()
        await self.push(reply)
        if reply.startswith(b"421"):  # RFC 5321 §3.8: whoever says 421 closes
            self._hang_up()
        if self._setup.closing and not self._busy:
            await self.push(CLOSING)
            self._hang_up()

    async def _answer_in_group(self, reply: bytes) -> None:
        """Answer MAIL, RCPT or RSET; in one write with the next reply where that command is here already (RFC 2920 §3.2)."""
        follows = self._next_command()
        if follows and len(self._held) < _HELD_LIMIT and not reply.startswith(b"421") and not self._setup.closing:
            self._held += reply + b"\r\n"
        else:
            await self._answer(reply)

    def _next_command(self) -> bytes:
        """Return the line that the client has sent already behind the present one; b"" when none is whole, or it is long."""
        buffer = self._reader._buffer  # type: ignore[attr-defined]
        return bytes(buffer[: buffer.find(b"\n", 0, _GROUPED_LINE) + 1])

    async def push(self, status: AnyStr) -> None:
        """Send a reply, and those that wait for it. aiosmtpd's own to lines that are no command count."""
        if isinstance(status, str) and status.startswith("500"):
            await self._count()
        octets = status.encode("utf-8") if isinstance(status, str) else status
        held, self._held = self._held, b""
        await super().push(held + octets)

    async def _count(self) -> None:
        """Count a command that brings no message nearer; too many of them end the session."""
        self._vain += 1
        if self._vain > self._setup.crowd.bounds.vain:
            log.info("%s: a client with too many commands without a message", self.door_name)
            await self.push(_IN_VAIN)
            self._hang_up()

    async def _counted(self, command: "_Command", arg: str | None) -> None:
        await self._count()
        await command(arg)

    async def _unknown(self, arg: str | None) -> None:
        await self._answer(_UNKNOWN)

    async def handle_exception(self, error: Exception) -> str:
        """Log where it happened, never what was being handled, and answer 4yz: the unforeseen is temporary."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_qualname} line {trace.tb_lineno}" if trace is not None else "unknown"
        log.error("%s: %s in %s, answered 451", self.door_name, type(error).__name__, where)
        return BUSY.decode("ascii")

    @property
    def _speaks_for_others(self) -> bool:
        """Whether XFORWARD of this client is believed: at a unix socket, and of the peers that are trusted with it."""
        if self._client is None:
            return bool(self._writer.get_extra_info("socket").family == socket.AF_UNIX)
        return any(self._client in network for network in self._setup.xforward_peers)

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Go on encrypted, and as if nothing had been said before (RFC 3207 §4.2).

        What the client, or somebody in between, sent in clear behind the command is thrown away: it would be taken for
        something said in the encrypted session (CVE-2011-0411).
        """
        if arg:
            await self._answer(SYNTAX)
        elif self._tls is not None:
            await self._answer(_TLS_ALREADY)
        elif self._setup.tls is None:
            await self._answer(_NO_TLS)
        else:
            await self._forget()
            await self._go_encrypted(self._setup.tls)

    async def _go_encrypted(self, context: ssl.SSLContext) -> None:
        self._stop_clock()
        cast(asyncio.Transport, self._writer.transport).pause_reading()
        if early := len(self._reader._buffer):  # type: ignore[attr-defined]
            log.warning("%s: %d octets came in clear behind STARTTLS and were thrown away", self.door_name, early)
        self._reader._buffer.clear()  # type: ignore[attr-defined]
        await self.push(b"220 2.0.0 Ready to start TLS")
        self._shaking_hands = True
        try:
            await start_tls(self._writer, context, HANDSHAKE_SECONDS)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.info("%s: no TLS with a client: %s", self.door_name, type(error).__name__)
            self._writer.transport.abort()
            raise asyncio.CancelledError from None
        finally:
            self._shaking_hands = False
        self.transport = self._writer.transport
        self.session = self._create_session()
        self.session.ssl = {"context": context}  # aiosmtpd: the end of a TLS stream is answered otherwise
        self._set_rset_state()  # type: ignore[no-untyped-call]
        self._reset_timeout()

    async def _forget(self) -> None:
        """Forget the transaction, and all that was said of its client."""
        raise NotImplementedError

    @property
    def _tls(self) -> Tls | None:
        """How this session is encrypted, None: it is not."""
        found = self._writer.get_extra_info("ssl_object")
        if found is None:
            return None
        name, _, bits = found.cipher() or ("?", "", 0)
        certificate = found.getpeercert(binary_form=True)  # one that is not trusted ends the handshake (smtp.client_ca)
        fingerprint = "" if certificate is None else hashlib.sha256(certificate).hexdigest()
        return Tls(found.version() or "?", name, bits, certificate is not None, fingerprint)

    @property
    def _hop(self) -> Hop:
        """What is known of the encryption on the way to us: XFORWARD has no word for it."""
        if not self._speaks_for_others:
            return Hop.SEEN
        return Hop.ENFORCED if self._setup.filters_enforce else Hop.UNSEEN

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

    async def _read(self, incoming: IncomingMessage) -> bytes | None:
        if incoming is not self._incoming:
            self._incoming, self._data_left = incoming, self._setup.crowd.bounds.data
        began = self.loop.time()
        self._reset_timeout(max(0.001, min(self._setup.limits.idle, self._data_left)))
        octets = await incoming.read()
        if self._writer.transport.is_closing():  # the client was told 421 in this very moment, and will send it again
            raise asyncio.CancelledError
        self._stop_clock()  # from here on it is our time, and the next hop's
        self._data_left -= self.loop.time() - began
        if octets is None:
            self._vain, self._incoming = 0, None
        return octets


_Command = Callable[[str | None], Awaitable[None]]
_OF_MAIL = ("XFORWARD", "MAIL", "RCPT", "DATA", "QUIT")


class _Commands(dict[str, _Command]):
    """The commands, for aiosmtpd to look up: those that do not belong to mail are counted, and so are unknown ones.

    aiosmtpd would end a session for the fifth unknown one, with 502.
    """

    def __init__(
        self, known: dict[str, _Command], counted: Callable[[_Command, str | None], Awaitable[None]], unknown: _Command
    ) -> None:
        super().__init__(known)
        self._counted, self._unknown = counted, unknown

    def get(self, name: str, default: object = None) -> _Command:
        """Return what carries out a command."""
        found = super().get(name, self._unknown)
        return found if name in _OF_MAIL else partial(self._counted, found)


def path_of(keyword: bytes, argument: str | None) -> Path | None:
    """Read the argument of MAIL (keyword `FROM:`) or RCPT (`TO:`); None when it is something else."""
    octets = (argument or "").encode("utf-8", "surrogateescape")  # undoes aiosmtpd's decoding exactly
    try:
        return read_path(keyword, octets)
    except ValueError:
        return None
