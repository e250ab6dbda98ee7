"""The judgement: facts in, findings out, by BSI TR-03108, TR-02102-2 and the standards they stand on.

In:  a `Report`, a time. Out: findings, each a code with values; what each guideline says to it.
Fails: never.

A finding of one kind about several addresses is one finding with several places.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from notes2conf_milter.tlscheck import policies
from notes2conf_milter.tlscheck.chains import Chain, Problem
from notes2conf_milter.tlscheck.facts import Dane, Found, Host, Outcome, Report, Session, StsState
from notes2conf_milter.tlscheck.findings import Code, Finding, Guideline, Level

SOON = timedelta(days=14)  # an expiry within this time is told

# TR-02102-2 (2026-01): §3.3.1 for TLS 1.2, §3.4 for TLS 1.3; as OpenSSL names them
_LISTED = re.compile(
    r"(ECDHE-ECDSA|ECDHE-RSA|DHE-RSA|DHE-DSS)-AES(128|256)-(GCM-SHA256|GCM-SHA384|CCM|SHA256|SHA384)"
    r"|TLS_AES_128_GCM_SHA256|TLS_AES_256_GCM_SHA384|TLS_AES_128_CCM_SHA256"
)
_RSA_BITS, _CURVE_BITS = 3000, 250  # TR-02102-1, since 2024
_RSA_WEAK, _CURVE_WEAK = 2000, 224
_NAMES = 3  # of a certificate, in a sentence


def judge(report: Report, now: datetime) -> tuple[Finding, ...]:
    """Return all findings, in the order of a reader: the domain, each conversation, DANE, MTA-STS, TLSRPT."""
    found = [*_domain(report)]
    for host in report.hosts:
        found += _host(report, host)
        for session in host.sessions:
            found += _session(session, _vouched(report, host, session), now)
        found += _dane(report, host)
    if report.hosts:
        found += [*_sts(report), *_reports(report)]
    return _merged(found)


def kept(guideline: Guideline, report: Report, findings: Iterable[Finding]) -> bool | None:
    """Say whether a guideline is kept, as far as that is seen from outside; None when too little was seen."""
    findings = tuple(findings)
    if any(guideline in finding.code.breaks for finding in findings):
        return False
    if not any(session.encrypted for session in report.sessions):
        return None
    return None if any(finding.code.level is Level.UNKNOWN for finding in findings) else True


def _merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    places: dict[tuple[Code, str], Finding] = {}
    for finding in findings:
        key = (finding.code, repr(sorted(finding.values.items(), key=lambda item: item[0])))
        before = places.get(key)
        both = (*before.places, *finding.places) if before else finding.places
        places[key] = Finding(finding.code, tuple(dict.fromkeys(both)), finding.values)
    return tuple(places.values())


# --- the domain ---


def _domain(report: Report) -> Iterator[Finding]:
    null = any(not mx.host for mx in report.mx.values)
    others = any(mx.host for mx in report.mx.values)
    if report.mx.found is Found.NO_NAME:
        yield Finding(Code.NO_DOMAIN)
    elif report.mx.found is Found.FAILED and not report.time_up:
        yield Finding(Code.MX_UNKNOWN, values={"detail": report.mx.detail})
    elif null and not others:
        yield Finding(Code.NULL_MX)
    elif null:
        yield Finding(Code.NULL_MX_AND_OTHERS)
    elif report.implicit and any(host.addresses for host in report.hosts):
        yield Finding(Code.IMPLICIT_MX)
    left_out = report.hosts_left_out + sum(host.left_out for host in report.hosts)
    if left_out:
        yield Finding(Code.LEFT_OUT, values={"count": left_out})
    if report.time_up:
        yield Finding(Code.TIME_UP)
    if any(report.sessions) and all(session.outcome is Outcome.NO_ROUTE for session in report.sessions):
        yield Finding(Code.NOTHING_CHECKED)
    if not report.near:
        yield Finding(Code.RESOLVER_FAR, values={"resolver": report.resolver})


def _host(report: Report, host: Host) -> Iterator[Finding]:
    where = (host.name,)
    if re.fullmatch(r"[0-9.]+|.*:.*", host.name):
        yield Finding(Code.MX_IS_ADDRESS, where)
        return
    failed = [answer.detail for answer in (host.v4, host.v6) if answer.found is Found.FAILED]
    if failed:
        yield Finding(Code.HOST_UNKNOWN, where, {"detail": failed[0]})
    elif not host.addresses:
        yield Finding(Code.NO_HOST if report.implicit else Code.MX_WITHOUT_ADDRESS, where)
    if host.alias:
        yield Finding(Code.MX_ALIAS, where)


# --- the conversation and its certificates ---

_ENDED = {
    Outcome.NO_ROUTE: Code.NO_ROUTE,
    Outcome.UNREACHABLE: Code.UNREACHABLE,
    Outcome.SILENT: Code.SILENT,
    Outcome.LOST: Code.LOST,
    Outcome.NOT_SMTP: Code.NOT_SMTP,
    Outcome.TURNED_AWAY: Code.TURNED_AWAY,
    Outcome.EHLO_REFUSED: Code.EHLO_REFUSED,
    Outcome.NO_STARTTLS: Code.NO_STARTTLS,
    Outcome.STRIPPED: Code.STRIPPED,
    Outcome.STARTTLS_REFUSED: Code.STARTTLS_REFUSED,
    Outcome.INJECTED: Code.INJECTED,
    Outcome.HANDSHAKE_FAILED: Code.HANDSHAKE_FAILED,
    Outcome.BROKEN_INSIDE: Code.BROKEN_INSIDE,
}

_IN_THE_CLEAR = frozenset(outcome for outcome, code in _ENDED.items() if Guideline.TR_03108 in code.breaks)


def _session(session: Session, vouched: frozenset[Problem], now: datetime) -> Iterator[Finding]:
    where = (session.where,)
    if session.outcome is not Outcome.WHOLE:
        values = {"detail": session.detail} if session.detail else {"detail": ""}
        yield Finding(_ENDED[session.outcome], where, values)
    if not session.encrypted:
        return
    yield from _tls(session)
    if session.chain is not None:
        yield from _certificate(session.chain, where, vouched, now)
    if session.outcome is Outcome.WHOLE and session.mail // 100 != 2:
        yield Finding(Code.MAIL_REFUSED, where, {"code": session.mail})


def _tls(session: Session) -> Iterator[Finding]:
    where, values = (session.where,), {"version": session.version, "cipher": session.cipher}
    if session.version not in ("TLSv1.2", "TLSv1.3"):
        yield Finding(Code.OLD_TLS, where, values)
    elif session.bits < 128 or re.search(r"RC4|DES|NULL|EXP|MD5|ADH|AECDH", session.cipher):
        yield Finding(Code.WEAK_CIPHER, where, values)
    elif not session.forward_secrecy:
        yield Finding(Code.NO_FORWARD_SECRECY, where, values)
    elif not _LISTED.fullmatch(session.cipher):
        yield Finding(Code.CIPHER_UNUSUAL if "CHACHA20" in session.cipher else Code.CIPHER_NOT_LISTED, where, values)
    else:
        yield Finding(Code.GOOD_TLS, where, values)
    if session.old:
        yield Finding(Code.OLD_TLS_TOO, where)


def _vouched(report: Report, host: Host, session: Session) -> frozenset[Problem]:
    """Return the problems that DANE makes up for: all of them for usage 3, those of trust for usage 2."""
    if session.dane is not Dane.MATCH or not _secure(report, host):
        return frozenset()
    if session.dane_usage == 3:  # RFC 7672 §3.1.1
        return frozenset(Problem)
    return frozenset({Problem.SELF_SIGNED, Problem.UNKNOWN_ROOT, Problem.INCOMPLETE})


def _certificate(chain: Chain, where: tuple[str, ...], vouched: frozenset[Problem], now: datetime) -> Iterator[Finding]:
    left = [problem for problem in chain.problems if problem not in vouched]
    for problem in left:
        yield Finding(Code.BAD_CERTIFICATE, where, {"problem": problem, "at": _at(problem, chain), **_dates(chain)})
    if chain.problems and not left:
        for problem in chain.problems:
            yield Finding(Code.PROVED_BY_DANE, where, {"problem": problem})
    own = chain.own
    if own is None:
        return
    if not chain.problems:
        yield Finding(Code.GOOD_CERTIFICATE, where, {"ends": own.ends})
    if now <= own.ends < now + SOON and Problem.EXPIRED not in vouched:
        yield Finding(Code.EXPIRES_SOON, where, {"ends": own.ends})
    yield from _strength(chain, where)


def _at(problem: Problem, chain: Chain) -> str:
    """Return what goes on behind a problem: the certificate that is meant, or the names that it has instead."""
    if problem in (Problem.UNKNOWN_ROOT, Problem.INCOMPLETE, Problem.PATH_EXPIRED, Problem.INVALID):
        return f" {chain.where}"
    if problem is Problem.WRONG_NAME and chain.own is not None:
        names = chain.own.names
        return ": " + ", ".join(names[:_NAMES]) + (f" … (+{len(names) - _NAMES})" if len(names) > _NAMES else "")
    return ""


def _dates(chain: Chain) -> dict[str, object]:
    own = chain.own
    return {"begins": own.begins, "ends": own.ends} if own else {"begins": "?", "ends": "?"}


def _strength(chain: Chain, where: tuple[str, ...]) -> Iterator[Finding]:
    """Keys and signatures of all but roots: nobody verifies how a root signed itself."""
    for one in chain.certificates:
        if one.self_signed and one is not chain.own:
            continue
        values = {"subject": one.subject, "key": one.key, "bits": one.bits, "signature": one.signature}
        rsa = one.key in ("RSA", "DSA")
        if one.bits < (_RSA_WEAK if rsa else _CURVE_WEAK):
            yield Finding(Code.KEY_WEAK, where, values)
        elif one.bits < (_RSA_BITS if rsa else _CURVE_BITS):
            yield Finding(Code.KEY_SHORT, where, values)
        if one.self_signed:
            continue
        if re.search(r"sha1|md5|md2", one.signature, re.IGNORECASE):
            yield Finding(Code.SIGNATURE_WEAK, where, values)
        elif one.signature.endswith("WithRSAEncryption"):
            yield Finding(Code.SIGNATURE_LEAVING, where)


# --- DANE, MTA-STS, TLSRPT ---


def _secure(report: Report, host: Host) -> bool:
    """MX, addresses and TLSA are all validated (RFC 7672 §2.2.1 to §2.2.3)."""
    return report.mx.secure and host.secure


def _dane(report: Report, host: Host) -> Iterator[Finding]:
    where = (host.name,)
    if not host.addresses:
        return
    if host.tlsa.found is Found.FAILED and all(one.secure for one in (host.v4, host.v6) if one.values):
        yield Finding(Code.DANE_UNKNOWN, where, {"detail": host.tlsa.detail})
        return
    if host.tlsa.found is not Found.YES:
        yield Finding(Code.DANE_MISSING, where)
        return
    results = {session.dane for session in host.sessions} - {None}
    if not _secure(report, host):
        yield Finding(Code.DANE_INSECURE_MISMATCH if Dane.MISMATCH in results else Code.DANE_INSECURE, where)
        return
    clear = tuple(
        session.where for session in host.sessions if session.outcome in _IN_THE_CLEAR and not session.encrypted
    )
    if clear:
        yield Finding(Code.DANE_IN_THE_CLEAR, clear)
    if Dane.MISMATCH in results:
        places = tuple(session.where for session in host.sessions if session.dane is Dane.MISMATCH)
        yield Finding(Code.DANE_MISMATCH, places)
    elif Dane.UNUSABLE in results:
        yield Finding(Code.DANE_UNUSABLE, where)
    elif Dane.MATCH in results:
        yield Finding(Code.DANE_GOOD, where)


_NO_POLICY = {
    StsState.NONE: Code.STS_MISSING,
    StsState.UNKNOWN: Code.STS_UNKNOWN,
    StsState.BAD_RECORD: Code.STS_BAD_RECORD,
    StsState.UNREACHABLE: Code.STS_UNREACHABLE,
    StsState.BAD_CERTIFICATE: Code.STS_BAD_CERTIFICATE,
    StsState.BAD_ANSWER: Code.STS_BAD_ANSWER,
    StsState.BAD_POLICY: Code.STS_BAD_POLICY,
}


def _sts(report: Report) -> Iterator[Finding]:
    policy = report.sts.policy
    if policy is None:
        yield Finding(_NO_POLICY[report.sts.state], values={"detail": report.sts.detail})
        return
    if policy.mode == "none":
        yield Finding(Code.STS_OFF)
        return
    enforced = policy.mode == "enforce"
    others = tuple(host.name for host in report.hosts if not policies.allows(policy, host.name))
    unproved = tuple(session.where for session in report.sessions if _unproved(session))
    if others:
        yield Finding(Code.STS_OTHER_HOST if enforced else Code.STS_OTHER_HOST_TESTING, others)
    if unproved:
        yield Finding(Code.STS_NO_PROOF if enforced else Code.STS_NO_PROOF_TESTING, unproved)
    if not enforced:
        yield Finding(Code.STS_TESTING)
    elif not others and not unproved and any(session.encrypted for session in report.sessions):
        yield Finding(Code.STS_GOOD)


def _unproved(session: Session) -> bool:
    """Senders that honour MTA-STS do not deliver to it (RFC 8461 §4.2): no TLS, or no certificate by the web's rules."""
    if session.encrypted:
        return session.chain is None or bool(session.chain.problems)
    return session.outcome in _IN_THE_CLEAR


def _reports(report: Report) -> Iterator[Finding]:
    if report.reports.found is Found.FAILED:
        yield Finding(Code.REPORTS_UNKNOWN, values={"detail": report.reports.detail})
        return
    try:
        addresses = policies.report_addresses(report.reports.values)
    except ValueError as error:
        yield Finding(Code.REPORTS_BAD, values={"detail": str(error)})
        return
    yield Finding(Code.REPORTS_MISSING if addresses is None else Code.REPORTS_GOOD)
