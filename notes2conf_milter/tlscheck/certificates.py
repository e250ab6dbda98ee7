"""Certificates: what stands in one, and whether a chain leads from a host to an authority (RFC 5280 §6).

In:  DER octets as a host presented them, trusted authorities, a time.
Out: `Certificate` (facts as text), `Chain` (the certificates, and all that is wrong with them).
Fails: never; what is no certificate is a problem of its chain. All text is printable and bounded.

The path is built here, so that it can be said where it ends. When it reaches an authority, `cryptography` verifies it once
more, with all that belongs to it (path lengths, name constraints, critical extensions).
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from notes2conf_milter.tlscheck.printable import printable

DEPTH = 8  # certificates between a host and an authority; the web has two
PRESENTED = 12  # certificates that are looked at
NAMES = 2000  # of one certificate; hosters have hundreds

# Beside RFC 5280 the verifier has the web's list of algorithms; those are judged by TR-02102-2, not here.
_OF_THE_WEB = ("Forbidden", "too weak")

# What `cryptography` raises for certificates that are not what they should be; it parses parts of them only when asked.
_EXPECTED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


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
class Certificate:
    """What stands in one certificate. Sizes in bits, times in UTC, the fingerprint is SHA-256 in hexadecimal."""

    der: bytes
    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    key: str
    bits: int
    signature: str
    self_signed: bool
    fingerprint: str


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


def load(der: bytes) -> x509.Certificate | None:
    """Parse a certificate; None when it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd serial numbers, country names of 17 letters
            certificate = x509.load_der_x509_certificate(der)
            # These are parsed when they are asked for; what cannot be read then is no certificate, either.
            _ = (
                certificate.subject,
                certificate.issuer,
                certificate.not_valid_before_utc,
                certificate.not_valid_after_utc,
            )
    except _EXPECTED:
        return None
    return certificate


def read(der: bytes) -> Certificate | None:
    """Read what stands in a certificate; None when it is none."""
    certificate = load(der)
    if certificate is None:
        return None
    key, bits = _key(certificate)
    return Certificate(
        der,
        _name(certificate.subject),
        _name(certificate.issuer),
        tuple(printable(name) for name in dns_names(certificate)[:NAMES]),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        key,
        bits,
        _signature(certificate),
        _issued(certificate, certificate),
        certificate.fingerprint(SHA256()).hex(),
    )


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names of a certificate; none when its extensions cannot be read."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(names.get_values_for_type(x509.DNSName))
    except _EXPECTED:
        return ()


def public_key(der: bytes) -> bytes | None:
    """Return the public key of a certificate as SubjectPublicKeyInfo in DER; None when it cannot be read."""
    certificate = load(der)
    if certificate is None:
        return None
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _EXPECTED:
        return None


def judge_chain(ders: Sequence[bytes], anchors: Iterable[x509.Certificate], now: datetime) -> Chain:
    """Say what is wrong with a chain, names aside, at the time `now` (UTC)."""
    shown = tuple(one for one in map(read, ders[:PRESENTED]) if one is not None)
    own = load(ders[0]) if ders else None
    if own is None or _key(own)[1] == 0:
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
    problem, where = trust(own, others, tuple(anchors), at)
    return Chain(shown, (*problems, problem) if problem else tuple(problems), where)


def trust(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> tuple[Problem | None, str]:
    """Look for a way from a certificate to an anchor at a time; return what is wrong and the certificate it is wrong with."""
    valid = [one for one in others if one.not_valid_before_utc <= at <= one.not_valid_after_utc]
    path = _path(own, valid, anchors)
    if path is not None:
        said = _verify(path, anchors, at)
        return (None, "") if said is None else (Problem.INVALID, said)
    if (path := _path(own, others, anchors)) is not None:
        late = next(one for one in path[1:] if one not in valid)
        return Problem.PATH_EXPIRED, _name(late.subject)
    last = _end(own, others)
    if last is own and _issued(own, own):
        return Problem.SELF_SIGNED, ""
    if _issued(last, last):
        return Problem.UNKNOWN_ROOT, _name(last.subject)
    if any(one != last and one.subject == last.issuer for one in (*others, *anchors)):
        return Problem.INVALID, _name(last.issuer)  # it is there, and did not sign this
    return Problem.INCOMPLETE, _name(last.issuer)


def _path(
    own: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """Return the shortest way from `own` to a certificate that an anchor issued, or that is one; without the anchor."""
    ways, seen = [[own]], {own}
    while ways:
        way = ways.pop(0)
        if any(way[-1] == anchor or _issued(way[-1], anchor) for anchor in anchors):
            return way
        for other in others:
            if len(way) < DEPTH and other not in seen and _issued(way[-1], other):
                seen.add(other)
                ways.append([*way, other])
    return None


def _end(own: x509.Certificate, others: Sequence[x509.Certificate]) -> x509.Certificate:
    last, left = own, list(others)
    while nexts := [one for one in left if one != last and _issued(last, one)]:
        last = nexts[0]
        left.remove(last)
    return last


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except _EXPECTED:
        return False
    return True


def _verify(path: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime) -> str | None:
    """Return None when the path holds, else the reason in the verifier's words."""
    try:
        builder = verification.PolicyBuilder().store(verification.Store(list(anchors))).time(at)
        policy = builder.max_chain_depth(DEPTH).extension_policies(ca_policy=_AUTHORITY, ee_policy=_HOST)
        policy.build_client_verifier().verify(path[0], list(path[1:]))  # the "client" one looks at no name
    except verification.VerificationError as error:
        if not any(word in str(error) for word in _OF_THE_WEB):
            return printable(str(error))
    except _EXPECTED as error:
        return printable(str(error))
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


def _name(name: x509.Name) -> str:
    return printable(name.rfc4514_string())


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    """Return kind and size of the public key; 0 bits for one that nobody here knows."""
    try:
        key = certificate.public_key()
    except _EXPECTED:
        return "?", 0
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    kind = type(key).__name__.removesuffix("PublicKey").removeprefix("_")
    return kind, {"Ed25519": 256, "Ed448": 456}.get(kind, 256)


def _signature(certificate: x509.Certificate) -> str:
    """Return the signature algorithm's name as OpenSSL writes it, `sha256WithRSAEncryption` for one."""
    return printable(getattr(certificate.signature_algorithm_oid, "_name", "?"), 60)
