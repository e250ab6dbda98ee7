"""What stands in a certificate."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519

from notes2conf_milter.tlscheck.certificates import NAMES, issued, public_key, read
from tests.tlscheck.authority import NOW, Authority, issue

AUTHORITY = Authority()
HOST = AUTHORITY.host("mx.example.test")
DAY = timedelta(days=1)


def test_what_stands_in_one() -> None:
    """Facts as text, times in UTC."""
    one = read(HOST.der)
    assert one is not None
    assert (one.subject, one.issuer, one.names) == ("CN=mx.example.test", "CN=Test Intermediate", ("mx.example.test",))
    assert (one.begins, one.ends, one.key, one.bits) == (NOW - DAY, NOW + 90 * DAY, "EC secp256r1", 256)
    assert (one.signature, one.self_signed) == ("ecdsa-with-SHA256", False)
    assert one.fingerprint == HOST.certificate.fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize(
    ("key", "kind", "bits"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA", 2048),
        (dsa.generate_private_key(1024), "DSA", 1024),
        (ec.generate_private_key(ec.BrainpoolP384R1()), "EC brainpoolP384r1", 384),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519", 256),
        (x25519.X25519PrivateKey.generate(), "X25519", 256),
    ],
)
def test_kinds_of_keys(key: object, kind: str, bits: int) -> None:
    """With their sizes."""
    one = read(issue("mx", AUTHORITY.root, key=key).der)
    assert one is not None and (one.key, one.bits) == (kind, bits)


def test_names_without_end() -> None:
    """Hundreds are kept, thousands are not."""
    one = read(issue("mx", names=[f"h{number}.test" for number in range(NAMES + 5)]).der)
    assert one is not None and len(one.names) == NAMES


def test_who_signed() -> None:
    """The name and the key, both."""
    assert issued(HOST.certificate, AUTHORITY.between.certificate)
    assert not issued(HOST.certificate, AUTHORITY.root.certificate)
    assert not issued(HOST.certificate, Authority().between.certificate)


def test_public_keys() -> None:
    """As TLSA records have them; none of what is no certificate."""
    assert public_key(HOST.der) == HOST.spki
    assert public_key(b"") is None and read(b"") is None
