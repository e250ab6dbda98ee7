"""A whole check: DNS, policies, every address of every MX host, one after the other, within a time.

In:  a domain and options. Out: a `Report`, and the transcript line by line as it happens.
Fails: ResolverMissing, NoAuthorities, OSError (the file of authorities) before anything is asked; afterwards never.
"""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from notes2conf_milter.tlscheck import anchors, policies
from notes2conf_milter.tlscheck.facts import (
    Answer,
    Found,
    Host,
    Mx,
    Outcome,
    Policy,
    Report,
    Session,
    Sts,
    StsState,
    Tlsa,
)
from notes2conf_milter.tlscheck.fetching import NotFetched, fetch
from notes2conf_milter.tlscheck.names import domain as domain_name
from notes2conf_milter.tlscheck.printable import printable
from notes2conf_milter.tlscheck.resolver import Resolver
from notes2conf_milter.tlscheck.session import Target, converse, takes_old
from notes2conf_milter.tlscheck.transcript import Line, Said

HOSTS_LIMIT = 10
ADDRESSES_LIMIT = 24  # in all, so that a check of a hostile domain is no attack on others
FETCH_SECONDS = 20.0
CONNECT_SECONDS = 15.0
REPLY_SECONDS = 30.0  # RFC 5321 §4.5.3.2 lets a mail server wait five minutes, longer than any monitor does

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How to check. resolver: address and port; ca: a file of authorities instead of the system's; seconds: for the whole."""

    port: int = 25
    resolver: tuple[str, int] | None = None
    ca: Path | None = None
    seconds: float = 120.0


async def check(domain: str, options: Options, told: Callable[[Line], None]) -> Report:
    """Check the mail hosts of a domain (in A-labels, lower case); `told` gets each line of the transcript at once."""
    run = _Run(domain, options, told)
    try:
        async with asyncio.timeout(options.seconds):
            await run.whole()
    except TimeoutError:
        run.say(Said.TIME_UP)
        run.report = replace(run.report, time_up=True)
    run.say(Said.END)
    return run.report


class _Run:
    """One check under way: the report as far as it is known."""

    def __init__(self, domain: str, options: Options, told: Callable[[Line], None]) -> None:
        self._options, self._told = options, told
        self._context: ssl.SSLContext = anchors.context(options.ca)
        self._anchors = anchors.anchors(self._context)
        self._resolver = Resolver(options.resolver)
        self._begun = asyncio.get_running_loop().time()
        self._tried = 0
        self._ehlo = own_name()
        self.report = Report(domain, options.port, self._resolver.where, self._resolver.near, Answer(Found.FAILED))

    def say(self, said: Said, /, **values: object) -> None:
        """Tell a line of the transcript."""
        self._told(Line(asyncio.get_running_loop().time() - self._begun, said, values))

    async def whole(self) -> None:
        """Go through all steps."""
        report = self.report
        self.say(Said.BEGIN, domain=report.domain, port=report.port, at=_now())
        self.say(Said.RESOLVER, resolver=report.resolver)
        hosts = await self._mx()
        if not hosts:
            return
        self.report = replace(self.report, sts=await self._sts())
        reports = self._heard(
            "TXT", f"_smtp._tls.{report.domain}", await self._resolver.txt(f"_smtp._tls.{report.domain}")
        )
        self.report = replace(self.report, reports=reports)
        for mx in hosts[:HOSTS_LIMIT]:
            await self._host(mx)
        self.report = replace(self.report, hosts_left_out=max(0, len(hosts) - HOSTS_LIMIT))

    async def _mx(self) -> tuple[Mx, ...]:
        domain = self.report.domain
        answer = self._heard("MX", domain, await self._resolver.mx(domain), tell=False)
        for one in answer.values:
            said = Said.MX if one.host else Said.NULL_MX
            self.say(said, preference=one.preference, host=one.host, secure=answer.secure)
        self.report = replace(self.report, mx=answer)
        if answer.found is Found.NO_DATA:  # RFC 5321 §5.1
            self.say(Said.IMPLICIT)
            self.report = replace(self.report, implicit=True)
            return (Mx(0, domain),)
        return tuple(one for one in answer.values if one.host)

    async def _host(self, mx: Mx) -> None:
        place = len(self.report.hosts)
        empty: Answer[str] = Answer(Found.NO_DATA)
        v4 = v6 = empty
        tlsa: Answer[Tlsa] = Answer(Found.NO_DATA)
        if not _is_address(mx.host):
            v4 = self._heard("A", mx.host, await self._resolver.addresses(mx.host, 4))
            v6 = self._heard("AAAA", mx.host, await self._resolver.addresses(mx.host, 6))
            if v4.values or v6.values:
                tlsa = await self._tlsa(mx.host, v4 if v4.values else v6)
        host = Host(mx.host, mx.preference, v4, v6, tlsa)
        self.report = replace(self.report, hosts=(*self.report.hosts, host))
        for address in host.addresses:
            if self._tried >= ADDRESSES_LIMIT:
                host = replace(host, left_out=host.left_out + 1)
            else:
                self._tried += 1
                host = replace(host, sessions=(*host.sessions, await self._session(host, address)))
            self.report = replace(self.report, hosts=(*self.report.hosts[:place], host))

    async def _tlsa(self, host: str, addresses: Answer[str]) -> Answer[Tlsa]:
        """RFC 7672 §2.2.3: for the name behind an alias first, then for the alias."""
        prefix = f"_{self.report.port}._tcp."
        names = dict.fromkeys((addresses.name or host, host))
        answer: Answer[Tlsa] = Answer(Found.NO_DATA)
        for name in names:
            answer = self._heard("TLSA", prefix + name, await self._resolver.tlsa(prefix + name))
            if answer.found in (Found.YES, Found.FAILED):
                break
        return answer

    async def _session(self, host: Host, address: str) -> Session:
        names = (host.name, *((self.report.domain,) if self.report.mx.secure else ()))  # RFC 7672 §3.2.2
        target = Target(
            host=host.name,
            address=address,
            port=self._options.port,
            ehlo=self._ehlo,
            names=names,
            tlsa=host.tlsa.values,
            anchors=self._anchors,
            clock=_now,
            connect_seconds=CONNECT_SECONDS,
            reply_seconds=REPLY_SECONDS,
        )
        session = await converse(target, self.say)
        if session.outcome is not Outcome.WHOLE or session.version not in ("TLSv1.2", "TLSv1.3"):
            return session
        old = await takes_old(target)
        if old is None:
            self.say(Said.OLD_UNKNOWN)
        else:
            self.say(Said.OLD, yes=old)
        return replace(session, old=old)

    async def _sts(self) -> Sts:
        name = f"_mta-sts.{self.report.domain}"
        answer = self._heard("TXT", name, await self._resolver.txt(name))
        if answer.found is Found.FAILED:
            return Sts(StsState.UNKNOWN, detail=answer.detail)
        try:
            ident = policies.sts_id(answer.values)
        except ValueError as error:
            return Sts(StsState.BAD_RECORD, detail=str(error))
        if ident is None:
            return Sts(StsState.NONE)
        try:
            policy = await self._policy(f"mta-sts.{self.report.domain}")
        except NotFetched as error:
            self.say(Said.FAILED, detail=error.detail)
            return Sts(error.state, ident, detail=error.detail)
        self.say(Said.POLICY, mode=policy.mode, age=policy.max_age, mx=", ".join(policy.mx))
        return Sts(StsState.WHOLE, ident, policy)

    async def _policy(self, host: str) -> Policy:
        found: list[str] = []
        for family, kind in ((4, "A"), (6, "AAAA")):
            found += self._heard(kind, host, await self._resolver.addresses(host, family)).values
        error = NotFetched(StsState.UNREACHABLE, "no address")
        for address in found[:2]:
            self.say(Said.FETCH, host=host, address=address)
            try:
                octets = await fetch(host, address, self._context, FETCH_SECONDS)
                return policies.read_policy(octets)
            except ValueError as wrong:
                raise NotFetched(StsState.BAD_POLICY, str(wrong)) from None
            except NotFetched as failed:
                error = failed
                if failed.state is not StsState.UNREACHABLE:
                    break
        raise error

    def _heard(self, kind: str, name: str, answer: Answer[T], *, tell: bool = True) -> Answer[T]:
        """Tell what the DNS answered."""
        if answer.found is Found.FAILED:
            self.say(Said.NO_ANSWER, kind=kind, name=name, detail=answer.detail)
        elif answer.found is Found.NO_NAME:
            self.say(Said.NO_NAME, kind=kind, name=name)
        elif answer.found is Found.NO_DATA:
            self.say(Said.NOTHING, kind=kind, name=name)
        for value in answer.values if tell else ():
            said = Said.RECORD if kind == "TXT" else Said.ADDRESS
            shown = printable(value) if isinstance(value, bytes) else value
            self.say(said, kind=kind, name=name, value=shown, secure=answer.secure)
        return answer


def own_name() -> str:
    """Return this machine's name for EHLO, "" when it has none with a dot (RFC 5321 §4.1.4: then an address literal goes).

    Finding it may ask a DNS that does not answer; nobody waits longer than two seconds for that.
    """
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(socket.getfqdn()), daemon=True)
    asking.start()
    asking.join(2.0)
    try:
        name = domain_name(found[0]) if found else ""
    except ValueError:
        return ""
    return name if "." in name and not name.startswith("localhost") and not _is_address(name) else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _now() -> datetime:
    return datetime.now(UTC)
