"""The SMTP door in its plain form: a hop of our own between two Postfix instances.

In:  SMTP sessions of configured peers; a `MailFlow` to ask. Out: SMTP to the next hop, whose replies are our replies.
It is cut through: MAIL and RCPT go to the next hop as they come, so that each recipient gets the next hop's own answer,
and the message goes there before its final dot is answered. Until then it stays the client's: nothing is spooled here.

How a message goes on:
- At the end of its header the flow may say that the body cannot matter; it is then streamed through.
- Beyond `Limits.message` octets it is streamed through unread (`MailFlow.pass_unread`). So each session's memory has a
  bound, no message is too large for us, and SIZE and its 552 are the next hop's own.
- Otherwise it is held until its final dot, processed within `Limits.processing` seconds, edited and sent.
- An edit that would lift a message over the next hop's SIZE is not made: the original goes on.
Octets stay: bare CR and LF, 8-bit, NUL and long lines too. Only a lost final CRLF is added (RFC 5321 §4.1.1.4).

What we offer: of 8BITMIME, SMTPUTF8, SIZE, DSN and ENHANCEDSTATUSCODES what the next hop offers (so the session with it is
opened at EHLO), and PIPELINING, as commands are taken one by one. Known parameters that it does not offer are left out,
unknown ones go on to be answered by it (`client.mail_command`). The session with the next hop is kept for the messages of
one client session, and renewed at MAIL when it was lost in between.

A client that closes its side, even after its final dot, is taken to be gone: it will try again, so nothing more is sent.

Fails: a next hop that is gone is 451 4.4.1 (421 at EHLO, as we cannot know what to offer); the flow's DEFER, its deadline
and the unforeseen are 451 4.3.0 with one generic text. Every 5yz is the next hop's, but for commands out of order, without
syntax or unknown, and for clients outside of the peers (554 5.7.1).
"""

import asyncio
import logging
from ipaddress import IPv4Network, IPv6Network, ip_network

from notes2conf_milter.address import InetAddress
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.relay import Limits
from notes2conf_milter.smtp.session import ClientSession, Setup

__all__ = ["LOOPBACK", "Limits", "SmtpServer"]

LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_BACKLOG = 1024  # a queue manager connects with many clients at once after a restart


class SmtpServer:
    """Listens on one or more addresses until it is closed."""

    def __init__(self) -> None:
        self._listeners: list[tuple[asyncio.Server, Setup]] = []

    async def start(
        self,
        listen: InetAddress,
        next_hop: InetAddress,
        flow: MailFlow,
        *,
        peers: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK,
        hostname: str,
        limits: Limits | None = None,
    ) -> None:
        """Listen on `listen` too; peers: the networks that are served; hostname: what we call ourselves to both sides.

        The next hop need not be there yet. Raises OSError when the address cannot be used, ValueError when hostname is
        not ASCII.
        """
        hostname.encode("ascii")
        # aiosmtpd logs addresses and whole lines of messages; this door logs by itself, without personal data
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        setup = Setup(next_hop, flow, peers, hostname, limits or Limits())
        listener = await asyncio.get_running_loop().create_server(
            lambda: ClientSession(setup), listen.host, listen.port, backlog=_BACKLOG
        )
        self._listeners.append((listener, setup))

    @property
    def address(self) -> InetAddress:
        """Where it listens (the first address): the port is the one the system chose if 0 was asked for."""
        host, port = self._listeners[0][0].sockets[0].getsockname()[:2]
        return InetAddress(host, port)

    async def close(self, grace: float) -> None:
        """Stop listening; let messages under way finish for up to `grace` seconds, then cut the rest off.

        What was cut off has had no reply, so it is still the client's.
        """
        for listener, setup in self._listeners:
            listener.close()
            setup.closing = True
            for session in list(setup.sessions.values()):
                session.finish()
        if sessions := self._sessions():
            await asyncio.wait(sessions, timeout=grace)
        for session in list(self._sessions().values()):
            session.abort()
        if sessions := self._sessions():
            await asyncio.wait(sessions)

    def _sessions(self) -> dict[asyncio.Task[object], ClientSession]:
        return {task: session for _, setup in self._listeners for task, session in setup.sessions.items()}
