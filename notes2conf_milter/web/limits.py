"""Guessing is slowed down, and nobody takes the others' place: what one network may try, and hold, at a time.

In:  whom a request comes from, the time. Out: whether it may. Pure but for what it remembers, in memory: networks for some
     minutes, or for as long as they hold something.
Fails: never. Bounded: _MOST_NETWORKS; what is beyond forgets the oldest. Shares know no more networks than there are places.

A network is an IPv4 address (a company's, behind NAT) or an IPv6 /56 (a customer's). Misses are counted alone. Who is over the
limit is refused before anything is looked up, but for links that were valid lately: somebody who guesses does not lock out
colleagues who wait. Behind a proxy that the administrator trusts, the visitor is the last address in X-Forwarded-For that is
no trusted proxy's: what stands before it may be made up.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

MOST_MISSES = 60
SECONDS = 600
_MOST_NETWORKS = 20_000
_MOST_KNOWN = 50_000

Network = IPv4Network | IPv6Network


class Misses:
    """What was tried in vain."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        """trusted: the proxies whose X-Forwarded-For counts."""
        self._trusted = tuple(trusted)
        self._misses: OrderedDict[str, tuple[int, int]] = OrderedDict()  # network -> how many, until when
        self._known: OrderedDict[bytes, int] = OrderedDict()  # hash of a token -> until when

    def allowed(self, peer: str, forwarded: Sequence[str], token: str, now: int) -> bool:
        """Say whether a link may be looked up. peer: the other end's address; forwarded: the values of X-Forwarded-For."""
        if self._known.get(_mark(token), 0) > now:
            return True
        count, until = self._misses.get(self.network(peer, forwarded), (0, 0))
        return until <= now or count < MOST_MISSES

    def network(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the network that a request comes from, as network_of does."""
        return network_of(peer, forwarded, self._trusted)

    def tried(self, peer: str, forwarded: Sequence[str], token: str, now: int, *, valid: bool) -> None:
        """Remember what became of it."""
        if valid:
            self._known[_mark(token)] = now + SECONDS
            self._known.move_to_end(_mark(token))
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
            return
        name = self.network(peer, forwarded)
        if not name:
            return
        count, until = self._misses.get(name, (0, 0))
        self._misses[name] = (count + 1, until) if until > now else (1, now + SECONDS)
        self._misses.move_to_end(name)
        if len(self._misses) > _MOST_NETWORKS:
            self._misses.popitem(last=False)


class Shares:
    """Places that are taken: how many by each network. most: by one of them. "" is nobody's network, and not counted."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken: dict[str, int] = {}

    def full(self, network: str) -> bool:
        """Say whether a network has all that it may have."""
        return self._taken.get(network, 0) >= self.most

    def take(self, network: str, most: int = 0) -> bool:
        """Take a place, if there is one. most: where it is another number."""
        if not network:
            return True
        taken = self._taken.get(network, 0)
        if taken >= (most or self.most):
            return False
        self._taken[network] = taken + 1
        return True

    def give_back(self, network: str) -> None:
        """Give back a place that was taken."""
        taken = self._taken.get(network, 0)
        if taken > 1:
            self._taken[network] = taken - 1
        else:
            self._taken.pop(network, None)


def network_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the network that a request comes from, "" where nobody knows: then nothing is counted."""
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    address = _address(peer)
    while address is not None and any(address in net for net in trusted if net.version == address.version):
        address = _address(hops.pop()) if hops else None  # a trusted proxy that says nothing: nobody knows
    if address is None:
        return ""
    return str(ip_network((address, 32 if address.version == 4 else 56), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # IPv4 with a port
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _mark(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()[:16]
