"""The milter door: listens on unix and TCP sockets, and carries questions and answers between Postfix and the mail flow.

In:  an address to listen on and a `MailFlow`. Out: for each message exactly one verdict, or a closed connection.
Each connection is a `Session` (session.py) with a socket, timers and at most one task, the one that processes a message.
Fails: `start` raises OSError when the address cannot be used or somebody listens there already. Later nothing is raised: an
unforeseen error in a connection is logged (type and places, no content), answered with TEMPFAIL where a verdict is due, and
that connection is closed.
"""

import asyncio
import contextlib
import logging
import socket
import traceback
from pathlib import Path
from typing import cast

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.milter.packets import PROGRESS
from notes2conf_milter.milter.session import Ask, Question, Session
from notes2conf_milter.milter.transaction import Limits
from notes2conf_milter.sockets import bind_unix, identity, remove_own

__all__ = ["Limits", "MilterServer"]

log = logging.getLogger("notes2conf.mail")

_BACKLOG = 1024  # smtpd processes connect at once after a restart
_LAST_WORDS = 1.0  # seconds that a peer has to take what was written before its connection is cut
_SLICE = 1_048_576  # octets
_TOO_LATE = Outcome(Verdict.DEFER, Reason.INTERNAL_ERROR)


class MilterServer:
    """Listens on one or more addresses until it is closed."""

    def __init__(self) -> None:
        self.closing = False
        self._listeners: list[asyncio.Server] = []
        self._paths: dict[Path, tuple[int, int]] = {}
        self._connections: set[_Connection] = set()
        self._empty = asyncio.Event()
        self._warned = False

    async def start(
        self,
        address: UnixAddress | InetAddress,
        flow: MailFlow,
        *,
        limits: Limits | None = None,
        socket_mode: int | None = None,
        socket_group: int | None = None,
    ) -> None:
        """Listen on `address` too. Raises OSError.

        socket_mode: the permissions of a unix socket; None leaves them to the umask, as bind(2) does. socket_group: the
        id of its group; None leaves it to the folder.
        """
        bounds = limits or Limits()
        loop = asyncio.get_running_loop()

        def connection() -> _Connection:
            return _Connection(self, flow, bounds)

        if isinstance(address, InetAddress):
            listener = await loop.create_server(connection, address.host, address.port, backlog=_BACKLOG)
        else:
            path = Path(address.path)
            sock = bind_unix(path, socket_mode, socket_group)
            self._paths[path] = identity(path)
            listener = await loop.create_unix_server(connection, sock=sock, backlog=_BACKLOG)
        self._listeners.append(listener)

    @property
    def addresses(self) -> list[UnixAddress | InetAddress]:
        """Where it listens, with the ports that the system chose."""
        names = [sock.getsockname() for listener in self._listeners for sock in listener.sockets]
        return [UnixAddress(name) if isinstance(name, str) else InetAddress(name[0], name[1]) for name in names]

    async def close(self, grace: float) -> None:
        """Stop listening, let messages under way finish for up to `grace` seconds, then close every connection."""
        self.closing = True
        for listener in self._listeners:
            listener.close()
        for path, bound in self._paths.items():
            remove_own(path, bound)
        for connection in list(self._connections):
            connection.close_between_messages()
        await self._wait_for_the_last(grace)
        for connection in list(self._connections):
            connection.give_up()
        await self._wait_for_the_last(_LAST_WORDS)
        for connection in list(self._connections):
            connection.hang_up()

    async def _wait_for_the_last(self, seconds: float) -> None:
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()

    def joined(self, connection: "_Connection") -> None:
        """A connection begins."""
        self._connections.add(connection)

    def left(self, connection: "_Connection") -> None:
        """A connection is over."""
        self._connections.discard(connection)
        if self.closing and not self._connections:
            self._empty.set()

    def warn_refused(self) -> None:
        """Say once that edits cannot be made."""
        if not self._warned:
            self._warned = True
            log.warning("milter: the MTA does not let us change headers and body; invitations pass without a link")


class _Connection(asyncio.Protocol):
    """One connection of the MTA."""

    def __init__(self, server: MilterServer, flow: MailFlow, limits: Limits) -> None:
        self._server, self._flow, self._limits = server, flow, limits
        self._loop = asyncio.get_running_loop()
        self._session = Session(limits, flow.plainly_no_calendar, judges_mail=flow.judges_mail)
        self._transport: asyncio.Transport
        self._tcp: socket.socket | None = None
        self._asked: Question | None = None
        self._task: asyncio.Task[None] | None = None
        self._ticker: asyncio.TimerHandle
        self._choked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        sock = transport.get_extra_info("socket")
        if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_QUICKACK"):
            self._tcp = sock  # asyncio itself has set TCP_NODELAY
        self._heard = self._loop.time()
        self._idle = self._loop.call_later(self._limits.idle, self._check_idle)
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.cancel()
        self._session.fail()  # a verdict that still comes is dropped
        if self._task is not None:
            self._task.cancel()
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._tcp is not None:
            # The kernel falls back to delayed ACKs; with Nagle on the other side that is 40 ms a message. tcp(7)
            self._tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        try:
            self._send(self._session.receive(data))
        except Exception as error:  # noqa: BLE001 - the unforeseen must not touch other connections
            self._fail(error)

    def pause_writing(self) -> None:
        self._choked = True
        self._regulate()

    def resume_writing(self) -> None:
        self._choked = False
        self._regulate()

    def close_between_messages(self) -> None:
        """Close now if no message is under way; else `_send` does, after the verdict."""
        if self._session.between_messages:
            self._transport.close()

    def give_up(self) -> None:
        """Close now; a message under way is deferred."""
        if self._task is not None:
            self._task.cancel()
        self._transport.write(self._session.fail())
        self._transport.close()

    def hang_up(self) -> None:
        """Cut the connection, whatever has not been sent."""
        self._transport.abort()

    def _send(self, reply: bytes) -> None:
        """Put the questions that are open, and send all that is to be sent in one write."""
        session = self._session
        while (question := session.question) is not None and question is not self._asked:
            reply += self._put(question)
        if self._task is not None and session.question is not self._asked:
            self._task.cancel()  # ABORT or QUIT: the verdict is not wanted any more
            self._task = self._asked = None
        if reply:
            self._write(reply)
        if session.refused:
            self._server.warn_refused()
        if session.closed:
            if session.fault:
                log.warning("milter: connection closed: %s", session.fault)
            self._transport.close()
        elif self._server.closing:
            self.close_between_messages()
        self._regulate()

    def _write(self, reply: bytes) -> None:
        """Hand over what is to be sent; a long reply in slices, for the transport copies what the socket does not take."""
        if len(reply) <= _SLICE:
            self._transport.write(reply)
            return
        view = memoryview(reply)
        for at in range(0, len(reply), _SLICE):
            self._transport.write(view[at : at + _SLICE])

    def _put(self, question: Question) -> bytes:
        match question.ask:
            case Ask.MAIL:
                return self._session.answer(question, self._flow.at_mail(question.envelope))
            case Ask.NO_CALENDAR:
                return self._session.answer(question, self._flow.pass_unread(question.envelope, Reason.NO_CALENDAR))
            case Ask.HEADER:
                outcome = self._flow.before_body(question.envelope, question.octets)
                if outcome is None and not self._session.can_edit:
                    self._server.warn_refused()
                    outcome = self._flow.pass_unread(question.envelope, Reason.EDITS_NOT_ALLOWED)
                return self._session.answer(question, outcome)
            case Ask.TOO_LARGE:
                return self._session.answer(question, self._flow.pass_unread(question.envelope, Reason.TOO_LARGE))
            case Ask.MESSAGE:
                self._asked = question
                self._task = self._loop.create_task(self._process(question))
        return b""

    async def _process(self, question: Question) -> None:
        try:
            outcome = await self._decide(question)
            if question is self._asked:  # not one that goes on after its cancellation
                self._task = self._asked = None
                self._send(self._session.answer(question, outcome))
        except Exception as error:  # noqa: BLE001 - process() promises not to raise; if it does, the message is deferred
            if question is self._asked:
                self._task = None
                self._fail(error)

    async def _decide(self, question: Question) -> Outcome:
        self._ticker = self._loop.call_later(self._limits.progress, self._tick, question)
        try:
            async with asyncio.timeout(self._limits.processing):
                return await self._flow.process(question.envelope, question.octets)
        except TimeoutError:
            log.error("milter: no verdict within %g s: deferred", self._limits.processing)
            return _TOO_LATE
        finally:
            self._ticker.cancel()

    def _tick(self, question: Question) -> None:
        if self._session.question is question:
            self._transport.write(PROGRESS)  # sets back milter_content_timeout
            self._ticker = self._loop.call_later(self._limits.progress, self._tick, question)

    def _regulate(self) -> None:
        """Read no more while a peer does not take our replies, or has sent ahead of a verdict."""
        if self._choked or self._session.waiting:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _check_idle(self) -> None:
        left = self._heard + self._limits.idle - self._loop.time()
        if left <= 0 and self._task is None:
            self._transport.abort()
        else:
            self._idle = self._loop.call_later(max(left, 1.0), self._check_idle)

    def _fail(self, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        log.error("milter: unforeseen %s at %s; the message is deferred", type(error).__name__, places)
        self.give_up()
