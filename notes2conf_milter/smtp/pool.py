"""Connections to one next hop, kept from message to message and from client to client.

A queue manager, and smtpd with smtpd_proxy_filter all the more, opens a session for every message; what follows on our side
need not. A connection lies here between two transactions, for a few seconds; whoever has one has it alone.
Fails: `NextHopGone` where none can be had.
"""

import asyncio
import logging
from collections.abc import Mapping

from notes2conf_milter.smtp.onward import NextHop
from notes2conf_milter.smtp.reinject import Connection, connect

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0  # each idle connection occupies a process of Postfix
AGE_SECONDS = 300.0  # as smtp_connection_reuse_time_limit: a next hop that was told to reload has to come to it
MOST_IDLE = 50  # half of default_process_limit


class Pool:
    """The idle connections to `next_hop`. to_connect, to_reply: seconds, the latter for each reply."""

    def __init__(self, next_hop: NextHop, to_connect: float, to_reply: float) -> None:
        self.next_hop = next_hop
        self._to_connect, self._to_reply = to_connect, to_reply
        self._idle: list[tuple[Connection, asyncio.TimerHandle]] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._security: str | None = None
        self._closed = False

    async def offered(self) -> Mapping[bytes, bytes]:
        """Return what the next hop offers at EHLO, keyword to parameters; raises NextHopGone."""
        connection = await self.take()
        self.give_back(connection)
        return connection.offered

    async def take(self) -> Connection:
        """Return a connection without a transaction, the one that was used last if there is one; raises NextHopGone."""
        while self._idle:
            connection, timer = self._idle.pop()
            timer.cancel()
            if connection.clean:
                return connection
            connection.abort()
        return await self.fresh()

    async def fresh(self) -> Connection:
        """Return a new connection; those that lie here are closed: one of them was found dead. Raises NextHopGone."""
        self._drop()
        connection = await connect(self.next_hop, to_connect=self._to_connect, to_reply=self._to_reply)
        if connection.security != self._security:
            log.info("next hop %s: %s", self.next_hop.address.netloc, connection.security or "in clear")
            self._security = connection.security
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next message if it can take one; else close it."""
        if not connection.clean:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        # Postfix counts what it refused in a session, and answers the later the more there is (smtpd_soft_error_limit)
        old = connection.refused or loop.time() - connection.born > AGE_SECONDS
        if self._closed or old or len(self._idle) >= MOST_IDLE:
            self._part(connection)
        else:
            connection.kept = True
            self._idle.append((connection, loop.call_later(IDLE_SECONDS, self._expire, connection)))

    async def close(self) -> None:
        """Say goodbye on every idle connection; those that come back later are closed, too."""
        self._closed = True
        self._drop()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _expire(self, connection: Connection) -> None:
        self._idle = [one for one in self._idle if one[0] is not connection]
        self._part(connection)

    def _drop(self) -> None:
        idle, self._idle = self._idle, []
        for connection, timer in idle:
            timer.cancel()
            self._part(connection)

    def _part(self, connection: Connection) -> None:
        """Say QUIT, which nobody needs to wait for."""
        task = asyncio.get_running_loop().create_task(connection.quit(), name="quit")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
