"""The verdict as text and the whole as JSON.

In:  a `Report`, its findings, the lines of its transcript, a language. Out: text, or a value for `json.dumps`.
Fails: never.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from notes2conf_milter.tlscheck import words
from notes2conf_milter.tlscheck.certificates import Certificate
from notes2conf_milter.tlscheck.facts import Answer, Host, Report, Session
from notes2conf_milter.tlscheck.findings import Finding, Guideline, Level, status
from notes2conf_milter.tlscheck.judge import kept
from notes2conf_milter.tlscheck.printable import printable
from notes2conf_milter.tlscheck.transcript import LANGUAGES, Line, text

VERSION = 1  # of the JSON; a field may be added without a new one
_ORDER = (Level.CRITICAL, Level.UNKNOWN, Level.WARNING, Level.HINT, Level.GOOD)


def verdict(report: Report, findings: Iterable[Finding], language: str) -> str:
    """Return the verdict: the findings, the heaviest first, the guidelines, and the last word."""
    findings, column = tuple(findings), LANGUAGES.index(language)
    lines = []
    for level in _ORDER:
        for finding in findings:
            if finding.code.level is level:
                lines.append(f"{words.LEVELS[level][column]}: {words.sentence(finding, report.domain, language)}")
    lines.append("")
    lines += _guidelines(report, findings, language)
    lines.append(words.STATUS[status(findings)][column].format(domain=report.domain))
    return "\n".join(lines)


def _guidelines(report: Report, findings: tuple[Finding, ...], language: str) -> list[str]:
    lines = []
    for one in Guideline:
        labels = dict.fromkeys(finding.code.label for finding in findings if one in finding.code.breaks)
        lines.append(words.guideline(one, kept(one, report, findings), tuple(labels), language))
    return lines


def as_json(
    report: Report, findings: Iterable[Finding], lines: Iterable[Line], language: str, at: datetime
) -> dict[str, Any]:
    """Return everything as one object; its sentences are in the language."""
    findings = tuple(findings)
    outcome = status(findings)
    return {
        "version": VERSION,
        "domain": report.domain,
        "port": report.port,
        "at": at.isoformat(timespec="seconds"),
        "resolver": {"address": report.resolver, "on_this_machine": report.near},
        "status": outcome.name.lower(),
        "exit_code": int(outcome),
        "summary": words.STATUS[outcome][LANGUAGES.index(language)].format(domain=report.domain),
        "guidelines": {one.value: kept(one, report, findings) for one in Guideline},
        "findings": [_finding(finding, report.domain, language) for finding in findings],
        "mx": {
            **_answer(report.mx),
            "records": [{"preference": mx.preference, "host": mx.host} for mx in report.mx.values],
        },
        "implicit_mx": report.implicit,
        "hosts": [_host(host) for host in report.hosts],
        "mta_sts": _sts(report),
        "tlsrpt": {**_answer(report.reports), "records": [printable(one) for one in report.reports.values]},
        "transcript": [{"at": round(line.at, 3), "text": text(line, language)} for line in lines],
    }


def _finding(finding: Finding, domain: str, language: str) -> dict[str, Any]:
    return {
        "code": finding.code.label,
        "level": finding.code.level.value,
        "places": list(finding.places),
        "breaks": [one.value for one in finding.code.breaks],
        "text": words.sentence(finding, domain, language),
    }


def _answer(answer: Answer[Any]) -> dict[str, Any]:
    return {"found": answer.found.value, "dnssec": answer.secure}


def _host(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "preference": host.preference,
        "a": {**_answer(host.v4), "records": list(host.v4.values)},
        "aaaa": {**_answer(host.v6), "records": list(host.v6.values)},
        "tlsa": {**_answer(host.tlsa), "records": [str(one) for one in host.tlsa.values]},
        "sessions": [_session(session) for session in host.sessions],
    }


def _session(session: Session) -> dict[str, Any]:
    chain = session.chain
    return {
        "address": session.address,
        "outcome": session.outcome.value,
        "detail": session.detail,
        "tls": session.version or None,
        "cipher": session.cipher or None,
        "bits": session.bits,
        "forward_secrecy": session.forward_secrecy,
        "old_tls_taken": session.old,
        "problems": [problem.value for problem in chain.problems] if chain else [],
        "certificates": [_certificate(one) for one in chain.certificates] if chain else [],
        "dane": session.dane.value if session.dane else None,
        "mail_reply": session.mail or None,
    }


def _certificate(one: Certificate) -> dict[str, Any]:
    return {
        "subject": one.subject,
        "issuer": one.issuer,
        "names": list(one.names),
        "not_before": one.begins.isoformat(),
        "not_after": one.ends.isoformat(),
        "key": one.key,
        "bits": one.bits,
        "signature": one.signature,
        "self_signed": one.self_signed,
        "sha256": one.fingerprint,
    }


def _sts(report: Report) -> dict[str, Any]:
    policy = report.sts.policy
    shown = {"mode": policy.mode, "max_age": policy.max_age, "mx": list(policy.mx)} if policy else None
    return {"state": report.sts.state.value, "id": report.sts.id or None, "detail": report.sts.detail, "policy": shown}
