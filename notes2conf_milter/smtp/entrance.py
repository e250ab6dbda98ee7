"""What a connection goes through before its session begins: who the client is, whether it is served, TLS from the start.

In:  a connection of a listener. Out: a session that has begun; or, for who is not served, one reply.
A client among `Setup.proxy_peers` is a proxy: it opens with a PROXY header (proxyheader.py), and everything else, TLS too,
comes behind that and is about the client that it names. No octet behind the header is read here: it may be TLS's.
A header that names nobody, or the proxy itself, is a health check: the session is greeted and goes as far as EHLO, but no
mail is taken. Where the proxy's own address is among the peers, it is a client as any other.
Fails: never towards the listener. A proxy without a header in time is closed without a word, as is who is not served where
TLS comes first, before any TLS is spent on it; no TLS is one log line.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import cast

from notes2conf_milter.core.encryption import within
from notes2conf_milter.core.envelope import client_address
from notes2conf_milter.smtp.crowd import Place
from notes2conf_milter.smtp.proxyheader import Address, missing, read_client
from notes2conf_milter.smtp.session import CLOSING, HANDSHAKE_SECONDS, STRANGER, TOO_MANY, Session, Setup

log = logging.getLogger(__name__)

_HELLO = 65_536  # octets


class Entrance(asyncio.BufferedProtocol):
    """One connection, until its session begins. tls: for TLS from the first octet on, None: there is none."""

    def __init__(self, setup: Setup, session: Callable[[], Session], tls: ssl.SSLContext | None = None) -> None:
        self._setup, self._session, self._tls = setup, session, tls
        self._header, self._buffer, self._hello = bytearray(), bytearray(), bytearray()
        self._own: Address | None = None
        self._place: Place | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._encrypting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session, or wait for the header of a proxy."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._setup.entering.add(self._transport)
        self._place = self._setup.crowd.enter()
        if self._place is None:
            self._full("limits.connections")
            return
        peer = transport.get_extra_info("peername")
        self._own = client_address(str(peer[0])) if peer else None
        if within(self._own, self._setup.proxy_peers):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._setup.proxy_seconds, self._no_header, "it is late")
        else:
            self._enter(self._own, named=True)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._leave()

    def eof_received(self) -> None:
        """Say so when it comes within a header; a proxy that only looks whether somebody listens sends none of it."""
        if self._header:
            self._no_header("it is not whole")

    # --- the header of a proxy

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return room for as many octets as certainly belong to the header; or for what a client of TLS begins with."""
        self._buffer = bytearray(_HELLO if self._encrypting else max(1, missing(bytes(self._header))))
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Take the octets."""
        if self._encrypting is not None:
            self._hello += self._buffer[:count]
            return
        self._header += self._buffer[:count]
        try:
            if missing(bytes(self._header)):
                return
            client = read_client(bytes(self._header))
        except ValueError as error:
            self._no_header(str(error))
            return
        if client == self._own and not within(client, self._setup.peers):
            client = None  # HAProxy's health checks with version 1 name HAProxy
        self._enter(client, named=client is not None)

    def _no_header(self, why: str) -> None:
        log.warning("SMTP door: a connection from smtp.proxy_peers closed, its PROXY header is not valid: %s", why)
        self._transport.abort()

    # --- the client

    def _enter(self, client: Address | None, *, named: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        unix = self._transport.get_extra_info("socket").family == socket.AF_UNIX
        # the permissions of a unix socket say who is served
        served = unix or not named or within(client, self._setup.peers)
        if self._setup.closing or not served:
            self._turn_away(CLOSING if served else STRANGER)
        elif self._place is None or not self._place.name(client):
            self._full("limits.connections_per_network")
        elif self._tls is None:
            self._begin(self._transport, client, named)
        else:
            self._transport.pause_reading()
            encrypting = self._encrypt(self._tls, client, named)
            self._encrypting = asyncio.get_running_loop().create_task(encrypting, name="smtp-handshake")

    def _full(self, limit: str) -> None:
        log.info("SMTP door: a connection turned away: %s", limit)
        self._turn_away(TOO_MANY)

    def _turn_away(self, reply: bytes) -> None:
        self._leave()
        if self._tls is None:
            self._transport.write(reply + b"\r\n")  # RFC 5321 §3.1
            self._transport.close()
        if self._tls is not None or self._transport.get_write_buffer_size():
            self._transport.abort()

    async def _encrypt(self, tls: ssl.SSLContext, client: Address | None, named: bool) -> None:
        loop, early = asyncio.get_running_loop(), _Early()
        try:
            if self._transport.is_closing():
                return
            handshake = loop.start_tls(
                self._transport, early, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
            shaking = loop.create_task(handshake, name="smtp-handshake-itself")
            await asyncio.sleep(0)  # from here on it is the one that reads, once it has been told so
            loop.call_soon(self._hand_over_hello)
            transport = await shaking
            # where it was closed meanwhile, there may be one all the same (uvloop)
            if transport is not None and not early.over and not self._transport.is_closing():
                self._begin(transport, client, named)
                if early.octets:
                    transport.get_protocol().data_received(early.octets)  # type: ignore[attr-defined]
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.info("SMTP door: no TLS with a client: %s", type(error).__name__)
            self._transport.abort()
        finally:
            self._leave()

    def _hand_over_hello(self) -> None:
        """Give TLS what was read before it was there: uvloop reads although `connection_made` has told it to pause."""
        reader = cast(asyncio.BufferedProtocol, self._transport.get_protocol())
        while self._hello and not self._transport.is_closing():
            room = memoryview(reader.get_buffer(len(self._hello)))
            count = min(len(room), len(self._hello))
            room[:count] = self._hello[:count]
            room.release()
            del self._hello[:count]
            reader.buffer_updated(count)

    def _begin(self, transport: asyncio.Transport, client: Address | None, named: bool) -> None:
        assert self._place is not None
        session = self._session()
        session.arrived(client, self._place, served=named)
        self._place = None  # it is the session's, which gives it back
        self._leave()
        transport.set_protocol(session)
        session.connection_made(transport)

    def _leave(self) -> None:
        self._setup.entering.discard(self._transport)
        if self._timer is not None:
            self._timer.cancel()
        if self._place is not None:
            self._place.leave()


class _Early(asyncio.Protocol):
    """Keeps what comes between the end of a TLS handshake and the session's beginning, which is a moment later."""

    def __init__(self) -> None:
        self.octets = b""
        self.over = False

    def data_received(self, data: bytes) -> None:
        self.octets += data

    def eof_received(self) -> None:
        self.over = True

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True
