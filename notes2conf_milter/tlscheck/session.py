"""The conversation with one address: greeting, EHLO, STARTTLS, the certificates, MAIL FROM, QUIT. No recipient is named.

In:  whom to talk to, what TLSA records there are, who is trusted. Out: a `Session`, and a line of transcript for each step.
Fails: never; however it ends is an outcome.
"""

import asyncio
import errno
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from cryptography import x509

from notes2conf_milter.smtp.client import NextHopGone, Reply, ReplyParser, offers
from notes2conf_milter.tlscheck import wire as wires
from notes2conf_milter.tlscheck.chains import Chain, Problem, judge_chain
from notes2conf_milter.tlscheck.dane import match
from notes2conf_milter.tlscheck.facts import Dane, Outcome, Session, Tlsa
from notes2conf_milter.tlscheck.names import any_matches
from notes2conf_milter.tlscheck.printable import printable
from notes2conf_milter.tlscheck.transcript import Said
from notes2conf_milter.tlscheck.wire import Agreed, PlainText, Wire

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENETDOWN})
_LINES = 30  # of one reply, in the transcript
_NAMES = 20  # of one certificate, in the transcript
_OURS = ("NO_PROTOCOLS_AVAILABLE", "INTERNAL_ERROR")  # this machine's OpenSSL has no old versions
_STRIPPED = re.compile(rb"X{6,}.?")  # what firewalls write over STARTTLS
_EPHEMERAL = re.compile(r"(ECDHE|DHE|EDH)-|TLS_(ECDHE|DHE)_")


class Say(Protocol):
    """Takes a line of the transcript."""

    def __call__(self, said: Said, /, **values: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to talk to, and by what to judge certificates. names: those that count for DANE; seconds: for each step."""

    host: str
    address: str
    port: int
    ehlo: str
    names: tuple[str, ...]
    tlsa: tuple[Tlsa, ...]
    anchors: tuple[x509.Certificate, ...]
    clock: Callable[[], datetime]
    connect_seconds: float
    reply_seconds: float


class _Ended(Exception):
    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        super().__init__(outcome)
        self.outcome, self.detail = outcome, detail


async def converse(target: Target, say: Say) -> Session:
    """Talk with an address and return what was found out."""
    session = Session(target.host, target.address, Outcome.WHOLE)
    say(Said.CONNECT, host=target.host, address=target.address, port=target.port)
    try:
        wire = await _connect(target, say)
    except _Ended as ended:
        return replace(session, outcome=ended.outcome, detail=ended.detail)
    talk = _Talk(wire, target, say)
    try:
        await talk.start_tls()
        agreed = await talk.shake_hands()
        session = _with_tls(session, target, agreed, say)
        return replace(session, mail=await talk.inside())
    except _Ended as ended:
        outcome = Outcome.BROKEN_INSIDE if session.encrypted else ended.outcome
        return replace(session, outcome=outcome, detail=ended.detail)
    finally:
        await wire.close()


async def takes_old(target: Target) -> bool | None:
    """Say, by a second connection, whether an address takes TLS 1.1 or older; None when that is not learned."""

    def silent(_: Said, /, **__: object) -> None:
        pass

    try:
        wire = await _connect(target, silent)
    except _Ended:
        return None
    try:
        talk = _Talk(wire, target, silent)
        await talk.start_tls()
        async with asyncio.timeout(target.reply_seconds):
            agreed = await wire.start_tls(wires.context(old=True), target.host)
        return agreed.version in ("TLSv1", "TLSv1.1")
    except ssl.SSLError as error:
        return None if error.reason in _OURS else False
    except (_Ended, OSError, TimeoutError, PlainText, ValueError):
        return None
    finally:
        await wire.close()


async def _connect(target: Target, say: Say) -> Wire:
    try:
        async with asyncio.timeout(target.connect_seconds):
            wire = await Wire.connect(target.address, target.port)
    except TimeoutError:
        say(Said.SILENCE, seconds=f"{target.connect_seconds:g}")
        raise _Ended(Outcome.UNREACHABLE, "timeout") from None
    except OSError as error:
        detail = errno.errorcode.get(error.errno or 0, type(error).__name__)
        say(Said.FAILED, detail=detail)
        raise _Ended(Outcome.NO_ROUTE if error.errno in _NO_ROUTE else Outcome.UNREACHABLE, detail) from None
    say(Said.CONNECTED)
    return wire


class _Talk:
    def __init__(self, wire: Wire, target: Target, say: Say) -> None:
        self._wire, self._target, self._say = wire, target, say
        self._parser = ReplyParser()
        self._ehlo = target.ehlo or wire.local

    async def start_tls(self) -> None:
        """Speak in the clear, until TLS may begin."""
        greeting = await self._reply()
        if greeting.code != 220:  # RFC 5321 §4.3.2
            await self._quit(Outcome.TURNED_AWAY, greeting)
        hello = await self._command(f"EHLO {self._ehlo}")
        if hello.code != 250:
            await self._quit(Outcome.EHLO_REFUSED, hello)
        offered = offers(hello)
        if b"STARTTLS" not in offered:
            stripped = any(_STRIPPED.fullmatch(word) for word in offered)
            await self._quit(Outcome.STRIPPED if stripped else Outcome.NO_STARTTLS)
        ready = await self._command("STARTTLS")
        if ready.code != 220:  # RFC 3207 §4
            await self._quit(Outcome.STARTTLS_REFUSED, ready)
        if not self._parser.empty:  # nobody may speak now but TLS
            raise _Ended(Outcome.INJECTED, self._next())

    async def shake_hands(self) -> Agreed:
        """Begin TLS."""
        try:
            async with asyncio.timeout(self._target.reply_seconds):
                return await self._wire.start_tls(wires.context(), self._target.host)
        except PlainText as plain:
            shown = printable(plain.octets)
            self._say(Said.PLAIN, text=shown)
            raise _Ended(Outcome.INJECTED, shown) from None
        except TimeoutError:
            self._say(Said.SILENCE, seconds=f"{self._target.reply_seconds:g}")
            raise _Ended(Outcome.HANDSHAKE_FAILED, "timeout") from None
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a name that SNI cannot carry
            detail = printable(getattr(error, "reason", None) or str(error) or type(error).__name__)
            self._say(Said.FAILED, detail=detail)
            raise _Ended(Outcome.HANDSHAKE_FAILED, detail) from None

    async def inside(self) -> int:
        """Speak under TLS; return the code of the answer to MAIL FROM."""
        self._parser = ReplyParser()  # RFC 3207 §4.2: what was said before is forgotten
        hello = await self._command(f"EHLO {self._ehlo}")
        if hello.code != 250:
            raise _Ended(Outcome.BROKEN_INSIDE, _shown(hello))
        reply = await self._command("MAIL FROM:<>")
        with suppress(_Ended):  # some hang up at once
            await self._command("QUIT")
        return reply.code

    async def _quit(self, outcome: Outcome, reply: Reply | None = None) -> None:
        with suppress(_Ended):
            await self._command("QUIT")
        raise _Ended(outcome, _shown(reply) if reply else "")

    async def _command(self, line: str) -> Reply:
        self._say(Said.SENT, text=line)
        try:
            await self._wire.send(line.encode("ascii", "replace") + b"\r\n")
        except OSError as error:
            raise self._lost(error) from None
        return await self._reply()

    async def _reply(self) -> Reply:
        try:
            async with asyncio.timeout(self._target.reply_seconds):
                return await self._read()
        except TimeoutError:
            self._say(Said.SILENCE, seconds=f"{self._target.reply_seconds:g}")
            raise _Ended(Outcome.SILENT) from None
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: OSError) -> _Ended:
        """The connection ended; by an alert of TLS, the alert is told (a client certificate that is asked for, for one)."""
        reason = getattr(error, "reason", None)
        if reason is None:
            self._say(Said.HUNG_UP)
            return _Ended(Outcome.LOST)
        self._say(Said.FAILED, detail=printable(reason))
        return _Ended(Outcome.LOST, printable(reason))

    async def _read(self) -> Reply:
        octets = b""
        try:
            while (reply := self._parser.take()) is None:
                octets = await self._wire.receive()
                if not octets:
                    self._say(Said.HUNG_UP)
                    raise _Ended(Outcome.LOST)
                self._parser.feed(octets)
        except NextHopGone:
            shown = printable(octets)
            self._say(Said.RECEIVED, text=shown)
            raise _Ended(Outcome.NOT_SMTP, shown) from None
        for number, line in enumerate(reply.lines[:_LINES], 1):
            between = " " if number == len(reply.lines) else "-"
            self._say(Said.RECEIVED, text=f"{reply.code}{between}{printable(line)}")
        if len(reply.lines) > _LINES:
            self._say(Said.MORE, count=len(reply.lines) - _LINES)
        return reply

    def _next(self) -> str:
        """What came too early, in words."""
        try:
            reply = self._parser.take()
        except NextHopGone:
            reply = None
        shown = _shown(reply) if reply else "?"
        self._say(Said.PLAIN, text=shown)
        return shown


def _shown(reply: Reply) -> str:
    return printable(f"{reply.code} " + " ".join(printable(line) for line in reply.lines[:_LINES]))


def _with_tls(session: Session, target: Target, agreed: Agreed, say: Say) -> Session:
    """Read what the handshake brought, say it, and return it."""
    forward = agreed.version == "TLSv1.3" or _EPHEMERAL.match(agreed.cipher) is not None
    say(Said.TLS, version=agreed.version, cipher=agreed.cipher, bits=agreed.bits)
    say(Said.FORWARD, yes=forward)
    chain = judge_chain(agreed.certificates, target.anchors, target.clock())
    _say_chain(chain, say)
    chain = _with_name(chain, target.host, say)
    dane, record = None, None
    if target.tlsa:
        dane, record = match(target.tlsa, agreed.certificates, target.names, target.clock())
        say(
            {Dane.MATCH: Said.DANE_MATCH, Dane.MISMATCH: Said.DANE_MISMATCH}.get(dane, Said.DANE_UNUSABLE),
            record=record,
        )
    return replace(
        session,
        version=agreed.version,
        cipher=printable(agreed.cipher),
        bits=agreed.bits,
        forward_secrecy=forward,
        chain=chain,
        dane=dane,
        dane_usage=record.usage if record else -1,
    )


def _say_chain(chain: Chain, say: Say) -> None:
    for number, one in enumerate(chain.certificates, 1):
        say(Said.CERTIFICATE, number=number, count=len(chain.certificates), subject=one.subject)
        say(Said.ISSUER, issuer=one.issuer)
        say(Said.SELF_SIGNED, yes=one.self_signed)
        say(Said.DATES, begins=one.begins, ends=one.ends)
        say(Said.KEY, key=one.key, bits=one.bits, signature=one.signature)
        if one.names:
            more = f" … (+{len(one.names) - _NAMES})" if len(one.names) > _NAMES else ""
            say(Said.NAMES, names=", ".join(one.names[:_NAMES]) + more)
        say(Said.PRINT, fingerprint=one.fingerprint)
    for problem in chain.problems:
        say(Said.CHAIN_BAD, problem=problem, where=chain.where)
    if not chain.problems:
        say(Said.CHAIN_GOOD)


def _with_name(chain: Chain, host: str, say: Say) -> Chain:
    if chain.own is None or Problem.UNREADABLE in chain.problems:
        return chain
    if any_matches(chain.own.names, (host,)):
        say(Said.NAME_GOOD, host=host)
        return chain
    problem = Problem.WRONG_NAME if chain.own.names else Problem.NO_NAME
    say(Said.NAME_BAD, host=host, problem=problem)
    return replace(chain, problems=(*chain.problems, problem))
