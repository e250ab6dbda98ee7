"""The whole check by the real command: each kind of mail host gets its sentence and its exit status, in both languages."""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from notes2conf_milter.tlscheck.check import own_name
from tests.tlscheck.authority import NOW, Authority, issue
from tests.tlscheck.mailhost import MailHost
from tests.tlscheck.place import DOMAIN, MX, Place

GOOD, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
POLICY = "version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 604800\r\n"


def healthy(place: Place) -> MailHost:
    """All that the guidelines ask for, and more."""
    issued = place.authority.host(MX)
    host = place.mx(MailHost(issued.context()))
    place.tlsa(3, 1, 1, issued)
    place.policy(POLICY.format(mode="enforce", mx=MX))
    place.dns.zone[f"_smtp._tls.{DOMAIN} TXT"] = ['"v=TLSRPTv1; rua=mailto:tls@example.test"']
    return host


# --- a healthy host ---


def test_the_transcript_of_a_healthy_host_has_every_stage(place: Place) -> None:
    """What the audit's receiver test shows, in its order, each line with its time; and nothing is sent but MAIL FROM."""
    host = healthy(place)
    done = place.check()
    stages = [
        f"MX (10) {MX} [DNSSEC: yes]",
        "MTA-STS policy: mode enforce",
        "v=TLSRPTv1",
        f"A {MX} 127.",
        f"TLSA _{place.port}._tcp.{MX} 3 1 1 ",
        f"connecting to {MX} [127.",
        "connected",
        "<-- 220 mx.example.test ESMTP",
        "--> EHLO ",
        "<-- 250-STARTTLS",
        "--> STARTTLS",
        "<-- 220 2.0.0 Ready to start TLS",
        "TLS: TLSv1.3, TLS_AES_256_GCM_SHA384, 256 bits",
        "forward secrecy: yes",
        f"certificate 1 of 2: CN={MX}",
        "issuer: CN=Test Intermediate",
        "self-signed: no",
        "valid: 20",
        "key: EC secp256r1, 256 bits; signature: ecdsa-with-SHA256",
        f"names: {MX}",
        "SHA-256: ",
        "certificate 2 of 2: CN=Test Intermediate",
        "chain: valid",
        f"host name: {MX} is one of the certificate's names",
        "DANE: 3 1 1 ",
        "--> EHLO ",
        "--> MAIL FROM:<>",
        "<-- 250 2.1.0 Ok",
        "--> QUIT",
        "<-- 221 2.0.0 Bye",
        "second connection: TLS 1.1 or older is taken: no",
        "done",
    ]
    lines = iter(done.output.splitlines())
    for stage in stages:
        assert any(stage in line for line in lines), stage
    transcript = done.output.partition("\n\n")[0].splitlines()
    times = [float(line[1:8]) for line in transcript]
    assert times == sorted(times) and all(line[0] == "[" and line[8] == "]" for line in transcript)
    assert done.exit_code == GOOD, done.output
    assert "Good: mail to example.test comes encrypted, to hosts that prove who they are." in done.output
    assert "BSI TR-03108: kept" in done.output and "BSI TR-02102-2: kept" in done.output
    assert {command.split(b" ")[0] for command in host.commands} == {b"EHLO", b"STARTTLS", b"MAIL", b"QUIT"}
    assert host.connections == 2


def test_a_healthy_host_in_german(place: Place) -> None:
    """The transcript and the verdict."""
    healthy(place)
    done = place.check("--language", "de")
    assert done.exit_code == GOOD, done.output
    for words in (
        "TLS-Prüfung von example.test",
        "Forward Secrecy: ja",
        "selbstsigniert: nein",
        "Kette: gültig",
        "MTA-STS-Richtlinie: mode enforce",
        "gut: DANE bürgt für mx.example.test",
        "BSI TR-03108: eingehalten, soweit von außen zu sehen.",
        "Gut: Mail an example.test kommt verschlüsselt, zu Hosts, die sich ausweisen.",
    ):
        assert words in done.output


def test_quiet_says_the_verdict_alone(place: Place) -> None:
    """For monitors."""
    healthy(place)
    done = place.check("--quiet")
    assert done.exit_code == GOOD and done.output.startswith("good: ") and "-->" not in done.output


def test_json_has_all_of_it(place: Place) -> None:
    """One object; its exit code is the command's."""
    healthy(place)
    done = place.check("--json")
    found = done.json()
    session = found["hosts"][0]["sessions"][0]
    assert done.exit_code == found["exit_code"] == GOOD and found["status"] == "good"
    assert found["guidelines"] == {"BSI TR-03108": True, "BSI TR-02102-2": True}
    assert (session["tls"], session["forward_secrecy"], session["dane"], session["mail_reply"]) == (
        "TLSv1.3",
        True,
        "match",
        250,
    )
    assert [one["subject"] for one in session["certificates"]] == [f"CN={MX}", "CN=Test Intermediate"]
    assert found["mta_sts"]["policy"] == {"mode": "enforce", "max_age": 604800, "mx": [MX]}
    assert found["transcript"][0]["at"] < 1 and len(found["transcript"]) > 30


# --- one thing is wrong ---


@dataclass(frozen=True)
class Case:
    """A host, the finding about it, the exit status, and a piece of both sentences."""

    build: Callable[[Place], object]
    code: str
    status: int
    english: str
    german: str


def host_with(**options: object) -> Callable[[Place], object]:
    """A mail host with a certificate of the authority's, that differs in these."""
    return lambda place: place.mx(MailHost(place.authority.host(MX).context(), **options))  # type: ignore[arg-type]


def tls(
    lowest: str, highest: str, ciphers: str = "", key: Callable[[], object] | None = None
) -> Callable[[Place], object]:
    """A mail host with these TLS versions and ciphers."""

    def build(place: Place) -> object:
        issued = place.authority.host(MX, key=key() if key else None)
        return place.mx(MailHost(issued.context(lowest, highest, ciphers)))

    return build


def certificate(**options: object) -> Callable[[Place], object]:
    """A mail host whose certificate the authority issued with these options."""
    return lambda place: place.mx(MailHost(place.authority.host(MX, **options).context()))


def self_signed(place: Place) -> object:
    return place.mx(MailHost(issue(MX, names=(MX,)).context()))


def foreign_authority(place: Place) -> object:
    other = Authority()
    issued = other.host(MX)
    return place.mx(
        MailHost(type(issued)(issued.certificate, issued.key, (*issued.chain, other.root.certificate)).context())
    )


def inject(octets: bytes, seconds: float) -> Callable[[socket.socket], None]:
    """Send plain text after the answer to STARTTLS, at once or later."""

    def send(connection: socket.socket) -> None:
        time.sleep(seconds)
        connection.sendall(octets)

    return send


RSA_2048 = rsa.generate_private_key(65537, 2048)
RSA_1024 = rsa.generate_private_key(65537, 1024)

CASES = {
    "no-tls": Case(
        host_with(keywords=(b"PIPELINING", b"8BITMIME")),
        "no-starttls",
        CRITICAL,
        "STARTTLS is not offered. Mail comes in the clear",
        "STARTTLS wird nicht angeboten. Mail kommt im Klartext",
    ),
    "stripped": Case(
        host_with(keywords=(b"PIPELINING", b"XXXXXXXA", b"8BITMIME")),
        "stripped",
        CRITICAL,
        "something overwrites STARTTLS with X's",
        "überschreibt etwas STARTTLS mit X",
    ),
    "ehlo-refused": Case(
        host_with(ehlo=b"502 5.5.2 What?\r\n"),
        "ehlo-refused",
        CRITICAL,
        "EHLO is refused, so no encryption can be offered. Mail comes in the clear. The answer: 502 5.5.2 What?",
        "EHLO wird abgelehnt, also kann keine Verschlüsselung angeboten werden.",
    ),
    "starttls-454": Case(
        host_with(starttls=b"454 4.7.0 TLS not available due to local problem\r\n"),
        "starttls-refused",
        CRITICAL,
        "refused when asked for. Mail comes in the clear, or not at all. The answer: 454 4.7.0 TLS not",
        "STARTTLS wird angeboten und dann abgelehnt.",
    ),
    "injected-at-once": Case(
        host_with(starttls=b"220 2.0.0 Ready\r\n250 injected\r\n"),
        "injected",
        CRITICAL,
        "can put answers in (an injection), or the host is broken. What came: 250 injected",
        "Nach der Antwort auf STARTTLS kommt noch Klartext.",
    ),
    "injected-later": Case(
        host_with(before_tls=inject(b"250 later\r\n", 0.2)),
        "injected",
        CRITICAL,
        "What came: 250 later",
        "Was kam: 250 later",
    ),
    "handshake-fails": Case(
        host_with(before_tls=lambda connection: connection.shutdown(socket.SHUT_RDWR)),
        "handshake-failed",
        CRITICAL,
        "STARTTLS is offered, but the TLS handshake fails (",
        "STARTTLS wird angeboten, aber der TLS-Handshake scheitert (",
    ),
    "alert": Case(
        host_with(before_tls=inject(b"\x15\x03\x03\x00\x02\x02\x28", 0)),  # fatal, handshake_failure
        "handshake-failed",
        CRITICAL,
        "HANDSHAKE_FAILURE",
        "HANDSHAKE_FAILURE",
    ),
    "broken-inside": Case(
        host_with(inside=b"421 4.3.2 No\r\n"),
        "broken-inside",
        CRITICAL,
        "TLS begins, and then no SMTP is spoken any more. 421 4.3.2 No",
        "TLS beginnt, und danach wird kein SMTP mehr gesprochen.",
    ),
    "garbage": Case(
        host_with(greeting=b"SSH-2.0-OpenSSH_9.2\r\n\x1b[2J\r\n"),
        "not-smtp",
        CRITICAL,
        "What answers there does not speak SMTP. The answer: SSH-2.0-OpenSSH_9.2\\r\\n\\x1b[2J".replace("What", "what"),
        "Was dort antwortet, spricht kein SMTP.",
    ),
    "turned-away": Case(
        host_with(greeting=b"554 5.7.1 You are on a list\r\n"),
        "turned-away",
        UNKNOWN,
        "turned away with the greeting, so nothing can be said about encryption. The answer: 554 5.7.1 You are on a list",
        "schon mit der Begrüßung abgewiesen",
    ),
    "hangs-up": Case(
        host_with(closes=2),
        "lost",
        UNKNOWN,
        "the connection was closed in the middle of the conversation",
        "Die Verbindung wurde mitten im Gespräch geschlossen.",
    ),
    "silence": Case(
        host_with(silent=0),
        "silent",
        UNKNOWN,
        "the connection is taken, but no answer comes in time",
        "Die Verbindung wird angenommen, aber es kommt rechtzeitig keine Antwort.",
    ),
    "mail-refused": Case(
        host_with(mail=b"550 5.7.1 no null sender\r\n"),
        "mail-refused",
        WARNING,  # for DANE, which is missing
        "the empty sender is refused (reply 550)",
        "Der leere Absender wird abgelehnt (Antwort 550).",
    ),
    "tls-1.0-only": Case(
        tls("TLSv1", "TLSv1"),
        "old-tls",
        CRITICAL,
        "TLSv1 is the best that is offered. It is outdated",
        "TLSv1 ist das Beste, was angeboten wird. Das ist veraltet",
    ),
    "tls-1.1-only": Case(
        tls("TLSv1_1", "TLSv1_1"), "old-tls", CRITICAL, "TLSv1.1 is the best", "TLSv1.1 ist das Beste"
    ),
    "tls-1.0-too": Case(
        tls("TLSv1", "TLSv1_3"),
        "old-tls-too",
        WARNING,
        "TLS 1.1 or 1.0 is taken, too. Neither is recommended any more.",
        "TLS 1.1 oder 1.0 wird auch angenommen.",
    ),
    "tls-1.2": Case(
        tls("TLSv1_2", "TLSv1_2"),
        "good-tls",
        WARNING,  # for DANE, which is missing
        "encrypted with TLSv1.2 and ECDHE-ECDSA-AES256-GCM-SHA384, with forward secrecy",
        "verschlüsselt mit TLSv1.2 und ECDHE-ECDSA-AES256-GCM-SHA384, mit Forward Secrecy",
    ),
    "no-forward-secrecy": Case(
        tls("TLSv1_2", "TLSv1_2", "AES256-GCM-SHA384", key=lambda: RSA_2048),
        "no-forward-secrecy",
        WARNING,
        "encrypted with TLSv1.2 and AES256-GCM-SHA384, without forward secrecy",
        "verschlüsselt mit TLSv1.2 und AES256-GCM-SHA384, ohne Forward Secrecy",
    ),
    "not-listed": Case(
        tls("TLSv1_2", "TLSv1_2", "ECDHE-ECDSA-AES256-SHA"),
        "cipher-not-listed",
        WARNING,
        "ECDHE-ECDSA-AES256-SHA, which is not among the suites of TR-02102-2",
        "und das steht nicht in den Listen der TR-02102-2",
    ),
    "chacha": Case(
        tls("TLSv1_2", "TLSv1_2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        "cipher-unusual",
        WARNING,  # for DANE, which is missing
        "The suite is sound, but not in the lists of TR-02102-2.",
        "Das Verfahren ist gut, steht aber nicht in den Listen der TR-02102-2.",
    ),
    "rsa-2048": Case(
        certificate(key=RSA_2048),
        "key-short",
        WARNING,
        "the key of CN=mx.example.test (RSA, 2048 bits) is shorter than TR-02102 recommends since 2024",
        "Der Schlüssel von CN=mx.example.test (RSA, 2048 Bit) ist kürzer, als die TR-02102 seit 2024 empfiehlt",
    ),
    "self-signed": Case(
        self_signed,
        "bad-certificate",
        CRITICAL,
        "no proof of identity: the certificate is self-signed",
        "kein Nachweis der Identität: das Zertifikat ist selbstsigniert",
    ),
    "expired": Case(
        certificate(begins=NOW - timedelta(days=90), ends=NOW - timedelta(days=2)),
        "bad-certificate",
        CRITICAL,
        "no proof of identity: the certificate has expired",
        "kein Nachweis der Identität: das Zertifikat ist abgelaufen",
    ),
    "not-yet-valid": Case(
        certificate(begins=NOW + timedelta(days=2)),
        "bad-certificate",
        CRITICAL,
        "no proof of identity: the certificate is not valid yet",
        "kein Nachweis der Identität: das Zertifikat gilt noch nicht",
    ),
    "expires-soon": Case(
        certificate(ends=NOW + timedelta(days=5)),
        "expires-soon",
        WARNING,
        "the certificate expires soon, at 20",
        "Das Zertifikat läuft bald ab, am 20",
    ),
    "wrong-name": Case(
        certificate(names=("other.example.test",)),
        "bad-certificate",
        CRITICAL,
        "no proof of identity: the certificate is for another name",
        "kein Nachweis der Identität: das Zertifikat gilt für einen anderen Namen",
    ),
    "common-name-only": Case(
        certificate(names=()),
        "bad-certificate",
        CRITICAL,
        "the certificate has no DNS name (a common name does not count)",
        "das Zertifikat hat keinen DNS-Namen (ein Common Name zählt nicht)",
    ),
    "wildcard": Case(
        certificate(names=("*.example.test",)), "good-certificate", WARNING, "identity proved", "Identität nachgewiesen"
    ),
    "wildcard-too-deep": Case(
        certificate(names=("*.test",)), "bad-certificate", CRITICAL, "for another name", "für einen anderen Namen"
    ),
    "signed-by-the-authority": Case(
        certificate(), "good-certificate", WARNING, "The chain is valid", "Die Kette ist gültig"
    ),
    "incomplete": Case(
        certificate(send=False),
        "bad-certificate",
        CRITICAL,
        "it lacks the certificate of CN=Test Intermediate",
        "Es fehlt das Zertifikat von CN=Test Intermediate",
    ),
    "foreign-authority": Case(
        foreign_authority,
        "bad-certificate",
        CRITICAL,
        "the chain ends in an unknown root CN=Test Root",
        "die Kette endet bei einer unbekannten Wurzel CN=Test Root",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_host_gets_its_sentence_and_status(
    name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In English, in German, and as a finding with a code."""
    case = CASES[name]
    monkeypatch.setattr("notes2conf_milter.tlscheck.check.REPLY_SECONDS", 1.0)
    case.build(place)
    status, levels = place.findings()
    assert case.code in levels, levels
    assert status == case.status
    for language, words in (("en", case.english), ("de", case.german)):
        done = place.check("--quiet", "--language", language)
        assert words in done.output, done.output
        assert done.exit_code == case.status


def test_no_octet_of_a_server_steers_the_terminal(place: Place) -> None:
    """Escapes in replies, certificates and TXT records come out as text."""
    nasty = "\x1b]0;owned\x07\u202e"
    issued = issue(f"mx{nasty}", place.authority.between, names=(MX,))
    place.mx(MailHost(issued.context(), greeting=f"220 mx {nasty}\r\n".encode(), mail=b"250 " + b"A" * 3000 + b"\r\n"))
    place.dns.zone[f"_mta-sts.{DOMAIN} TXT"] = ['"v=STSv1; id=\\027[2J"']
    for arguments in ((), ("--json",), ("--quiet",)):
        output = place.check(*arguments).output
        assert not any(one in output for one in "\x1b\x07\u202e")
        assert max(map(len, output.splitlines())) < 1200


# --- several hosts, and none ---


def test_one_bad_host_of_several(place: Place) -> None:
    """The good one is good, the bad one is named, and the whole is critical."""
    place.good()
    place.mx(MailHost(issue("bad", names=("bad.example.test",)).context()), "bad.example.test", 20)
    done = place.check("--json")
    findings = {(one["code"], place.split(" ")[0]) for one in done.json()["findings"] for place in one["places"]}
    assert done.exit_code == CRITICAL
    assert ("good-certificate", MX) in findings and ("bad-certificate", "bad.example.test") in findings
    assert ("bad-certificate", MX) not in findings


def test_both_families_of_addresses(place: Place) -> None:
    """IPv4 and IPv6 are checked each by itself; findings that are alike are one sentence."""
    issued = place.authority.host(MX)
    place.mx(MailHost(issued.context()))
    place.mx(MailHost(keywords=(b"8BITMIME",)), address="::1")
    place.dns.zone[f"{DOMAIN} MX"] = [f"10 {MX}."]
    done = place.check("--json")
    sessions = done.json()["hosts"][0]["sessions"]
    assert [(one["address"][:4], one["outcome"]) for one in sessions] == [("127.", "whole"), ("::1", "no-starttls")]
    assert done.exit_code == CRITICAL


def test_no_mx_means_the_domain_itself(place: Place) -> None:
    """RFC 5321 §5.1; and its certificate is for the domain."""
    place.mx(MailHost(place.authority.host(DOMAIN).context()), DOMAIN)
    del place.dns.zone[f"{DOMAIN} MX"]
    status, levels = place.findings()
    assert (status, levels["implicit-mx"], levels["good-certificate"]) == (WARNING, "hint", "good")
    assert "kein MX: Die Domain ist ihr eigener Mail-Host" in place.check("--language", "de").output


def test_null_mx(place: Place) -> None:
    """Nothing to check, and so no "good"; nobody is connected to (RFC 7505)."""
    place.dns.zone[f"{DOMAIN} MX"] = ["0 ."]
    place.dns.zone[f"{DOMAIN} A"] = [place.address()]
    status, levels = place.findings()
    assert (status, set(levels)) == (UNKNOWN, {"null-mx"})
    assert "says that it takes no mail (null MX)" in place.check().output
    assert "erklärt, keine Mail anzunehmen (Null-MX)" in place.check("--language", "de").output


def test_null_mx_beside_others(place: Place) -> None:
    """RFC 7505 §3: contradictory; the others are checked."""
    place.good()
    place.dns.zone[f"{DOMAIN} MX"].append("0 .")
    status, levels = place.findings()
    assert (status, levels["null-mx-and-others"]) == (WARNING, "warning") and "good-certificate" in levels


@pytest.mark.parametrize(
    ("zone", "code", "status"),
    [
        ({}, "no-domain", CRITICAL),
        ({f"{DOMAIN} TXT": ['"nothing"']}, "no-host", CRITICAL),
        ({f"{DOMAIN} MX": [f"10 {MX}."]}, "mx-without-address", CRITICAL),
        ({f"{DOMAIN} MX": ["10 192.0.2.1."]}, "mx-is-address", CRITICAL),
    ],
)
def test_nobody_takes_mail(place: Place, zone: dict[str, list[str]], code: str, status: int) -> None:
    """The DNS alone says it."""
    place.dns.zone.update(zone)
    found, levels = place.findings()
    assert (found, levels[code]) == (status, "critical")


def test_an_mx_that_is_an_alias(place: Place) -> None:
    """It works, and is told (RFC 2181 §10.3)."""
    place.good()
    place.dns.zone[f"{DOMAIN} MX"] = ["10 alias.example.test."]
    place.dns.zone["alias.example.test CNAME"] = [f"{MX}."]
    status, levels = place.findings()
    assert levels["mx-alias"] == "warning" and levels["bad-certificate"] == "critical" and status == CRITICAL


def test_a_resolver_that_fails(place: Place) -> None:
    """SERVFAIL for the MX: nothing is known."""
    place.good()
    place.dns.failing.add(f"{DOMAIN} MX")
    status, levels = place.findings()
    assert (status, levels["mx-unknown"]) == (UNKNOWN, "unknown")
    assert "(SERVFAIL)" in place.check().output


def test_a_resolver_that_fails_for_one_family(place: Place) -> None:
    """The other is checked; the whole is not known."""
    place.good()
    place.dns.failing.add(f"{MX} AAAA")
    status, levels = place.findings()
    assert (status, levels["host-unknown"], levels["good-certificate"]) == (UNKNOWN, "unknown", "good")


def test_a_certificate_with_many_names(place: Place) -> None:
    """The last of hundreds counts as much as the first; the transcript shows some."""
    names = (*(f"host{number}.example.test" for number in range(300)), MX)
    place.mx(MailHost(place.authority.host(MX, names=names).context()))
    assert place.findings()[1]["good-certificate"] == "good"
    assert "host19.example.test … (+281)" in place.check().output


def test_a_host_that_asks_for_a_client_certificate(place: Place) -> None:
    """A public MX must not; with TLS 1.3 the alert comes after the handshake."""
    context = place.authority.host(MX).context()
    context.load_verify_locations(place.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    place.mx(MailHost(context))
    status, levels = place.findings()
    assert (status, levels["broken-inside"]) == (CRITICAL, "critical")
    assert "CERTIFICATE_REQUIRED" in place.check("--quiet").output


def test_nobody_listens(place: Place) -> None:
    """Not reached is not known: the port may be closed on the way from here."""
    place.good()
    place.dns.zone[f"{MX} A"] = [place.address()]
    status, levels = place.findings()
    assert (status, levels["unreachable"]) == (UNKNOWN, "unknown")
    assert "not reached (ECONNREFUSED)" in place.check().output


def test_the_whole_has_a_time(place: Place) -> None:
    """What was found until then is judged; and the command ends."""
    place.mx(MailHost(silent=0))
    began = time.monotonic()
    done = place.check("--json", "--timeout", "1")
    assert time.monotonic() - began < 10
    assert done.exit_code == UNKNOWN and "time-up" in done.levels()


def test_too_many_addresses_are_left_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain that names a hundred addresses makes no attack of a check."""
    monkeypatch.setattr("notes2conf_milter.tlscheck.check.ADDRESSES_LIMIT", 1)
    host = place.good()
    place.dns.zone[f"{MX} A"] += [place.address() for _ in range(5)]
    status, levels = place.findings()
    assert (status, levels["left-out"], host.connections <= 2) == (UNKNOWN, "unknown", True)


# --- DANE ---


@pytest.mark.parametrize(("selector", "matching"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("usage", [2, 3])
def test_dane_matches(place: Place, usage: int, selector: int, matching: int) -> None:
    """Every kind of record that SMTP uses."""
    issued = place.authority.host(MX)
    place.mx(MailHost(issued.context()))
    place.tlsa(usage, selector, matching, issued if usage == 3 else place.authority.between)
    status, levels = place.findings()
    assert (status, levels["dane-good"]) == (GOOD, "good")


def test_dane_vouches_for_a_self_signed_certificate(place: Place) -> None:
    """Usage 3: neither chain nor name nor dates count (RFC 7672 §3.1.1); MTA-STS would still refuse it."""
    issued = issue("x", names=("other.test",), begins=NOW - timedelta(days=9), ends=NOW - timedelta(days=1))
    place.mx(MailHost(issued.context()))
    place.tlsa(3, 1, 1, issued)
    status, levels = place.findings()
    assert (status, levels["proved-by-dane"], "bad-certificate" in levels) == (GOOD, "hint", False)
    assert "the certificate is self-signed, but DANE vouches for it" in place.check().output
    assert "das Zertifikat ist selbstsigniert, aber DANE bürgt dafür" in place.check("--language", "de").output
    place.policy(POLICY.format(mode="enforce", mx=MX))
    assert place.findings()[1]["sts-no-proof"] == "critical"


def test_dane_mismatch(place: Place) -> None:
    """Senders that know DANE do not deliver."""
    place.good()
    place.tlsa(3, 1, 1, place.authority.root)
    status, levels = place.findings()
    assert (status, levels["dane-mismatch"]) == (CRITICAL, "critical")
    assert "Kein TLSA-Eintrag passt zum Zertifikat von mx.example.test" in place.check("--language", "de").output


@pytest.mark.parametrize("what", ["{domain} MX", "{mx} A", "_{port}._tcp.{mx} TLSA"])
def test_dane_without_ad_is_no_dane(place: Place, what: str) -> None:
    """Each answer on the way has to be validated: MX, address, TLSA (RFC 7672 §2.2)."""
    issued = issue(MX, names=(MX,))
    place.mx(MailHost(issued.context()))
    place.tlsa(3, 1, 1, issued)
    place.dns.insecure.add(what.format(domain=DOMAIN, mx=MX, port=place.port))
    status, levels = place.findings()
    assert (status, levels["dane-insecure"], levels["bad-certificate"]) == (CRITICAL, "warning", "critical")
    assert "kein AD-Flag" in place.check("--language", "de").output


def test_dane_mismatch_without_ad(place: Place) -> None:
    """Nobody minds yet; it is told."""
    place.good()
    place.tlsa(3, 1, 1, place.authority.root)
    place.dns.secure = False
    status, levels = place.findings()
    assert (status, levels["dane-insecure-mismatch"], "dane-mismatch" in levels) == (WARNING, "warning", False)


def test_dane_and_no_encryption(place: Place) -> None:
    """The records promise what the host, or somebody on the way, does not keep."""
    place.mx(MailHost(keywords=()))
    place.tlsa(3, 1, 1, place.authority.root)
    status, levels = place.findings()
    assert (status, levels["no-starttls"], levels["dane-in-the-clear"]) == (CRITICAL, "critical", "critical")


def test_dane_records_that_smtp_cannot_use(place: Place) -> None:
    """PKIX usages (RFC 7672 §3.1.3)."""
    issued = place.authority.host(MX)
    place.mx(MailHost(issued.context()))
    place.tlsa(1, 1, 1, issued)
    assert place.findings()[1]["dane-unusable"] == "warning"


def test_the_dns_fails_for_tlsa(place: Place) -> None:
    """Senders that know DANE wait (RFC 7672 §2.1.2)."""
    place.good()
    place.dns.failing.add(f"_{place.port}._tcp.{MX} TLSA")
    assert place.findings()[1]["dane-unknown"] == "critical"


# --- MTA-STS and TLSRPT ---


@pytest.mark.parametrize(
    ("mode", "mx", "code", "status"),
    [
        ("enforce", MX, "sts-good", WARNING),
        ("enforce", "*.example.test", "sts-good", WARNING),
        ("enforce", "mail.example.test", "sts-other-host", CRITICAL),
        ("enforce", "*.mx.example.test", "sts-other-host", CRITICAL),
        ("testing", "mail.example.test", "sts-other-host-testing", WARNING),
        ("testing", MX, "sts-testing", WARNING),
        ("none", MX, "sts-off", WARNING),
        ("force", MX, "sts-bad-policy", WARNING),
    ],
)
def test_sts_policies(place: Place, mode: str, mx: str, code: str, status: int) -> None:
    """The policy is fetched once, by its host's name, and names the mail host or does not. (A warning is for DANE, too.)"""
    place.good()
    host = place.policy(POLICY.format(mode=mode, mx=mx))
    found, levels = place.findings()
    assert code in levels and found == status, levels
    assert host.asked == [(f"mta-sts.{DOMAIN}", "/.well-known/mta-sts.txt")]


def test_sts_without_tls(place: Place) -> None:
    """A policy that is enforced, and a host in the clear."""
    place.mx(MailHost(keywords=()))
    place.policy(POLICY.format(mode="enforce", mx=MX))
    assert place.findings()[1]["sts-no-proof"] == "critical"


def test_sts_unreachable(place: Place) -> None:
    """Announced, and nobody there."""
    place.good()
    place.dns.zone[f"_mta-sts.{DOMAIN} TXT"] = ['"v=STSv1; id=1;"']
    assert place.findings()[1]["sts-unreachable"] == "warning"
    place.dns.zone[f"mta-sts.{DOMAIN} A"] = [place.address()]
    assert place.findings()[1]["sts-unreachable"] == "warning"
    assert "aber die Richtlinie ist von mta-sts.example.test nicht abrufbar" in place.check("--language", "de").output


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"status": 404}, "sts-bad-answer"),
        ({"status": 301}, "sts-bad-answer"),
        ({"kind": "text/html"}, "sts-bad-answer"),
        ({"issued": issue("x", names=(f"mta-sts.{DOMAIN}",))}, "sts-bad-certificate"),
    ],
)
def test_sts_policies_that_senders_do_not_take(place: Place, options: dict[str, object], code: str) -> None:
    """Not found, moved, of another type, or from somebody who cannot prove who it is (RFC 8461 §3.3)."""
    place.good()
    place.policy(POLICY.format(mode="enforce", mx=MX), **options)
    assert place.findings()[1][code] == "warning"


def test_sts_with_another_hosts_certificate(place: Place) -> None:
    """The name is checked as well as the chain."""
    place.good()
    place.policy(POLICY.format(mode="enforce", mx=MX), issued=place.authority.host("www.example.test"))
    assert place.findings()[1]["sts-bad-certificate"] == "warning"


def test_sts_policy_without_end(place: Place) -> None:
    """Reading stops at 64 kilobytes."""
    place.good()
    place.policy("version: STSv1\n" + "mx: a.test\n" * 10000)
    assert place.findings()[1]["sts-bad-answer"] == "warning"


def test_records_of_two_versions(place: Place) -> None:
    """Two records are none (RFC 8461 §3.1, RFC 8460 §3)."""
    place.good()
    place.dns.zone[f"_mta-sts.{DOMAIN} TXT"] = ['"v=STSv1; id=1;"', '"v=STSv1; id=2;"']
    place.dns.zone[f"_smtp._tls.{DOMAIN} TXT"] = ['"v=TLSRPTv1; rua=tel:1"']
    levels = place.findings()[1]
    assert (levels["sts-bad-record"], levels["reports-bad"]) == ("warning", "warning")


def test_the_dns_fails_for_policies(place: Place) -> None:
    """Then that is not known."""
    place.good()
    place.dns.failing |= {f"_mta-sts.{DOMAIN} TXT", f"_smtp._tls.{DOMAIN} TXT"}
    status, levels = place.findings()
    assert (status, levels["sts-unknown"], levels["reports-unknown"]) == (UNKNOWN, "unknown", "unknown")


# --- wrong usage ---


@pytest.mark.parametrize(
    "domain", ["", "a b", "-x.test", "x" * 64 + ".test", "http://example.test", "you@example.test"]
)
def test_what_is_no_domain(place: Place, domain: str) -> None:
    """Refused before anything is asked."""
    assert place.check(domain=domain).exit_code == 2
    assert place.dns.asked == []


def test_a_domain_as_people_write_it(place: Place) -> None:
    """Umlauts become what the DNS has."""
    assert place.check(domain="Bücher.TEST").exit_code == CRITICAL
    assert "xn--bcher-kva.test MX" in place.dns.asked


def test_a_file_without_authorities(place: Place) -> None:
    """Set up wrong, said in a line."""
    place.ca.write_text("nothing")
    assert place.check().exit_code == 78


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("mail.example.org", "mail.example.org"),
        ("Mail.Example.ORG", "mail.example.org"),
        ("mail", ""),
        ("localhost.localdomain", ""),
        ("192.0.2.1", ""),
        ("a b.example.org", ""),
    ],
)
def test_the_name_for_ehlo(monkeypatch: pytest.MonkeyPatch, found: str, name: str) -> None:
    """A name with a dot, or none: then the address literal goes."""
    monkeypatch.setattr(socket, "getfqdn", lambda: found)
    assert own_name() == name


def test_a_name_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it."""
    monkeypatch.setattr(socket, "getfqdn", lambda: time.sleep(5))
    began = time.monotonic()
    assert own_name() == "" and time.monotonic() - began < 4
