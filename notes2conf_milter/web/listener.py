"""The socket on which visitors arrive. It counts connections from the first moment on, the handshake of TLS included.

In:  where to listen, how many connections there may be, in all and from one network. Out: connections, as asyncio takes them;
     and which of them are one too many: these get an answer that says so.
Fails: OSError when the port cannot be had. Far more than there may be are closed without a word: SPARE at a time are told.

Logs: that there are too many, at most once a minute, and not whose.

A proxy that the administrator trusts brings everybody: its connections are counted in all alone.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from notes2conf_milter.address import InetAddress
from notes2conf_milter.web.limits import Network, Shares, network_of

SPARE = 64  # connections beyond the limits that are told so, and not only closed
SEND_BUFFER = 128 * 1024  # octets that the system holds for one who reads slowly; else it may grow to 4 MB
_AT_A_TIME = 100  # connections that are closed before anything else has its turn

_SILENCE = 60.0  # seconds between two complaints in the log

_log = logging.getLogger("notes2conf_milter.web")


class Listener(socket.socket):
    """A listening socket. most: connections in all; most_of_one: from one network."""

    def __init__(self, plain: socket.socket, most: int, most_of_one: int, trusted: Sequence[Network]) -> None:
        """plain: listens already, and is taken over."""
        super().__init__(plain.family, plain.type, 0, fileno=plain.detach())
        self._most, self._trusted = most, tuple(trusted)
        self._count = 0
        self._shares = Shares(most_of_one)
        self._excess: set[tuple[str, int]] = set()
        self._silent_until = 0.0

    def refuses(self, peer: tuple[str, int] | None) -> bool:
        """Say whether a connection is one too many. peer: its other end."""
        return peer in self._excess

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection and its other end; raises BlockingIOError where none is waiting."""
        for _ in range(_AT_A_TIME):
            plain, address = super().accept()
            network = network_of(address[0], (), self._trusted)
            if self._count >= self._most:
                self._complain("too many connections")
            elif self._shares.take(network):
                self._count += 1
                return _Counted(plain, partial(self._left, network)), address
            else:
                self._complain("too many connections from one network")
            if len(self._excess) >= SPARE:
                plain.close()
                continue
            peer = (address[0], address[1])
            self._excess.add(peer)
            return _Counted(plain, partial(self._excess.discard, peer)), address
        raise BlockingIOError

    def _left(self, network: str) -> None:
        self._count -= 1
        self._shares.give_back(network)

    def _complain(self, what: str) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SILENCE
            _log.warning("%s", what)


class _Counted(socket.socket):
    """A connection that says when it is closed."""

    __slots__ = ("_left",)

    def __init__(self, plain: socket.socket, left: Callable[[], None]) -> None:
        super().__init__(plain.family, plain.type, 0, fileno=plain.detach())
        self._left: Callable[[], None] | None = left

    def close(self) -> None:
        super().close()
        left, self._left = self._left, None
        if left is not None:
            left()


async def listen(
    address: InetAddress, most: int, most_of_one: int, trusted: Sequence[Network], send_seconds: float
) -> Listener:
    """Listen on the first address that the host's name has. send_seconds: after it who takes nothing is given up."""
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, _, _, _, where = found[0]
    plain = socket.create_server(where[:2], family=family, backlog=1024)
    # Connections inherit all of it (Linux).
    # asyncio would set it for each connection, but not on a socket made like this one (its proto is 0): and an answer whose
    # body is written after its header waited 40 ms for the visitor's acknowledgement.
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    # A phone that is gone, or one that reads nothing, acknowledges nothing more: without it that is noticed after a quarter of
    # an hour, or never, while the organizer sees somebody wait.
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(send_seconds * 1000))
    return Listener(plain, most, most_of_one, trusted)
