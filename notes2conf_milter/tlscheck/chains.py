"""Whether a chain of certificates leads from a host to an authority (RFC 5280 §6).

In:  DER octets as a host presented them, trusted authorities, a time.
Out: `Chain`: the certificates, and all that is wrong with them.
Fails: never; what is no certificate is a problem of its chain. All text is printable and bounded.

`cryptography` verifies. It keeps to the web's list of algorithms, which lacks curves that the BSI recommends (Brainpool); keys
and hashes are judged by TR-02102-2, not here. So where a chain uses others, and only there, the way that was found is checked
here, and what cannot be checked here (name constraints, unknown critical extensions) does not hold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from notes2conf_milter.tlscheck.certificates import EXPECTED, Certificate, issued, key_of, load, name_of, read
from notes2conf_milter.tlscheck.printable import printable

E = TypeVar("E", bound=x509.ExtensionType)

DEPTH = 8  # certificates between a host and an authority; the web has two
PRESENTED = 12  # certificates that are looked at


class Problem(Enum):
    """What is wrong with a chain. Several may be."""

    UNREADABLE = "unreadable"  # the host's own certificate cannot be parsed
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ROOT = "unknown-root"  # it ends in a root that nobody here trusts
    INCOMPLETE = "incomplete"  # it ends at a certificate whose issuer is not there
    PATH_EXPIRED = "path-expired"  # a certificate between the two is out of date
    INVALID = "invalid"  # it leads to an authority, and one of its steps does not hold
    WRONG_NAME = "wrong-name"
    NO_NAME = "no-name"  # no DNS name at all; a common name does not count (RFC 9525 §2)


@dataclass(frozen=True, slots=True)
class Chain:
    """What a host presented, in its order, and what is wrong with it; `where` names the certificate that is meant."""

    certificates: tuple[Certificate, ...]
    problems: tuple[Problem, ...]
    where: str = ""

    @property
    def own(self) -> Certificate | None:
        """The host's own certificate."""
        return self.certificates[0] if self.certificates else None


def judge_chain(ders: Sequence[bytes], anchors: Iterable[x509.Certificate], now: datetime) -> Chain:
    """Say what is wrong with a chain, names aside, at the time `now` (UTC)."""
    shown = tuple(one for one in map(read, ders[:PRESENTED]) if one is not None)
    own = load(ders[0]) if ders else None
    if own is None or key_of(own)[1] == 0:
        return Chain(shown, (Problem.UNREADABLE,))
    problems: list[Problem] = []
    at = now
    if now > own.not_valid_after_utc:
        problems.append(Problem.EXPIRED)
        at = own.not_valid_after_utc - timedelta(seconds=1)  # is the date all that is wrong?
    elif now < own.not_valid_before_utc:
        problems.append(Problem.NOT_YET_VALID)
        at = own.not_valid_before_utc + timedelta(seconds=1)
    others = [one for one in map(load, ders[1:PRESENTED]) if one is not None]
    known = tuple(anchors)
    problem, where = trust(own, others, known, at)
    if problem is Problem.PATH_EXPIRED and at != now and _path_at(own, others, known, now) is not None:
        problem, where = None, ""  # the authorities are younger than the certificate, and good today
    return Chain(shown, (*problems, problem) if problem else tuple(problems), where)


def trust(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> tuple[Problem | None, str]:
    """Look for a way from a certificate to an anchor at a time; return what is wrong and the certificate it is wrong with."""
    said = _verify(own, others, anchors, at)
    if said is None:
        return None, ""
    path = _path_at(own, others, anchors, at)
    if path is not None:
        wrong = _wrong(path, at)
        if wrong is None and all(map(_of_the_web, path[1:])):
            wrong = said  # the verifier knows all of it, and has its reasons
        return (Problem.INVALID, wrong) if wrong else (None, "")
    if (path := _path(own, others, anchors)) is not None:
        late = next(one for one in path[1:] if not _in_time(one, at))
        return Problem.PATH_EXPIRED, name_of(late.subject)
    return _ended(own, others, anchors)


def _ended(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> tuple[Problem, str]:
    """Say where a chain ends that leads to no anchor."""
    last, left = own, list(others)
    while nexts := [one for one in left if one != last and issued(last, one)]:
        last = nexts[0]
        left.remove(last)
    if last is own and issued(own, own):
        return Problem.SELF_SIGNED, ""
    if issued(last, last):
        return Problem.UNKNOWN_ROOT, name_of(last.subject)
    if any(one != last and one.subject == last.issuer for one in (*others, *anchors)):
        return Problem.INVALID, name_of(last.issuer)  # it is there, and did not sign this
    return Problem.INCOMPLETE, name_of(last.issuer)


def _path_at(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> list[x509.Certificate] | None:
    """Return the shortest way whose authorities are all valid at a time."""
    return _path(own, [one for one in others if _in_time(one, at)], [one for one in anchors if _in_time(one, at)])


def _path(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """Return the shortest way from `own` to an anchor, the anchor included; one certificate when it is an anchor itself."""
    ways, seen = [[own]], {own}
    while ways:
        way = ways.pop(0)
        if way[-1] in anchors:
            return way
        for anchor in anchors:
            if issued(way[-1], anchor):
                return [*way, anchor]
        for other in others:
            if len(way) < DEPTH and other not in seen and issued(way[-1], other):
                seen.add(other)
                ways.append([*way, other])
    return None


def _in_time(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


# --- by the verifier ---


def _verify(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> str | None:
    """Return None when there is a way that holds, else the reason in the verifier's words."""
    if not anchors:
        return "no authority is known"
    try:
        builder = verification.PolicyBuilder().store(verification.Store(list(anchors))).time(at)
        policy = builder.max_chain_depth(DEPTH).extension_policies(ca_policy=_AUTHORITY, ee_policy=_HOST)
        policy.build_client_verifier().verify(own, list(others))  # the "client" one looks at no name
    except (verification.VerificationError, *EXPECTED) as error:
        return printable(str(error)) or "?"
    return None


def _is_authority(_: object, __: x509.Certificate, extension: x509.BasicConstraints) -> None:
    if not extension.ca:  # RFC 5280 §4.2.1.9
        raise ValueError("no authority")


def _may_sign(_: object, __: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:  # RFC 5280 §4.2.1.3
        raise ValueError("may not sign certificates")


def _may_serve(_: object, __: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    served = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if extension is not None and not any(usage in extension for usage in served):  # RFC 5280 §4.2.1.12
        raise ValueError("not for servers")


_ANY = verification.Criticality.AGNOSTIC
_AUTHORITY = (
    verification.ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, _ANY, _is_authority)
    .may_be_present(x509.KeyUsage, _ANY, _may_sign)
)
_HOST = verification.ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, _ANY, _may_serve)


# --- where it does not know the algorithms ---

# Extensions that may be critical because they are looked at, here or by whoever judges names.
_KNOWN = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.CertificatePolicies,
)


def _of_the_web(certificate: x509.Certificate) -> bool:
    """Say whether the verifier takes what a certificate's key signed: RSA from 2048 bits and the curves of NIST."""
    try:
        key = certificate.public_key()
    except EXPECTED:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= 2048
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1
    )


def _wrong(path: Sequence[x509.Certificate], at: datetime) -> str | None:
    """Return what is wrong with a way whose signatures hold (RFC 5280 §6.1), None when nothing is."""
    try:
        for below, one in enumerate(path):
            extensions = [extension for extension in one.extensions if extension.critical]
            if not _in_time(one, at) or not all(isinstance(extension.value, _KNOWN) for extension in extensions):
                return name_of(one.subject)
            if below and not _is_above(one, below - 1):
                return name_of(one.subject)
        served = _extension(path[0], x509.ExtendedKeyUsage)
        _may_serve(None, path[0], served)
    except EXPECTED:
        return name_of(path[0].subject)
    return None


def _is_above(certificate: x509.Certificate, between: int) -> bool:
    """Say whether a certificate may sign others, with so many authorities between it and the host."""
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if basic is None or not basic.ca or (basic.path_length is not None and basic.path_length < between):
        return False
    return (usage is None or usage.key_cert_sign) and _extension(certificate, x509.NameConstraints) is None


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
