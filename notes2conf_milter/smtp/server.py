"""The SMTP door, a hop of our own between two Postfix instances; and the listener of the conference address.

The latter speaks LMTP and is described in lmtp.py. The rest of this page is about the former.

In:  SMTP sessions of configured peers; a `MailFlow` to ask. Out: SMTP to the next hop, whose replies are our replies.
It is cut through: MAIL and RCPT go to the next hop as they come, so that each recipient gets the next hop's own answer,
and the message goes there before its final dot is answered. Until then it stays the client's: nothing is spooled here.

How a message goes on:
- At the end of its header the flow may say that the body cannot matter; it is then streamed through.
- Beyond `Limits.message` octets it is streamed through unread (`MailFlow.pass_unread`). So each session's memory has a
  bound, no message is too large for us, and SIZE and its 552 are the next hop's own. All sessions together have one, too.
- Otherwise it is held until its final dot, processed within `Limits.processing` seconds, edited and sent.
- An edit that would lift a message over the next hop's SIZE is not made: the original goes on.
Octets stay: 8-bit, NUL and long lines too. Only a lost final CRLF is added (RFC 5321 §4.1.1.4), and stray CR and LF are made
harmless or refused, by setting, because what a server behind us makes of them is not ours to know (smuggling).

What we offer: of 8BITMIME, SMTPUTF8, SIZE, DSN and ENHANCEDSTATUSCODES what the next hop offers (so the session with it is
opened at EHLO), and PIPELINING, as commands are taken one by one. Known parameters that it does not offer are left out,
unknown ones go on to be answered by it (`client.mail_command`). Sessions with the next hop are kept from message to message
(pool.py), and renewed at MAIL when one was lost in between; they are encrypted as onward.py demands.

A client that closes its side, even after its final dot, is taken to be gone: it will try again, so nothing more is sent.

Fails: a next hop that is gone is 451 4.4.1 (421 at EHLO, as we cannot know what to offer); the flow's DEFER, its deadline
and the unforeseen are 451 4.3.0 with one generic text; what is beyond the bounds of crowd.py is 421 or 452. Every 5yz is the
next hop's, but for commands out of order, without syntax or unknown, and for clients outside of the peers (554 5.7.1).
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.crowd import Bounds, Crowd
from notes2conf_milter.smtp.entrance import Entrance
from notes2conf_milter.smtp.incoming import Strays
from notes2conf_milter.smtp.lmtp import ConferenceSession
from notes2conf_milter.smtp.lmtprelaying import LmtpRelayingSession
from notes2conf_milter.smtp.pool import Pool
from notes2conf_milter.smtp.relay import Limits
from notes2conf_milter.smtp.relaying import RelayingSession
from notes2conf_milter.smtp.session import PROXY_SECONDS, Session, Setup
from notes2conf_milter.sockets import bind_unix, identity, remove_own

__all__ = ["LOOPBACK", "Bounds", "Limits", "SmtpServer"]

LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_BACKLOG = 1024  # a queue manager connects with many clients at once after a restart


class SmtpServer:
    """Listens on one or more addresses until it is closed."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        """bounds: of what the clients of all its listeners together may take."""
        self._crowd = Crowd(bounds or Bounds())
        self._listeners: list[tuple[asyncio.Server, Setup]] = []
        self._paths: dict[Path, tuple[int, int]] = {}

    async def start(
        self,
        listen: InetAddress,
        pool: Pool,
        flow: MailFlow,
        *,
        peers: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK,
        hostname: str,
        limits: Limits | None = None,
        xforward_peers: tuple[IPv4Network | IPv6Network, ...] = (),
        filters_enforce: bool = False,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        strays: Strays = Strays.KEEP,
        lmtp: bool = False,
        proxy_peers: tuple[IPv4Network | IPv6Network, ...] = (),
        proxy_seconds: float = PROXY_SECONDS,
    ) -> None:
        """Listen on `listen` too; peers: the networks that are served; hostname: what we call ourselves to both sides.

        xforward_peers: those of whom the client of a message is whom they name with XFORWARD, and nobody else. filters_enforce:
        the listeners before these enforce TLS. tls: for STARTTLS; implicit: TLS is there from the first octet on (RFC 8314).
        strays: what becomes of CR and LF that are no line end. lmtp: clients speak LMTP (RFC 2033), not SMTP.
        proxy_peers: those that open with a PROXY header, within proxy_seconds, and whose client is whom that names; `peers` and
        all else is about that client.

        The next hop need not be there yet; `pool` is closed by whoever made it. A next hop that speaks LMTP needs clients that
        do: SMTP has one answer for all recipients. Raises OSError when the address cannot be used, ValueError when hostname is
        not ASCII.
        """
        bounds = limits or Limits()
        setup = Setup(flow, peers, hostname, bounds, xforward_peers, filters_enforce, tls, strays, crowd=self._crowd)
        setup.proxy_peers, setup.proxy_seconds = proxy_peers, proxy_seconds
        session = LmtpRelayingSession if lmtp else RelayingSession
        await self._listen(listen, setup, lambda: session(setup, pool), tls=tls if implicit else None)

    async def start_conference(
        self,
        listen: UnixAddress | InetAddress,
        flow: MailFlow,
        addresses: frozenset[str],
        *,
        peers: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK,
        hostname: str,
        limits: Limits | None = None,
        socket_mode: int | None = None,
        socket_group: int | None = None,
        xforward_peers: tuple[IPv4Network | IPv6Network, ...] = (),
        filters_enforce: bool = False,
    ) -> None:
        """Listen for LMTP (RFC 2033) on `listen` too: mail to the conference addresses, in lower case, is delivered here.

        socket_mode, socket_group: as for `bind_unix`. Raises as `start`.
        """
        bounds = limits or Limits()
        setup = Setup(flow, peers, hostname, bounds, xforward_peers, filters_enforce, crowd=self._crowd)
        await self._listen(listen, setup, lambda: ConferenceSession(setup, addresses), socket_mode, socket_group)

    async def _listen(
        self,
        listen: UnixAddress | InetAddress,
        setup: Setup,
        session: Callable[[], Session],
        socket_mode: int | None = None,
        socket_group: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        setup.hostname.encode("ascii")
        # aiosmtpd logs addresses and whole lines of messages; these doors log by themselves, without personal data
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        loop = asyncio.get_running_loop()

        def entrance() -> Entrance:
            return Entrance(setup, session, tls)

        if isinstance(listen, InetAddress):
            listener = await loop.create_server(entrance, listen.host, listen.port, backlog=_BACKLOG)
        else:
            path = Path(listen.path)
            sock = bind_unix(path, socket_mode, socket_group)
            self._paths[path] = identity(path)
            listener = await loop.create_unix_server(entrance, sock=sock, backlog=_BACKLOG)
        self._listeners.append((listener, setup))

    @property
    def address(self) -> InetAddress:
        """The first TCP address where it listens: the port is the one the system chose if 0 was asked for."""
        return next(one for one in self.addresses if isinstance(one, InetAddress))

    @property
    def addresses(self) -> list[UnixAddress | InetAddress]:
        """Where it listens, with the ports that the system chose."""
        names = [sock.getsockname() for listener, _ in self._listeners for sock in listener.sockets]
        return [UnixAddress(name) if isinstance(name, str) else InetAddress(name[0], name[1]) for name in names]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._crowd.connections

    @property
    def held(self) -> int:
        """How many octets of messages are held."""
        return self._crowd.held

    async def close(self, grace: float) -> None:
        """Stop listening; let messages under way finish for up to `grace` seconds, then cut the rest off.

        What was cut off has had no reply, so it is still the client's.
        """
        for listener, setup in self._listeners:
            listener.close()
            setup.closing = True
        for path, bound in self._paths.items():
            remove_own(path, bound)
        for _, setup in self._listeners:
            for transport in list(setup.entering):
                transport.abort()
            for session in list(setup.sessions.values()):
                session.finish()
        if sessions := self._sessions():
            await asyncio.wait(sessions, timeout=grace)
        for session in list(self._sessions().values()):
            session.abort()
        if sessions := self._sessions():
            await asyncio.wait(sessions)

    def _sessions(self) -> dict[asyncio.Task[object], Session]:
        return {task: session for _, setup in self._listeners for task, session in setup.sessions.items()}
