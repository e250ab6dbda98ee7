"""`tls check` between real hosts: run on one, by its own resolver, about each kind of mail host out in the world.

Each finding with its sentence, German and English; the same domain from two places; the transcript of a healthy host.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.live.arrangement import Arrangement, Machine, arrangement
from tests.live.gateway import COMMAND

GOOD, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
NO_DANE = {"dane-missing": "warning"}
NOTHING_MORE = {**NO_DANE, "sts-missing": "hint", "reports-missing": "hint"}
FINE = {"good-tls": "good", "good-certificate": "good"}
BAD = {"good-tls": "good", "bad-certificate": "critical"}
HEALTHY = {**FINE, "dane-good": "good", "sts-good": "good", "reports-good": "good"}
DANE = {"sts-missing": "hint", "reports-missing": "hint"}


@dataclass(frozen=True)
class Case:
    """What is to be said of a domain: exit status, findings with their levels, and words of the verdict in each language."""

    domain: str
    status: int
    findings: dict[str, str]
    english: str
    german: str


CASES = [
    Case(
        "stsgood",
        GOOD,
        HEALTHY,
        "Good: mail to stsgood.example comes encrypted, to hosts that prove who they are.",
        "Gut: Mail an stsgood.example kommt verschlüsselt, zu Hosts, die sich ausweisen.",
    ),
    Case(
        "good",
        WARNING,
        {**FINE, **NOTHING_MORE},
        "encrypted with TLSv1.3 and TLS_AES_256_GCM_SHA384, with forward secrecy.",
        "verschlüsselt mit TLSv1.3 und TLS_AES_256_GCM_SHA384, mit Forward Secrecy.",
    ),
    Case(
        "only12",
        WARNING,
        {**FINE, **NOTHING_MORE},
        "encrypted with TLSv1.2 and ECDHE-ECDSA-AES256-GCM-SHA384, with forward secrecy.",
        "verschlüsselt mit TLSv1.2 und ECDHE-ECDSA-AES256-GCM-SHA384, mit Forward Secrecy.",
    ),
    Case(
        "only13",
        WARNING,
        {**FINE, **NOTHING_MORE},
        "identity proved. The chain is valid, the host name is in the certificate",
        "Identität nachgewiesen. Die Kette ist gültig, der Hostname steht im Zertifikat",
    ),
    Case(
        "only10",
        CRITICAL,
        {"old-tls": "critical", "good-certificate": "good", **NOTHING_MORE},
        "TLSv1 is the best that is offered. It is outdated",
        "TLSv1 ist das Beste, was angeboten wird. Das ist veraltet",
    ),
    Case(
        "old",
        WARNING,
        {**FINE, "old-tls-too": "warning", **NOTHING_MORE},
        "TLS 1.1 or 1.0 is taken, too.",
        "TLS 1.1 oder 1.0 wird auch angenommen.",
    ),
    Case(
        "none",
        CRITICAL,
        {"no-starttls": "critical", **NOTHING_MORE},
        "STARTTLS is not offered. Mail comes in the clear, for everybody on the way to read.",
        "STARTTLS wird nicht angeboten. Mail kommt im Klartext und ist unterwegs für alle lesbar.",
    ),
    Case(
        "selfsigned",
        CRITICAL,
        {**BAD, **NOTHING_MORE},
        "no proof of identity: the certificate is self-signed (valid from",
        "kein Nachweis der Identität: das Zertifikat ist selbstsigniert (gültig von",
    ),
    Case(
        "expired",
        CRITICAL,
        {**BAD, **NOTHING_MORE},
        "no proof of identity: the certificate has expired (valid from",
        "kein Nachweis der Identität: das Zertifikat ist abgelaufen (gültig von",
    ),
    Case(
        "wrongname",
        CRITICAL,
        {**BAD, **NOTHING_MORE},
        "no proof of identity: the certificate is for another name: mail.else.example (valid from",
        "kein Nachweis der Identität: das Zertifikat gilt für einen anderen Namen: mail.else.example (gültig von",
    ),
    Case(
        "unknown",
        CRITICAL,
        {**BAD, **NOTHING_MORE},
        "it lacks the certificate of CN=Else's Root (valid from",
        "Es fehlt das Zertifikat von CN=Else's Root (gültig von",
    ),
    Case(
        "wildcard",
        WARNING,
        {**FINE, **NOTHING_MORE},
        "identity proved. The chain is valid, the host name is in the certificate",
        "Identität nachgewiesen. Die Kette ist gültig, der Hostname steht im Zertifikat",
    ),
    Case(
        "stripped",
        CRITICAL,
        {"no-starttls": "critical", **NOTHING_MORE},
        "STARTTLS is not offered. Mail comes in the clear, for everybody on the way to read. Where the host does offer it, "
        "something on the way from here takes it out.",
        "STARTTLS wird nicht angeboten. Mail kommt im Klartext und ist unterwegs für alle lesbar. Falls der Host es "
        "anbietet, entfernt es etwas auf dem Weg von hier.",
    ),
    Case(
        "crossed",
        CRITICAL,
        {"stripped": "critical", **NOTHING_MORE},
        "on the way something overwrites STARTTLS with X's",
        "Unterwegs überschreibt etwas STARTTLS mit X",
    ),
    Case(
        "refused",
        CRITICAL,
        {"starttls-refused": "critical", **NOTHING_MORE},
        "STARTTLS is offered, and refused when asked for. Mail comes in the clear, or not at all. The answer: 454 4.7.0 TLS",
        "STARTTLS wird angeboten und dann abgelehnt. Mail kommt im Klartext oder gar nicht. Die Antwort: 454 4.7.0 TLS",
    ),
    Case(
        "never",
        CRITICAL,
        {"starttls-refused": "critical", **NOTHING_MORE},
        "The answer: 502 5.5.1 Error: command not implemented",
        "Die Antwort: 502 5.5.1 Error: command not implemented",
    ),
    Case(
        "injected",
        CRITICAL,
        {"injected": "critical", **NOTHING_MORE},
        "plain text comes after the answer to STARTTLS. Somebody on the way can put answers in",
        "Nach der Antwort auf STARTTLS kommt noch Klartext. Jemand auf dem Weg kann Antworten einschleusen",
    ),
    Case(
        "posed",
        CRITICAL,
        {**BAD, **NOTHING_MORE},
        "An attacker in between could pose as this host.",
        "Ein Angreifer dazwischen könnte sich als dieser Host ausgeben.",
    ),
    Case(
        "dane",
        GOOD,
        {"good-tls": "good", "proved-by-dane": "hint", "dane-good": "good", **DANE},
        "the certificate is self-signed, but DANE vouches for it.",
        "das Zertifikat ist selbstsigniert, aber DANE bürgt dafür.",
    ),
    Case(
        "danewrong",
        CRITICAL,
        {**FINE, "dane-mismatch": "critical", **DANE},
        "No TLSA record matches the certificate of mx.danewrong.example [198.51.100.26]",
        "Kein TLSA-Eintrag passt zum Zertifikat von mx.danewrong.example [198.51.100.26]",
    ),
    Case(
        "daneplain",
        WARNING,
        {**FINE, "dane-insecure": "warning", **DANE},
        "the resolver did not validate the way to them by DNSSEC (no AD flag). Senders ignore them.",
        "der Resolver hat den Weg dorthin nicht mit DNSSEC geprüft (kein AD-Flag). Absender beachten sie nicht.",
    ),
    Case(
        "danestripped",
        CRITICAL,
        {"no-starttls": "critical", "dane-in-the-clear": "critical", **DANE},
        "the TLSA records promise encryption, and there was none.",
        "Die TLSA-Einträge versprechen Verschlüsselung, und es gab keine.",
    ),
    Case(
        "daneposed",
        CRITICAL,
        {**BAD, "dane-mismatch": "critical", **DANE},
        "Senders that know DANE do not deliver to it.",
        "Absender, die DANE kennen, stellen dort nicht zu.",
    ),
    Case(
        "stswrong",
        CRITICAL,
        {**FINE, **NO_DANE, "sts-other-host": "critical", "reports-good": "good"},
        "mx.stswrong.example: the MTA-STS policy does not name this mail host.",
        "mx.stswrong.example: Die MTA-STS-Richtlinie nennt diesen Mail-Host nicht.",
    ),
    Case(
        "stsstripped",
        CRITICAL,
        {"no-starttls": "critical", **NO_DANE, "sts-no-proof": "critical", "reports-good": "good"},
        "the MTA-STS policy asks for encryption and a certificate that can be verified.",
        "Die MTA-STS-Richtlinie verlangt Verschlüsselung und ein überprüfbares Zertifikat.",
    ),
    Case(
        "several",
        CRITICAL,
        {**FINE, "bad-certificate": "critical", **NOTHING_MORE},
        "critical: mx.selfsigned.example [198.51.100.15], mx.selfsigned.example [2001:db8:3::15]: no proof of identity",
        "kritisch: mx.selfsigned.example [198.51.100.15], mx.selfsigned.example [2001:db8:3::15]: kein Nachweis der Identität",
    ),
    Case(
        "gone",
        UNKNOWN,
        {"unreachable": "unknown", **NOTHING_MORE},
        "mx.gone.example [198.51.100.99]: not reached (ECONNREFUSED).",
        "mx.gone.example [198.51.100.99]: nicht erreicht (ECONNREFUSED).",
    ),
    Case(
        "away",
        UNKNOWN,
        {"unreachable": "unknown", **NOTHING_MORE},
        "Either nobody answers there, or something on the way from here closes the port.",
        "Entweder antwortet dort niemand, oder etwas auf dem Weg von hier sperrt den Port.",
    ),
    Case(
        "nowhere",
        CRITICAL,
        {"no-domain": "critical"},
        "The domain nowhere.example does not exist. Nobody can send it mail.",
        "Die Domain nowhere.example existiert nicht. Niemand kann ihr Mail schicken.",
    ),
]


@dataclass
class Checks:
    """Runs the command on a host; the authority of the arrangement is the one that is trusted."""

    place: Arrangement

    def run(self, on: Machine, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it with these options."""
        command = on.host.service(str(COMMAND), "tls", "check", "--ca", str(self.place.ca), *words)
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def json(self, on: Machine, *words: str) -> Any:
        """Run it with --json and these options."""
        done = self.run(on, "--json", "--quiet", *words)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        assert found["exit_code"] == done.returncode
        return found


@pytest.fixture(scope="module")
def checks() -> Iterator[Checks]:
    with arrangement() as place:
        yield Checks(place)
        for one in (place.world, place.gate):
            assert one.postfix.queue_is_empty()  # nobody was sent anything


def levels(found: Any) -> dict[str, str]:
    return {one["code"]: one["level"] for one in found["findings"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.domain)
def test_each_kind_of_host(checks: Checks, case: Case) -> None:
    """Seen from the gateway, over IPv4 and IPv6: the same findings in both languages, each with its sentence."""
    on, domain = checks.place.gate, f"{case.domain}.example"
    with ThreadPoolExecutor() as pool:
        english = pool.submit(checks.json, on, domain)
        german = pool.submit(checks.run, on, "--quiet", "--language", "de", domain)
    found = english.result()
    assert (found["exit_code"], levels(found)) == (case.status, case.findings)
    sentences = [f"{one['level']}: {one['text']}" for one in found["findings"]]
    assert any(case.english in one for one in [*sentences, found["summary"]]), sentences
    assert german.result().returncode == case.status and case.german in german.result().stdout, german.result().stdout
    whole = [
        len(host["a"]["records"]) + len(host["aaaa"]["records"]) == len(host["sessions"]) for host in found["hosts"]
    ]
    assert all(whole)


def test_from_two_places(checks: Checks) -> None:
    """What a host in between does is seen by comparison: from the house nobody stands on the way."""
    place = checks.place
    for domain, finding in (
        ("stripped", "no-starttls"),
        ("injected", "injected"),
        ("posed", "bad-certificate"),
    ):
        with ThreadPoolExecutor() as pool:
            here, there = pool.map(checks.json, (place.gate, place.house), [f"{domain}.example"] * 2)
        assert levels(here)[finding] == "critical" and here["exit_code"] == CRITICAL
        assert levels(there) == {**FINE, **NOTHING_MORE} and there["exit_code"] == WARNING


def test_a_resolver_on_another_machine(checks: Checks) -> None:
    """Its AD flag is worth what the way to it is worth, and that is said."""
    found = checks.json(checks.place.gate, "--resolver", "203.0.113.1:53", "stsgood.example")
    assert levels(found) == {**HEALTHY, "resolver-far": "hint"} and found["exit_code"] == GOOD
    assert "is what the resolver 203.0.113.1 says" in found["findings"][0]["text"]


def test_a_resolver_that_validates_nothing(checks: Checks) -> None:
    """Without AD no DANE: neither what is right nor what is wrong counts."""
    checks.place.dns.secure = False
    try:
        right, wrong = (checks.json(checks.place.gate, f"{one}.example") for one in ("dane", "danewrong"))
    finally:
        checks.place.dns.secure = True
    assert levels(right) == {**BAD, "dane-insecure": "warning", **DANE} and right["exit_code"] == CRITICAL
    assert levels(wrong) == {**FINE, "dane-insecure-mismatch": "warning", **DANE} and wrong["exit_code"] == WARNING


def test_several_hosts(checks: Checks) -> None:
    """The preferred first, each by all its addresses."""
    found = checks.json(checks.place.gate, "several.example")
    assert [(host["preference"], host["name"].split(".")[1]) for host in found["hosts"]] == [
        (10, "good"),
        (20, "only12"),
        (30, "selfsigned"),
    ]
    for host in found["hosts"]:
        addresses = [session["address"] for session in host["sessions"]]
        assert addresses == [*host["a"]["records"], *host["aaaa"]["records"]] and len(addresses) == 2


STAGES = r"""
TLS check of stsgood\.example, port 25, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC
DNS resolver 127\.0\.0\.1
MX \(10\) mx\.stsgood\.example \[DNSSEC: yes\]
TXT _mta-sts\.stsgood\.example "v=STSv1; id=1;" \[DNSSEC: yes\]
A mta-sts\.stsgood\.example 198\.51\.100\.130 \[DNSSEC: yes\]
AAAA mta-sts\.stsgood\.example: none
GET https://mta-sts\.stsgood\.example/\.well-known/mta-sts\.txt \[198\.51\.100\.130\]
MTA-STS policy: mode enforce, max_age 86400, mx mx\.stsgood\.example
TXT _smtp\._tls\.stsgood\.example "v=TLSRPTv1; rua=mailto:tls@stsgood\.example" \[DNSSEC: yes\]
A mx\.stsgood\.example 198\.51\.100\.30 \[DNSSEC: yes\]
AAAA mx\.stsgood\.example 2001:db8:3::30 \[DNSSEC: yes\]
TLSA _25\._tcp\.mx\.stsgood\.example 3 1 1 [0-9a-f]{64} \[DNSSEC: yes\]
""".strip().splitlines()
DIALOGUE = r"""
connecting to mx\.stsgood\.example \[ADDRESS\]:25
connected
<-- 220 mx\.stsgood\.example ESMTP Postfix
--> EHLO gw\.example\.org
<-- 250-mx\.stsgood\.example
<-- 250-PIPELINING
<-- 250-SIZE 52428800
<-- 250-VRFY
<-- 250-ETRN
<-- 250-STARTTLS
<-- 250-ENHANCEDSTATUSCODES
<-- 250-8BITMIME
<-- 250-DSN
<-- 250-SMTPUTF8
<-- 250 CHUNKING
--> STARTTLS
<-- 220 2\.0\.0 Ready to start TLS
TLS: TLSv1\.3, TLS_AES_256_GCM_SHA384, 256 bits
forward secrecy: yes
certificate 1 of 2: CN=mx\.stsgood\.example
    issuer: CN=Test Intermediate
    self-signed: no
    valid: \S+ \S+ UTC to \S+ \S+ UTC
    key: EC secp256r1, 256 bits; signature: ecdsa-with-SHA256
    names: mx\.stsgood\.example
    SHA-256: [0-9a-f]{64}
certificate 2 of 2: CN=Test Intermediate
    issuer: CN=Test Root
    self-signed: no
    valid: \S+ \S+ UTC to \S+ \S+ UTC
    key: EC secp256r1, 256 bits; signature: ecdsa-with-SHA256
    SHA-256: [0-9a-f]{64}
chain: valid, up to an authority that is known here
host name: mx\.stsgood\.example is one of the certificate's names
DANE: 3 1 1 [0-9a-f]{64} matches
--> EHLO gw\.example\.org
<-- 250-mx\.stsgood\.example
<-- 250-PIPELINING
<-- 250-SIZE 52428800
<-- 250-VRFY
<-- 250-ETRN
<-- 250-ENHANCEDSTATUSCODES
<-- 250-8BITMIME
<-- 250-DSN
<-- 250-SMTPUTF8
<-- 250 CHUNKING
--> MAIL FROM:<>
<-- 250 2\.1\.0 Ok
--> QUIT
<-- 221 2\.0\.0 Bye
second connection: TLS 1\.1 or older is taken: no
""".strip().splitlines()


def test_the_transcript_of_a_healthy_host(checks: Checks) -> None:
    """Each line, with its time: what the audit's receiver test shows, and more."""
    done = checks.run(checks.place.gate, "stsgood.example")
    transcript, _, verdict = done.stdout.partition("\n\n")
    lines = transcript.splitlines()
    wanted = list(STAGES)
    for address in (r"198\.51\.100\.30", "2001:db8:3::30"):
        wanted += [line.replace("ADDRESS", address) for line in DIALOGUE]
    assert len(lines) == len([*wanted, "done"])
    times = []
    for line, pattern in zip(lines, [*wanted, "done"], strict=True):
        found = re.fullmatch(rf"\[(\d{{3}}\.\d{{3}})\] {pattern}", line)
        assert found, (line, pattern)
        times.append(found[1])
    assert times == sorted(times)
    assert done.returncode == GOOD and verdict.splitlines()[-1].startswith(
        "Good: mail to stsgood.example comes encrypted"
    )
    assert "critical: " not in verdict and "warning: " not in verdict
