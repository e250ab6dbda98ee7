"""The judgement of facts; tests/tlscheck/test_check.py has the cases from end to end, here are those that need no host."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notes2conf_milter.tlscheck.certificates import Certificate
from notes2conf_milter.tlscheck.chains import Chain, Problem
from notes2conf_milter.tlscheck.facts import (
    Answer,
    Dane,
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
from notes2conf_milter.tlscheck.findings import Code, Guideline, Level, Status, status
from notes2conf_milter.tlscheck.judge import judge, kept
from tests.tlscheck.authority import NOW

CERTIFICATE = Certificate(
    b"", "CN=mx", "CN=ca", ("mx.example.org",), NOW - timedelta(9), NOW + timedelta(60), "EC secp384r1", 384,
    "ecdsa-with-SHA384", False, "00",
)  # fmt: skip
SESSION = Session(
    "mx.example.org", "192.0.2.1", Outcome.WHOLE, version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", bits=256,
    forward_secrecy=True, chain=Chain((CERTIFICATE,), ()), dane=Dane.MATCH, dane_usage=3, mail=250, old=False,
)  # fmt: skip
V4 = Answer(Found.YES, ("192.0.2.1",), True, "mx.example.org")
V6: Answer[str] = Answer(Found.NO_DATA, secure=True)
TLSA = Answer(Found.YES, (Tlsa(3, 1, 1, bytes(32)),), True)
HOST = Host("mx.example.org", 10, V4, V6, TLSA, (SESSION,))
REPORT = Report(
    "example.org", 25, "127.0.0.1", True, Answer(Found.YES, (Mx(10, "mx.example.org"),), True), hosts=(HOST,),
    sts=Sts(StsState.WHOLE, "1", Policy("enforce", 86400, ("mx.example.org",))),
    reports=Answer(Found.YES, (b"v=TLSRPTv1; rua=mailto:a@example.org",)),
)  # fmt: skip


def codes(report: Report) -> dict[Code, tuple[str, ...]]:
    return {finding.code: finding.places for finding in judge(report, NOW)}


def with_session(**changes: object) -> Report:
    return replace(REPORT, hosts=(replace(HOST, sessions=(replace(SESSION, **changes),)),))


def with_certificate(**changes: object) -> Report:
    return with_session(chain=Chain((replace(CERTIFICATE, **changes),), ()))


def test_all_is_well() -> None:
    """Every finding is good, both guidelines are kept."""
    findings = judge(REPORT, NOW)
    assert {finding.code.level for finding in findings} == {Level.GOOD}
    assert status(findings) is Status.GOOD
    assert [kept(one, REPORT, findings) for one in Guideline] == [True, True]


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.WHOLE])
def test_however_a_conversation_ends_it_is_told(outcome: Outcome) -> None:
    """And nobody is called good for it."""
    report = with_session(outcome=outcome, version="", chain=None, dane=None)
    findings = judge(report, NOW)
    assert status(findings) in (Status.CRITICAL, Status.UNKNOWN)
    assert kept(Guideline.TR_03108, report, findings) is not True


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (with_session(version="TLSv1"), Code.OLD_TLS),
        (with_session(version="SSLv3"), Code.OLD_TLS),
        (with_session(cipher="DES-CBC3-SHA", bits=112, version="TLSv1.2"), Code.WEAK_CIPHER),
        (with_session(cipher="RC4-SHA", bits=128, version="TLSv1.2"), Code.WEAK_CIPHER),
        (with_session(cipher="AES128-SHA", bits=128, version="TLSv1.2", forward_secrecy=False), Code.NO_FORWARD_SECRECY),
        (with_session(cipher="ECDHE-RSA-AES128-SHA", bits=128, version="TLSv1.2"), Code.CIPHER_NOT_LISTED),
        (with_session(cipher="TLS_CHACHA20_POLY1305_SHA256"), Code.CIPHER_UNUSUAL),
        (with_session(cipher="DHE-RSA-AES256-CCM", version="TLSv1.2"), Code.GOOD_TLS),
        (with_certificate(key="RSA", bits=1024), Code.KEY_WEAK),
        (with_certificate(key="RSA", bits=2048), Code.KEY_SHORT),
        (with_certificate(key="EC secp192r1", bits=192), Code.KEY_WEAK),
        (with_certificate(key="EC secp224r1", bits=224), Code.KEY_SHORT),
        (with_certificate(signature="sha1WithRSAEncryption"), Code.SIGNATURE_WEAK),
        (with_certificate(signature="ecdsa-with-SHA1"), Code.SIGNATURE_WEAK),
        (with_certificate(signature="sha256WithRSAEncryption"), Code.SIGNATURE_LEAVING),
    ],
)  # fmt: skip
def test_tls_and_keys_by_tr_02102(report: Report, code: Code) -> None:
    """Versions, suites, sizes and hashes."""
    assert code in codes(report)


def test_a_roots_own_signature_does_not_matter() -> None:
    """Nobody verifies it."""
    root = replace(
        CERTIFICATE, subject="CN=root", self_signed=True, signature="sha1WithRSAEncryption", key="RSA", bits=1024
    )
    assert Code.SIGNATURE_WEAK not in codes(with_session(chain=Chain((CERTIFICATE, root), ())))


def test_what_dane_makes_up_for() -> None:
    """Usage 3: everything. Usage 2: trust, but neither name nor date. Not validated: nothing."""
    bad = Chain((CERTIFICATE,), (Problem.SELF_SIGNED, Problem.WRONG_NAME))
    off = Sts(StsState.NONE)
    for usage, code in ((3, Code.PROVED_BY_DANE), (2, Code.BAD_CERTIFICATE)):
        assert code in codes(replace(with_session(chain=bad, dane_usage=usage), sts=off))
    unknown = Chain((CERTIFICATE,), (Problem.UNKNOWN_ROOT,))
    assert Code.PROVED_BY_DANE in codes(with_session(chain=unknown, dane_usage=2))
    insecure = replace(with_session(chain=bad), mx=replace(REPORT.mx, secure=False))
    assert Code.BAD_CERTIFICATE in codes(insecure)


def test_the_same_about_several_places_is_one_finding() -> None:
    """Its places are named in their order."""
    six = replace(SESSION, address="2001:db8::1")
    report = replace(REPORT, hosts=(replace(HOST, sessions=(SESSION, six)),))
    assert codes(report)[Code.GOOD_TLS] == ("mx.example.org [192.0.2.1]", "mx.example.org [2001:db8::1]")


def test_no_ipv6_here_is_a_hint_unless_nothing_is_left() -> None:
    """A machine without IPv6 can judge hosts that have both."""
    without = Session("mx.example.org", "2001:db8::1", Outcome.NO_ROUTE, "ENETUNREACH")
    both = replace(REPORT, hosts=(replace(HOST, sessions=(SESSION, without)),))
    assert codes(both)[Code.NO_ROUTE] == ("mx.example.org [2001:db8::1]",) and status(judge(both, NOW)) is Status.GOOD
    alone = replace(REPORT, hosts=(replace(HOST, sessions=(without,)),))
    assert Code.NOTHING_CHECKED in codes(alone) and status(judge(alone, NOW)) is Status.UNKNOWN


def test_a_resolver_on_another_machine() -> None:
    """AD comes over a way that has to be trusted; a hint."""
    report = replace(REPORT, near=False, resolver="192.0.2.53")
    assert Code.RESOLVER_FAR in codes(report) and status(judge(report, NOW)) is Status.GOOD


def test_what_is_not_known_outweighs_a_warning_and_not_what_is_critical() -> None:
    """The exit status is the worst."""
    warning = with_session(old=True)
    assert status(judge(warning, NOW)) is Status.WARNING
    assert status(judge(replace(warning, time_up=True), NOW)) is Status.UNKNOWN
    assert status(judge(replace(with_session(version="TLSv1"), time_up=True), NOW)) is Status.CRITICAL


def test_a_guideline_is_not_known_where_too_little_was_seen() -> None:
    """Rather than kept."""
    report = replace(REPORT, time_up=True)
    assert [kept(one, report, judge(report, NOW)) for one in Guideline] == [None, None]
    nothing = replace(REPORT, hosts=())
    assert kept(Guideline.TR_02102, nothing, judge(nothing, NOW)) is None
