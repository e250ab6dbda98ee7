"""DKIM keys: files of them, new ones, and what a key's record in DNS has to say (RFC 6376 §3.6.1, RFC 8463 §4).

In:  what the settings say of keys. Out: `SigningKey`; with `new_keys`, two files.
A key file is PEM (PKCS 8), mode 0600. Under systemd the folder comes as a credential (LoadCredential=notes2conf-dkim:FOLDER);
systemd sees to the modes of those.
Fails: KeyFileError, naming the file and what is allowed.
"""

import base64
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from notes2conf_milter.core.signing import Algorithm, KeyName
from notes2conf_milter.dkim.verify import LEAST_RSA
from notes2conf_milter.store.epoch import sync_directory, write_new

CREDENTIAL_NAME = "notes2conf-dkim"
RSA_BITS = 2048  # RFC 8301 §3.2
_MODE = 0o600
_STRING = 255  # octets; RFC 1035 §3.3
_LARGEST = 65_536  # octets of a key file


class KeyFileError(Exception):
    """A key file that cannot be used. The text names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where a key is, and of which domain and selector it is."""

    domain: str
    selector: str
    path: Path


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key; never shown by repr()."""

    name: KeyName
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest (RFC 6376 §3.3.2, RFC 8463 §3)."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(digest)
        return self.key.sign(digest, PKCS1v15(), Prehashed(hashes.SHA256()))

    @property
    def record_name(self) -> str:
        """Return the name of the key's record."""
        return f"{self.name.selector}._domainkey.{self.name.domain}"

    @property
    def record(self) -> str:
        """Return what the key's record in DNS says."""
        public = self.key.public_key()
        if isinstance(self.key, Ed25519PrivateKey):
            kind, octets = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            kind, octets = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode('ascii')}"

    @property
    def zone_lines(self) -> str:
        """Return the record as a zone file has it, in strings that DNS can hold (RFC 1035 §5.1)."""
        text = self.record
        strings = [f'"{text[at : at + _STRING]}"' for at in range(0, len(text), _STRING)]
        inner = strings[0] if len(strings) == 1 else "( " + "\n    ".join(strings) + " )"
        return f"{self.record_name}. IN TXT {inner}"


def load_key(file: KeyFile) -> SigningKey:
    """Load a key, from the systemd credential when there is one; raises KeyFileError."""
    content = _content(file.path)
    try:
        key = load_pem_private_key(content, None)
    except TypeError:
        raise KeyFileError(f"{file.path}: has a password; allowed is a key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{file.path}: is no private key; allowed is one in PEM, RSA or Ed25519") from None
    if isinstance(key, Ed25519PrivateKey):
        return SigningKey(KeyName(file.domain, file.selector, Algorithm.ED25519), key)
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(f"{file.path}: is a key of another kind; allowed are RSA and Ed25519")
    if key.key_size < LEAST_RSA:
        problem = f"has {key.key_size} bits, which nobody accepts; allowed are {LEAST_RSA} at least, better {RSA_BITS}"
        raise KeyFileError(f"{file.path}: {problem}")
    return SigningKey(KeyName(file.domain, file.selector, Algorithm.RSA), key)


def _content(path: Path) -> bytes:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / f"{CREDENTIAL_NAME}_{path.name}" if credentials else None
    handed = credential is not None and credential.exists()
    where = credential if credential is not None and handed else path
    try:
        mode = stat.S_IMODE(where.stat().st_mode)
        if not handed and mode & ~_MODE:
            raise KeyFileError(f"{path}: mode {mode:04o} is too open for a key; allowed is 0600 (its owner alone)")
        with where.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror})") from None


def new_keys(folder: Path, domain: str, selector: str) -> list[tuple[Path, SigningKey]]:
    """Make an RSA and an Ed25519 key for a domain, each in a file of a folder, mode 0600; return files and keys.

    selector: the beginning of both selectors. Raises KeyFileError when one of the files exists, or cannot be written.
    """
    made: list[tuple[Path, SigningKey]] = []
    for ending, algorithm in (("rsa", Algorithm.RSA), ("ed25519", Algorithm.ED25519)):
        name = KeyName(domain, f"{selector}-{ending}", algorithm)
        path = folder / f"{domain}.{name.selector}.pem"
        if path.exists() or path.is_symlink():
            raise KeyFileError(f"{path}: exists already; a key is never overwritten, choose another --selector")
        key = generate_private_key(65537, RSA_BITS) if algorithm is Algorithm.RSA else Ed25519PrivateKey.generate()
        made.append((path, SigningKey(name, key)))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, one in made:
            octets = one.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_new(path, octets, _MODE)
        sync_directory(folder)
    except OSError as error:
        raise KeyFileError(f"{folder}: the keys cannot be written ({error.strerror})") from None
    return made
