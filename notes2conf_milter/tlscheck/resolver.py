"""Questions to the DNS, with what the resolver says about DNSSEC.

In:  names, a resolver's address or the system's. Out: `Answer` values.
Fails: ResolverMissing when this machine names no resolver; everything else is an answer (`Found.FAILED`).

AD is asked for (RFC 6840 §5.7) and believed; that it is only worth what the way to the resolver is worth is the judge's to say.
"""

import ipaddress
from collections.abc import Callable
from typing import TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.rcode
import dns.resolver

from notes2conf_milter.tlscheck.facts import Answer, Found, Mx, Tlsa
from notes2conf_milter.tlscheck.printable import printable

_PAYLOAD = 1232  # octets by UDP; beyond, dnspython asks again by TCP
_VALUES = 100

T = TypeVar("T")


class ResolverMissing(Exception):
    """This machine names no resolver."""


class Resolver:
    """Asks one resolver, or those of /etc/resolv.conf. seconds: for one question with all its tries."""

    def __init__(self, server: tuple[str, int] | None = None, seconds: float = 10.0) -> None:
        """server: address and port. Raises ResolverMissing."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=server is None)
        except dns.resolver.NoResolverConfiguration:
            raise ResolverMissing("/etc/resolv.conf names no resolver; --resolver does") from None
        if server is not None:
            self._resolver.nameservers, self._resolver.port = [server[0]], server[1]
        self._resolver.lifetime, self._resolver.timeout = seconds, seconds / 3
        self._resolver.flags = dns.flags.RD | dns.flags.AD
        self._resolver.use_edns(0, dns.flags.DO, _PAYLOAD)
        self._resolver.cache = None

    @property
    def where(self) -> str:
        """The address of the (first) resolver."""
        return str(self._resolver.nameservers[0])

    @property
    def near(self) -> bool:
        """It is on this machine: nobody in between can set AD."""
        try:
            return all(ipaddress.ip_address(str(one)).is_loopback for one in self._resolver.nameservers)
        except ValueError:
            return False

    async def mx(self, name: str) -> Answer[Mx]:
        """Ask for MX records, the preferred first."""
        answer = await self._ask(name, "MX", lambda one: Mx(one.preference, _host(one.exchange)))
        ordered = tuple(sorted(answer.values, key=lambda one: (one.preference, one.host)))
        return Answer(answer.found, ordered, answer.secure, answer.name, answer.detail)

    async def addresses(self, name: str, family: int) -> Answer[str]:
        """Ask for the addresses of a host; family is 4 or 6."""
        return await self._ask(name, "A" if family == 4 else "AAAA", lambda one: str(one.address))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """Ask for TLSA records."""
        return await self._ask(name, "TLSA", lambda one: Tlsa(one.usage, one.selector, one.mtype, bytes(one.cert)))

    async def txt(self, name: str) -> Answer[bytes]:
        """Ask for TXT records; the strings of each are joined (RFC 8461 §3.1)."""
        return await self._ask(name, "TXT", lambda one: b"".join(one.strings))

    async def _ask(self, name: str, kind: str, read: Callable[..., T]) -> Answer[T]:
        try:
            answer = await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return Answer(Found.NO_NAME)
        except (dns.exception.DNSException, OSError) as error:
            return Answer(Found.FAILED, detail=_reason(error))
        records = list(answer.rrset)[:_VALUES] if answer.rrset is not None else []
        values = tuple(read(one) for one in records)
        secure = bool(answer.response.flags & dns.flags.AD)
        return Answer(Found.YES if values else Found.NO_DATA, values, secure, _host(answer.canonical_name))


def _reason(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "timeout"
    if isinstance(error, dns.resolver.NoNameservers):  # each of them gave up: (server, tcp, port, error, response)
        rcodes = [dns.rcode.to_text(one[4].rcode()) for one in error.kwargs.get("errors", ()) if one[4] is not None]
        return rcodes[-1] if rcodes else "no usable answer"
    return printable(str(error) or type(error).__name__)


def _host(name: object) -> str:
    return printable(str(name).lower().removesuffix("."), 255)
