"""DKIM keys of a house, their records, and three verifiers that are not ours: dkimpy's own, OpenDKIM, and Mail::DKIM.

    assert verified(message, RECORDS) == [("example.org", True)]
    assert opendkim(message, RECORDS, tmp_path) == [True]
    assert mail_dkim(message, RECORDS) == ["arc none", "dkim example.org rsa-sha256 pass"]

`sign` signs as a mail server before us does, with dkimpy's own arithmetic.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notes2conf_milter.core.edits import RemoveHeader, apply
from notes2conf_milter.core.signing import Algorithm, KeyName
from notes2conf_milter.dkim.keys import SigningKey
from notes2conf_milter.dkim.records import NoAnswer
from tests.nameserver import NameServer

FIELD = re.compile(rb"(?im)^DKIM-Signature:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")


@cache
def rsa_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """The RSA key of that name: made once."""
    return generate_private_key(65537, bits)


@cache
def key(domain: str = "example.org", selector: str = "r", algorithm: Algorithm = Algorithm.RSA) -> SigningKey:
    """A key of the house."""
    made = rsa_key(domain + selector) if algorithm is Algorithm.RSA else Ed25519PrivateKey.generate()
    return SigningKey(KeyName(domain, selector, algorithm), made)


def keys(domain: str = "example.org") -> tuple[SigningKey, ...]:
    """Both keys of a domain."""
    return key(domain), key(domain, "e", Algorithm.ED25519)


def records(*some: SigningKey) -> dict[str, bytes]:
    """What DNS says of keys."""
    return {one.record_name: one.record.encode() for one in some}


@dataclass
class Names:
    """DNS, as a test has it. A record None: DNS does not say."""

    records: Mapping[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def txt(self, name: str) -> tuple[bytes, ...]:
        """As dkim.records.Dns."""
        self.asked.append(name)
        found = self.records.get(name, b"")
        if found is None:
            raise NoAnswer("no reply in time")
        return (found,) if found else ()


def pem(one: SigningKey) -> bytes:
    """A key as its file has it."""
    return one.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def sign(message: bytes, one: SigningKey | None = None, **options: Any) -> bytes:
    """A message as the organizer's own mail server signs it, with RSA."""
    one = one or key(selector="server")
    assert isinstance(one.key, RSAPrivateKey)
    old = one.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    header = dkim.DKIM(message).sign(one.name.selector.encode(), one.name.domain.encode(), old, **options)
    return bytes(header) + message


def verified(message: bytes, known: Mapping[str, bytes]) -> list[tuple[str, bool]]:
    """Each signature of a message, from the top: its d=, and whether dkimpy finds it valid."""

    def ask(name: bytes, timeout: int = 5) -> bytes | None:
        return known.get(name.decode().rstrip("."))

    found = []
    for index in range(len(FIELD.findall(message))):
        verifier = dkim.DKIM(message)
        try:
            good = verifier.verify(index, dnsfunc=ask)
        except dkim.DKIMException:
            good = False
        found.append(((verifier.domain or b"").decode(), good))
    return found


def opendkim(message: bytes, known: Mapping[str, bytes], folder: Path) -> list[bool]:
    """Whether OpenDKIM finds each signature of a message valid, from the top; it says so of one, so each is shown alone."""
    program = shutil.which("opendkim", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program is not None, "there is no OpenDKIM here; on Debian: apt-get install --no-install-recommends opendkim"
    (folder / "records").write_text("".join(f"{name} {text.decode()}\n" for name, text in known.items()), "ascii")
    (folder / "opendkim.conf").write_text(f"TestPublicKeys {folder / 'records'}\n", "ascii")
    count = len(FIELD.findall(message))
    answers = []
    for wanted in range(1, count + 1):
        others = [RemoveHeader(b"DKIM-Signature", index) for index in range(count, 0, -1) if index != wanted]
        (folder / "one.eml").write_bytes(apply(message, others))
        command = [program, "-x", str(folder / "opendkim.conf"), "-t", str(folder / "one.eml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        said = done.stdout + done.stderr
        assert said.count("verification (") == 1, said
        answers.append("succeeded" in said)
    return answers


def mail_dkim(message: bytes, known: Mapping[str, bytes]) -> list[str]:
    """What Mail::DKIM says, as maildkim.pl prints it; it asks a name server for the keys. It knows no Ed25519."""
    with NameServer(known) as server:
        command = ["perl", str(Path(__file__).with_name("maildkim.pl")), str(server.address.port)]
        done = subprocess.run(command, input=message, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (
        f"{done.stderr.decode()}; on Debian: apt-get install --no-install-recommends libmail-dkim-perl"
    )
    return done.stdout.decode().splitlines()
