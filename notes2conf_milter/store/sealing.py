"""The cryptography of the store, and nothing else: derive a key, seal octets, open them.

In:  secrets and octets. Out: octets. Random: the nonces. No files, no SQL.
Fails: `Unsealable` when a value was changed, moved to another column, row or expiry, or the key is another one.

A sealed value is one octet FORMAT, a random 96-bit nonce, and AES-256-GCM's output. Keys are per row (the row's R is
the salt of each derivation), so that a nonce would have to repeat within one row to do harm.
"""

import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_OCTETS = 32
FORMAT = 1
_NONCE_OCTETS = 12
_TAG_OCTETS = 16


class Unsealable(Exception):
    """A sealed value does not open; which row it was, the caller knows."""


class Purpose(Enum):
    """What a derived key is for: the `info` of HKDF (RFC 5869 §3.2), so that no key serves two ends."""

    UID_HASH = b"notes2conf 1 uid-hash"
    SALT = b"notes2conf 1 salt"
    MAIL = b"notes2conf 1 mail"
    LINK = b"notes2conf 1 link"
    VERSION = b"notes2conf 1 version"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs. meeting: the row's id; ends_at: when it is over by its mail, in seconds since 1970 UTC."""

    meeting: int
    uid_hash: bytes
    ends_at: int

    def bound(self, column: str) -> bytes:
        """Return the associated data of a column: a value opens only in its own column, row and expiry."""
        name = column.encode("ascii")
        try:
            numbers = struct.pack(">qq", self.meeting, self.ends_at)
            return struct.pack(">BB", FORMAT, len(name)) + name + numbers + self.uid_hash
        except (struct.error, TypeError):  # a damaged database holds any type in any column
            raise Unsealable from None


def new_key() -> bytes:
    """Draw a key."""
    return secrets.token_bytes(KEY_OCTETS)


def new_salt() -> bytes:
    """Draw a row's salts: R, and V, which alone outlives a cancellation."""
    return new_key() + new_key()


def buried(salt: bytes) -> bytes:
    """Return what is left of a row's salts after a cancellation: with R everything goes that was ever copied."""
    return new_key() + salt[KEY_OCTETS:]


def derive(secret: bytes, salt: bytes | None, purpose: Purpose) -> bytes:
    """Derive a key from a secret with HKDF-SHA256 (RFC 5869). salt: the row's R, None where there is no row."""
    return HKDF(algorithm=SHA256(), length=KEY_OCTETS, salt=salt, info=purpose.value).derive(secret)


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """Seal octets under a key for the place that `bound` names."""
    nonce = secrets.token_bytes(_NONCE_OCTETS)
    return bytes([FORMAT]) + nonce + AESGCM(key).encrypt(nonce, plain, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Return what `seal` was given; raises Unsealable."""
    if not isinstance(sealed, bytes) or len(sealed) < 1 + _NONCE_OCTETS + _TAG_OCTETS or sealed[0] != FORMAT:
        raise Unsealable
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE_OCTETS], sealed[1 + _NONCE_OCTETS :], bound)
    except InvalidTag:
        raise Unsealable from None


def uid_hash(key: bytes, organizer: str, uid: str) -> bytes:
    """Return what stands for a meeting in the database: HMAC-SHA256 over organizer and UID. key: Purpose.UID_HASH.

    The organizer is part of it because a UID is no secret (everybody invited reads it): the same UID from another
    organizer is another meeting, so nobody takes over, moves or learns the link of somebody else's. The length in
    front keeps the two apart. Text that is not Unicode (lone surrogates from octets in no known charset) is a UID
    like any other.
    """
    address = organizer.lower().encode("utf-8", "surrogatepass")
    octets = struct.pack(">Q", len(address)) + address + uid.encode("utf-8", "surrogatepass")
    return hmac.digest(key, octets, "sha256")


def token_hash(token: str) -> bytes:
    """Return what stands for a link in the database. A plain hash suffices: a token has 160 random bits."""
    return hashlib.sha256(token.encode("ascii")).digest()
