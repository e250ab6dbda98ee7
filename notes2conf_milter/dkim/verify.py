"""Whether a key record makes a signature valid (RFC 6376 §6.1.2, §6.1.3).

In:  a candidate of core.carried, a record from DNS. Out: True or False.
Apart from core.carried, so that worker processes need no `cryptography`. OpenSSL bounds the sizes of keys.
Fails: never; a record that is none makes nothing valid.
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key

from notes2conf_milter.core.carried import Candidate, tags, unbase64

LEAST_RSA = 1024  # bits; RFC 8301 §3.2: what is shorter is never valid


def verifies(candidate: Candidate, record: bytes) -> bool:
    """Say whether a key record (RFC 6376 §3.6.1) makes a candidate valid; a record that is none does not."""
    found = tags(record)
    if found is None or found.get(b"v", b"DKIM1") != b"DKIM1" or not found.get(b"p"):
        return False  # p= alone: the key was withdrawn
    if b"sha256" not in _words(found.get(b"h", b"sha256")):
        return False
    if {b"*", b"email"}.isdisjoint(_words(found.get(b"s", b"*"))):
        return False
    if b"s" in _words(found.get(b"t", b"")) and candidate.identity != candidate.domain:
        return False
    kind = found.get(b"k", b"rsa").lower()
    return candidate.algorithm.startswith(kind + b"-") and _signed(candidate, unbase64(found[b"p"]) or b"")


def _words(value: bytes) -> list[bytes]:
    return [word.strip() for word in value.split(b":")]


def _signed(candidate: Candidate, octets: bytes) -> bool:
    try:
        if candidate.algorithm == b"ed25519-sha256":  # RFC 8463 §3: the hash is what is signed
            Ed25519PublicKey.from_public_bytes(octets).verify(candidate.signature, candidate.digest)
            return True
        key = load_der_public_key(octets)
        if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_RSA:
            return False
        key.verify(candidate.signature, candidate.digest, PKCS1v15(), Prehashed(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
