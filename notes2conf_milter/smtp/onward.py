"""The next hop as it is set: where it is, which protocol it speaks, and how encrypted the way to it has to be.

In:  settings; for DANE what the DNS says. Out: `Demand`, what one session with it has to keep to, and `proved`, whether it did.
The levels are those of Postfix (TLS_README, "Client TLS security levels"): a stronger one never falls back to a weaker one.
Fails: `NextHopGone` where it cannot be had now, so that mail waits at its client; ValueError for a file of authorities that
cannot be used.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from notes2conf_milter.address import InetAddress
from notes2conf_milter.smtp.client import NextHopGone

if TYPE_CHECKING:
    from notes2conf_milter.tlscheck.facts import Tlsa

DNS_SECONDS = 10.0  # for one question


class Level(Enum):
    """How encrypted the way has to be."""

    NONE = "none"
    MAY = "may"  # where it is offered; without it where it does not work
    ENCRYPT = "encrypt"  # always; the certificate is not looked at
    VERIFY = "verify"  # and an authority vouches for the next hop's name
    DANE = (
        "dane"  # TLSA records vouch for it (RFC 7672); where there are none as MAY, where none can be used as ENCRYPT
    )
    DANE_ONLY = "dane-only"  # TLSA records vouch for it, always


@dataclass(frozen=True, slots=True)
class Demand:
    """What one session has to keep to. context: None asks for no TLS; needed: without TLS there is no session."""

    context: ssl.SSLContext | None = None
    needed: bool = False
    tlsa: "tuple[Tlsa, ...]" = ()
    verified: bool = False  # by the handshake itself


class NextHop:
    """Where mail goes on. hostname: what we call ourselves; raises ValueError when it is not ASCII."""

    __slots__ = ("_anchors", "_level", "_name", "_resolver", "address", "hello", "lmtp")

    def __init__(
        self,
        address: InetAddress,
        hostname: str,
        *,
        lmtp: bool = False,
        level: Level = Level.NONE,
        authorities: Path | None = None,
        name: str = "",
        resolver: InetAddress | None = None,
    ) -> None:
        """lmtp: it speaks LMTP (RFC 2033). authorities: PEM, for VERIFY; None takes the system's.

        name: the one its certificate has to have, "" for the address's host. resolver: for DANE; it has to validate DNSSEC, and
        None takes those of /etc/resolv.conf.
        """
        self.address, self.lmtp = address, lmtp
        self.hello = (b"LHLO " if lmtp else b"EHLO ") + hostname.encode("ascii") + b"\r\n"
        self._level, self._resolver = level, resolver
        self._name = name or address.host
        self._anchors = _context(level, authorities)

    @property
    def name(self) -> str:
        """The name that counts in its certificate; it is sent as SNI, too (RFC 6066 §3)."""
        return self._name

    async def demand(self) -> Demand:
        """Return what the next session has to keep to; raises NextHopGone when the DNS cannot say."""
        match self._level:
            case Level.NONE:
                return Demand()
            case Level.MAY:
                return Demand(self._anchors)
            case Level.ENCRYPT:
                return Demand(self._anchors, needed=True)
            case Level.VERIFY:
                return Demand(self._anchors, needed=True, verified=True)
            case Level.DANE | Level.DANE_ONLY:
                return await self._by_dane()

    async def _by_dane(self) -> Demand:
        from notes2conf_milter.tlscheck.dane import usable
        from notes2conf_milter.tlscheck.facts import Found
        from notes2conf_milter.tlscheck.resolver import Resolver, ResolverMissing

        server = None if self._resolver is None else (self._resolver.host, self._resolver.port)
        try:
            answer = await Resolver(server, DNS_SECONDS).tlsa(f"_{self.address.port}._tcp.{self._name}")
        except ResolverMissing:
            raise NextHopGone("no resolver for TLSA records") from None
        if answer.found is Found.FAILED:  # RFC 7672 §2.1.1: to go on without is what an attacker would want
            raise NextHopGone("the resolver does not say whether there are TLSA records")
        records = tuple(answer.values) if answer.secure else ()
        good = tuple(one for one in records if usable(one))
        only = self._level is Level.DANE_ONLY
        if only and not good:
            raise NextHopGone("no TLSA record that can be used")
        return Demand(self._anchors, needed=only or bool(records), tlsa=good)

    def proved(self, demand: Demand, certificates: Sequence[bytes]) -> str:
        """Say how the next hop proved who it is: "verified", "dane" or "unproved". certificates: as presented, DER.

        Raises NextHopGone when TLSA records do not vouch for it.
        """
        if not demand.tlsa:
            return "verified" if demand.verified else "unproved"
        from notes2conf_milter.tlscheck.dane import match
        from notes2conf_milter.tlscheck.facts import Dane

        found, _ = match(demand.tlsa, certificates, (self._name,), datetime.now(UTC))
        if found is not Dane.MATCH:
            raise NextHopGone("its certificate is not the one that TLSA records name")
        return "dane"


def local(address: InetAddress) -> bool:
    """Say whether an address is on this machine: there is no way to be encrypted."""
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def _context(level: Level, authorities: Path | None) -> ssl.SSLContext | None:
    if level is Level.NONE:
        return None
    if level is not Level.VERIFY:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made = ssl.create_default_context()
        if authorities is not None:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            try:
                made.load_verify_locations(authorities)
            except ssl.SSLError:
                raise ValueError(f"{authorities}: holds no certificate in PEM") from None
            except OSError as error:
                raise ValueError(f"{authorities}: cannot be read ({error.strerror})") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # BSI TR-02102-2
    return made
