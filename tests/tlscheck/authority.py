"""Certificates for tests: an authority of one's own, and whatever it should not have issued."""

import ssl
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

SHA256 = hashes.SHA256()
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and the certificates that go with it."""

    certificate: x509.Certificate
    key: Any
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def ders(self) -> list[bytes]:
        """As a host presents them."""
        return [one.public_bytes(Encoding.DER) for one in (self.certificate, *self.chain)]

    @property
    def spki(self) -> bytes:
        public = self.certificate.public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> bytes:
        return b"".join(one.public_bytes(Encoding.PEM) for one in (self.certificate, *self.chain))

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write certificates and key as Postfix reads them; return both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cert.pem").write_bytes(self.pem)
        encoded = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(encoded)
        return folder / "cert.pem", folder / "key.pem"

    def context(self, lowest: str = "TLSv1_2", highest: str = "TLSv1_3", ciphers: str = "") -> ssl.SSLContext:
        """Return a server's TLS context."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            made.load_cert_chain(*self.write(Path(folder)))
        if lowest in ("TLSv1", "TLSv1_1"):
            made.set_ciphers("DEFAULT:@SECLEVEL=0")
        if ciphers:
            made.set_ciphers(ciphers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions, for once on purpose
            made.minimum_version, made.maximum_version = ssl.TLSVersion[lowest], ssl.TLSVersion[highest]
        return made


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(
    subject: str,
    by: Issued | None = None,
    *,
    names: Sequence[str] = (),
    authority: bool = False,
    key: Any = None,
    begins: datetime | None = None,
    ends: datetime | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    digest: hashes.HashAlgorithm | None = SHA256,
    send: bool = True,
    depth: int | None = None,
) -> Issued:
    """Issue a certificate, self-signed without `by`. send: present the issuer's chain along (a root is never sent).

    depth: how many authorities may be below it.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    issuer = by.certificate.subject if by else name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or NOW - timedelta(days=1))
        .not_valid_after(ends or NOW + timedelta(days=90))
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(True, depth), critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(by.key if by else key, digest)
    chain = (by.certificate, *by.chain) if by and send else ()
    return Issued(certificate, key, tuple(one for one in chain if one.issuer != one.subject))


@dataclass
class Authority:
    """A root, and an intermediate that issues for hosts."""

    root: Issued = field(default_factory=lambda: issue("Test Root", authority=True))
    between: Issued = field(init=False)

    def __post_init__(self) -> None:
        self.between = issue("Test Intermediate", self.root, authority=True)

    def host(self, host: str, **options: Any) -> Issued:
        """Issue a certificate for a host."""
        return issue(host, self.between, **{"names": (host,), **options})
