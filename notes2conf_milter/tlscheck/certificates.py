"""Certificates: what stands in one.

In:  DER octets as a host presented them. Out: `Certificate`, facts as text, printable and bounded.
Fails: never; what is no certificate is None.
"""

import warnings
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notes2conf_milter.tlscheck.printable import printable

NAMES = 2000  # of one certificate; hosters have hundreds

# What `cryptography` raises for certificates that are not what they should be; it parses parts of them only when asked.
EXPECTED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


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
    except EXPECTED:
        return None
    return certificate


def read(der: bytes) -> Certificate | None:
    """Read what stands in a certificate; None when it is none."""
    certificate = load(der)
    if certificate is None:
        return None
    key, bits = key_of(certificate)
    return Certificate(
        der,
        name_of(certificate.subject),
        name_of(certificate.issuer),
        tuple(printable(name) for name in dns_names(certificate)[:NAMES]),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        key,
        bits,
        _signature(certificate),
        issued(certificate, certificate),
        certificate.fingerprint(SHA256()).hex(),
    )


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names of a certificate; none when its extensions cannot be read."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(names.get_values_for_type(x509.DNSName))
    except EXPECTED:
        return ()


def public_key(der: bytes) -> bytes | None:
    """Return the public key of a certificate as SubjectPublicKeyInfo in DER; None when it cannot be read."""
    certificate = load(der)
    if certificate is None:
        return None
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except EXPECTED:
        return None


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Say whether the issuer's name stands in a certificate, and the issuer's key signed it."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except EXPECTED:
        return False
    return True


def name_of(name: x509.Name) -> str:
    """Return a distinguished name as RFC 4514 writes it, printable."""
    return printable(name.rfc4514_string())


def key_of(certificate: x509.Certificate) -> tuple[str, int]:
    """Return kind and size of the public key; 0 bits for one that nobody here knows."""
    try:
        key = certificate.public_key()
    except EXPECTED:
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
