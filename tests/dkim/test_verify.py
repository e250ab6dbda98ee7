"""Whether a key record makes a signature valid."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notes2conf_milter.core.carried import Candidate
from notes2conf_milter.core.signing import Algorithm
from notes2conf_milter.dkim.verify import verifies
from tests.core.test_carried import RECORD, SERVER, SIGNED, found
from tests.signatures import key


def test_what_a_record_may_say() -> None:
    """RFC 6376 §3.6.1: flags, services and hashes; a withdrawn key, a weak one, one of another kind, and nonsense."""
    (one,) = found(SIGNED)
    public = RECORD.partition(b"p=")[2]
    for good in (b"p=" + public, b"v=DKIM1; p=" + public, b"v=DKIM1; t=y:s; s=email; h=sha1:sha256; n=x; p=" + public):
        assert verifies(one, good), good
    bad = (b"", b"v=DKIM1; p=", b"v=DKIM2; p=" + public, b"s=tlsrpt; p=" + public, b"h=sha1; p=" + public)
    bad += (b"k=ed25519; p=" + public, b"k=odd; p=" + public, b"p=AAAA", b"p=!", b"v=spf1 -all")
    bad += (b"p=" + public[:-8], b"p=" + public + b"; p=" + public)
    for record in bad:
        assert not verifies(one, record), record
    below = replace(one, identity="mail.example.org")
    assert verifies(below, RECORD)
    assert not verifies(below, b"t=s; " + RECORD)


@pytest.mark.parametrize(("bits", "good"), [(768, False), (1024, True), (2048, True)])
def test_a_weak_key_makes_nothing_valid(bits: int, good: bool, tmp_path: Path) -> None:
    """RFC 8301 §3.2: less than 1024 bits. OpenSSL makes and uses a key that `cryptography` would not."""
    (one,) = found(SIGNED)

    def openssl(*words: str, octets: bytes = b"") -> bytes:
        return subprocess.run(["openssl", *words], input=octets, capture_output=True, check=True, cwd=tmp_path).stdout

    openssl("genrsa", "-out", "key.pem", str(bits))
    signature = openssl("pkeyutl", "-sign", "-inkey", "key.pem", "-pkeyopt", "digest:sha256", octets=one.digest)
    public = base64.b64encode(openssl("rsa", "-in", "key.pem", "-pubout", "-outform", "DER"))
    assert verifies(replace(one, signature=signature), b"p=" + public) is good


def test_the_older_form_of_a_public_key_is_taken() -> None:
    """PKCS 1, as others take it."""
    (one,) = found(SIGNED)
    octets = SERVER.key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert verifies(one, b"p=" + base64.b64encode(octets))


def test_ed25519_signs_the_hash() -> None:
    """RFC 8463 §3; its record has the bare 32 octets."""
    made = replace(key(selector="x", algorithm=Algorithm.ED25519), key=Ed25519PrivateKey.generate())
    digest = bytes(32)
    one = Candidate("example.org", "x", b"ed25519-sha256", digest, made.sign(digest), "example.org")
    assert verifies(one, made.record.encode())
    assert not verifies(replace(one, digest=bytes([1] * 32)), made.record.encode())
    assert not verifies(one, b"k=ed25519; p=AAAA")
