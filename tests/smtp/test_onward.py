"""How the way to the next hop is encrypted: what each level takes, and what it would rather not send than send."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import uvloop

from notes2conf_milter.address import InetAddress
from notes2conf_milter.smtp.onward import Level, NextHop, local
from notes2conf_milter.smtp.reinject import Handed, hand_over
from tests.smtp.nexthop import NextHop as Server
from tests.tlscheck.authority import NOW, Authority, Issued, issue
from tests.tlscheck.nameserver import Nameserver

NAME = "next.example.net"
AUTHORITY = Authority()
GOOD = AUTHORITY.host(NAME)
CERTIFICATES = {
    "good": GOOD,
    "wildcard": AUTHORITY.host("wild", names=("*.example.net",)),
    "wrong name": AUTHORITY.host("other.example.net"),
    "expired": AUTHORITY.host(NAME, begins=NOW - timedelta(days=90), ends=NOW - timedelta(days=1)),
    "self-signed": issue(NAME, names=(NAME,)),
}
MAIL = b"Subject: x\r\n\r\nbody\r\n"
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
STRONG = [Level.ENCRYPT, Level.VERIFY, Level.DANE_ONLY]

Went = tuple[Handed, list[str], int]  # what became of the mail; the TLS versions; connections


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    path = tmp_path / "roots.pem"
    path.write_bytes(AUTHORITY.root.pem)
    return path


def go(
    level: Level,
    presented: Issued | None,
    *,
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    script: Any = None,
    before_tls: bytes = b"",
    lowest: str = "TLSv1_2",
    highest: str = "TLSv1_3",
    tlsa: list[str] | None = None,
    secure: bool = True,
    failing: bool = False,
    **options: Any,
) -> Went:
    """Hand one mail over to a next hop with this certificate, or without TLS. tlsa: its records."""

    async def run(dns: Nameserver) -> Went:
        context = None if presented is None else presented.context(lowest, highest)
        async with Server(script, tls=context, before_tls=before_tls) as server:
            owner = f"_{server.address.port}._tcp.{NAME} TLSA"
            dns.zone[f"{NAME} A"] = ["127.0.0.1"]
            if tlsa:
                dns.zone[owner] = tlsa
            dns.secure = secure
            dns.failing |= {owner} if failing else set()
            resolver = InetAddress(*dns.address)
            hop = NextHop(server.address, "door.example", level=level, name=NAME, resolver=resolver, **options)
            done = await hand_over(hop, b"", b"o@example.org", MAIL, timeout=20)
            await server.closed()
            assert len(server.messages) == (done.result is Handed.ACCEPTED)
            return done.result, server.encrypted, server.connections

    with Nameserver() as dns, asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run(dns))


def record(issued: Issued, usage: int = 3) -> str:
    return f"{usage} 1 1 {sha256(issued.spki).hexdigest()}"


@LOOPS
@pytest.mark.parametrize("level", [Level.MAY, Level.ENCRYPT, Level.VERIFY, Level.DANE, Level.DANE_ONLY])
def test_each_level_sends_by_tls_where_all_is_well(
    level: Level, loop: Callable[[], asyncio.AbstractEventLoop], roots: Path
) -> None:
    went = go(level, GOOD, loop=loop, authorities=roots, tlsa=[record(GOOD)])
    assert went == (Handed.ACCEPTED, ["TLSv1.3"], 1)


def test_none_asks_for_none() -> None:
    assert go(Level.NONE, GOOD) == (Handed.ACCEPTED, [], 1)


@pytest.mark.parametrize("script", [{}, {"STARTTLS": b"454 4.7.0 Not now"}, {"STARTTLS": b"502 5.5.1 What"}])
@pytest.mark.parametrize("level", [Level.MAY, Level.DANE, *STRONG])
def test_without_tls_only_the_weak_send(level: Level, script: dict[str, bytes], roots: Path) -> None:
    """Also when somebody in between took STARTTLS away: that looks the same."""
    went = go(
        level, GOOD if script else None, script=script, authorities=roots, tlsa=[] if level is Level.DANE else None
    )
    assert went == ((Handed.DEFERRED if level in STRONG else Handed.ACCEPTED), [], 0 if level is Level.DANE_ONLY else 1)


@pytest.mark.parametrize("level", [Level.MAY, Level.ENCRYPT])
def test_a_handshake_that_fails(level: Level) -> None:
    """A next hop that knows old versions alone; RFC 7435: what is opportunistic goes on in clear, by a new connection."""
    went = go(level, GOOD, lowest="TLSv1", highest="TLSv1_1")
    assert went == ((Handed.ACCEPTED, [], 2) if level is Level.MAY else (Handed.DEFERRED, [], 1))


@pytest.mark.parametrize("which", CERTIFICATES)
def test_whose_certificate_is_verified(which: str, roots: Path) -> None:
    result = go(Level.VERIFY, CERTIFICATES[which], authorities=roots)[0]
    assert result is (Handed.ACCEPTED if which in ("good", "wildcard") else Handed.DEFERRED)
    assert go(Level.ENCRYPT, CERTIFICATES[which])[0] is Handed.ACCEPTED


def test_why_our_own_mail_waits_is_said(roots: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who set verify finds in the log what is wrong with the certificate, and no address of anybody."""
    assert go(Level.VERIFY, CERTIFICATES["expired"], authorities=roots)[0] is Handed.DEFERRED
    assert "TLS fails: certificate has expired" in caplog.text and "@" not in caplog.text


def test_the_systems_authorities_are_not_ours() -> None:
    """Without a file it is they who count, and they have not heard of this one."""
    assert go(Level.VERIFY, GOOD)[0] is Handed.DEFERRED


@pytest.mark.parametrize("level", [Level.DANE, Level.DANE_ONLY])
@pytest.mark.parametrize(
    ("records", "presented", "sent"),
    [
        ([record(GOOD)], "good", True),
        ([record(CERTIFICATES["self-signed"])], "self-signed", True),  # RFC 7672 §3.1.1: DANE-EE needs no authority
        ([record(CERTIFICATES["expired"])], "expired", True),  # nor dates
        ([record(AUTHORITY.between, 2)], "good", True),  # DANE-TA
        ([record(AUTHORITY.between, 2)], "wrong name", False),
        ([record(GOOD)], "self-signed", False),
        ([record(CERTIFICATES["self-signed"]), record(GOOD)], "good", True),  # one is enough: a key on its way out
    ],
)
def test_tlsa_records_vouch(level: Level, records: list[str], presented: str, sent: bool) -> None:
    result, versions, _ = go(level, CERTIFICATES[presented], tlsa=records)
    assert (result, versions) == ((Handed.ACCEPTED if sent else Handed.DEFERRED), ["TLSv1.3"])


@pytest.mark.parametrize("level", [Level.DANE, Level.DANE_ONLY])
def test_tlsa_records_that_nobody_vouches_for(level: Level) -> None:
    """Without AD they could be anybody's: DANE goes on as if there were none, DANE-only does not go on."""
    result = go(level, GOOD, tlsa=[record(CERTIFICATES["self-signed"])], secure=False)[0]
    assert result is (Handed.ACCEPTED if level is Level.DANE else Handed.DEFERRED)


@pytest.mark.parametrize("level", [Level.DANE, Level.DANE_ONLY])
def test_tlsa_records_that_cannot_be_used(level: Level) -> None:
    """RFC 7672 §2.2: TLS is a must then, whoever it is with."""
    unusable = ["1 1 1 " + "00" * 32]
    assert go(level, GOOD, tlsa=unusable)[0] is (Handed.ACCEPTED if level is Level.DANE else Handed.DEFERRED)
    assert go(level, None, tlsa=unusable)[0] is Handed.DEFERRED


@pytest.mark.parametrize("level", [Level.DANE, Level.DANE_ONLY])
def test_a_resolver_that_does_not_say(level: Level) -> None:
    """RFC 7672 §2.1.1: to go on without DANE is what an attacker would want."""
    assert go(level, GOOD, tlsa=[record(GOOD)], failing=True) == (Handed.DEFERRED, [], 0)


@LOOPS
@pytest.mark.parametrize("injected", [b"\r\n250 2.1.0 Ok", b"\r\n250-next.example\r\n250 AUTH PLAIN"])
@pytest.mark.parametrize("level", [Level.MAY, Level.ENCRYPT])
def test_what_is_said_before_tls_is_not_taken_for_said_in_it(
    level: Level, injected: bytes, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """As CVE-2011-0411, from the other side: replies injected behind the answer to STARTTLS."""
    result, _, _ = go(level, GOOD, before_tls=injected, loop=loop)
    assert result is Handed.DEFERRED


def test_files_of_authorities_that_are_none(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    for path, words in ((bad, "holds no certificate"), (tmp_path / "no.pem", "cannot be read")):
        with pytest.raises(ValueError, match=words):
            NextHop(InetAddress("next.example.net", 25), "door.example", level=Level.VERIFY, authorities=path)


def test_what_is_on_this_machine() -> None:
    assert all(local(InetAddress(host, 25)) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(local(InetAddress(host, 25)) for host in ("192.0.2.1", "smtp.example.net", "2001:db8::1"))
