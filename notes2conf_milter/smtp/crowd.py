"""How many connections a door has, from where, and what messages they hold in memory, so that each of these has a bound.

In:  connections as they come, name their client, take octets of a message and go. Out: whether there is room.
A network is an IPv4 address or an IPv6 /56. Of unix sockets and health checks no network is known, and none is counted.
Fails: `MemoryFull` when a message finds no room.
"""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

_IPV6_CUSTOMER = 56


@dataclass(frozen=True, slots=True)
class Bounds:
    """What clients of a door may take.

    connections: at once, in all; per_network: of one network. recipients: of a message (RFC 5321 §4.5.3.1.8 asks for 100).
    vain: bad commands, and such as belong to no mail, between two messages. data: seconds that a client may take for sending a
    message, once it is told to. memory: octets of messages that all connections together may hold.
    """

    connections: int = 400
    per_network: int = 200
    recipients: int = 1000
    vain: int = 100
    data: float = 3600.0
    memory: int = 256 * 1024 * 1024


class MemoryFull(Exception):
    """Other messages take the memory that there is for messages."""


class Crowd:
    """The connections of a door."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.connections = 0
        self.networks: Counter[IPv4Address | IPv6Network] = Counter()
        self.held = 0

    def enter(self) -> "Place | None":
        """Return a place for a connection, None when there is none; `Place.leave` gives it back."""
        if self.connections >= self.bounds.connections:
            return None
        self.connections += 1
        return Place(self)


class Place:
    """What one connection takes."""

    __slots__ = ("_crowd", "_held", "_left", "_network")

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._network: IPv4Address | IPv6Network | None = None
        self._held = 0
        self._left = False

    def name(self, client: IPv4Address | IPv6Address | None) -> bool:
        """Say who the client is, once; False when its network has as many connections as it may."""
        if client is None:
            return True
        network = client if isinstance(client, IPv4Address) else IPv6Network((client, _IPV6_CUSTOMER), strict=False)
        if self._crowd.networks[network] >= self._crowd.bounds.per_network:
            return False
        self._crowd.networks[network] += 1
        self._network = network
        return True

    def hold(self, octets: int) -> None:
        """Take so many more for a message; raises MemoryFull. The only message that is held may take what it likes."""
        held = self._crowd.held + octets
        if held > self._crowd.bounds.memory and self._crowd.held != self._held:
            raise MemoryFull
        self._crowd.held = held
        self._held += octets

    def let_go(self) -> None:
        """Give back what the message took."""
        self._crowd.held -= self._held
        self._held = 0

    def leave(self) -> None:
        """Give back everything; more than once is as good as once."""
        if self._left:
            return
        self._left = True
        self.let_go()
        self._crowd.connections -= 1
        if self._network is not None:
            self._crowd.networks[self._network] -= 1
            if not self._crowd.networks[self._network]:
                del self._crowd.networks[self._network]  # nobody is kept in mind
