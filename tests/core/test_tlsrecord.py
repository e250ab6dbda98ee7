"""What the log says of each message's session."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from notes2conf_milter.core.encryption import Hop, Tls, TlsRules, read_rule
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.tlsrecord import TlsLog, TlsRecord
from notes2conf_milter.core.verdict import Verdict
from notes2conf_milter.readers import domain

TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
SAID = "tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 fs=yes cert=-"
DOMINO = Envelope(Door.MILTER, b"anna@example.org", client=ip_address("192.0.2.10"), queue_id="4X", tls=TLS)
NETWORKS = (ip_network("192.0.2.0/25"),)


def record(*rules: str, log: TlsLog = TlsLog.EACH) -> TlsRecord:
    return TlsRecord(TlsRules(tuple(read_rule(rule, domain) for rule in rules)), log, NETWORKS)


@pytest.mark.parametrize(
    ("rules", "envelope", "peer"),
    [
        ((), DOMINO, "192.0.2.0/25"),
        (("* log",), DOMINO, "192.0.2.0/25"),
        (("192.0.2.10/32 require",), DOMINO, "192.0.2.10/32"),
        (("example.org log",), DOMINO, "example.org"),
        ((), replace(DOMINO, client=ip_address("198.51.100.77")), "198.51.100.0/24"),
        ((), replace(DOMINO, client=ip_address("2001:db8:1:2::3")), "2001:db8:1::/48"),
        ((), replace(DOMINO, client=ip_address("198.51.100.77"), authenticated=True), "authenticated"),
        ((), replace(DOMINO, client=None), "-"),
    ],
)
def test_who_sent_is_no_address(rules: tuple[str, ...], envelope: Envelope, peer: str) -> None:
    """A rule, an allowed network, a prefix; whoever logs in may sit at home, so of those not even that."""
    assert record(*rules).note(envelope, Verdict.PASS) == f" {SAID} peer={peer}"


def test_what_is_not_logged() -> None:
    assert record(log=TlsLog.OFF).note(DOMINO, Verdict.PASS) == ""
    assert record("192.0.2.10/32 off", "* log").note(DOMINO, Verdict.PASS) == ""


def test_summed_up() -> None:
    """A line for each kind; what was summed up is not said twice."""
    made = record("192.0.2.10/32 off", log=TlsLog.SUMMARY)
    plain = replace(DOMINO, client=ip_address("192.0.2.11"), tls=None)
    for envelope, verdict in (
        *[(replace(plain, tls=TLS), Verdict.REWRITE)] * 3,
        (plain, Verdict.REFUSE),
        (replace(plain, hop=Hop.UNSEEN), Verdict.PASS),
        (replace(plain, hop=Hop.UNSEEN, door=Door.SMTP), Verdict.PASS),
        (DOMINO, Verdict.PASS),
    ):
        assert made.note(envelope, verdict) == ""
    assert made.summary() == [
        f"tls-summary door=milter {SAID} peer=192.0.2.0/25 messages=3 refused=0",
        "tls-summary door=milter tls=none peer=192.0.2.0/25 messages=1 refused=1",
        "tls-summary door=milter tls=unknown peer=192.0.2.0/25 messages=1 refused=0",
        "tls-summary door=smtp tls=unknown peer=192.0.2.0/25 messages=1 refused=0",
    ]
    assert made.summary() == []


def test_the_memory_of_a_summary_is_bounded() -> None:
    made = record(log=TlsLog.SUMMARY)
    for number in range(5000):
        client = ip_address(f"10.{number // 250}.{number % 250}.1")
        made.note(replace(DOMINO, client=client), Verdict.PASS)
    lines = made.summary()
    assert len(lines) == 2001 and f"tls-summary door=milter {SAID} peer=others messages=3000 refused=0" in lines
